//! Every action, event and refusal there is, by name. A new one that stands in no list here does not compile, and
//! one that stands here has to be met.

use super::*;

/// Makes the list of all variants of a type and the function that names them, from one list.
macro_rules! every {
    ($list:ident, $name_of:ident, $of:ident: $($variant:ident)+) => {
        pub(super) const $list: &[&str] = &[$(stringify!($variant)),+];

        pub(super) const fn $name_of(of: &$of) -> &'static str {
            match of {
                $($of::$variant { .. } => stringify!($variant),)+
            }
        }
    };
}

/// The same of the actions, which are also wished for, each as often as its number says.
macro_rules! wishes {
    ($($wish:ident $weight:literal)+) => {
        /// What a step asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Wish {
            $($wish),+
        }

        impl Wish {
            pub(super) const ALL: &[(usize, Self)] = &[$(($weight, Self::$wish)),+];

            pub(super) const fn of(action: &Action) -> Self {
                match action {
                    $(Action::$wish { .. } => Self::$wish,)+
                }
            }
        }

        every! { ACTIONS, action_name, Action: $($wish)+ }
    };
}

wishes! {
    CreateOrganization 1
    CreatePersonalOrganization 1
    UpdateOrganization 5
    SetLogo 1
    RemoveLogo 1
    LeaveOrganization 2
    DeleteOrganization 2
    RequestCertification 3
    DecideCertification 3
    RequestDataExport 2
    ErasePerson 2
    TransferOwnership 3
    ChangeMemberRole 10
    DeactivateMember 5
    ReactivateMember 5
    RemoveMember 4
    InviteMembers 12
    ResendInvitation 5
    RevokeInvitation 2
    AcceptInvitation 12
    DeclineInvitation 2
    CreateRole 7
    UpdateRole 9
    DeleteRole 8
    CreateApiKey 8
    UpdateApiKey 6
    DisableApiKey 3
    EnableApiKey 4
    RotateApiKey 4
    RevokeApiKey 2
    ExportAuditLog 1
}

every! { EVENTS, event_name, Event:
    OrganizationCreated
    OrganizationRenamed
    OrganizationDescriptionChanged
    OrganizationLogoChanged
    OrganizationDefaultRoleChanged
    OrganizationCertificationRequested
    OrganizationCertified
    OrganizationCertificationRejected
    OrganizationDataExportRequested
    OrganizationDeleted
    MemberJoined
    MemberRoleChanged
    MemberOwnershipTransferred
    MemberDeactivated
    MemberReactivated
    MemberRemoved
    MemberLeft
    InvitationSent
    InvitationResent
    InvitationRoleChanged
    InvitationAccepted
    InvitationDeclined
    InvitationRevoked
    RoleCreated
    RoleUpdated
    RoleDeleted
    ApiKeyCreated
    ApiKeyUpdated
    ApiKeyDisabled
    ApiKeyEnabled
    ApiKeyRotated
    ApiKeyRevoked
    AuditExported
}

every! { REFUSALS, refusal_name, Refusal:
    NotFound
    MemberInactive
    UserRequired
    MembersNotAvailable
    NotCertified
    PermissionRequired
    RankTooLow
    OwnerMustTransfer
    RoleNotAssignable
    PermissionNotHeld
    LastOwner
    StillOwner
    RoleInUse
    NameTaken
    AlreadyAMember
    InvitationPending
    InvitationExpired
    InvitationClosed
    WrongRecipient
    InviterCannotGrant
    LimitReached
    InvalidInput
    NotPossible
    VersionMismatch
    IdempotencyMismatch
    SessionRequired
    Conflict
}

/// What the rules never say: it is said around them, by who keeps the answers and by who writes.
pub(super) const SAID_ELSEWHERE: [&str; 4] = ["IdempotencyMismatch", "SessionRequired", "StillOwner", "Conflict"];
