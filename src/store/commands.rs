//! Commands that were given with an idempotency key, kept for 24 hours: what they were, and which objects they made.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    Database, Error, number,
    statement::Statement,
    write::{self, Write},
};
use crate::domain::{Actor, OrganizationId, Timestamp};

/// How long a repetition is recognized.
pub const KEPT: TimeDelta = TimeDelta::hours(24);

/// What makes a command recognizable.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// The caller's key.
    pub key: String,
    /// A keyed fingerprint of the whole input.
    pub fingerprint: [u8; 32],
}

/// A command that was done.
#[derive(Clone, Debug)]
pub struct Done {
    /// The fingerprint of its input.
    pub fingerprint: Vec<u8>,
    /// The version it brought the organization to.
    pub version: u64,
    /// What it made or touched, in the order of its answer.
    pub objects: Vec<Uuid>,
}

/// The command that this actor gave with this key, if it is not forgotten.
pub async fn find(
    database: &Database,
    organization: OrganizationId,
    actor: Actor,
    key: &str,
    now: Timestamp,
) -> Result<Option<Done>, Error> {
    let row: Option<(Vec<u8>, i64, serde_json::Value)> = Statement::new(
        "SELECT fingerprint, version, object_ids FROM commands \
         WHERE organization_id = $1 AND actor_id = $2 AND idempotency_key = $3 AND created_at > $4",
    )
    .bind(organization.0)
    .bind(actor.id())
    .bind(key)
    .bind(now - KEPT)
    .optional(database)
    .await?;
    Ok(row.map(|(fingerprint, version, objects)| Done {
        fingerprint,
        version: number(version),
        objects: serde_json::from_value(objects).unwrap_or_default(),
    }))
}

/// Marks the key of a command that wrote nothing as used; false where it was used already.
pub async fn claim(
    database: &Database,
    organization: OrganizationId,
    actor: Actor,
    idempotency: &Idempotency,
    now: Timestamp,
) -> Result<bool, Error> {
    let mut transaction = database.begin().await?;
    let writes = keep(organization, actor, idempotency, (0, &[]), now);
    match write::run_all(&mut transaction, [writes]).await {
        Ok(()) => transaction.commit().await.map(|()| true),
        Err(Error::Conflict) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Keeps a command with its events, and forgets those whose time is over; one that is there already is a conflict.
pub(super) fn keep(
    organization: OrganizationId,
    actor: Actor,
    idempotency: &Idempotency,
    (version, objects): (u64, &[Uuid]),
    now: Timestamp,
) -> Vec<Write> {
    let forget = Write::text(
        "DELETE FROM commands WHERE organization_id IN (SELECT v.organization_id FROM v) \
         AND created_at <= (SELECT MIN(v.forgotten) FROM v)",
    );
    let insert = Write::insert_new("commands")
        .with("organization_id", organization.0)
        .with("actor_id", actor.id())
        .with("idempotency_key", &idempotency.key)
        .with("fingerprint", &idempotency.fingerprint[..])
        .with("version", version)
        .with("object_ids", serde_json::json!(objects))
        .with("created_at", now);
    vec![forget.with("organization_id", organization.0).with("forgotten", now - KEPT), insert.or_conflict()]
}
