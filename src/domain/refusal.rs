//! What the caller may fix: every rule that can say no, with its code, its sentence and its facts.

use std::borrow::Cow;

use super::{
    ids::OrganizationId,
    organization::{
        kinds::OwnerRule,
        permissions::{Permission, Permissions},
    },
};

/// A rule said no, and nothing was changed. A refusal is an answer, not a failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Unknown, deleted, or not for this caller; the three are never told apart.
    #[error("Not found.")]
    NotFound {
        /// The input that named it.
        field: &'static str,
    },
    /// The caller's membership is switched off.
    #[error("Your membership is inactive.")]
    MemberInactive,
    /// Only a person can do this, and an API key tried.
    #[error("Only a signed-in person can do this.")]
    UserRequired,
    /// This ends the caller's session, and they have none: they came with a token of their identity provider.
    #[error("You are signed in by your identity provider and have no session here: sign out there.")]
    SessionRequired,
    /// The kind of organization has no members to manage.
    #[error("A personal organization has no member management.")]
    MembersNotAvailable,
    /// The organization has to be certified first.
    #[error("This organization must be certified first.")]
    NotCertified,
    /// The caller's role or key lacks a permission.
    #[error("This needs the permission {0}.")]
    PermissionRequired(Permission),
    /// The target stands as high as the caller, or higher.
    #[error("This needs a higher rank than yours.")]
    RankTooLow,
    /// The one owner changes by transfer only.
    #[error("This organization always has its one owner: transfer the ownership first, or delete the organization.")]
    OwnerMustTransfer,
    /// The role is not below the giver's own.
    #[error("You cannot give the role {role}.")]
    RoleNotAssignable {
        /// The key of that role.
        role: String,
    },
    /// The giver does not hold what they would give.
    #[error("You cannot give permissions that you do not hold yourself.")]
    PermissionNotHeld {
        /// What is missing.
        missing: Permissions,
    },
    /// There would be no active owner left.
    #[error("The organization would have no active owner left: promote somebody first, or delete it.")]
    LastOwner,
    /// Somebody who is to be erased owns an organization that would be without its owner.
    #[error("{}", still_owned(name, *rule))]
    StillOwner {
        /// The organization.
        organization: OrganizationId,
        /// Its name.
        name: String,
        /// How many owners it has to have.
        rule: OwnerRule,
    },
    /// A role that somebody holds or is invited with, or that invitations give by default, is to be deleted.
    #[error("This role is in use: say which role takes its place.")]
    RoleInUse {
        /// How many members hold it.
        member_count: u32,
        /// How many pending invitations give it.
        invitation_count: u32,
    },
    /// Another role or living key has the name.
    #[error("This name is taken.")]
    NameTaken,
    /// The invited person belongs to the organization already.
    #[error("This person is a member already.")]
    AlreadyAMember,
    /// Another invitation of the same person is open, with another role.
    #[error("An invitation with another role is pending: replace it to change the role.")]
    InvitationPending,
    /// The invitation's time is over.
    #[error("This invitation has expired.")]
    InvitationExpired,
    /// The invitation has ended, or the link is an old one.
    #[error("This invitation is closed.")]
    InvitationClosed,
    /// Somebody else was invited.
    #[error("This invitation is for {masked}.")]
    WrongRecipient {
        /// The invited address, masked.
        masked: String,
    },
    /// Who invited could no longer give the role.
    #[error("Who sent this invitation can no longer give its role: ask for a new one.")]
    InviterCannotGrant,
    /// A number of the specification is reached.
    #[error("The limit of {limit} {what} is reached.")]
    LimitReached {
        /// The limit.
        limit: u32,
        /// What it counts, in the plural.
        what: &'static str,
    },
    /// An input is not what it has to be.
    #[error("{field} {message}.")]
    InvalidInput {
        /// The input.
        field: Cow<'static, str>,
        /// What it has to be, as the rest of a sentence.
        message: Cow<'static, str>,
    },
    /// What is asked does not go with what it is asked of, whoever asks.
    #[error("{sentence}")]
    NotPossible {
        /// The input that names what it is asked of.
        field: &'static str,
        /// Why it does not go.
        sentence: &'static str,
    },
    /// The object has changed since the caller looked.
    #[error("This was changed in the meantime: it is at version {actual}, not {expected}.")]
    VersionMismatch {
        /// What the caller expected.
        expected: u64,
        /// What it is.
        actual: u64,
    },
    /// The idempotency key was used for something else.
    #[error("This idempotency key was used with another input.")]
    IdempotencyMismatch,
    /// The change kept colliding with others until the request's time was over.
    #[error("Others kept changing this organization: try again.")]
    Conflict,
}

impl Refusal {
    /// A refusal of one input.
    pub fn invalid(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidInput { field: field.into(), message: message.into() }
    }

    /// The permanent code, as clients switch on it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "NOT_FOUND",
            Self::MemberInactive => "MEMBER_INACTIVE",
            Self::UserRequired => "USER_REQUIRED",
            Self::SessionRequired => "SESSION_REQUIRED",
            Self::MembersNotAvailable => "MEMBERS_NOT_AVAILABLE",
            Self::NotCertified => "NOT_CERTIFIED",
            Self::PermissionRequired(_) => "PERMISSION_REQUIRED",
            Self::RankTooLow => "RANK_TOO_LOW",
            Self::OwnerMustTransfer | Self::StillOwner { rule: OwnerRule::ExactlyOne, .. } => "OWNER_MUST_TRANSFER",
            Self::RoleNotAssignable { .. } => "ROLE_NOT_ASSIGNABLE",
            Self::PermissionNotHeld { .. } => "PERMISSION_NOT_HELD",
            Self::LastOwner | Self::StillOwner { rule: OwnerRule::AtLeastOne, .. } => "LAST_OWNER",
            Self::RoleInUse { .. } => "ROLE_IN_USE",
            Self::NameTaken => "NAME_TAKEN",
            Self::AlreadyAMember => "ALREADY_A_MEMBER",
            Self::InvitationPending => "INVITATION_PENDING",
            Self::InvitationExpired => "INVITATION_EXPIRED",
            Self::InvitationClosed => "INVITATION_CLOSED",
            Self::WrongRecipient { .. } => "WRONG_RECIPIENT",
            Self::InviterCannotGrant => "INVITER_CANNOT_GRANT",
            Self::LimitReached { .. } => "LIMIT_REACHED",
            Self::InvalidInput { .. } | Self::NotPossible { .. } => "INVALID_INPUT",
            Self::VersionMismatch { .. } => "VERSION_MISMATCH",
            Self::IdempotencyMismatch => "IDEMPOTENCY_MISMATCH",
            Self::Conflict => "CONFLICT",
        }
    }

    /// The input to point at, where there is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::NotFound { field } | Self::NotPossible { field, .. } => Some(field),
            Self::InvalidInput { field, .. } => Some(field),
            Self::RoleNotAssignable { .. } => Some("roleId"),
            Self::RoleInUse { .. } => Some("reassignToRoleId"),
            Self::NameTaken => Some("name"),
            Self::PermissionNotHeld { .. } => Some("permissions"),
            Self::VersionMismatch { .. } => Some("expectedVersion"),
            Self::IdempotencyMismatch => Some("idempotencyKey"),
            _ => None,
        }
    }
}

/// What is to be done about an organization before its owner can be erased.
fn still_owned(name: &str, rule: OwnerRule) -> String {
    match rule {
        OwnerRule::ExactlyOne => {
            format!("{name} always has its one owner: transfer its ownership first, or delete the organization.")
        }
        OwnerRule::AtLeastOne => {
            format!("{name} would have no active owner left: promote somebody first, or delete the organization.")
        }
    }
}
