//! Checks that nobody rewrote the ledger: every hash, every sequence, every head; and that the rows which decide
//! access (members, roles, invitations, keys and their secrets), and the audit log, say what the ledger says. It writes nothing, so it may
//! run beside servers; rows that only show something (names, times, history) are made anew by a rebuild, not checked.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Database, Error, NEVER,
    aggregate::EventRow,
    chain, number, rebuild,
    statement::{Row, Statement},
    transaction::Transaction,
};
use crate::{
    domain::{
        ApiKeyId, Organization, OrganizationId, Timestamp,
        organization::{Event, event::SecretRecord},
    },
    secrets::{commitment, hex},
};

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

/// Events without a head would be read by nobody. All are looked at, which takes what time it takes.
async fn headless(database: &Database) -> Result<(), Error> {
    let mut transaction = database.snapshot().await?;
    let row: Option<(Uuid, i64)> = Statement::new(
        "SELECT e.organization_id, e.sequence FROM events e WHERE NOT EXISTS \
         (SELECT 1 FROM streams s WHERE s.organization_id = e.organization_id) LIMIT 1",
    )
    .optional_in(&mut transaction)
    .await?;
    match row {
        None => Ok(()),
        Some((organization, sequence)) => {
            Err(Error::corrupt(OrganizationId(organization), number(sequence), "the event has no head"))
        }
    }
}

#[derive(sqlx::FromRow)]
struct HeadRow {
    version: i64,
    head_hash: Vec<u8>,
    recorded_at: Timestamp,
    state: String,
}

async fn verify_one(database: &Database, organization: OrganizationId) -> Result<u64, Error> {
    let mut transaction = database.snapshot().await?;
    let head: Option<HeadRow> =
        Statement::new("SELECT version, head_hash, recorded_at, state FROM streams WHERE organization_id = $1")
            .bind(organization.0)
            .optional_in(&mut transaction)
            .await?;
    let Some(head) = head else { return Ok(0) };
    let mut folded = Folded::new(organization);
    loop {
        let rows = events_after(&mut transaction, organization, folded.sequence).await?;
        if let (true, "DELETED" | "PURGED", Some(first)) = (folded.sequence == 0, &*head.state, rows.first()) {
            // What came before is purged, or is being purged; what is left still has to end in the head.
            folded.sequence = number(first.sequence).saturating_sub(1);
            folded.hash.clone_from(&first.prev_hash);
        }
        if rows.is_empty() {
            break;
        }
        for row in rows {
            folded.take(row)?;
        }
    }
    let Folded { sequence, .. } = folded;
    let wrong = |what: String| Err(Error::corrupt(organization, sequence, what));
    let version = number(head.version);
    if sequence != version {
        return wrong(format!("the stream ends here, its head says {version}"));
    }
    if folded.hash != head.head_hash {
        return wrong("the head has another hash than the last event".to_owned());
    }
    if head.recorded_at != folded.recorded_at || (head.state != "LIVING") != folded.deleted {
        return wrong("the head has another time or state than the last event".to_owned());
    }
    stock_columns(&mut transaction, organization).await?;
    if head.state == "LIVING" {
        audit_log(&mut transaction, organization).await?;
    }
    compare_rows(&mut transaction, &folded).await?;
    Ok(sequence)
}

/// A stream as far as it was read and found good.
struct Folded {
    organization: OrganizationId,
    sequence: u64,
    hash: Vec<u8>,
    recorded_at: Timestamp,
    deleted: bool,
    aggregate: Organization,
    /// The secrets that are there: of each key the current one, and the one before it until its grace is over.
    secrets: HashMap<String, Secret>,
}

impl Folded {
    fn new(organization: OrganizationId) -> Self {
        Self {
            organization,
            sequence: 0,
            hash: chain::genesis(organization).to_vec(),
            recorded_at: NEVER,
            deleted: false,
            aggregate: Organization::default(),
            secrets: HashMap::new(),
        }
    }

    /// Takes the next event, if it is what was written behind its predecessor.
    fn take(&mut self, row: EventRow) -> Result<(), Error> {
        self.sequence += 1;
        let wrong = |what: String| Err(Error::corrupt(self.organization, self.sequence, what));
        let found = number(row.sequence);
        if found != self.sequence {
            return wrong(format!("the event is missing, {found} follows"));
        }
        if row.prev_hash != self.hash {
            return wrong("it does not continue its predecessor".to_owned());
        }
        self.hash = row.computed_hash(&self.hash)?.to_vec();
        if row.hash != self.hash {
            return wrong("the event is not what was written".to_owned());
        }
        let recorded = row.decode()?;
        self.recorded_at = recorded.recorded_at;
        match &recorded.event {
            Event::OrganizationDeleted {} => {
                self.deleted = true;
                self.secrets.clear();
            }
            Event::ApiKeyCreated { api_key_id, secret, .. } => self.add_secret(*api_key_id, secret),
            Event::ApiKeyRotated { api_key_id, secret, old_secret_until } => {
                self.secrets.retain(|_, old| old.api_key != *api_key_id || old.expires_at.is_none());
                for old in self.secrets.values_mut().filter(|old| old.api_key == *api_key_id) {
                    old.expires_at = Some(*old_secret_until);
                }
                self.add_secret(*api_key_id, secret);
            }
            _ => {}
        }
        self.aggregate.evolve(&recorded.event);
        Ok(())
    }
}

impl Folded {
    fn add_secret(&mut self, api_key: ApiKeyId, secret: &SecretRecord) {
        let hash = secret.hash.clone();
        self.secrets.insert(secret.public_id.clone(), Secret { api_key, hash, expires_at: None });
    }
}

/// A secret of a key, as its row should be.
#[derive(PartialEq, Eq)]
struct Secret {
    api_key: ApiKeyId,
    hash: String,
    expires_at: Option<Timestamp>,
}

/// The columns by which the stock repositories find events are not under the hash.
async fn stock_columns(transaction: &mut Transaction, organization: OrganizationId) -> Result<(), Error> {
    let row: Option<(i64,)> = Statement::new(
        "SELECT sequence FROM events WHERE organization_id = $1 \
         AND (aggregate_id <> $2 OR aggregate_type <> 'organization') LIMIT 1",
    )
    .bind(organization.0)
    .bind(organization.to_string())
    .optional_in(transaction)
    .await?;
    match row {
        None => Ok(()),
        Some((sequence,)) => {
            Err(Error::corrupt(organization, number(sequence), "the event is filed under another aggregate"))
        }
    }
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

/// The audit log has an entry for every event, and the reasons that are still there are those that were given.
async fn audit_log(transaction: &mut Transaction, organization: OrganizationId) -> Result<(), Error> {
    let missing: Option<(i64,)> = Statement::new(
        "SELECT e.sequence FROM events e LEFT JOIN audit_entries a \
         ON a.organization_id = e.organization_id AND a.sequence = e.sequence AND a.event_type = e.event_type \
         WHERE e.organization_id = $1 AND a.sequence IS NULL ORDER BY e.sequence LIMIT 1",
    )
    .bind(organization.0)
    .optional_in(transaction)
    .await?;
    if let Some((sequence,)) = missing {
        return Err(Error::corrupt(organization, number(sequence), "the event is missing from the audit log"));
    }
    let reasons: Vec<(i64, String, Option<Vec<u8>>, serde_json::Value)> = Statement::new(
        "SELECT c.sequence, c.reason, c.reason_salt, e.metadata FROM event_context c JOIN events e \
         ON e.organization_id = c.organization_id AND e.sequence = c.sequence \
         WHERE c.organization_id = $1 AND c.reason IS NOT NULL ORDER BY c.sequence",
    )
    .bind(organization.0)
    .all_in(transaction)
    .await?;
    for (sequence, reason, salt, metadata) in reasons {
        let given = metadata.get("reasonCommitment").and_then(serde_json::Value::as_str);
        if given != Some(&commitment(&salt.unwrap_or_default(), &reason)) {
            return Err(Error::corrupt(organization, number(sequence), "the reason is not the one that was given"));
        }
    }
    Ok(())
}

/// Holds the rows that decide access against the folded state: members, roles, invitations, keys and their secrets.
async fn compare_rows(transaction: &mut Transaction, folded: &Folded) -> Result<(), Error> {
    let Folded { aggregate, .. } = folded;
    let members = aggregate
        .members()
        .map(|(id, member)| (id.0, format!("{} {} {}", member.role.0.simple(), member.status.name(), member.version)));
    let rows: Vec<(Uuid, Uuid, String, i64)> =
        all(transaction, folded, "SELECT user_id, role_id, status, version FROM members").await?;
    let rows =
        rows.into_iter().map(|(id, role, status, version)| (id, format!("{} {status} {version}", role.simple())));
    compare(folded, "members", members, rows)?;

    let roles = aggregate.roles().map(|(id, role)| (id.0, format!("{} {}", role.level, role.permissions.bits())));
    let rows: Vec<(Uuid, i64, i64, bool)> =
        all(transaction, folded, "SELECT role_id, level, permissions, deleted FROM roles").await?;
    let rows = rows.into_iter().filter(|(.., deleted)| !deleted);
    let rows = rows.map(|(id, level, permissions, _)| (id, format!("{level} {permissions}")));
    compare(folded, "roles", roles, rows)?;

    let invitations = aggregate.invitations().map(|(id, invitation)| (id.0, invitation.state().name().to_owned()));
    let rows: Vec<(Uuid, String)> = all(transaction, folded, "SELECT invitation_id, state FROM invitations").await?;
    compare(folded, "invitations", invitations, rows.into_iter())?;

    let expiry = |at: Option<Timestamp>| at.map(chain::time).unwrap_or_default();
    let api_keys = aggregate.api_keys().map(|(id, key)| {
        (id.0, format!("{} {} {}", key.status.name(), key.permissions.bits(), expiry(key.expires_at())))
    });
    let rows: Vec<(Uuid, String, i64, Option<Timestamp>)> =
        all(transaction, folded, "SELECT api_key_id, status, permissions, expires_at FROM api_keys").await?;
    let rows =
        rows.into_iter().map(|(id, status, permissions, at)| (id, format!("{status} {permissions} {}", expiry(at))));
    compare(folded, "api_keys", api_keys, rows)?;
    compare_secrets(transaction, folded).await
}

async fn compare_secrets(transaction: &mut Transaction, folded: &Folded) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::corrupt(folded.organization, folded.sequence, what));
    let rows: Vec<(String, Uuid, Vec<u8>, Option<Timestamp>)> =
        all(transaction, folded, "SELECT public_id, api_key_id, hash, expires_at FROM api_key_secrets").await?;
    let mut found = 0;
    for (public_id, api_key, hash, expires_at) in rows {
        found += 1;
        let row = Secret { api_key: ApiKeyId(api_key), hash: hex(&hash), expires_at };
        if folded.secrets.get(&public_id) != Some(&row) {
            return wrong(format!("the row {public_id} of api_key_secrets is not what the ledger says"));
        }
    }
    if found < folded.secrets.len() {
        return wrong("a row of api_key_secrets is missing".to_owned());
    }
    Ok(())
}

async fn all<T: Row>(transaction: &mut Transaction, folded: &Folded, select: &str) -> Result<Vec<T>, Error> {
    let text = format!("{select} WHERE organization_id = $1");
    Statement::new(text).bind(folded.organization.0).all_in(transaction).await
}

fn compare(
    folded: &Folded,
    table: &str,
    expected: impl Iterator<Item = (Uuid, String)>,
    rows: impl Iterator<Item = (Uuid, String)>,
) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::corrupt(folded.organization, folded.sequence, what));
    let mut expected: HashMap<Uuid, String> = expected.collect();
    for (id, row) in rows {
        if expected.remove(&id) != Some(row) {
            return wrong(format!("the row {id} of {table} is not what the ledger says"));
        }
    }
    match expected.keys().next() {
        None => Ok(()),
        Some(id) => wrong(format!("the row {id} of {table} is missing")),
    }
}
