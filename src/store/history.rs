//! Events as they are read: in order, after a place, and as the audit log with its filters.

use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::{EventRow, Recorded},
    database::{Transaction, like_pattern},
    page::{Direction, Key, Page, Position, Window},
    statement::Statement,
};
use crate::domain::{OrganizationId, Timestamp, organization::Target};

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
const ANY: &str = "*";

/// Which events are meant. A type is a permanent name, or a prefix of names as `member.*`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one of these types; any, if empty.
    pub types: Vec<String>,
    /// By one of these people or keys; anybody, if empty.
    pub actors: Vec<Uuid>,
    /// About one of these; anything, if empty.
    pub targets: Vec<Uuid>,
    /// Recorded then or later.
    pub from: Option<Timestamp>,
    /// Recorded before then.
    pub to: Option<Timestamp>,
    /// A part of the type or of the reason.
    pub search: Option<String>,
}

impl Filter {
    /// Whether an event of this type is meant, the other conditions aside.
    pub fn takes(&self, event_type: &str) -> bool {
        let takes = |pattern: &String| match pattern.strip_suffix(".*") {
            _ if pattern == ANY => true,
            Some(prefix) => event_type.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')),
            None => pattern == event_type,
        };
        self.types.is_empty() || self.types.iter().any(takes)
    }

    fn push_to(&self, statement: &mut Statement, organization: OrganizationId) {
        statement.push(" FROM audit_entries a JOIN events e");
        statement.push(" ON e.organization_id = a.organization_id AND e.sequence = a.sequence");
        statement.push(" LEFT JOIN event_context c");
        statement.push(" ON c.organization_id = a.organization_id AND c.sequence = a.sequence");
        statement.push(" WHERE a.organization_id = ").push_value(organization.0);
        if !self.types.is_empty() && !self.types.iter().any(|pattern| pattern == ANY) {
            statement.push(" AND (");
            for (index, pattern) in self.types.iter().enumerate() {
                statement.push(if index == 0 { "" } else { " OR " });
                match pattern.strip_suffix(".*") {
                    // A dot is followed by a slash in the order of characters, so this is every name with the prefix.
                    Some(prefix) => {
                        statement.push("(a.event_type > ").push_value(format!("{prefix}."));
                        statement.push(" AND a.event_type < ").push_value(format!("{prefix}/")).push(")")
                    }
                    None => statement.push("a.event_type = ").push_value(pattern),
                };
            }
            statement.push(")");
        }
        for (column, ids) in [("actor_id", &self.actors), ("target_id", &self.targets)] {
            if !ids.is_empty() {
                statement.push(&format!(" AND a.{column} IN ")).push_list(ids.iter().copied());
            }
        }
        if let Some(from) = self.from {
            statement.push(" AND e.recorded_at >= ").push_value(from);
        }
        if let Some(to) = self.to {
            statement.push(" AND e.recorded_at < ").push_value(to);
        }
        if let Some(search) = &self.search {
            let pattern = like_pattern(search);
            statement.push(" AND (a.event_type LIKE ").push_value(&pattern).push(" ESCAPE '\\'");
            statement.push(" OR c.reason_key LIKE ").push_value(&pattern).push(" ESCAPE '\\')");
        }
    }

    /// Reads a page.
    pub async fn page(
        &self,
        database: &Database,
        organization: OrganizationId,
        direction: Direction,
        window: &Window,
    ) -> Result<Page<Entry>, Error> {
        let columns = EventRow::COLUMNS;
        let mut statement = Statement::new(format!("SELECT {columns}, c.ip, c.user_agent, c.reason"));
        self.push_to(&mut statement, organization);
        window.push_to(&mut statement, &["a.sequence"], direction);
        let page = window.page(statement.all::<EntryRow>(database).await?);
        let rows = page.rows.into_iter().map(EntryRow::decode).collect::<Result<_, _>>()?;
        Ok(Page { rows, has_next: page.has_next, has_previous: page.has_previous })
    }

    /// Counts which are meant.
    pub async fn count(&self, database: &Database, organization: OrganizationId) -> Result<u64, Error> {
        let mut statement = Statement::new("SELECT COUNT(*)");
        self.push_to(&mut statement, organization);
        statement.count(database).await
    }
}

#[derive(sqlx::FromRow)]
struct EntryRow {
    #[sqlx(flatten)]
    event: EventRow,
    ip: Option<String>,
    user_agent: Option<String>,
    reason: Option<String>,
}

impl EntryRow {
    fn decode(self) -> Result<Entry, Error> {
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

/// The bare id of what an event is about; with the event's type it names the object.
pub fn target_id(recorded: &Recorded) -> Uuid {
    match recorded.event.target() {
        Target::Organization => recorded.organization.0,
        Target::Member(id) => id.0,
        Target::Invitation(id) => id.0,
        Target::Role(id) => id.0,
        Target::ApiKey(id) => id.0,
    }
}

pub(super) async fn project(transaction: &mut Transaction, recorded: &Recorded) -> Result<(), Error> {
    Statement::new(
        "INSERT INTO audit_entries (organization_id, sequence, event_type, actor_id, target_id) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(recorded.organization.0)
    .bind(recorded.sequence)
    .bind(recorded.event.name())
    .bind(recorded.metadata.actor_id)
    .bind(target_id(recorded))
    .run_in(transaction)
    .await
    .map(|_| ())
}
