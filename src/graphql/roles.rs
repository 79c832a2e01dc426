//! Roles and permissions.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

use super::{context::Access, errors};
use crate::{
    domain::{
        GlobalId, RoleId,
        organization::{self, Ask, OrganizationAction, Permissions, permissions},
    },
    store::roles::RoleRow,
};

/// What a role or an API key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "organization::Permission")]
pub enum Permission {
    /// Change name, description, logo and settings of the organization.
    OrganizationUpdate,
    /// Delete the organization for good.
    OrganizationDelete,
    /// List members and see their profiles and history.
    MembersRead,
    /// Invite people; list, resend and revoke invitations.
    MembersInvite,
    /// Deactivate and reactivate members below one's own rank.
    MembersUpdate,
    /// Change the roles of members below one's own rank.
    MembersAssignRole,
    /// Remove members below one's own rank.
    MembersRemove,
    /// Create, edit and delete custom roles.
    RolesManage,
    /// List API keys; never their secrets.
    ApiKeysRead,
    /// Create, edit, disable, enable, rotate and revoke API keys.
    ApiKeysManage,
    /// See and use the apps of the organization.
    AppsRead,
    /// Install, configure and remove apps.
    AppsManage,
    /// See plan, invoices and payment methods.
    BillingRead,
    /// Change plan and payment methods.
    BillingManage,
    /// Read the audit log and the events.
    AuditRead,
    /// Export the audit log with its proof.
    AuditExport,
    /// Receive every event as it happens.
    EventsSubscribe,
    /// Export the data of the organization.
    DataExport,
}

/// A permission as a settings page presents it.
#[derive(SimpleObject)]
pub struct PermissionInfo {
    /// The permission.
    name: Permission,
    /// A short title.
    title: &'static str,
    /// What it allows.
    description: &'static str,
}

/// Permissions that are presented together.
#[derive(SimpleObject)]
pub struct PermissionGroup {
    /// The permanent name of the group.
    name: &'static str,
    /// Its title.
    title: &'static str,
    /// What is in it.
    permissions: Vec<PermissionInfo>,
}

/// Every permission, group by group.
pub fn permission_groups() -> Vec<PermissionGroup> {
    let mut groups: Vec<PermissionGroup> = Vec::new();
    for info in &permissions::INFO {
        let shown = PermissionInfo { name: info.permission.into(), title: info.title, description: info.description };
        match groups.last_mut() {
            Some(group) if group.name == info.group.name => group.permissions.push(shown),
            _ => groups.push(PermissionGroup {
                name: info.group.name,
                title: info.group.title,
                permissions: vec![shown],
            }),
        }
    }
    groups
}

/// A role of an organization.
pub struct Role {
    /// The organization, as the caller meets it.
    pub access: Arc<Access>,
    /// Its row.
    pub row: RoleRow,
}

impl Role {
    /// The role with this id.
    pub async fn find(ctx: &Context<'_>, access: &Arc<Access>, id: RoleId) -> Result<Option<Self>> {
        let row = access.roles(ctx).await?.iter().find(|row| row.role_id == id.0).cloned();
        Ok(row.map(|row| Self { access: Arc::clone(access), row }))
    }
}

/// A rank with permissions, which members hold.
#[Object]
impl Role {
    /// Its id.
    pub async fn id(&self) -> ID {
        GlobalId::Role(self.access.organization, RoleId(self.row.role_id)).to_string().into()
    }

    /// Its permanent key, unique in the organization: `ADMIN`, or a custom role's name when it was made.
    async fn key(&self) -> &str {
        &self.row.key
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.row.description.as_deref()
    }

    /// Its rank; 1 is the highest.
    async fn level(&self) -> i64 {
        self.row.level
    }

    /// Whether every organization of the kind has it; such a role cannot be edited.
    async fn built_in(&self) -> bool {
        self.row.built_in
    }

    /// Whether who holds it owns the organization.
    async fn owner(&self) -> bool {
        self.row.owner
    }

    /// What it allows.
    async fn permissions(&self) -> Vec<Permission> {
        errors::permissions(Permissions::from_bits(self.row.permissions))
    }

    /// How many members hold it, former ones not counted. Needs MEMBERS_READ.
    async fn member_count(&self, ctx: &Context<'_>) -> Option<Result<i64>> {
        if let Err(error) = self.access.require(organization::Permission::MembersRead) {
            return Some(Err(error));
        }
        Some(self.access.members_with(ctx, self.row.role_id).await)
    }

    /// How many pending invitations give it. Needs MEMBERS_INVITE.
    async fn pending_invitation_count(&self, ctx: &Context<'_>) -> Option<Result<i64>> {
        if let Err(error) = self.access.require(organization::Permission::MembersInvite) {
            return Some(Err(error));
        }
        Some(self.access.invitations_with(ctx, self.row.role_id).await)
    }

    /// The sequence of the last event about it; what `expectedVersion` of `updateRole` and `deleteRole` is compared
    /// with.
    async fn version(&self) -> i64 {
        self.row.version
    }

    /// Whether the caller may give it to a member, by rank and permissions; the member's own rank aside.
    async fn viewer_can_assign(&self, ctx: &Context<'_>) -> Result<bool> {
        let ask = Ask::about(OrganizationAction::ChangeMemberRole).role(RoleId(self.row.role_id));
        Ok(self.access.may(ctx, &ask).await?.is_ok())
    }
}
