//! Roles: their rows, with how many hold them.

use uuid::Uuid;

use super::{Database, Error, database::Transaction, statement::Statement};
use crate::domain::{OrganizationId, organization::Kind};

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
}

/// The columns of a [`JoinedRole`], of a `roles r` in a statement.
pub(super) const JOINED: &str = "r.role_id, r.key AS role_key, r.name AS role_name, r.description AS role_description, \
     r.level AS role_level, r.permissions AS role_permissions, r.owner AS role_owner, r.built_in AS role_built_in";

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
}

const COLUMNS: &str = "role_id, key, name, description, level, permissions, owner, built_in";

/// Every role of an organization, highest first; at most 55.
pub async fn list(database: &Database, organization: OrganizationId) -> Result<Vec<RoleRow>, Error> {
    Statement::new(format!("SELECT {COLUMNS} FROM roles WHERE organization_id = $1 ORDER BY level, name, role_id"))
        .bind(organization.0)
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

/// Writes the roles that every organization of the kind has.
pub(super) async fn insert_built_in(
    transaction: &mut Transaction,
    organization: OrganizationId,
    kind: Kind,
) -> Result<(), Error> {
    let mut statement = Statement::new(format!("INSERT INTO roles (organization_id, {COLUMNS}, version) VALUES "));
    let mut separator = "";
    for role in kind.rules().roles {
        statement.push(separator).push_list([
            super::statement::Value::from(organization.0),
            role.id.0.into(),
            role.key.into(),
            role.name.into(),
            role.description.into(),
            u32::from(role.level).into(),
            role.permissions.bits().into(),
            role.owner.into(),
            true.into(),
            1_i64.into(),
        ]);
        separator = ", ";
    }
    statement.run_in(transaction).await.map(|_| ())
}
