//! Roles and permissions.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    context::Access,
    errors::{self, OrInternal},
    fields::moment,
};
use crate::{
    domain::{
        GlobalId, RoleId,
        organization::{self, Ask, OrganizationAction, Permissions, permissions},
    },
    store::roles::{self, RoleRow},
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
    /// The sequence that it is shown as of; none for what it is now.
    pub as_of: Option<u64>,
}

impl Role {
    /// The role as it is now.
    pub fn now(access: &Arc<Access>, row: RoleRow) -> Self {
        Self { access: Arc::clone(access), row, as_of: None }
    }

    /// The role as it was at a sequence, or as it is now.
    pub fn at(access: &Arc<Access>, row: RoleRow, as_of: Option<u64>) -> Self {
        Self { as_of, ..Self::now(access, row) }
    }

    /// Every role as it was at a moment, highest first; none before the organization began.
    pub async fn all_at(ctx: &Context<'_>, access: &Arc<Access>, at: DateTime<Utc>) -> Result<Vec<Self>> {
        let sequence = access.sequence_at(ctx, moment(at)).await?;
        let rows = roles::list_at(access.database(ctx)?, access.organization, sequence).await.or_internal(ctx)?;
        Ok(rows.into_iter().map(|row| Self::at(access, row, Some(sequence))).collect())
    }

    /// The role with this id as it was at a sequence of the ledger.
    pub async fn find_at(ctx: &Context<'_>, access: &Arc<Access>, id: RoleId, sequence: u64) -> Result<Option<Self>> {
        if !access.has_sequence(ctx, sequence).await? {
            return Ok(None);
        }
        let database = access.database(ctx)?;
        let row = roles::find_at(database, access.organization, id, sequence).await.or_internal(ctx)?;
        Ok(row.map(|row| Self::at(access, row, Some(sequence))))
    }

    /// The role with this id.
    pub async fn find(ctx: &Context<'_>, access: &Arc<Access>, id: RoleId) -> Result<Option<Self>> {
        let row = access.roles(ctx).await?.iter().find(|row| row.role_id == id.0).cloned();
        Ok(row.map(|row| Self::now(access, row)))
    }
}

/// A rank with permissions, which members hold.
#[Object]
impl Role {
    /// Its id. As of a moment of the past it carries the sequence, so that a cache does not take the past for the
    /// present.
    pub async fn id(&self) -> ID {
        let (organization, role) = (self.access.organization, self.row.id());
        let id = match self.as_of {
            None => GlobalId::Role(organization, role),
            Some(sequence) => GlobalId::RoleAsOf(organization, role, sequence),
        };
        id.to_string().into()
    }

    /// Its permanent key, unique in the organization: `ADMIN`, or a custom role's name when it was made.
    fn key(&self) -> &str {
        &self.row.key
    }

    /// Its name.
    fn name(&self) -> &str {
        &self.row.name
    }

    /// What it is for.
    fn description(&self) -> Option<&str> {
        self.row.description.as_deref()
    }

    /// Its rank; 1 is the highest.
    fn level(&self) -> i64 {
        self.row.level
    }

    /// Whether every organization of the kind has it; such a role cannot be edited.
    fn built_in(&self) -> bool {
        self.row.built_in
    }

    /// Whether who holds it owns the organization.
    fn owner(&self) -> bool {
        self.row.owner
    }

    /// What it allows.
    fn permissions(&self) -> Vec<Permission> {
        errors::permissions(Permissions::from_bits(self.row.permissions))
    }

    /// How many members hold it, former ones not counted. Needs MEMBERS_READ.
    async fn member_count(&self, ctx: &Context<'_>) -> Option<Result<i64>> {
        if let Err(error) = self.access.require(organization::Permission::MembersRead) {
            return Some(Err(error));
        }
        // In a box, like all that is large here: the future of any field is as large as the largest.
        Some(match self.as_of {
            None => Box::pin(self.access.members_with(ctx, self.row.role_id)).await,
            Some(sequence) => Box::pin(self.access.members_with_at(ctx, self.row.role_id, sequence)).await,
        })
    }

    /// How many pending invitations give it; null as of a moment of the past. Needs MEMBERS_INVITE.
    async fn pending_invitation_count(&self, ctx: &Context<'_>) -> Option<Result<i64>> {
        if self.as_of.is_some() {
            return None;
        }
        if let Err(error) = self.access.require(organization::Permission::MembersInvite) {
            return Some(Err(error));
        }
        Some(Box::pin(self.access.invitations_with(ctx, self.row.role_id)).await)
    }

    /// The sequence of the last event about it; what `expectedVersion` of `updateRole` and `deleteRole` is compared
    /// with.
    fn version(&self) -> i64 {
        self.row.version
    }

    /// Whether the caller may give it to a member now, by rank and permissions; the member's own rank aside.
    async fn viewer_can_assign(&self, ctx: &Context<'_>) -> Result<bool> {
        let ask = Ask::about(OrganizationAction::ChangeMemberRole).role(RoleId(self.row.role_id));
        Ok(self.access.may(ctx, &ask).await?.is_ok())
    }
}
