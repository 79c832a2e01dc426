//! Events as they are read: in order, after a place, and as entries of the audit log.

use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::{EventRow, Recorded},
    audit::{DONE, over_done},
    page::{Direction, Key, Page, Position, Window},
    statement::Statement,
    transaction::Transaction,
    write::Write,
};
use crate::domain::{OrganizationId, Timestamp};

fn after_statement(organization: OrganizationId, after: u64, until: u64) -> Statement {
    Statement::new(format!(
        "SELECT {} FROM events e WHERE e.organization_id = $1 AND e.sequence > $2 AND e.sequence <= $3 \
         ORDER BY e.sequence",
        EventRow::COLUMNS
    ))
    .bind(organization.0)
    .bind(after)
    .bind(until)
}

/// The same inside a transaction.
pub(super) async fn after_in(
    transaction: &mut Transaction,
    organization: OrganizationId,
    after: u64,
    until: u64,
) -> Result<Vec<Recorded>, Error> {
    let rows: Vec<EventRow> = after_statement(organization, after, until).all_in(transaction).await?;
    rows.into_iter().map(EventRow::decode).collect()
}

/// The next events after a sequence, in order, so many at most. There may be a gap: what came before a deletion is purged.
pub async fn next(
    database: &Database,
    organization: OrganizationId,
    after: u64,
    limit: u32,
) -> Result<Vec<Recorded>, Error> {
    let mut statement = after_statement(organization, after, u64::MAX);
    statement.push(" LIMIT ").push_value(limit);
    let rows: Vec<EventRow> = statement.all(database).await?;
    rows.into_iter().map(EventRow::decode).collect()
}

/// The events after a sequence up to another, in order.
pub async fn after(
    database: &Database,
    organization: OrganizationId,
    after: u64,
    until: u64,
) -> Result<Vec<Recorded>, Error> {
    let rows: Vec<EventRow> = after_statement(organization, after, until).all(database).await?;
    rows.into_iter().map(EventRow::decode).collect()
}

/// The first events that were recorded from one moment until before another, in order, so many at most.
pub async fn between(
    database: &Database,
    organization: OrganizationId,
    (from, to): (Timestamp, Timestamp),
    limit: u32,
) -> Result<Vec<Recorded>, Error> {
    let rows: Vec<EventRow> = Statement::new(format!(
        "SELECT {} FROM events e WHERE e.organization_id = $1 AND e.recorded_at >= $2 AND e.recorded_at < $3 \
         ORDER BY e.recorded_at, e.sequence LIMIT $4",
        EventRow::COLUMNS
    ))
    .bind(organization.0)
    .bind(from)
    .bind(to)
    .bind(limit)
    .all(database)
    .await?;
    rows.into_iter().map(EventRow::decode).collect()
}

/// The pattern that every type matches.
pub(super) const ANY: &str = "*";

/// Which entries are meant. A type is a permanent name, or a prefix of names as `member.*`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one of these types; any, if empty.
    pub types: Vec<String>,
    /// By one of these people or keys; anybody, if empty.
    pub actors: Vec<Uuid>,
    /// By an actor of one of these kinds, by their permanent names; of any, if empty.
    pub actor_kinds: Vec<String>,
    /// About one of these; anything, if empty.
    pub targets: Vec<Uuid>,
    /// Recorded then or later.
    pub from: Option<Timestamp>,
    /// Recorded before then.
    pub to: Option<Timestamp>,
    /// With this sequence or a larger one.
    pub from_sequence: Option<u64>,
    /// With a smaller sequence.
    pub to_sequence: Option<u64>,
    /// A part of the type or of the reason.
    pub search: Option<String>,
}

/// Whether an event of this type is of one of these types; of any, if there are none.
pub fn takes(types: &[String], event_type: &str) -> bool {
    let takes = |pattern: &String| match pattern.strip_suffix(".*") {
        _ if pattern == ANY => true,
        Some(prefix) => event_type.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')),
        None => pattern == event_type,
    };
    types.is_empty() || types.iter().any(takes)
}

impl Filter {
    /// Reads a page of what was done.
    pub async fn page(
        &self,
        database: &Database,
        organization: OrganizationId,
        direction: Direction,
        window: &Window,
    ) -> Result<Page<Entry>, Error> {
        let rows = self.rows(database, organization, direction, window).await?;
        Ok(window.page(rows))
    }

    /// Reads the rows of a page, and one more, in the order in which they are read.
    pub(super) async fn rows(
        &self,
        database: &Database,
        organization: OrganizationId,
        direction: Direction,
        window: &Window,
    ) -> Result<Vec<Entry>, Error> {
        let Some(statement) = self.page_statement(organization, direction, window) else { return Ok(Vec::new()) };
        statement.all::<EntryRow>(database).await?.into_iter().map(EntryRow::decode).collect()
    }

    /// The statement of a page of what was done; none where there can be nothing.
    pub fn page_statement(
        &self,
        organization: OrganizationId,
        direction: Direction,
        window: &Window,
    ) -> Option<Statement> {
        let window = over_done(window, direction);
        let columns = EventRow::COLUMNS;
        let mut statement =
            Statement::new(format!("SELECT {columns}, c.ip, c.user_agent, c.reason FROM (SELECT * FROM ("));
        if !self.push_places(&mut statement, &DONE, organization, Some((&window, direction))) {
            return None;
        }
        // The few places are chosen first, and all of them are read. PostgreSQL takes a place for one of thousands of
        // rows, because every organization has the same first sequences: of so many it would look for some by reading
        // the whole table. A cross join, because SQLite takes its tables in this order then.
        statement.push(") AS part");
        window.push_order(&mut statement, &["sequence"], direction);
        statement.push(") AS place CROSS JOIN events e LEFT JOIN event_context c");
        statement.push(" ON c.organization_id = e.organization_id AND c.sequence = e.sequence");
        statement.push(" WHERE e.sequence = place.sequence AND e.organization_id = ").push_value(organization.0);
        window.push_order_of_all(&mut statement, &["place.sequence"], direction);
        // PostgreSQL decides by the values which of the conditions are rare.
        Some(if self.is_narrow() { statement.anew() } else { statement })
    }

    /// Counts what was done and is meant.
    pub async fn count(&self, database: &Database, organization: OrganizationId) -> Result<u64, Error> {
        let mut statement = Statement::new("SELECT COUNT(*) FROM (");
        if !self.push_places(&mut statement, &DONE, organization, None) {
            return Ok(0);
        }
        statement.push(") AS place");
        statement.count(database).await
    }
}

/// An entry's row: the event, and what stands beside it.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct EntryRow {
    #[sqlx(flatten)]
    pub(super) event: EventRow,
    ip: Option<String>,
    user_agent: Option<String>,
    reason: Option<String>,
}

impl EntryRow {
    pub(super) fn decode(self) -> Result<Entry, Error> {
        let recorded = self.event.decode()?;
        Ok(Entry { recorded, ip: self.ip, user_agent: self.user_agent, reason: self.reason })
    }
}

/// An event with what stands beside it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The event.
    pub recorded: Recorded,
    /// The address of the client.
    pub ip: Option<String>,
    /// The program of the client.
    pub user_agent: Option<String>,
    /// Why, in the caller's words.
    pub reason: Option<String>,
}

impl Entry {
    /// Where the entry stands in the list.
    pub fn position(&self) -> Position {
        Position { key: Key::Number(self.recorded.sequence), id: None }
    }
}

pub(super) fn project(recorded: &Recorded) -> Write {
    Write::insert("audit_entries")
        .with("organization_id", recorded.organization.0)
        .with("sequence", recorded.sequence)
        .with("event_type", recorded.event.name())
        .with("actor_id", recorded.metadata.actor_id)
        .with("target_id", recorded.event.target().id(recorded.organization))
        .with("actor_kind", &recorded.metadata.actor_kind)
}
