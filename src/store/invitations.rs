//! Invitations: their rows, the address and name beside them, and the pages that read them.

use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::Recorded,
    page::{Direction, Key, Page, Position, Window},
    roles::{JOINED, JoinedRole},
    statement::{Statement, like_pattern},
    write::Write,
};
use crate::domain::{
    InvitationId, OrganizationId, Timestamp, UserId,
    organization::{Event, invitations::InvitationState},
    values::{Email, Name, normalize},
};

/// The address and the name that an inviter typed; erasable, and all that an invitation shows of the person.
#[derive(Clone, Debug)]
pub struct InvitationDetails {
    /// The invitation.
    pub invitation: InvitationId,
    /// The address.
    pub email: Email,
    /// The name.
    pub name: Option<Name>,
}

/// An invitation.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct InvitationRow {
    pub organization_id: Uuid,
    pub invitation_id: Uuid,
    pub state: String,
    pub generation: i64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub invited_by_kind: String,
    pub invited_by_id: Uuid,
    pub version: i64,
    pub email: Option<String>,
    pub name: Option<String>,
    pub delivery_state: Option<String>,
    pub delivery_attempts: Option<i64>,
    pub delivery_error: Option<String>,
    #[sqlx(flatten)]
    pub role: JoinedRole,
}

const COLUMNS: &str = "i.organization_id, i.invitation_id, i.state, i.generation, i.created_at, i.expires_at, \
     i.invited_by_kind, i.invited_by_id, i.version, d.email, d.name, l.state AS delivery_state, \
     l.attempts AS delivery_attempts, l.last_error AS delivery_error";

fn select() -> Statement {
    Statement::new(format!(
        "SELECT {COLUMNS}, {JOINED} FROM invitations i \
         LEFT JOIN invitation_details d \
             ON d.organization_id = i.organization_id AND d.invitation_id = i.invitation_id \
         LEFT JOIN outbox l ON l.organization_id = i.organization_id AND l.subject_id = i.invitation_id \
             AND l.generation = i.generation \
         LEFT JOIN roles r ON r.organization_id = i.organization_id AND r.role_id = i.role_id \
         WHERE i.organization_id = "
    ))
}

/// What an invitation is at a moment; that it has expired follows from the clock.
pub fn state_at(state: &str, expires_at: Timestamp, now: Timestamp) -> &str {
    if state == "PENDING" && expires_at <= now { "EXPIRED" } else { state }
}

/// Which invitations are meant.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose.
    pub organization: OrganizationId,
    /// In one of these states, EXPIRED included; any, if empty.
    pub states: Vec<String>,
    /// A part of the address or name.
    pub search: Option<String>,
    /// When it is asked, to tell what has expired.
    pub now: Timestamp,
}

impl Filter {
    fn push_to(&self, statement: &mut Statement) {
        statement.push_value(self.organization.0);
        if !self.states.is_empty() {
            statement.push(" AND CASE WHEN i.state = 'PENDING' AND i.expires_at <= ").push_value(self.now);
            statement.push(" THEN 'EXPIRED' ELSE i.state END IN ").push_list(self.states.iter());
        }
        if let Some(search) = &self.search {
            statement.push(" AND d.search_key LIKE ").push_value(like_pattern(search)).push(" ESCAPE '\\'");
        }
    }

    /// Reads a page, newest first.
    pub async fn page(&self, database: &Database, window: &Window) -> Result<Page<InvitationRow>, Error> {
        let mut statement = select();
        self.push_to(&mut statement);
        window.push_to(&mut statement, &["i.created_at", "i.invitation_id"], Direction::Descending);
        Ok(window.page(statement.all(database).await?))
    }

    /// Counts which are meant.
    pub async fn count(&self, database: &Database) -> Result<u64, Error> {
        let mut statement = Statement::new(
            "SELECT COUNT(*) FROM invitations i LEFT JOIN invitation_details d \
             ON d.organization_id = i.organization_id AND d.invitation_id = i.invitation_id \
             WHERE i.organization_id = ",
        );
        self.push_to(&mut statement);
        statement.count(database).await
    }
}

impl InvitationRow {
    /// Where the row stands in the list.
    pub fn position(&self) -> Position {
        Position { key: Key::Time(self.created_at), id: Some(self.invitation_id) }
    }
}

/// Reads invitations by id.
pub async fn find(
    database: &Database,
    organization: OrganizationId,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<InvitationRow>, Error> {
    let mut statement = select();
    statement.push_value(organization.0).push(" AND i.invitation_id IN ").push_list(ids);
    statement.all(database).await
}

/// An invitation as the invited person meets it.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct PreviewRow {
    pub organization_id: Uuid,
    pub invitation_id: Uuid,
    pub user_id: Uuid,
    pub state: String,
    pub generation: i64,
    pub expires_at: Timestamp,
    pub organization_name: String,
    pub role_name: Option<String>,
    pub inviter_name: Option<String>,
    pub email: Option<String>,
    pub name: Option<String>,
}

const PREVIEW: &str = "SELECT i.organization_id, i.invitation_id, i.user_id, i.state, i.generation, i.expires_at, \
     o.name AS organization_name, r.name AS role_name, COALESCE(u.name, k.name) AS inviter_name, d.email, d.name \
     FROM invitations i JOIN organizations o ON o.organization_id = i.organization_id \
     LEFT JOIN invitation_details d ON d.organization_id = i.organization_id AND d.invitation_id = i.invitation_id \
     LEFT JOIN roles r ON r.organization_id = i.organization_id AND r.role_id = i.role_id \
     LEFT JOIN users u ON u.user_id = i.invited_by_id \
     LEFT JOIN api_keys k ON k.organization_id = i.organization_id AND k.api_key_id = i.invited_by_id";

/// The preview of one invitation.
pub async fn preview(
    database: &Database,
    organization: OrganizationId,
    invitation: InvitationId,
) -> Result<Option<PreviewRow>, Error> {
    Statement::new(format!("{PREVIEW} WHERE i.organization_id = $1 AND i.invitation_id = $2"))
        .bind(organization.0)
        .bind(invitation.0)
        .optional(database)
        .await
}

/// The open invitations of a person that have not expired, at most 100, and first those that expire first.
pub async fn previews_of_user(database: &Database, user: UserId, now: Timestamp) -> Result<Vec<PreviewRow>, Error> {
    Statement::new(format!(
        "{PREVIEW} JOIN user_invitations ui ON ui.organization_id = i.organization_id \
         AND ui.invitation_id = i.invitation_id WHERE ui.user_id = $1 AND ui.open AND i.expires_at > $2 \
         ORDER BY i.expires_at, i.invitation_id LIMIT 100"
    ))
    .bind(user.0)
    .bind(now)
    .all(database)
    .await
}

/// Writes the addresses and names of new invitations.
pub(super) fn insert_details(organization: OrganizationId, details: &InvitationDetails) -> Write {
    let InvitationDetails { invitation, email, name } = details;
    let name = name.as_ref().map(|name| name.as_str().to_owned());
    let search_key = format!("{}\n{}", name.as_deref().map(normalize).unwrap_or_default(), email.key());
    Write::insert("invitation_details")
        .with("organization_id", organization.0)
        .with("invitation_id", invitation.0)
        .with("email", email.as_str())
        .with("name", name)
        .with("search_key", search_key)
}

pub(super) fn project(recorded: &Recorded) -> Vec<Write> {
    let organization = recorded.organization.0;
    match &recorded.event {
        Event::InvitationSent { invitation_id, user_id, role_id, invited_by, expires_at, .. } => vec![
            Write::insert("user_invitations")
                .with("user_id", user_id.0)
                .with("organization_id", organization)
                .with("invitation_id", invitation_id.0)
                .with("open", true),
            Write::insert("invitations")
                .with("version", recorded.sequence)
                .with("organization_id", organization)
                .with("invitation_id", invitation_id.0)
                .with("user_id", user_id.0)
                .with("role_id", role_id.0)
                .with("state", "PENDING")
                .with("generation", 1_u32)
                .with("created_at", recorded.recorded_at)
                .with("expires_at", *expires_at)
                .with("invited_by_kind", invited_by.kind())
                .with("invited_by_id", invited_by.id()),
        ],
        Event::InvitationResent { invitation_id, generation, invited_by, expires_at, .. } => vec![
            update(recorded, *invitation_id)
                .with("generation", *generation)
                .with("expires_at", *expires_at)
                .with("invited_by_kind", invited_by.kind())
                .with("invited_by_id", invited_by.id()),
        ],
        Event::InvitationRoleChanged { invitation_id, to, invited_by, .. } => vec![
            update(recorded, *invitation_id)
                .with("role_id", to.0)
                .with("invited_by_kind", invited_by.kind())
                .with("invited_by_id", invited_by.id()),
        ],
        Event::InvitationAccepted { invitation_id } => end(recorded, *invitation_id, InvitationState::Accepted),
        Event::InvitationDeclined { invitation_id } => end(recorded, *invitation_id, InvitationState::Declined),
        Event::InvitationRevoked { invitation_id } => end(recorded, *invitation_id, InvitationState::Revoked),
        _ => Vec::new(),
    }
}

fn update(recorded: &Recorded, invitation: InvitationId) -> Write {
    let key = [("organization_id", recorded.organization.0.into()), ("invitation_id", invitation.0.into())];
    Write::update("invitations", key).with("version", recorded.sequence)
}

/// Takes the invitation off the person's list, and ends it.
fn end(recorded: &Recorded, invitation: InvitationId, state: InvitationState) -> Vec<Write> {
    let close = Write::text(
        "UPDATE user_invitations AS t SET open = FALSE FROM v JOIN invitations i \
         ON i.organization_id = v.organization_id AND i.invitation_id = v.invitation_id \
         WHERE t.user_id = i.user_id AND t.organization_id = v.organization_id AND t.invitation_id = v.invitation_id",
    );
    vec![
        close.with("organization_id", recorded.organization.0).with("invitation_id", invitation.0),
        update(recorded, invitation).with("state", state.name()),
    ]
}
