//! What has happened: the events of the ledger, with their permanent names and fields.
//!
//! An event names people by id and never by name or email. A field that changed carries both values, so that an
//! event says by itself what was before. A new shape is a new version; what was once written is read for ever.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    api_keys::{KeyStatus, KeyType, RateLimit},
    audit::ExportFormat,
    kinds::Kind,
    logo::Logo,
    members::MemberStatus,
    permissions::Permissions,
    profile::Certification,
};
use crate::domain::{
    Timestamp,
    actor::Actor,
    ids::{ApiKeyId, DataExportId, InvitationId, RoleId, UserId},
};

/// HMAC-SHA-256 of a normalized email under the salt of its directory row, in hexadecimal. It shows that an
/// address was the one meant, until the salt is erased.
pub type Commitment = String;

/// A value before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change<T> {
    /// Before.
    pub from: T,
    /// After.
    pub to: T,
}

/// An expiry before and after; none is never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpiryChange {
    /// Before.
    #[serde(with = "optional_time")]
    #[schemars(with = "Option<Timestamp>")]
    pub from: Option<Timestamp>,
    /// After.
    #[serde(with = "optional_time")]
    #[schemars(with = "Option<Timestamp>")]
    pub to: Option<Timestamp>,
}

/// Times in events: always six decimals and `Z`, so that one moment has one text under the hash.
mod time {
    use chrono::SubsecRound;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Timestamp;

    pub(super) fn text(at: &Timestamp) -> String {
        at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    }

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(at))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        // A time is what would be written of it.
        Ok(Timestamp::deserialize(deserializer)?.trunc_subsecs(6))
    }
}

/// The same for times that may be none.
mod optional_time {
    use chrono::SubsecRound;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::domain::Timestamp;

    #[expect(clippy::ref_option, reason = "the form that serde asks for")]
    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        at.as_ref().map(super::time::text).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<Timestamp>::deserialize(deserializer)?.map(|at| at.trunc_subsecs(6)))
    }
}

/// What is stored of a key's secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRecord {
    /// The public part of the key, by which it is looked up; unique over all organizations.
    pub public_id: String,
    /// SHA-256 of the whole key, in hexadecimal. No client ever sees it.
    #[schemars(skip)]
    pub hash: String,
}

/// An event of an organization. Serialized as `{type, data}`; `type` is the permanent name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the fields are named after what they are")]
pub enum Event {
    /// The organization began.
    #[serde(rename = "organization.created")]
    OrganizationCreated { kind: Kind, name: String, description: Option<String> },
    /// It got another name.
    #[serde(rename = "organization.renamed")]
    OrganizationRenamed { from: String, to: String },
    /// It got another description, or none.
    #[serde(rename = "organization.description_changed")]
    OrganizationDescriptionChanged { from: Option<String>, to: Option<String> },
    /// It got another logo, or none.
    #[serde(rename = "organization.logo_changed")]
    OrganizationLogoChanged { from: Option<Logo>, to: Option<Logo> },
    /// Invitations without a role give another one.
    #[serde(rename = "organization.default_role_changed")]
    OrganizationDefaultRoleChanged { from: RoleId, to: RoleId },
    /// Its owner asked the operator to certify it.
    #[serde(rename = "organization.certification_requested")]
    OrganizationCertificationRequested { from: Certification },
    /// The operator certified it: its members can be managed.
    #[serde(rename = "organization.certified")]
    OrganizationCertified {},
    /// The operator did not certify it; it may ask again.
    #[serde(rename = "organization.certification_rejected")]
    OrganizationCertificationRejected {},
    /// Somebody asked for a copy of everything that is kept about it.
    #[serde(rename = "organization.data_export_requested")]
    OrganizationDataExportRequested { export_id: DataExportId },
    /// The organization ended. This event stays as the tombstone.
    #[serde(rename = "organization.deleted")]
    OrganizationDeleted {},

    /// A person joined, for the first time or again.
    #[serde(rename = "member.joined")]
    MemberJoined {
        user_id: UserId,
        role_id: RoleId,
        invitation_id: Option<InvitationId>,
        invited_by: Option<Actor>,
        email_commitment: Commitment,
    },
    /// A member got another role.
    #[serde(rename = "member.role_changed")]
    MemberRoleChanged { user_id: UserId, from: RoleId, to: RoleId },
    /// A member became the owner, and the owner took another role: one event, so that there is always one owner.
    #[serde(rename = "member.ownership_transferred")]
    MemberOwnershipTransferred {
        user_id: UserId,
        from: RoleId,
        to: RoleId,
        former_owner_id: UserId,
        former_owner_role_id: RoleId,
    },
    /// A member was switched off.
    #[serde(rename = "member.deactivated")]
    MemberDeactivated { user_id: UserId },
    /// A member was switched on again.
    #[serde(rename = "member.reactivated")]
    MemberReactivated { user_id: UserId },
    /// A member was removed; the role and the status are those they had.
    #[serde(rename = "member.removed")]
    MemberRemoved { user_id: UserId, role_id: RoleId, status: MemberStatus },
    /// A member left; the role and the status are those they had.
    #[serde(rename = "member.left")]
    MemberLeft { user_id: UserId, role_id: RoleId, status: MemberStatus },

    /// A person was invited.
    #[serde(rename = "invitation.sent")]
    InvitationSent {
        invitation_id: InvitationId,
        user_id: UserId,
        role_id: RoleId,
        email_commitment: Commitment,
        invited_by: Actor,
        #[serde(with = "time")]
        #[schemars(with = "Timestamp")]
        sent_at: Timestamp,
        #[serde(with = "time")]
        #[schemars(with = "Timestamp")]
        expires_at: Timestamp,
    },
    /// The invitation was sent again: the older links died.
    #[serde(rename = "invitation.resent")]
    InvitationResent {
        invitation_id: InvitationId,
        generation: u32,
        invited_by: Actor,
        #[serde(with = "time")]
        #[schemars(with = "Timestamp")]
        sent_at: Timestamp,
        #[serde(with = "time")]
        #[schemars(with = "Timestamp")]
        expires_at: Timestamp,
    },
    /// A pending invitation gives another role, because its own was deleted. Who deleted it answers for the new one.
    #[serde(rename = "invitation.role_changed")]
    InvitationRoleChanged { invitation_id: InvitationId, from: RoleId, to: RoleId, invited_by: Actor },
    /// The invited person accepted.
    #[serde(rename = "invitation.accepted")]
    InvitationAccepted { invitation_id: InvitationId },
    /// The invited person declined.
    #[serde(rename = "invitation.declined")]
    InvitationDeclined { invitation_id: InvitationId },
    /// The invitation was withdrawn, or replaced by one with another role.
    #[serde(rename = "invitation.revoked")]
    InvitationRevoked { invitation_id: InvitationId },

    /// A custom role was made.
    #[serde(rename = "role.created")]
    RoleCreated {
        role_id: RoleId,
        key: String,
        name: String,
        description: Option<String>,
        level: u8,
        permissions: Permissions,
    },
    /// A custom role was edited; a field that stands here changed. Its holders have it from the next request on.
    #[serde(rename = "role.updated")]
    RoleUpdated {
        role_id: RoleId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Change<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Change<Option<String>>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level: Option<Change<u8>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        permissions: Option<Change<Permissions>>,
    },
    /// A custom role was deleted; nobody holds it any more. What it was stands here.
    #[serde(rename = "role.deleted")]
    RoleDeleted { role_id: RoleId, key: String, name: String, level: u8, permissions: Permissions },

    /// An API key was made.
    #[serde(rename = "api_key.created")]
    ApiKeyCreated {
        api_key_id: ApiKeyId,
        name: String,
        description: Option<String>,
        key_type: KeyType,
        permissions: Permissions,
        level: u8,
        rate_limit: Option<RateLimit>,
        #[serde(with = "optional_time")]
        #[schemars(with = "Option<Timestamp>")]
        expires_at: Option<Timestamp>,
        created_by: Actor,
        secret: SecretRecord,
    },
    /// A key's record was edited; a field that stands here changed.
    #[serde(rename = "api_key.updated")]
    ApiKeyUpdated {
        api_key_id: ApiKeyId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Change<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Change<Option<String>>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        permissions: Option<Change<Permissions>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate_limit: Option<Change<Option<RateLimit>>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<ExpiryChange>,
    },
    /// A key was switched off.
    #[serde(rename = "api_key.disabled")]
    ApiKeyDisabled { api_key_id: ApiKeyId },
    /// A key was switched on again.
    #[serde(rename = "api_key.enabled")]
    ApiKeyEnabled { api_key_id: ApiKeyId },
    /// A key got a new secret; the old one lives until the grace is over.
    #[serde(rename = "api_key.rotated")]
    ApiKeyRotated {
        api_key_id: ApiKeyId,
        secret: SecretRecord,
        #[serde(with = "time")]
        #[schemars(with = "Timestamp")]
        old_secret_until: Timestamp,
    },
    /// A key ended for good; the status is the one it had, the clock aside.
    #[serde(rename = "api_key.revoked")]
    ApiKeyRevoked { api_key_id: ApiKeyId, status: KeyStatus },

    /// The audit log was read as a file, the whole of it or what a filter took.
    #[serde(rename = "audit.exported")]
    AuditExported { format: ExportFormat, filtered: bool },
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the nouns")]
pub enum Target {
    Organization,
    Member(UserId),
    Invitation(InvitationId),
    Role(RoleId),
    ApiKey(ApiKeyId),
}

impl Event {
    /// The version of every event there is today.
    pub const VERSION: u32 = 1;

    /// The object that the event changed.
    #[must_use]
    pub const fn target(&self) -> Target {
        match self {
            Self::OrganizationCreated { .. }
            | Self::OrganizationRenamed { .. }
            | Self::OrganizationDescriptionChanged { .. }
            | Self::OrganizationLogoChanged { .. }
            | Self::OrganizationDefaultRoleChanged { .. }
            | Self::OrganizationCertificationRequested { .. }
            | Self::OrganizationCertified {}
            | Self::OrganizationCertificationRejected {}
            | Self::OrganizationDataExportRequested { .. }
            | Self::AuditExported { .. }
            | Self::OrganizationDeleted {} => Target::Organization,
            Self::MemberJoined { user_id, .. }
            | Self::MemberRoleChanged { user_id, .. }
            | Self::MemberOwnershipTransferred { user_id, .. }
            | Self::MemberDeactivated { user_id }
            | Self::MemberReactivated { user_id }
            | Self::MemberRemoved { user_id, .. }
            | Self::MemberLeft { user_id, .. } => Target::Member(*user_id),
            Self::InvitationSent { invitation_id, .. }
            | Self::InvitationResent { invitation_id, .. }
            | Self::InvitationRoleChanged { invitation_id, .. }
            | Self::InvitationAccepted { invitation_id }
            | Self::InvitationDeclined { invitation_id }
            | Self::InvitationRevoked { invitation_id } => Target::Invitation(*invitation_id),
            Self::RoleCreated { role_id, .. }
            | Self::RoleUpdated { role_id, .. }
            | Self::RoleDeleted { role_id, .. } => Target::Role(*role_id),
            Self::ApiKeyCreated { api_key_id, .. }
            | Self::ApiKeyUpdated { api_key_id, .. }
            | Self::ApiKeyDisabled { api_key_id }
            | Self::ApiKeyEnabled { api_key_id }
            | Self::ApiKeyRotated { api_key_id, .. }
            | Self::ApiKeyRevoked { api_key_id, .. } => Target::ApiKey(*api_key_id),
        }
    }

    /// Who has to be told that their access changed or ended.
    #[must_use]
    pub const fn concerned_member(&self) -> Option<UserId> {
        match self {
            Self::MemberRoleChanged { user_id, .. }
            | Self::MemberOwnershipTransferred { user_id, .. }
            | Self::MemberDeactivated { user_id }
            | Self::MemberRemoved { user_id, .. } => Some(*user_id),
            _ => None,
        }
    }

    /// The permanent name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OrganizationCreated { .. } => "organization.created",
            Self::OrganizationRenamed { .. } => "organization.renamed",
            Self::OrganizationDescriptionChanged { .. } => "organization.description_changed",
            Self::OrganizationLogoChanged { .. } => "organization.logo_changed",
            Self::OrganizationDefaultRoleChanged { .. } => "organization.default_role_changed",
            Self::OrganizationCertificationRequested { .. } => "organization.certification_requested",
            Self::OrganizationCertified {} => "organization.certified",
            Self::OrganizationCertificationRejected {} => "organization.certification_rejected",
            Self::OrganizationDataExportRequested { .. } => "organization.data_export_requested",
            Self::OrganizationDeleted {} => "organization.deleted",
            Self::MemberJoined { .. } => "member.joined",
            Self::MemberRoleChanged { .. } => "member.role_changed",
            Self::MemberOwnershipTransferred { .. } => "member.ownership_transferred",
            Self::MemberDeactivated { .. } => "member.deactivated",
            Self::MemberReactivated { .. } => "member.reactivated",
            Self::MemberRemoved { .. } => "member.removed",
            Self::MemberLeft { .. } => "member.left",
            Self::InvitationSent { .. } => "invitation.sent",
            Self::InvitationResent { .. } => "invitation.resent",
            Self::InvitationRoleChanged { .. } => "invitation.role_changed",
            Self::InvitationAccepted { .. } => "invitation.accepted",
            Self::InvitationDeclined { .. } => "invitation.declined",
            Self::InvitationRevoked { .. } => "invitation.revoked",
            Self::RoleCreated { .. } => "role.created",
            Self::RoleUpdated { .. } => "role.updated",
            Self::RoleDeleted { .. } => "role.deleted",
            Self::ApiKeyCreated { .. } => "api_key.created",
            Self::ApiKeyUpdated { .. } => "api_key.updated",
            Self::ApiKeyDisabled { .. } => "api_key.disabled",
            Self::ApiKeyEnabled { .. } => "api_key.enabled",
            Self::ApiKeyRotated { .. } => "api_key.rotated",
            Self::ApiKeyRevoked { .. } => "api_key.revoked",
            Self::AuditExported { .. } => "audit.exported",
        }
    }
}
