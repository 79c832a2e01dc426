//! Questions to the policy: what is to be done, to whom and with what.

use super::{
    permissions::{Permission, Permissions},
    roles::Level,
};
use crate::domain::ids::{ApiKeyId, RoleId, UserId};

/// Every command of a living organization that its members and keys can give, in the mutation's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the mutations")]
pub enum OrganizationAction {
    UpdateOrganization,
    CreateLogoUpload,
    RemoveLogo,
    RequestCertification,
    RequestDataExport,
    LeaveOrganization,
    DeleteOrganization,
    TransferOwnership,
    ChangeMemberRole,
    DeactivateMember,
    ReactivateMember,
    RemoveMember,
    InviteMember,
    ResendInvitation,
    RevokeInvitation,
    CreateRole,
    UpdateRole,
    DeleteRole,
    CreateApiKey,
    UpdateApiKey,
    DisableApiKey,
    EnableApiKey,
    RotateApiKey,
    RevokeApiKey,
    ExportAuditLog,
}

impl OrganizationAction {
    /// Every action, noun by noun.
    pub const ALL: [Self; 25] = [
        Self::UpdateOrganization,
        Self::CreateLogoUpload,
        Self::RemoveLogo,
        Self::RequestCertification,
        Self::RequestDataExport,
        Self::LeaveOrganization,
        Self::DeleteOrganization,
        Self::TransferOwnership,
        Self::ChangeMemberRole,
        Self::DeactivateMember,
        Self::ReactivateMember,
        Self::RemoveMember,
        Self::InviteMember,
        Self::ResendInvitation,
        Self::RevokeInvitation,
        Self::CreateRole,
        Self::UpdateRole,
        Self::DeleteRole,
        Self::CreateApiKey,
        Self::UpdateApiKey,
        Self::DisableApiKey,
        Self::EnableApiKey,
        Self::RotateApiKey,
        Self::RevokeApiKey,
        Self::ExportAuditLog,
    ];

    /// The permission it needs; none where membership alone is enough, and for the transfer, which needs an owner.
    pub(super) const fn permission(self) -> Option<Permission> {
        Some(match self {
            Self::LeaveOrganization | Self::TransferOwnership => return None,
            Self::UpdateOrganization | Self::CreateLogoUpload | Self::RemoveLogo | Self::RequestCertification => {
                Permission::OrganizationUpdate
            }
            Self::RequestDataExport => Permission::DataExport,
            Self::DeleteOrganization => Permission::OrganizationDelete,
            Self::ChangeMemberRole => Permission::MembersAssignRole,
            Self::DeactivateMember | Self::ReactivateMember => Permission::MembersUpdate,
            Self::RemoveMember => Permission::MembersRemove,
            Self::InviteMember | Self::ResendInvitation | Self::RevokeInvitation => Permission::MembersInvite,
            Self::CreateRole | Self::UpdateRole | Self::DeleteRole => Permission::RolesManage,
            Self::CreateApiKey
            | Self::UpdateApiKey
            | Self::DisableApiKey
            | Self::EnableApiKey
            | Self::RotateApiKey
            | Self::RevokeApiKey => Permission::ApiKeysManage,
            Self::ExportAuditLog => Permission::AuditExport,
        })
    }

    /// Whether only a person can do it.
    pub(super) const fn needs_person(self) -> bool {
        matches!(self, Self::LeaveOrganization | Self::DeleteOrganization | Self::TransferOwnership)
    }

    pub(super) const fn manages_roles(self) -> bool {
        matches!(self, Self::CreateRole | Self::UpdateRole | Self::DeleteRole)
    }

    pub(super) const fn manages_members(self) -> bool {
        matches!(
            self,
            Self::TransferOwnership
                | Self::ChangeMemberRole
                | Self::DeactivateMember
                | Self::ReactivateMember
                | Self::RemoveMember
                | Self::InviteMember
                | Self::ResendInvitation
                | Self::RevokeInvitation
        )
    }
}

/// A question to the policy. What is left open is not asked about: without a member, "may I remove?" means "may I
/// remove anybody at all?".
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// What is to be done.
    pub action: OrganizationAction,
    /// To whom.
    pub member: Option<UserId>,
    /// Which role is given; to the old owner, in a transfer. Or which one is edited or deleted.
    pub role: Option<RoleId>,
    /// Which level a role gets.
    pub level: Option<Level>,
    /// Which key is acted on.
    pub api_key: Option<ApiKeyId>,
    /// Which permissions are put into a role or a key.
    pub permissions: Permissions,
}

impl Ask {
    /// A question that names no target.
    #[must_use]
    pub const fn about(action: OrganizationAction) -> Self {
        Self { action, member: None, role: None, level: None, api_key: None, permissions: Permissions::NONE }
    }

    /// The same about a member.
    #[must_use]
    pub const fn member(self, member: UserId) -> Self {
        Self { member: Some(member), ..self }
    }

    /// The same about a role: to give, to edit or to delete.
    #[must_use]
    pub const fn role(self, role: RoleId) -> Self {
        Self { role: Some(role), ..self }
    }

    /// The same about the level that a role gets.
    #[must_use]
    pub const fn level(self, level: Level) -> Self {
        Self { level: Some(level), ..self }
    }

    /// The same about a key.
    #[must_use]
    pub const fn api_key(self, api_key: ApiKeyId) -> Self {
        Self { api_key: Some(api_key), ..self }
    }

    /// The same about permissions to put into a role or a key.
    #[must_use]
    pub const fn permissions(self, permissions: Permissions) -> Self {
        Self { permissions, ..self }
    }
}
