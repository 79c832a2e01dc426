//! Roles: their rows, with how many hold them, and what they were. The row of a deleted role stays, because history
//! names it.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::Recorded,
    column,
    database::Transaction,
    statement::{Statement, Value},
};
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
        Some(RoleRow {
            role_id: self.role_id?,
            key: self.role_key.clone()?,
            name: self.role_name.clone()?,
            description: self.role_description.clone(),
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
pub(super) async fn insert_built_in(
    transaction: &mut Transaction,
    organization: OrganizationId,
    kind: Kind,
) -> Result<(), Error> {
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
    insert(organization, kind.rules().roles.iter().map(row)).run_in(transaction).await?;
    begin_periods(transaction, organization, 1).await
}

/// Begins a period of each role that the event with this sequence made or changed.
async fn begin_periods(
    transaction: &mut Transaction,
    organization: OrganizationId,
    sequence: u64,
) -> Result<(), Error> {
    Statement::new(format!(
        "INSERT INTO role_history (organization_id, {COLUMNS}, deleted, from_sequence, to_sequence) \
         SELECT organization_id, {COLUMNS}, deleted, $2, $3 FROM roles WHERE organization_id = $1 AND version = $2"
    ))
    .bind(organization.0)
    .bind(sequence)
    .bind(i64::MAX)
    .run_in(transaction)
    .await
    .map(|_| ())
}

/// Ends the open period of a role.
async fn end_period(transaction: &mut Transaction, recorded: &Recorded, role: RoleId) -> Result<(), Error> {
    Statement::new(
        "UPDATE role_history SET to_sequence = $3 WHERE organization_id = $1 AND role_id = $2 AND to_sequence = $4",
    )
    .bind(recorded.organization.0)
    .bind(role.0)
    .bind(recorded.sequence)
    .bind(i64::MAX)
    .run_in(transaction)
    .await
    .map(|_| ())
}

fn insert(organization: OrganizationId, rows: impl IntoIterator<Item = RoleRow>) -> Statement {
    let mut statement = Statement::new(format!("INSERT INTO roles (organization_id, {COLUMNS}) VALUES "));
    let mut separator = "";
    for row in rows {
        statement.push(separator).push_list([
            Value::from(organization.0),
            row.role_id.into(),
            row.key.into(),
            row.name.into(),
            row.description.into(),
            row.level.into(),
            row.permissions.into(),
            row.owner.into(),
            row.built_in.into(),
            row.version.into(),
        ]);
        separator = ", ";
    }
    statement
}

pub(super) async fn project(transaction: &mut Transaction, recorded: &Recorded) -> Result<(), Error> {
    if let Event::RoleUpdated { role_id, .. } | Event::RoleDeleted { role_id, .. } = &recorded.event {
        end_period(transaction, recorded, *role_id).await?;
    }
    let statement = match &recorded.event {
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
            insert(recorded.organization, [row])
        }
        Event::RoleUpdated { role_id, name, description, level, permissions } => {
            edit(recorded, *role_id, |statement| {
                if let Some(change) = name {
                    statement.push(", name = ").push_value(&change.to);
                }
                if let Some(change) = description {
                    statement.push(", description = ").push_value(change.to.clone());
                }
                if let Some(change) = level {
                    statement.push(", level = ").push_value(u32::from(change.to));
                }
                if let Some(change) = permissions {
                    statement.push(", permissions = ").push_value(change.to.bits());
                }
            })
        }
        Event::RoleDeleted { role_id, .. } => edit(recorded, *role_id, |statement| {
            statement.push(", deleted = ").push_value(true);
        }),
        _ => return Ok(()),
    };
    statement.run_in(transaction).await?;
    begin_periods(transaction, recorded.organization, recorded.sequence).await
}

fn edit(recorded: &Recorded, role: RoleId, set: impl FnOnce(&mut Statement)) -> Statement {
    let mut statement = Statement::new("UPDATE roles SET version = $1").bind(recorded.sequence);
    set(&mut statement);
    statement.push(" WHERE organization_id = ").push_value(recorded.organization.0);
    statement.push(" AND role_id = ").push_value(role.0);
    statement
}
