//! Roles: their rows, with how many hold them, and what they were. The row of a deleted role stays, because history
//! names it.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Database, Error, aggregate::Recorded, column, statement::Statement, write::Write};
use crate::domain::{
    OrganizationId, RoleId, Timestamp,
    organization::{Event, Kind, kinds::BuiltInRole},
};

/// The role in the row of a member or an invitation; empty where the row has none.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct JoinedRole {
    pub role_id: Option<Uuid>,
    pub role_key: Option<String>,
    pub role_name: Option<String>,
    pub role_description: Option<String>,
    pub role_level: Option<i64>,
    pub role_permissions: Option<i64>,
    pub role_owner: Option<bool>,
    pub role_built_in: Option<bool>,
    pub role_version: Option<i64>,
}

/// The columns of a [`JoinedRole`], of a `roles r` in a statement.
pub(super) const JOINED: &str = "r.role_id, r.key AS role_key, r.name AS role_name, r.description AS role_description, \
     r.level AS role_level, r.permissions AS role_permissions, r.owner AS role_owner, r.built_in AS role_built_in, \
     r.version AS role_version";

impl JoinedRole {
    /// The role, where there is one.
    pub fn row(&self) -> Option<RoleRow> {
        self.clone().into_row()
    }

    /// The same, without a copy of its texts.
    pub fn into_row(self) -> Option<RoleRow> {
        Some(RoleRow {
            role_id: self.role_id?,
            key: self.role_key?,
            name: self.role_name?,
            description: self.role_description,
            level: self.role_level?,
            permissions: self.role_permissions?,
            owner: self.role_owner?,
            built_in: self.role_built_in?,
            version: self.role_version?,
        })
    }
}

/// A role.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct RoleRow {
    pub role_id: Uuid,
    pub key: String,
    pub name: String,
    pub description: Option<String>,
    pub level: i64,
    pub permissions: i64,
    pub owner: bool,
    pub built_in: bool,
    pub version: i64,
}

impl RoleRow {
    /// Its id.
    pub const fn id(&self) -> RoleId {
        RoleId(self.role_id)
    }
}

const COLUMNS: &str = "role_id, key, name, description, level, permissions, owner, built_in, version";

/// Every role of an organization, highest first; at most 55.
pub async fn list(database: &Database, organization: OrganizationId) -> Result<Vec<RoleRow>, Error> {
    Statement::new(format!(
        "SELECT {COLUMNS} FROM roles WHERE organization_id = $1 AND NOT deleted ORDER BY level, name, role_id"
    ))
    .bind(organization.0)
    .all(database)
    .await
}

/// Every role as it was at a sequence, highest first; those of an organization that had not begun are none.
pub async fn list_at(database: &Database, organization: OrganizationId, sequence: u64) -> Result<Vec<RoleRow>, Error> {
    at_statement(organization, sequence, None).all(database).await
}

/// The role as it was at a sequence; none where there was none.
pub async fn find_at(
    database: &Database,
    organization: OrganizationId,
    role: RoleId,
    sequence: u64,
) -> Result<Option<RoleRow>, Error> {
    at_statement(organization, sequence, Some(role)).optional(database).await
}

/// The roles with these ids as they were at a sequence, deleted ones as they were at last.
pub async fn named_at(
    database: &Database,
    organization: OrganizationId,
    roles: impl IntoIterator<Item = RoleId>,
    sequence: u64,
) -> Result<Vec<RoleRow>, Error> {
    named_at_statement(organization, roles, sequence).all(database).await
}

/// The statement of roles by their ids.
pub fn named_at_statement(
    organization: OrganizationId,
    roles: impl IntoIterator<Item = RoleId>,
    sequence: u64,
) -> Statement {
    let ids: BTreeSet<_> = roles.into_iter().map(|role| role.0).collect();
    let mut statement = Statement::new(format!(
        "SELECT {COLUMNS} FROM role_history WHERE organization_id = $1 AND from_sequence <= $2 AND to_sequence > $2 \
         AND role_id IN "
    ))
    .bind(organization.0)
    .bind(sequence);
    statement.push_list(ids);
    statement
}

/// The statement of the roles at a sequence, or of one of them.
pub fn at_statement(organization: OrganizationId, sequence: u64, role: Option<RoleId>) -> Statement {
    let mut statement = Statement::new(format!(
        "SELECT {COLUMNS} FROM role_history WHERE organization_id = $1 AND from_sequence <= $2 AND to_sequence > $2 \
         AND NOT deleted"
    ))
    .bind(organization.0)
    .bind(sequence);
    if let Some(role) = role {
        statement.push(" AND role_id = ").push_value(role.0);
    }
    statement.push(" ORDER BY level, name, role_id");
    statement
}

/// How many members held each role at a sequence, former ones not counted.
pub async fn member_counts_at(
    database: &Database,
    organization: OrganizationId,
    sequence: u64,
) -> Result<Vec<(Uuid, i64)>, Error> {
    Statement::new(
        "SELECT role_id, COUNT(*) FROM member_history WHERE organization_id = $1 AND from_sequence <= $2 \
         AND to_sequence > $2 AND status <> 'FORMER' GROUP BY role_id",
    )
    .bind(organization.0)
    .bind(sequence)
    .all(database)
    .await
}

/// How many members hold each role, former ones not counted.
pub async fn member_counts(database: &Database, organization: OrganizationId) -> Result<Vec<(Uuid, i64)>, Error> {
    Statement::new(
        "SELECT role_id, COUNT(*) FROM members WHERE organization_id = $1 AND status <> 'FORMER' GROUP BY role_id",
    )
    .bind(organization.0)
    .all(database)
    .await
}

/// How many pending invitations give each role.
pub async fn invitation_counts(
    database: &Database,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Vec<(Uuid, i64)>, Error> {
    Statement::new(
        "SELECT role_id, COUNT(*) FROM invitations \
         WHERE organization_id = $1 AND state = 'PENDING' AND expires_at > $2 GROUP BY role_id",
    )
    .bind(organization.0)
    .bind(now)
    .all(database)
    .await
}

/// Writes the roles that every organization of the kind has.
pub(super) fn insert_built_in(organization: OrganizationId, kind: Kind) -> Vec<Write> {
    let row = |role: &BuiltInRole| RoleRow {
        role_id: role.id.0,
        key: role.key.to_owned(),
        name: role.name.to_owned(),
        description: Some(role.description.to_owned()),
        level: role.level.into(),
        permissions: role.permissions.bits(),
        owner: role.owner,
        built_in: true,
        version: 1,
    };
    let mut writes: Vec<_> = kind.rules().roles.iter().map(|role| insert(organization, row(role))).collect();
    writes.push(begin_periods(organization, 1));
    writes
}

/// Begins a period of each role that the event with this sequence made or changed.
fn begin_periods(organization: OrganizationId, sequence: u64) -> Write {
    const RETOLD: &str =
        "r.role_id, r.key, r.name, r.description, r.level, r.permissions, r.owner, r.built_in, r.version";
    Write::text(format!(
        "INSERT INTO role_history (organization_id, {COLUMNS}, deleted, from_sequence, to_sequence) \
         SELECT r.organization_id, {RETOLD}, r.deleted, v.sequence, v.open \
         FROM v JOIN roles r ON r.organization_id = v.organization_id AND r.version = v.sequence"
    ))
    .with("organization_id", organization.0)
    .with("sequence", sequence)
    .with("open", i64::MAX)
}

/// Ends the open period of a role.
fn end_period(recorded: &Recorded, role: RoleId) -> Write {
    Write::text(
        "UPDATE role_history AS t SET to_sequence = v.sequence FROM v \
         WHERE t.organization_id = v.organization_id AND t.role_id = v.role_id AND t.to_sequence = v.open",
    )
    .with("organization_id", recorded.organization.0)
    .with("role_id", role.0)
    .with("sequence", recorded.sequence)
    .with("open", i64::MAX)
}

fn insert(organization: OrganizationId, row: RoleRow) -> Write {
    Write::insert("roles")
        .with("organization_id", organization.0)
        .with("role_id", row.role_id)
        .with("key", row.key)
        .with("name", row.name)
        .with("description", row.description)
        .with("level", row.level)
        .with("permissions", row.permissions)
        .with("owner", row.owner)
        .with("built_in", row.built_in)
        .with("version", row.version)
}

pub(super) fn project(recorded: &Recorded) -> Vec<Write> {
    let organization = recorded.organization;
    let change = match &recorded.event {
        Event::RoleCreated { role_id, key, name, description, level, permissions } => {
            let row = RoleRow {
                role_id: role_id.0,
                key: key.clone(),
                name: name.clone(),
                description: description.clone(),
                level: (*level).into(),
                permissions: permissions.bits(),
                owner: false,
                built_in: false,
                version: column(recorded.sequence),
            };
            return vec![insert(organization, row), begin_periods(organization, recorded.sequence)];
        }
        Event::RoleUpdated { role_id, name, description, level, permissions } => {
            let mut write = update(recorded, *role_id);
            if let Some(change) = name {
                write = write.with("name", &change.to);
            }
            if let Some(change) = description {
                write = write.with("description", change.to.clone());
            }
            if let Some(change) = level {
                write = write.with("level", u32::from(change.to));
            }
            if let Some(change) = permissions {
                write = write.with("permissions", change.to.bits());
            }
            [end_period(recorded, *role_id), write]
        }
        Event::RoleDeleted { role_id, .. } => {
            [end_period(recorded, *role_id), update(recorded, *role_id).with("deleted", true)]
        }
        _ => return Vec::new(),
    };
    change.into_iter().chain([begin_periods(organization, recorded.sequence)]).collect()
}

fn update(recorded: &Recorded, role: RoleId) -> Write {
    let key = [("organization_id", recorded.organization.0.into()), ("role_id", role.0.into())];
    Write::update("roles", key).with("version", recorded.sequence)
}
