//! Invitations: their rows, the address and name beside them, and the pages that read them.

use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::Recorded,
    database::{Transaction, like_pattern},
    page::{Direction, Key, Page, Position, Window},
    roles::{JOINED, JoinedRole},
    statement::Statement,
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

/// The open invitations of a person, at most 100; some may have expired.
pub async fn previews_of_user(database: &Database, user: UserId) -> Result<Vec<PreviewRow>, Error> {
    Statement::new(format!(
        "{PREVIEW} JOIN user_invitations ui ON ui.organization_id = i.organization_id \
         AND ui.invitation_id = i.invitation_id WHERE ui.user_id = $1 AND ui.open ORDER BY i.expires_at, i.invitation_id LIMIT 100"
    ))
    .bind(user.0)
    .all(database)
    .await
}

/// Writes the addresses and names of new invitations.
pub(super) async fn insert_details(
    transaction: &mut Transaction,
    organization: OrganizationId,
    details: &[&InvitationDetails],
) -> Result<(), Error> {
    if details.is_empty() {
        return Ok(());
    }
    let mut statement = Statement::new(
        "INSERT INTO invitation_details (organization_id, invitation_id, email, name, search_key) VALUES ",
    );
    let mut separator = "";
    for InvitationDetails { invitation, email, name } in details {
        let name = name.as_ref().map(|name| name.as_str().to_owned());
        let search_key = format!("{}\n{}", name.as_deref().map(normalize).unwrap_or_default(), email.key());
        statement.push(separator).push_list([
            super::statement::Value::from(organization.0),
            invitation.0.into(),
            email.as_str().into(),
            name.into(),
            search_key.into(),
        ]);
        separator = ", ";
    }
    statement.run_in(transaction).await.map(|_| ())
}

pub(super) async fn project(transaction: &mut Transaction, recorded: &Recorded) -> Result<(), Error> {
    match &recorded.event {
        Event::InvitationSent { invitation_id, user_id, role_id, invited_by, expires_at, .. } => {
            Statement::new(
                "INSERT INTO user_invitations (user_id, organization_id, invitation_id, open) VALUES ($1, $2, $3, TRUE)",
            )
            .bind(user_id.0)
            .bind(recorded.organization.0)
            .bind(invitation_id.0)
            .run_in(transaction)
            .await?;
            Statement::new(
                "INSERT INTO invitations (version, organization_id, invitation_id, user_id, role_id, state, \
                 generation, created_at, expires_at, invited_by_kind, invited_by_id) \
                 VALUES ($1, $2, $3, $4, $5, 'PENDING', 1, $6, $7, $8, $9)",
            )
            .bind(recorded.sequence)
            .bind(recorded.organization.0)
            .bind(invitation_id.0)
            .bind(user_id.0)
            .bind(role_id.0)
            .bind(recorded.recorded_at)
            .bind(*expires_at)
            .bind(invited_by.kind())
            .bind(invited_by.id())
        }
        Event::InvitationResent { invitation_id, generation, invited_by, expires_at, .. } => Statement::new(
            "UPDATE invitations SET version = $1, generation = $4, expires_at = $5, invited_by_kind = $6, \
             invited_by_id = $7 WHERE organization_id = $2 AND invitation_id = $3",
        )
        .bind(recorded.sequence)
        .bind(recorded.organization.0)
        .bind(invitation_id.0)
        .bind(*generation)
        .bind(*expires_at)
        .bind(invited_by.kind())
        .bind(invited_by.id()),
        Event::InvitationRoleChanged { invitation_id, to, invited_by, .. } => Statement::new(
            "UPDATE invitations SET version = $1, role_id = $4, invited_by_kind = $5, invited_by_id = $6 \
             WHERE organization_id = $2 AND invitation_id = $3",
        )
        .bind(recorded.sequence)
        .bind(recorded.organization.0)
        .bind(invitation_id.0)
        .bind(to.0)
        .bind(invited_by.kind())
        .bind(invited_by.id()),
        Event::InvitationAccepted { invitation_id } => {
            end(transaction, recorded, *invitation_id, InvitationState::Accepted).await?
        }
        Event::InvitationDeclined { invitation_id } => {
            end(transaction, recorded, *invitation_id, InvitationState::Declined).await?
        }
        Event::InvitationRevoked { invitation_id } => {
            end(transaction, recorded, *invitation_id, InvitationState::Revoked).await?
        }
        _ => return Ok(()),
    }
    .run_in(transaction)
    .await
    .map(|_| ())
}

/// Takes the invitation off the person's list, and gives the statement that ends it.
async fn end(
    transaction: &mut Transaction,
    recorded: &Recorded,
    invitation: InvitationId,
    state: InvitationState,
) -> Result<Statement, Error> {
    Statement::new(
        "UPDATE user_invitations SET open = FALSE WHERE organization_id = $1 AND invitation_id = $2 AND user_id = \
         (SELECT user_id FROM invitations WHERE organization_id = $1 AND invitation_id = $2)",
    )
    .bind(recorded.organization.0)
    .bind(invitation.0)
    .run_in(transaction)
    .await?;
    Ok(Statement::new(
        "UPDATE invitations SET version = $1, state = $4 WHERE organization_id = $2 AND invitation_id = $3",
    )
    .bind(recorded.sequence)
    .bind(recorded.organization.0)
    .bind(invitation.0)
    .bind(state.name()))
}
