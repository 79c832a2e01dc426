//! The permanent names of what happens and of what is tried, as lists and as what a pattern of them means. The name of
//! a change says that it was made (`member.removed`), the name of a command what was wanted (`member.remove`); both
//! begin with the noun, so that `member.*` finds both.

use uuid::Uuid;

use super::{command::Action, event::Target};
use crate::domain::{
    actor::Actor,
    ids::{ApiKeyId, InvitationId, OrganizationId, RoleId, UserId},
};

/// The names of all events.
pub const EVENTS: [&str; 33] = [
    "organization.created",
    "organization.renamed",
    "organization.description_changed",
    "organization.logo_changed",
    "organization.default_role_changed",
    "organization.certification_requested",
    "organization.certified",
    "organization.certification_rejected",
    "organization.data_export_requested",
    "organization.deleted",
    "member.joined",
    "member.role_changed",
    "member.ownership_transferred",
    "member.deactivated",
    "member.reactivated",
    "member.removed",
    "member.left",
    "invitation.sent",
    "invitation.resent",
    "invitation.role_changed",
    "invitation.accepted",
    "invitation.declined",
    "invitation.revoked",
    "role.created",
    "role.updated",
    "role.deleted",
    "api_key.created",
    "api_key.updated",
    "api_key.disabled",
    "api_key.enabled",
    "api_key.rotated",
    "api_key.revoked",
    "audit.exported",
];

/// The names of all commands.
pub const ACTIONS: [&str; 30] = [
    "organization.create",
    "organization.update",
    "organization.set_logo",
    "organization.remove_logo",
    "organization.request_certification",
    "organization.decide_certification",
    "organization.request_data_export",
    "audit.export",
    "organization.delete",
    "member.leave",
    "member.transfer_ownership",
    "member.change_role",
    "member.deactivate",
    "member.reactivate",
    "member.remove",
    "member.erase",
    "invitation.send",
    "invitation.resend",
    "invitation.revoke",
    "invitation.accept",
    "invitation.decline",
    "role.create",
    "role.update",
    "role.delete",
    "api_key.create",
    "api_key.update",
    "api_key.disable",
    "api_key.enable",
    "api_key.rotate",
    "api_key.revoke",
];

impl Action {
    /// The permanent name of what is asked.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CreateOrganization { .. } | Self::CreatePersonalOrganization { .. } => "organization.create",
            Self::UpdateOrganization { .. } => "organization.update",
            Self::SetLogo { .. } => "organization.set_logo",
            Self::RemoveLogo => "organization.remove_logo",
            Self::RequestCertification => "organization.request_certification",
            Self::DecideCertification { .. } => "organization.decide_certification",
            Self::RequestDataExport { .. } => "organization.request_data_export",
            Self::ExportAuditLog { .. } => "audit.export",
            Self::DeleteOrganization { .. } => "organization.delete",
            Self::LeaveOrganization { .. } => "member.leave",
            Self::TransferOwnership { .. } => "member.transfer_ownership",
            Self::ChangeMemberRole { .. } => "member.change_role",
            Self::DeactivateMember { .. } => "member.deactivate",
            Self::ReactivateMember { .. } => "member.reactivate",
            Self::RemoveMember { .. } => "member.remove",
            Self::ErasePerson { .. } => "member.erase",
            Self::InviteMembers { .. } => "invitation.send",
            Self::ResendInvitation { .. } => "invitation.resend",
            Self::RevokeInvitation { .. } => "invitation.revoke",
            Self::AcceptInvitation { .. } => "invitation.accept",
            Self::DeclineInvitation { .. } => "invitation.decline",
            Self::CreateRole { .. } => "role.create",
            Self::UpdateRole { .. } => "role.update",
            Self::DeleteRole { .. } => "role.delete",
            Self::CreateApiKey { .. } => "api_key.create",
            Self::UpdateApiKey { .. } => "api_key.update",
            Self::DisableApiKey { .. } => "api_key.disable",
            Self::EnableApiKey { .. } => "api_key.enable",
            Self::RotateApiKey { .. } => "api_key.rotate",
            Self::RevokeApiKey { .. } => "api_key.revoke",
        }
    }

    /// What it is asked about: the organization where it makes something new, and the member who leaves.
    #[must_use]
    pub fn target(&self, actor: Actor) -> Target {
        match self {
            Self::LeaveOrganization { .. } => actor.user().map_or(Target::Organization, Target::Member),
            Self::TransferOwnership { member, .. }
            | Self::ChangeMemberRole { member, .. }
            | Self::DeactivateMember { member, .. }
            | Self::ReactivateMember { member }
            | Self::RemoveMember { member, .. } => Target::Member(*member),
            Self::ErasePerson { user } => Target::Member(*user),
            Self::ResendInvitation { invitation, .. }
            | Self::RevokeInvitation { invitation }
            | Self::AcceptInvitation { invitation, .. }
            | Self::DeclineInvitation { invitation, .. } => Target::Invitation(*invitation),
            Self::UpdateRole { role, .. } | Self::DeleteRole { role, .. } => Target::Role(*role),
            Self::UpdateApiKey { api_key, .. }
            | Self::DisableApiKey { api_key }
            | Self::EnableApiKey { api_key }
            | Self::RotateApiKey { api_key, .. }
            | Self::RevokeApiKey { api_key } => Target::ApiKey(*api_key),
            _ => Target::Organization,
        }
    }
}

impl Target {
    /// The permanent name of what it is.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Organization => "ORGANIZATION",
            Self::Member(_) => "MEMBER",
            Self::Invitation(_) => "INVITATION",
            Self::Role(_) => "ROLE",
            Self::ApiKey(_) => "API_KEY",
        }
    }

    /// The bare id, which together with the kind names the object.
    #[must_use]
    pub const fn id(self, organization: OrganizationId) -> Uuid {
        match self {
            Self::Organization => organization.0,
            Self::Member(UserId(id))
            | Self::Invitation(InvitationId(id))
            | Self::Role(RoleId(id))
            | Self::ApiKey(ApiKeyId(id)) => id,
        }
    }

    /// The target of a stored kind and id; the organization for a kind nobody has written.
    #[must_use]
    pub fn from_parts(kind: &str, id: Uuid) -> Self {
        match kind {
            "MEMBER" => Self::Member(UserId(id)),
            "INVITATION" => Self::Invitation(InvitationId(id)),
            "ROLE" => Self::Role(RoleId(id)),
            "API_KEY" => Self::ApiKey(ApiKeyId(id)),
            _ => Self::Organization,
        }
    }
}
