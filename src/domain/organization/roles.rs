//! Roles: the ranks and permissions that members hold.

use serde::{Deserialize, Serialize};

use super::{Organization, kinds::BuiltInRole, members::Member, permissions::Permissions};
use crate::domain::{ids::RoleId, refusal::Refusal};

/// A role of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The permanent key, unique in the organization.
    pub key: String,
    /// The rank; 1 is the highest.
    pub level: u8,
    /// Whether who holds it owns the organization.
    pub owner: bool,
    /// What it allows.
    pub permissions: Permissions,
}

impl From<&BuiltInRole> for Role {
    fn from(role: &BuiltInRole) -> Self {
        Self { key: role.key.to_owned(), level: role.level, owner: role.owner, permissions: role.permissions }
    }
}

impl Organization {
    /// Every role, by id.
    pub fn roles(&self) -> impl Iterator<Item = (RoleId, &Role)> {
        self.roles.iter().map(|(id, role)| (*id, role))
    }

    /// A role by id.
    ///
    /// # Errors
    /// `NOT_FOUND` when the organization has no such role.
    pub(super) fn role(&self, id: RoleId) -> Result<&Role, Refusal> {
        self.roles.get(&id).ok_or(Refusal::NotFound { field: "roleId" })
    }

    /// The role that a member holds.
    ///
    /// # Errors
    /// Never for a state that was folded from a ledger: a role in use cannot go away.
    pub(super) fn role_of(&self, member: &Member) -> Result<&Role, Refusal> {
        self.role(member.role)
    }
}
