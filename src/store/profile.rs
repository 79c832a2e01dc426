//! Organizations: their rows, and what a person or key meets when they come to one.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::Recorded,
    page::{Direction, Page, Window},
    projection,
    roles::{self, JOINED},
    statement::Statement,
    write::Write,
};
use crate::domain::{
    OrganizationId, Timestamp, UserId,
    organization::{Event, Logo, profile::Certification},
};

/// An organization, and the membership of the person who asks, if they have one.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct OrganizationRow {
    pub organization_id: Uuid,
    pub kind: String,
    pub name: String,
    pub description: Option<String>,
    pub logo: Option<String>,
    pub certification: String,
    pub default_role_id: Uuid,
    pub created_at: Timestamp,
    pub version: i64,
    pub member_count: i64,
    pub member_status: Option<String>,
    pub joined_at: Option<Timestamp>,
    #[sqlx(flatten)]
    pub role: roles::JoinedRole,
}

const COLUMNS: &str = "o.organization_id, o.kind, o.name, o.description, o.logo, o.certification, \
     o.default_role_id, o.created_at, o.version, o.member_count, m.status AS member_status, m.joined_at";

/// Organizations, each as somebody meets it, in one indexed read.
pub async fn find(
    database: &Database,
    asked: &[(OrganizationId, Option<UserId>)],
) -> Result<HashMap<(OrganizationId, Option<UserId>), OrganizationRow>, Error> {
    #[derive(sqlx::FromRow)]
    struct Found {
        asked_by: Option<Uuid>,
        #[sqlx(flatten)]
        organization: OrganizationRow,
    }
    let mut statement = Statement::new(format!("SELECT asked.column2 AS asked_by, {COLUMNS}, {JOINED} FROM "));
    let row = |(organization, user): &(OrganizationId, Option<UserId>)| {
        [organization.0.into(), user.map(|user| user.0).into()]
    };
    statement.push_asked(asked.iter().map(row)).push(
        " CROSS JOIN organizations o \
         LEFT JOIN members m ON m.organization_id = o.organization_id AND m.user_id = asked.column2 \
         LEFT JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id \
         WHERE o.organization_id = asked.column1",
    );
    let rows: Vec<Found> = statement.all(database).await?;
    let key = |row: &Found| (OrganizationId(row.organization.organization_id), row.asked_by.map(UserId));
    Ok(rows.into_iter().map(|row| (key(&row), row.organization)).collect())
}

const MEMBERSHIPS: &str = " FROM user_organizations uo \
     JOIN organizations o ON o.organization_id = uo.organization_id \
     JOIN members m ON m.organization_id = uo.organization_id AND m.user_id = uo.user_id \
     JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id \
     WHERE uo.user_id = $1 AND uo.current AND m.status = 'ACTIVE'";

/// The organizations that a person is an active member of, in the order of joining.
pub async fn page_of_user(database: &Database, user: UserId, window: &Window) -> Result<Page<OrganizationRow>, Error> {
    let mut statement = Statement::new(format!("SELECT {COLUMNS}, {JOINED}{MEMBERSHIPS}")).bind(user.0);
    window.push_to(&mut statement, &["m.joined_at", "o.organization_id"], Direction::Ascending);
    Ok(window.page(statement.all(database).await?))
}

/// How many they are.
pub async fn count_of_user(database: &Database, user: UserId) -> Result<u64, Error> {
    Statement::new(format!("SELECT COUNT(*){MEMBERSHIPS}")).bind(user.0).count(database).await
}

/// How many organizations a person belongs to, inactive memberships included.
pub async fn memberships(database: &Database, user: UserId) -> Result<u32, Error> {
    let count = Statement::new("SELECT COUNT(*) FROM user_organizations WHERE user_id = $1 AND current")
        .bind(user.0)
        .count(database)
        .await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The logos that these organizations have now; who has none, or has ended, is not among them.
pub async fn logos(
    database: &Database,
    organizations: impl IntoIterator<Item = OrganizationId>,
) -> Result<HashMap<OrganizationId, Logo>, Error> {
    let mut statement = Statement::new(
        "SELECT organization_id, logo FROM organizations WHERE logo IS NOT NULL AND organization_id IN ",
    );
    statement.push_list(organizations.into_iter().map(|organization| organization.0));
    let rows: Vec<(Uuid, String)> = statement.all(database).await?;
    Ok(rows.into_iter().filter_map(|(id, logo)| Some((OrganizationId(id), logo.parse().ok()?))).collect())
}

/// What an overview shows.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names say what is counted")]
pub struct Counts {
    pub members: i64,
    pub active_members: i64,
    pub pending_invitations: i64,
    pub api_keys: i64,
}

/// Counts what an overview shows, in one statement.
pub async fn counts(database: &Database, organization: OrganizationId, now: Timestamp) -> Result<Counts, Error> {
    let counts = Statement::new(
        "SELECT \
         COALESCE((SELECT member_count FROM organizations WHERE organization_id = $1), 0) AS members, \
         (SELECT COUNT(*) FROM members WHERE organization_id = $1 AND status = 'ACTIVE') AS active_members, \
         (SELECT COUNT(*) FROM invitations WHERE organization_id = $1 AND state = 'PENDING' AND expires_at > $2) \
             AS pending_invitations, \
         (SELECT COUNT(*) FROM api_keys WHERE organization_id = $1 AND status <> 'REVOKED') AS api_keys",
    )
    .bind(organization.0)
    .bind(now)
    .optional(database)
    .await?;
    Ok(counts.unwrap_or(Counts { members: 0, active_members: 0, pending_invitations: 0, api_keys: 0 }))
}

/// The last sequence that was recorded at a moment; 0 before the first.
pub async fn sequence_at(database: &Database, organization: OrganizationId, at: Timestamp) -> Result<u64, Error> {
    sequence_at_statement(organization, at).count(database).await
}

/// The statement of the last sequence at a moment.
pub fn sequence_at_statement(organization: OrganizationId, at: Timestamp) -> Statement {
    Statement::new(
        "SELECT sequence FROM events WHERE organization_id = $1 AND recorded_at <= $2 \
         ORDER BY recorded_at DESC, sequence DESC LIMIT 1",
    )
    .bind(organization.0)
    .bind(at)
}

pub(super) fn project(recorded: &Recorded) -> Vec<Write> {
    let write = match &recorded.event {
        Event::OrganizationCreated { kind, name, description } => {
            let mut writes = roles::insert_built_in(recorded.organization, *kind);
            writes.push(
                Write::insert("organizations")
                    .with("version", recorded.sequence)
                    .with("organization_id", recorded.organization.0)
                    .with("kind", kind.rules().name)
                    .with("name", name)
                    .with("description", description.clone())
                    .with("default_role_id", kind.rules().default_invitation_role().id.0)
                    .with("created_at", recorded.recorded_at),
            );
            return writes;
        }
        Event::OrganizationRenamed { to, .. } => update(recorded).with("name", to),
        Event::OrganizationDescriptionChanged { to, .. } => update(recorded).with("description", to.clone()),
        Event::OrganizationLogoChanged { to, .. } => update(recorded).with("logo", to.map(|logo| logo.to_string())),
        Event::OrganizationDefaultRoleChanged { to, .. } => update(recorded).with("default_role_id", to.0),
        Event::OrganizationCertificationRequested { .. } => certified(recorded, Certification::Requested),
        Event::OrganizationCertified {} => certified(recorded, Certification::Certified),
        Event::OrganizationCertificationRejected {} => certified(recorded, Certification::Rejected),
        Event::OrganizationDeleted {} => return erase(recorded.organization, &projection::TABLES),
        _ => return Vec::new(),
    };
    vec![write]
}

fn update(recorded: &Recorded) -> Write {
    let key = [("organization_id", recorded.organization.0.into())];
    Write::update("organizations", key).with("version", recorded.sequence)
}

fn certified(recorded: &Recorded, certification: Certification) -> Write {
    update(recorded).with("certification", certification.name())
}

/// The organizations whose request for certification is open, with their names; at most 1,000, in the order of
/// their ids.
pub async fn requests_for_certification(database: &Database) -> Result<Vec<(OrganizationId, String)>, Error> {
    let rows: Vec<(Uuid, String)> = Statement::new(
        "SELECT organization_id, name FROM organizations WHERE certification = 'REQUESTED' \
         ORDER BY organization_id LIMIT 1000",
    )
    .all(database)
    .await?;
    Ok(rows.into_iter().map(|(id, name)| (OrganizationId(id), name)).collect())
}

/// Takes an organization's rows out of tables.
pub(super) fn erase(organization: OrganizationId, tables: &[&str]) -> Vec<Write> {
    let erase = |table: &&str| {
        let text = format!("DELETE FROM {table} WHERE organization_id IN (SELECT v.organization_id FROM v)");
        Write::text(text).with("organization_id", organization.0)
    };
    tables.iter().map(erase).collect()
}
