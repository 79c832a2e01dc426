//! Snapshots: where folding a long stream begins.
//!
//! *Shape.* One row an organization: its state at a sequence, with the hash of that event. It is taken beside the
//! commands, from the one before it and the events since, by a task that holds nobody up ([`take`]).
//!
//! *Promises.* It serves cold starts and nothing else. One that cannot be read, is of another form of the state or does
//! not fit the chain is passed over, and replaced in time. It ends with its organization.
//!
//! *Limits.* One is due when more events came than [`AT_LEAST`] and than a fifth of what the organization holds.

use tokio::sync::mpsc;

use super::{
    Database, Error,
    hot::{self, Head, Hot},
    number,
    statement::Statement,
    transaction::Transaction,
};
use crate::domain::{Organization, OrganizationId, Timestamp};

/// How many events come before there is a snapshot.
pub const AT_LEAST: u64 = 1000;
/// The form of the state. Whoever changes the fields of the aggregate takes the next number.
pub const STATE_VERSION: u32 = 1;

/// Whether a snapshot is due at this version, if the last one was taken at that one.
pub(super) fn is_due(aggregate: &Organization, taken: u64) -> bool {
    aggregate.version().saturating_sub(taken) > AT_LEAST.max(aggregate.weight() / 5)
}

/// What a snapshot says, if there is one up to this head.
pub(super) async fn find(
    database: &Database,
    organization: OrganizationId,
    head: &Head,
    transaction: Option<&mut Transaction>,
) -> Result<Option<Hot>, Error> {
    let statement = Statement::new(
        "SELECT sequence, head_hash, state FROM snapshots \
         WHERE organization_id = $1 AND sequence <= $2 AND state_version = $3",
    )
    .bind(organization.0)
    .bind(head.version)
    .bind(STATE_VERSION);
    let row: Option<(i64, Vec<u8>, Vec<u8>)> = match transaction {
        Some(transaction) => statement.optional_in(transaction).await?,
        None => statement.optional(database).await?,
    };
    let Some((sequence, hash, state)) = row else { return Ok(None) };
    let read = tokio::task::spawn_blocking(move || serde_json::from_slice::<Organization>(&state)).await;
    let version = number(sequence);
    Ok(match read {
        Ok(Ok(aggregate)) if aggregate.version() == version => {
            let head = Head { version, hash, recorded_at: Timestamp::default(), deleted: false };
            Some(Hot::written(aggregate, head, version))
        }
        _ => {
            tracing::warn!(%organization, version, "a snapshot cannot be read");
            None
        }
    })
}

/// Takes the snapshots that are asked for, one after the other, until nobody can ask any more.
pub(super) async fn take(database: Database, mut due: mpsc::Receiver<OrganizationId>) {
    while let Some(organization) = due.recv().await {
        if let Err(error) = take_one(&database, organization).await {
            tracing::warn!(%organization, ?error, "a snapshot could not be taken");
        }
    }
}

async fn take_one(database: &Database, organization: OrganizationId) -> Result<(), Error> {
    let head = hot::head(database, organization).await?;
    let Hot { aggregate, head, .. } = hot::catch_up(database, organization, None, head, None).await?;
    let state = tokio::task::spawn_blocking(move || serde_json::to_vec(&aggregate)).await;
    let Ok(Ok(state)) = state else { return Err(Error::Stopped) };
    let mut transaction = database.begin().await?;
    // Under the lock of the head, so that nothing is left behind by a deletion at the same moment.
    if hot::head_in(&mut transaction, organization).await?.is_none_or(|head| head.deleted) {
        return Ok(());
    }
    Statement::new(
        "INSERT INTO snapshots (organization_id, sequence, state_version, head_hash, state) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id) DO UPDATE SET sequence = excluded.sequence, \
         state_version = excluded.state_version, head_hash = excluded.head_hash, state = excluded.state",
    )
    .bind(organization.0)
    .bind(head.version)
    .bind(STATE_VERSION)
    .bind(head.hash)
    .bind(state)
    .run_in(&mut transaction)
    .await?;
    transaction.commit().await
}
