//! What can be asked of an organization. Everything that `decide` needs and cannot know comes inside: the time,
//! new ids, hashes of secrets, commitments, and what only the directory knows.

use super::{
    api_keys::{Grace, KeyType, RateLimit},
    audit::ExportFormat,
    event::{Commitment, SecretRecord},
    kinds::Kind,
    logo::Logo,
    permissions::Permissions,
    profile::CertificationDecision,
    roles::Level,
};
use crate::domain::{
    Timestamp,
    actor::Actor,
    ids::{ApiKeyId, DataExportId, InvitationId, RoleId, UserId},
    values::{Name, Text},
};

/// One command: who, when, on which version, what.
#[derive(Clone, Debug)]
pub struct Command {
    /// Who gives it.
    pub actor: Actor,
    /// When it is decided.
    pub now: Timestamp,
    /// The version the changed object has to have, where the caller cares.
    pub expected_version: Option<u64>,
    /// What is asked.
    pub action: Action,
}

/// What happens to the API keys that a person created when their membership ends or rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CreatedKeys {
    /// They live on: a key belongs to the organization.
    #[default]
    Keep,
    /// They are switched off.
    Disable,
    /// They end for good.
    Revoke,
}

/// What is asked. The names are those of the mutations.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of the mutations and of the events")]
pub enum Action {
    CreateOrganization {
        kind: Kind,
        name: Name,
        description: Option<Text>,
        email_commitment: Commitment,
        /// How many organizations the person belongs to already.
        organizations: u32,
    },
    /// The one that comes with a person; nothing happens where it is there.
    CreatePersonalOrganization {
        email_commitment: Commitment,
    },
    UpdateOrganization {
        name: Option<Name>,
        description: Option<Option<Text>>,
        default_role: Option<RoleId>,
    },
    /// The picture is decoded, encoded anew and kept already; whoever asked for the upload gives the command.
    SetLogo {
        logo: Logo,
    },
    RemoveLogo,
    LeaveOrganization {
        created_keys: CreatedKeys,
    },
    DeleteOrganization {
        confirm_name: String,
    },
    RequestCertification,
    /// The operator's answer to a request; only the operator gives it.
    DecideCertification {
        decision: CertificationDecision,
    },
    /// Nothing happens where one is being made, or was a moment ago.
    RequestDataExport {
        /// The id that it gets if it is a new one.
        export: DataExportId,
        /// The last one, if it is of no use any more: too old, failed or gone. What the store alone knows.
        outlived: Option<DataExportId>,
    },
    /// A person is being erased. Their PERSONAL organization ends; elsewhere their membership does, and the invitation
    /// that they have. They ask for it themselves or the operator does, and where nothing of them is nothing happens.
    ErasePerson {
        user: UserId,
    },
    TransferOwnership {
        /// Who becomes the owner.
        member: UserId,
        /// What the old owner becomes; MEMBER, if none is named.
        former_owner_role: Option<RoleId>,
    },
    ChangeMemberRole {
        member: UserId,
        role: RoleId,
    },
    DeactivateMember {
        member: UserId,
        created_keys: CreatedKeys,
    },
    ReactivateMember {
        member: UserId,
    },
    RemoveMember {
        member: UserId,
        created_keys: CreatedKeys,
    },
    InviteMembers {
        rows: Vec<InvitationRow>,
        expires_at: Timestamp,
    },
    ResendInvitation {
        invitation: InvitationId,
        expires_at: Timestamp,
    },
    RevokeInvitation {
        invitation: InvitationId,
    },
    AcceptInvitation {
        invitation: InvitationId,
        /// The generation of the link; none when accepted from one's own list.
        generation: Option<u32>,
        email_commitment: Commitment,
        /// How many organizations the person belongs to already.
        organizations: u32,
        /// The invited address, masked, to say whom the invitation is for.
        masked_email: String,
    },
    DeclineInvitation {
        invitation: InvitationId,
        generation: Option<u32>,
        masked_email: String,
    },
    CreateRole {
        role: RoleId,
        name: Name,
        description: Option<Text>,
        level: Level,
        permissions: Permissions,
    },
    UpdateRole {
        role: RoleId,
        name: Option<Name>,
        description: Option<Option<Text>>,
        level: Option<Level>,
        permissions: Option<Permissions>,
    },
    DeleteRole {
        role: RoleId,
        /// Which role takes its place, where it is in use.
        reassign_to: Option<RoleId>,
    },
    CreateApiKey {
        api_key: ApiKeyId,
        name: Name,
        description: Option<Text>,
        key_type: KeyType,
        permissions: Permissions,
        rate_limit: Option<RateLimit>,
        expires_at: Option<Timestamp>,
        secret: SecretRecord,
    },
    UpdateApiKey {
        api_key: ApiKeyId,
        name: Option<Name>,
        description: Option<Option<Text>>,
        permissions: Option<Permissions>,
        rate_limit: Option<Option<RateLimit>>,
        expires_at: Option<Option<Timestamp>>,
    },
    DisableApiKey {
        api_key: ApiKeyId,
    },
    EnableApiKey {
        api_key: ApiKeyId,
    },
    RotateApiKey {
        api_key: ApiKeyId,
        secret: SecretRecord,
        grace: Grace,
    },
    RevokeApiKey {
        api_key: ApiKeyId,
    },
    /// It is read as a file afterwards.
    ExportAuditLog {
        format: ExportFormat,
        /// Whether only a part is read.
        filtered: bool,
    },
}

impl Action {
    /// Whether who gives the command has no access afterwards.
    #[must_use]
    pub const fn ends_own_access(&self) -> bool {
        matches!(self, Self::LeaveOrganization { .. } | Self::DeleteOrganization { .. })
    }
}

/// One person to invite.
#[derive(Clone, Debug)]
pub struct InvitationRow {
    /// The id that the invitation gets if it is a new one.
    pub invitation: InvitationId,
    /// The person of the directory behind the address.
    pub user: UserId,
    /// The role to give; the default one if none is named.
    pub role: Option<RoleId>,
    /// Whether a pending invitation with another role is replaced.
    pub replace: bool,
    /// The commitment to the address.
    pub email_commitment: Commitment,
}
