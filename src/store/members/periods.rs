//! What members were: the periods of a membership, each with who began it.

use uuid::Uuid;

use crate::{
    domain::{Actor, OrganizationId, Timestamp, UserId},
    store::{
        Database, Error,
        roles::{JOINED, JoinedRole},
        statement::Statement,
    },
};

/// A period in which a member's role and status stayed the same.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct PeriodRow {
    pub status: String,
    pub from_at: Timestamp,
    pub until_at: Option<Timestamp>,
    pub actor_kind: String,
    pub actor_id: Uuid,
    #[sqlx(flatten)]
    pub role: JoinedRole,
}

impl PeriodRow {
    /// Who made the change that it began with; `None` for a kind nobody has written.
    pub fn actor(&self) -> Option<Actor> {
        Actor::from_parts(&self.actor_kind, self.actor_id)
    }
}

/// The latest periods of a member, newest first, at most 100, each with who made the change that it began with.
pub async fn periods(database: &Database, organization: OrganizationId, user: UserId) -> Result<Vec<PeriodRow>, Error> {
    periods_statement(organization, user).all(database).await
}

/// The statement of a member's periods.
pub fn periods_statement(organization: OrganizationId, user: UserId) -> Statement {
    Statement::new(format!(
        "SELECT h.status, h.from_at, h.until_at, a.actor_kind, a.actor_id, {JOINED} FROM member_history h \
         JOIN roles r ON r.organization_id = h.organization_id AND r.role_id = h.role_id \
         JOIN audit_entries a ON a.organization_id = h.organization_id AND a.sequence = h.from_sequence \
         WHERE h.organization_id = $1 AND h.user_id = $2 ORDER BY h.from_sequence DESC LIMIT 100"
    ))
    .bind(organization.0)
    .bind(user.0)
}
