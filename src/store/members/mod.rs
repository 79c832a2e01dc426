//! Members: their rows, their history, and the pages that read them.

mod periods;

pub use periods::{PeriodRow, periods, periods_statement};

use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::Recorded,
    number,
    page::{Direction, Key, Page, Position, Window},
    roles::{JOINED, JoinedRole},
    statement::{Statement, Value, like_pattern, searched},
    write::Write,
};
use crate::domain::{
    Actor, OrganizationId, RoleId, Timestamp, UserId,
    organization::{Event, members::MemberStatus},
};

/// A member with what the directory knows of the person and with their role.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct MemberRow {
    pub user_id: Uuid,
    pub status: String,
    pub joined_at: Timestamp,
    pub version: i64,
    pub last_login_at: Timestamp,
    pub invited_by_kind: Option<String>,
    pub invited_by_id: Option<Uuid>,
    pub name_key: String,
    pub email_key: String,
    pub name: Option<String>,
    pub email: String,
    pub avatar_url: Option<String>,
    #[sqlx(flatten)]
    pub role: JoinedRole,
}

/// A member that was found, with how many were.
#[derive(sqlx::FromRow)]
struct FoundRow {
    #[sqlx(flatten)]
    member: MemberRow,
    total: i64,
}

/// What a list of members is ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderField {
    /// The name; who has none is ordered by email.
    #[default]
    Name,
    /// The email.
    Email,
    /// The beginning of the membership.
    JoinedAt,
    /// The last sign-in; who never signed in comes first.
    LastLoginAt,
}

/// Which members are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Whose.
    pub organization: OrganizationId,
    /// A part of the name or email.
    pub search: Option<String>,
    /// With one of these roles; any, if empty.
    pub roles: Vec<RoleId>,
    /// In one of these states.
    pub statuses: Vec<MemberStatus>,
    /// Joined then or later.
    pub joined_from: Option<Timestamp>,
    /// Joined before then.
    pub joined_to: Option<Timestamp>,
    /// As it was at that sequence.
    pub as_of: Option<u64>,
}

const PERSON: &str = "m.user_id, m.last_login_at, m.name_key, m.email_key, u.name, u.email, u.avatar_url";
const JOINS: &str = " JOIN users u ON u.user_id = m.user_id \
     JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id";
const STATE: &str = "{state}.status, {state}.joined_at, {state}.invited_by_kind, {state}.invited_by_id";

impl Filter {
    /// Everybody who has not left.
    pub fn present(organization: OrganizationId) -> Self {
        Self {
            organization,
            search: None,
            roles: Vec::new(),
            statuses: vec![MemberStatus::Active, MemberStatus::Inactive],
            joined_from: None,
            joined_to: None,
            as_of: None,
        }
    }

    /// Which table says what a member was: the row of today, or the period that was valid.
    const fn state(&self) -> &'static str {
        if self.as_of.is_some() { "h" } else { "m" }
    }

    fn push_from(&self, statement: &mut Statement, joins: &str) {
        let state = self.state();
        statement.push(" FROM members m");
        if let Some(sequence) = self.as_of {
            statement
                .push(" JOIN member_history h ON h.organization_id = m.organization_id AND h.user_id = m.user_id")
                .push(" AND h.from_sequence <= ")
                .push_value(sequence)
                .push(" AND h.to_sequence > ")
                .push_value(sequence);
        }
        statement.push(joins).push(" WHERE m.organization_id = ").push_value(self.organization.0);
        statement.push(&format!(" AND {state}.status IN ")).push_list(self.statuses.iter().map(|status| status.name()));
        if !self.roles.is_empty() {
            statement.push(&format!(" AND {state}.role_id IN ")).push_list(self.roles.iter().map(|role| role.0));
        }
        if let Some(search) = &self.search {
            let pattern = like_pattern(search);
            let text = searched("m.search_key", &pattern);
            statement.push(&format!(" AND {text} LIKE ")).push_value(pattern).push(" ESCAPE '\\'");
        }
        if let Some(from) = self.joined_from {
            statement.push(&format!(" AND {state}.joined_at >= ")).push_value(from);
        }
        if let Some(to) = self.joined_to {
            statement.push(&format!(" AND {state}.joined_at < ")).push_value(to);
        }
    }

    /// What is read of a member.
    fn columns(&self) -> String {
        let state = STATE.replace("{state}", self.state());
        // Each event about a member begins a period of theirs.
        let version = if self.as_of.is_some() { "h.from_sequence AS version" } else { "m.version" };
        format!("SELECT {PERSON}, {JOINED}, {state}, {version}")
    }

    fn select(&self) -> Statement {
        let mut statement = Statement::new(self.columns());
        let joins = match self.as_of {
            None => JOINS,
            // The role as it was then, deleted since or not.
            Some(_) => {
                " JOIN users u ON u.user_id = m.user_id \
                 LEFT JOIN role_history r ON r.organization_id = m.organization_id AND r.role_id = h.role_id \
                     AND r.from_sequence <= $1 AND r.to_sequence > $1"
            }
        };
        self.push_from(&mut statement, joins);
        statement
    }

    /// The statement of a page.
    pub fn page_statement(&self, order: (OrderField, Direction), window: &Window) -> Statement {
        let (field, direction) = order;
        let state = self.state();
        let (joined, user) = (format!("{state}.joined_at"), format!("{state}.user_id"));
        let column = match field {
            OrderField::Name => "m.name_key",
            OrderField::Email => "m.email_key",
            OrderField::JoinedAt => &joined,
            OrderField::LastLoginAt => "m.last_login_at",
        };
        if self.counts_along() {
            return self.search_statement(column, direction, window);
        }
        let mut statement = self.select();
        match self.as_of {
            // The list is read from the periods, and nobody had joined then who joined later.
            Some(sequence) if field == OrderField::JoinedAt => {
                statement.push(" AND h.joined_at <= (SELECT e.recorded_at FROM events e WHERE e.organization_id = ");
                statement.push_value(self.organization.0).push(" AND e.sequence = ").push_value(sequence).push(")");
                window.push_to(&mut statement, &[column, &user], direction);
            }
            _ => window.push_to(&mut statement, &[column, "m.user_id"], direction),
        }
        statement
    }

    /// Reads a page.
    pub async fn page(
        &self,
        database: &Database,
        order: (OrderField, Direction),
        window: &Window,
    ) -> Result<Page<MemberRow>, Error> {
        let statement = self.page_statement(order, window);
        if self.counts_along() {
            let rows: Vec<FoundRow> = statement.all(database).await?;
            let total = rows.first().map(|found| number(found.total));
            return Ok(Page { total, ..window.page(rows.into_iter().map(|found| found.member).collect()) });
        }
        Ok(window.page(statement.all(database).await?))
    }

    /// Whether a page says how many there are in the whole list, because all of them are looked at for it.
    const fn counts_along(&self) -> bool {
        self.search.is_some() && self.as_of.is_none()
    }

    /// The statement of a page of what a search finds: all of it first, from the index that has the texts and little else,
    /// and of that only the page is read as a whole. In the order of the list one would have to read each member for its
    /// text.
    fn search_statement(&self, key: &str, direction: Direction, window: &Window) -> Statement {
        let mut statement = Statement::new(format!("WITH found AS MATERIALIZED (SELECT m.user_id, {key} AS key"));
        self.push_from(&mut statement, "");
        statement.push(&format!(") {}, (SELECT COUNT(*) FROM found) AS total", self.columns()));
        statement.push(" FROM (SELECT key, user_id FROM found WHERE TRUE");
        window.push_to(&mut statement, &["key", "user_id"], direction);
        // A cross join, because SQLite takes its tables in this order then.
        statement.push(") AS place CROSS JOIN members m").push(JOINS);
        statement.push(" WHERE m.organization_id = $1 AND m.user_id = place.user_id");
        window.push_order_of_all(&mut statement, &["place.key", "place.user_id"], direction);
        statement
    }

    /// The statement that counts.
    pub fn count_statement(&self) -> Statement {
        if *self == (Self { as_of: self.as_of, ..Self::present(self.organization) }) {
            return match self.as_of {
                // Of whom the organization keeps the number.
                None => Statement::new("SELECT member_count FROM organizations WHERE organization_id = $1")
                    .bind(self.organization.0),
                // The same number as it was: each who joined, less each who went.
                Some(sequence) => Statement::new(
                    "SELECT COALESCE(SUM(CASE event_type WHEN 'member.joined' THEN 1 ELSE -1 END), 0) \
                     FROM audit_entries WHERE organization_id = $1 \
                     AND event_type IN ('member.joined', 'member.left', 'member.removed') AND sequence <= $2",
                )
                .bind(self.organization.0)
                .bind(sequence),
            };
        }
        let mut statement = Statement::new("SELECT COUNT(*)");
        self.push_from(&mut statement, "");
        statement
    }

    /// Counts who is meant.
    pub async fn count(&self, database: &Database) -> Result<u64, Error> {
        self.count_statement().count(database).await
    }

    /// Reads one member, in whatever state.
    pub async fn find(mut self, database: &Database, user: UserId) -> Result<Option<MemberRow>, Error> {
        self.statuses = vec![MemberStatus::Active, MemberStatus::Inactive, MemberStatus::Former];
        let mut statement = self.select();
        statement.push(" AND m.user_id = ").push_value(user.0);
        statement.optional(database).await
    }
}

impl MemberRow {
    /// Who invited them; nobody, if they made the organization.
    pub fn invited_by(&self) -> Option<Actor> {
        Actor::from_parts(self.invited_by_kind.as_deref()?, self.invited_by_id?)
    }

    /// Where the row stands in a list of this order.
    pub fn position(&self, field: OrderField) -> Position {
        let key = match field {
            OrderField::Name => Key::Text(self.name_key.clone()),
            OrderField::Email => Key::Text(self.email_key.clone()),
            OrderField::JoinedAt => Key::Time(self.joined_at),
            OrderField::LastLoginAt => Key::Time(self.last_login_at),
        };
        Position { key, id: Some(self.user_id) }
    }
}

/// The person's row is held by the transaction, so that a rename at the same moment is not missed by both sides.
const JOIN: &str = "INSERT INTO members (organization_id, user_id, version, role_id, status, joined_at, \
     invited_by_kind, invited_by_id, name_key, email_key, search_key, last_login_at) \
     SELECT v.organization_id, v.user_id, v.version, v.role_id, 'ACTIVE', v.joined_at, \
     v.invited_by_kind, v.invited_by_id, u.name_key, u.email_key, \
     u.name_key || v.line || u.email_key, u.last_login_at FROM v JOIN users u ON u.user_id = v.user_id \
     WHERE TRUE ON CONFLICT (organization_id, user_id) DO UPDATE SET version = excluded.version, \
     role_id = excluded.role_id, status = excluded.status, joined_at = excluded.joined_at, \
     invited_by_kind = excluded.invited_by_kind, invited_by_id = excluded.invited_by_id";

pub(super) fn project(recorded: &Recorded) -> Vec<Write> {
    let organization = recorded.organization;
    match &recorded.event {
        Event::MemberJoined { user_id, role_id, invited_by, .. } => {
            let join = Write::text(JOIN)
                .with("organization_id", organization.0)
                .with("user_id", user_id.0)
                .with("version", recorded.sequence)
                .with("role_id", role_id.0)
                .with("joined_at", recorded.recorded_at)
                .with("invited_by_kind", invited_by.map(|actor| actor.kind().to_owned()))
                .with("invited_by_id", invited_by.map(Actor::id))
                .with("line", "\n");
            let mut writes = vec![belong(organization, *user_id, true), counted(organization, 1), join];
            writes.extend(begin_period(recorded, *user_id));
            writes
        }
        Event::MemberRoleChanged { user_id, to, .. } => changed(recorded, *user_id, ("role_id", to.0.into())),
        Event::MemberOwnershipTransferred { user_id, to, former_owner_id, former_owner_role_id, .. } => [
            changed(recorded, *former_owner_id, ("role_id", former_owner_role_id.0.into())),
            changed(recorded, *user_id, ("role_id", to.0.into())),
        ]
        .concat(),
        Event::MemberDeactivated { user_id } => changed(recorded, *user_id, ("status", "INACTIVE".into())),
        Event::MemberReactivated { user_id } => changed(recorded, *user_id, ("status", "ACTIVE".into())),
        Event::MemberRemoved { user_id, .. } | Event::MemberLeft { user_id, .. } => {
            let mut writes = vec![belong(organization, *user_id, false), counted(organization, -1)];
            writes.extend(changed(recorded, *user_id, ("status", "FORMER".into())));
            writes
        }
        _ => Vec::new(),
    }
}

/// Another value in a member's row, and the period that begins with it.
fn changed(recorded: &Recorded, user: UserId, (column, value): (&'static str, Value)) -> Vec<Write> {
    let key = [("organization_id", recorded.organization.0.into()), ("user_id", user.0.into())];
    let mut writes = vec![Write::update("members", key).with("version", recorded.sequence).with(column, value)];
    writes.extend(begin_period(recorded, user));
    writes
}

/// Ends the open period, which is the last of the member's, and begins one with what the member is now.
fn begin_period(recorded: &Recorded, user: UserId) -> Vec<Write> {
    let end = Write::text(
        "UPDATE member_history AS t SET to_sequence = v.sequence, until_at = v.at FROM v \
         WHERE t.organization_id = v.organization_id AND t.user_id = v.user_id AND t.to_sequence = v.open \
         AND t.from_sequence = (SELECT MAX(h.from_sequence) FROM member_history h \
             WHERE h.organization_id = v.organization_id AND h.user_id = v.user_id)",
    );
    let begin = Write::text(
        "INSERT INTO member_history \
         (organization_id, user_id, from_sequence, to_sequence, role_id, status, joined_at, from_at, \
         invited_by_kind, invited_by_id) \
         SELECT m.organization_id, m.user_id, v.sequence, v.open, m.role_id, m.status, m.joined_at, v.at, \
         m.invited_by_kind, m.invited_by_id \
         FROM v JOIN members m ON m.organization_id = v.organization_id AND m.user_id = v.user_id",
    );
    let period = |write: Write| {
        write
            .with("organization_id", recorded.organization.0)
            .with("user_id", user.0)
            .with("sequence", recorded.sequence)
            .with("at", recorded.recorded_at)
            .with("open", i64::MAX)
    };
    vec![period(end), period(begin)]
}

/// Keeps the number of members, also where many come at once.
fn counted(organization: OrganizationId, change: i64) -> Write {
    Write::text(
        "UPDATE organizations AS t SET member_count = t.member_count + c.change \
         FROM (SELECT v.organization_id, SUM(v.change) AS change FROM v GROUP BY v.organization_id) AS c \
         WHERE t.organization_id = c.organization_id",
    )
    .with("organization_id", organization.0)
    .with("change", change)
}

/// Notes in the registry whether a person belongs to an organization.
fn belong(organization: OrganizationId, user: UserId, current: bool) -> Write {
    Write::text(
        "INSERT INTO user_organizations (user_id, organization_id, current) \
         SELECT v.user_id, v.organization_id, v.current FROM v WHERE TRUE \
         ON CONFLICT (user_id, organization_id) DO UPDATE SET current = excluded.current",
    )
    .with("user_id", user.0)
    .with("organization_id", organization.0)
    .with("current", current)
}
