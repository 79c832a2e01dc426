//! The kinds of organization, as one table of data: roles, owner rule, and what is allowed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::permissions::{Permission as P, Permissions};
use crate::domain::ids::RoleId;

/// What an organization is for, fixed when it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// One person's own.
    Personal,
    /// A small group of equals: admins and members.
    #[default]
    Team,
    /// A company's workspace, with ranks and custom roles.
    Workspace,
    /// An enterprise with exactly one super admin, certified by the operator.
    Enterprise,
}

/// How many owners there have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerRule {
    /// Always one active owner or more.
    AtLeastOne,
    /// Always one; another becomes it by transfer only.
    ExactlyOne,
}

/// Whether members can be managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberManagement {
    /// There are no members beside the owner.
    Never,
    /// From the start.
    Always,
    /// Once the operator has certified the organization.
    OnceCertified,
}

/// A role that every organization of a kind has.
#[derive(Debug, PartialEq, Eq)]
pub struct BuiltInRole {
    /// The same in every organization.
    pub id: RoleId,
    /// The permanent key.
    pub key: &'static str,
    /// The name that is shown.
    pub name: &'static str,
    /// What the role is for.
    pub description: &'static str,
    /// The rank; 1 is the highest.
    pub level: u8,
    /// Whether who holds it owns the organization.
    pub owner: bool,
    /// What it allows.
    pub permissions: Permissions,
}

/// A row of the table.
#[derive(Debug)]
pub struct Rules {
    /// The permanent name of the kind.
    pub name: &'static str,
    /// The roles, highest first; the first is the owner's.
    pub roles: &'static [BuiltInRole],
    /// How many owners.
    pub owners: OwnerRule,
    /// Whether custom roles can be made.
    pub custom_roles: bool,
    /// Whether members can be managed.
    pub members: MemberManagement,
    /// Whether a person can make one; PERSONAL ones come with the person.
    pub created_by_people: bool,
}

const fn role(
    number: u128,
    key: &'static str,
    name: &'static str,
    description: &'static str,
    level: u8,
    permissions: Permissions,
) -> BuiltInRole {
    BuiltInRole { id: RoleId(Uuid::from_u128(number)), key, name, description, level, owner: level == 1, permissions }
}

const AUDITOR: Permissions =
    Permissions::of(&[P::MembersRead, P::ApiKeysRead, P::AuditRead, P::AuditExport, P::EventsSubscribe]);
const CO_ADMIN: Permissions =
    Permissions::ALL.without(Permissions::of(&[P::OrganizationDelete, P::RolesManage, P::BillingManage]));
const MANAGER: Permissions = Permissions::of(&[P::MembersRead, P::MembersInvite, P::AppsRead]);
const FINANCE_ADMIN: Permissions = Permissions::of(&[P::BillingRead, P::BillingManage, P::MembersRead]);
const DEV_ADMIN: Permissions = Permissions::of(&[
    P::AppsRead,
    P::AppsManage,
    P::ApiKeysRead,
    P::ApiKeysManage,
    P::AuditRead,
    P::EventsSubscribe,
    P::MembersRead,
    P::MembersInvite,
]);
const MEMBER: Permissions = Permissions::of(&[P::AppsRead]);
const TEAM_MEMBER: Permissions = Permissions::of(&[P::AppsRead, P::MembersRead]);

const REVIEWS: &str = "Reviews members, keys and history; changes nothing.";
const USES: &str = "Uses the organization's apps.";

#[rustfmt::skip]
static PERSONAL_ROLES: [BuiltInRole; 1] = [
    role(1, "OWNER", "Owner", "The person this belongs to.", 1, Permissions::ALL),
];
#[rustfmt::skip]
static TEAM_ROLES: [BuiltInRole; 3] = [
    role(2, "ADMIN", "Admin", "Manages everything.", 1, Permissions::ALL),
    role(3, "MEMBER", "Member", USES, 2, TEAM_MEMBER),
    role(4, "AUDITOR", "Auditor", REVIEWS, 2, AUDITOR),
];
#[rustfmt::skip]
static WORKSPACE_ROLES: [BuiltInRole; 5] = [
    role(2, "ADMIN", "Admin", "Manages everything.", 1, Permissions::ALL),
    role(5, "CO_ADMIN", "Co-Admin", "Manages everything but roles, billing and deletion.", 2, CO_ADMIN),
    role(6, "MANAGER", "Manager", "Sees members and invites new ones.", 3, MANAGER),
    role(3, "MEMBER", "Member", USES, 4, MEMBER),
    role(4, "AUDITOR", "Auditor", REVIEWS, 4, AUDITOR),
];
#[rustfmt::skip]
static ENTERPRISE_ROLES: [BuiltInRole; 5] = [
    role(7, "SUPER_ADMIN", "Super admin", "The one who manages everything.", 1, Permissions::ALL),
    role(8, "FINANCE_ADMIN", "Finance admin", "Manages billing.", 2, FINANCE_ADMIN),
    role(9, "DEV_ADMIN", "Developer admin", "Manages apps and API keys.", 2, DEV_ADMIN),
    role(3, "MEMBER", "Member", USES, 3, MEMBER),
    role(4, "AUDITOR", "Auditor", REVIEWS, 3, AUDITOR),
];

#[rustfmt::skip]
static PERSONAL: Rules = Rules { name: "PERSONAL", roles: &PERSONAL_ROLES, owners: OwnerRule::ExactlyOne, custom_roles: false, members: MemberManagement::Never, created_by_people: false };
#[rustfmt::skip]
static TEAM: Rules = Rules { name: "TEAM", roles: &TEAM_ROLES, owners: OwnerRule::AtLeastOne, custom_roles: false, members: MemberManagement::Always, created_by_people: true };
#[rustfmt::skip]
static WORKSPACE: Rules = Rules { name: "WORKSPACE", roles: &WORKSPACE_ROLES, owners: OwnerRule::AtLeastOne, custom_roles: true, members: MemberManagement::Always, created_by_people: true };
#[rustfmt::skip]
static ENTERPRISE: Rules = Rules { name: "ENTERPRISE", roles: &ENTERPRISE_ROLES, owners: OwnerRule::ExactlyOne, custom_roles: false, members: MemberManagement::OnceCertified, created_by_people: true };

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Personal, Self::Team, Self::Workspace, Self::Enterprise];

    /// What is true of organizations of this kind.
    #[must_use]
    pub fn rules(self) -> &'static Rules {
        match self {
            Self::Personal => &PERSONAL,
            Self::Team => &TEAM,
            Self::Workspace => &WORKSPACE,
            Self::Enterprise => &ENTERPRISE,
        }
    }

    /// The kind of a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.rules().name == name)
    }
}

impl Rules {
    /// The role of the owners.
    #[must_use]
    pub fn owner_role(&self) -> &'static BuiltInRole {
        &self.roles[0]
    }

    /// Whether the operator has to certify an organization before its members can be managed.
    #[must_use]
    pub fn needs_certification(&self) -> bool {
        self.members == MemberManagement::OnceCertified
    }

    /// The role that invitations give unless told otherwise: MEMBER, where there is one.
    #[must_use]
    pub fn default_invitation_role(&self) -> &'static BuiltInRole {
        self.roles.iter().find(|role| role.key == "MEMBER").unwrap_or(&self.roles[0])
    }
}
