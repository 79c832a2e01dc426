//! Checks that nobody rewrote the ledger: every hash, every sequence, every head; and that the rows which queries
//! read say what the ledger says.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Database, Error, aggregate::EventRow, chain, database::Transaction, number, rebuild, statement::Statement,
};
use crate::domain::{Organization, OrganizationId, UserId};

const PAGE: u32 = 1000;

/// How much was found good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Organizations.
    pub organizations: u64,
    /// Events.
    pub events: u64,
}

/// Checks everything. Each organization is read as of one moment, so servers may run.
///
/// # Errors
/// [`Error::Corrupt`] names the first place where something is wrong.
pub async fn verify(database: &Database) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut after = None;
    loop {
        let organizations = rebuild::organizations(database, after).await?;
        let Some(last) = organizations.last() else { break };
        after = Some(last.0);
        for organization in organizations {
            report.events += verify_one(database, organization).await?;
            report.organizations += 1;
        }
    }
    headless(database).await?;
    Ok(report)
}

/// Events without a head would be read by nobody.
async fn headless(database: &Database) -> Result<(), Error> {
    let row: Option<(Uuid, i64)> = Statement::new(
        "SELECT e.organization_id, e.sequence FROM events e WHERE NOT EXISTS \
         (SELECT 1 FROM streams s WHERE s.organization_id = e.organization_id) LIMIT 1",
    )
    .optional(database)
    .await?;
    match row {
        None => Ok(()),
        Some((organization, sequence)) => {
            Err(Error::corrupt(OrganizationId(organization), number(sequence), "the event has no head"))
        }
    }
}

async fn verify_one(database: &Database, organization: OrganizationId) -> Result<u64, Error> {
    let mut transaction = database.snapshot().await?;
    let head: Option<(i64, Vec<u8>)> =
        Statement::new("SELECT version, head_hash FROM streams WHERE organization_id = $1")
            .bind(organization.0)
            .optional_in(&mut transaction)
            .await?;
    let Some((version, head_hash)) = head else { return Ok(0) };
    let version = number(version);
    let mut aggregate = Organization::default();
    let mut hash = chain::genesis(organization).to_vec();
    let mut sequence = 0;
    loop {
        let rows = events_after(&mut transaction, organization, sequence).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let found = number(row.sequence);
            sequence += 1;
            if found != sequence {
                return Err(Error::corrupt(organization, sequence, format!("the event is missing, {found} follows")));
            }
            if row.prev_hash != hash {
                return Err(Error::corrupt(organization, sequence, "it does not continue its predecessor"));
            }
            hash = row.computed_hash(&hash)?.to_vec();
            if row.hash != hash {
                return Err(Error::corrupt(organization, sequence, "the event is not what was written"));
            }
            aggregate.evolve(&row.decode()?.event);
        }
    }
    if sequence != version {
        return Err(Error::corrupt(organization, sequence, format!("the stream ends here, its head says {version}")));
    }
    if hash != head_hash {
        return Err(Error::corrupt(organization, sequence, "the head has another hash than the last event"));
    }
    compare_rows(&mut transaction, organization, version, &aggregate).await?;
    Ok(sequence)
}

async fn events_after(
    transaction: &mut Transaction,
    organization: OrganizationId,
    sequence: u64,
) -> Result<Vec<EventRow>, Error> {
    Statement::new(format!(
        "SELECT {} FROM events e WHERE e.organization_id = $1 AND e.sequence > $2 ORDER BY e.sequence LIMIT $3",
        EventRow::COLUMNS
    ))
    .bind(organization.0)
    .bind(sequence)
    .bind(PAGE)
    .all_in(transaction)
    .await
}

/// Holds the rows of members, invitations and keys against the folded state.
async fn compare_rows(
    transaction: &mut Transaction,
    organization: OrganizationId,
    version: u64,
    aggregate: &Organization,
) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::corrupt(organization, version, what));
    let members: Vec<(Uuid, Uuid, String)> =
        Statement::new("SELECT user_id, role_id, status FROM members WHERE organization_id = $1")
            .bind(organization.0)
            .all_in(transaction)
            .await?;
    let mut expected: HashMap<UserId, _> = aggregate.members().collect();
    for (user, role, status) in members {
        let same = expected
            .remove(&UserId(user))
            .is_some_and(|member| member.role.0 == role && member.status.name() == status);
        if !same {
            return wrong(format!("the row of member {user} is not what the ledger says"));
        }
    }
    if let Some(user) = expected.keys().next() {
        return wrong(format!("the row of member {user} is missing"));
    }
    let invitations = aggregate.invitations().map(|(id, invitation)| (id.0, invitation.state().name())).collect();
    compare_states(transaction, organization, version, ("invitations", "invitation_id", "state"), invitations).await?;
    let api_keys = aggregate.api_keys().map(|(id, key)| (id.0, key.status.name())).collect();
    compare_states(transaction, organization, version, ("api_keys", "api_key_id", "status"), api_keys).await
}

async fn compare_states(
    transaction: &mut Transaction,
    organization: OrganizationId,
    version: u64,
    (table, id, state): (&str, &str, &str),
    mut expected: HashMap<Uuid, &str>,
) -> Result<(), Error> {
    let text = format!("SELECT {id}, {state} FROM {table} WHERE organization_id = $1");
    let rows: Vec<(Uuid, String)> = Statement::new(text).bind(organization.0).all_in(transaction).await?;
    for (row, state) in rows {
        if expected.remove(&row) != Some(&state) {
            let what = format!("the row {row} of {table} is not what the ledger says");
            return Err(Error::corrupt(organization, version, what));
        }
    }
    match expected.keys().next() {
        None => Ok(()),
        Some(row) => Err(Error::corrupt(organization, version, format!("the row {row} of {table} is missing"))),
    }
}
