//! What a role or a key allows, as a closed set.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One permission. The names are permanent: they stand in events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "INFO says what each one allows")]
pub enum Permission {
    OrganizationUpdate,
    OrganizationDelete,
    MembersRead,
    MembersInvite,
    MembersUpdate,
    MembersAssignRole,
    MembersRemove,
    RolesManage,
    ApiKeysRead,
    ApiKeysManage,
    AppsRead,
    AppsManage,
    BillingRead,
    BillingManage,
    AuditRead,
    AuditExport,
    EventsSubscribe,
    DataExport,
}

/// How a permission is presented.
pub struct PermissionInfo {
    /// The permission.
    pub permission: Permission,
    /// Its permanent name.
    pub name: &'static str,
    /// The group it is listed in.
    pub group: PermissionGroup,
    /// A short title.
    pub title: &'static str,
    /// What it allows, in a sentence.
    pub description: &'static str,
}

/// A group of permissions on a settings page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermissionGroup {
    /// The permanent name.
    pub name: &'static str,
    /// The title.
    pub title: &'static str,
}

const ORGANIZATION: PermissionGroup = PermissionGroup { name: "ORGANIZATION", title: "Organization" };
const MEMBERS: PermissionGroup = PermissionGroup { name: "MEMBERS", title: "Members" };
const ROLES: PermissionGroup = PermissionGroup { name: "ROLES", title: "Roles" };
const API_KEYS: PermissionGroup = PermissionGroup { name: "API_KEYS", title: "API keys" };
const APPS: PermissionGroup = PermissionGroup { name: "APPS", title: "Apps" };
const BILLING: PermissionGroup = PermissionGroup { name: "BILLING", title: "Billing" };
const AUDIT: PermissionGroup = PermissionGroup { name: "AUDIT", title: "Audit" };
const DATA: PermissionGroup = PermissionGroup { name: "DATA", title: "Data" };

const fn info(
    permission: Permission,
    name: &'static str,
    group: PermissionGroup,
    title: &'static str,
    description: &'static str,
) -> PermissionInfo {
    PermissionInfo { permission, name, group, title, description }
}

use Permission as P;

/// Every permission, in the order of the enum and grouped.
#[rustfmt::skip]
pub static INFO: [PermissionInfo; 18] = [
    info(P::OrganizationUpdate, "ORGANIZATION_UPDATE", ORGANIZATION, "Edit the organization", "Change name, description, logo and settings."),
    info(P::OrganizationDelete, "ORGANIZATION_DELETE", ORGANIZATION, "Delete the organization", "Delete the organization for good."),
    info(P::MembersRead, "MEMBERS_READ", MEMBERS, "See members", "List members and see their profiles and history."),
    info(P::MembersInvite, "MEMBERS_INVITE", MEMBERS, "Invite", "Invite people; list, resend and revoke invitations."),
    info(P::MembersUpdate, "MEMBERS_UPDATE", MEMBERS, "Deactivate and reactivate", "Switch members off and on."),
    info(P::MembersAssignRole, "MEMBERS_ASSIGN_ROLE", MEMBERS, "Assign roles", "Change the roles of members below one's own rank."),
    info(P::MembersRemove, "MEMBERS_REMOVE", MEMBERS, "Remove members", "Remove members below one's own rank."),
    info(P::RolesManage, "ROLES_MANAGE", ROLES, "Manage roles", "Create, edit and delete custom roles."),
    info(P::ApiKeysRead, "API_KEYS_READ", API_KEYS, "See API keys", "List API keys; never their secrets."),
    info(P::ApiKeysManage, "API_KEYS_MANAGE", API_KEYS, "Manage API keys", "Create, edit, disable, enable, rotate and revoke API keys."),
    info(P::AppsRead, "APPS_READ", APPS, "Use apps", "See and use the apps of the organization."),
    info(P::AppsManage, "APPS_MANAGE", APPS, "Manage apps", "Install, configure and remove apps."),
    info(P::BillingRead, "BILLING_READ", BILLING, "See billing", "See plan, invoices and payment methods."),
    info(P::BillingManage, "BILLING_MANAGE", BILLING, "Manage billing", "Change plan and payment methods."),
    info(P::AuditRead, "AUDIT_READ", AUDIT, "Read the audit log", "Read the audit log and the events."),
    info(P::AuditExport, "AUDIT_EXPORT", AUDIT, "Export the audit log", "Export the audit log with its proof."),
    info(P::EventsSubscribe, "EVENTS_SUBSCRIBE", AUDIT, "Subscribe to events", "Receive every event as it happens."),
    info(P::DataExport, "DATA_EXPORT", DATA, "Export data", "Export the data of the organization."),
];

impl Permission {
    /// The permanent name.
    #[must_use]
    pub fn name(self) -> &'static str {
        INFO[self as usize].name
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of permissions; one bit each, in the order of [`INFO`]. In events it is the list of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(description = "Names of permissions.")]
pub struct Permissions(#[schemars(with = "Vec<String>")] u32);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every permission there is.
    pub const ALL: Self = Self((1 << INFO.len()) - 1);

    /// The set of these.
    #[must_use]
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < permissions.len() {
            bits |= 1 << permissions[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// Whether the permission is in the set.
    #[must_use]
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u32) != 0
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The permissions, in the order of [`INFO`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        INFO.iter().map(|info| info.permission).filter(move |permission| self.has(*permission))
    }

    /// As a column holds it.
    #[must_use]
    pub fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// From a column; bits that no permission has are dropped.
    #[must_use]
    pub fn from_bits(bits: i64) -> Self {
        Self(u32::try_from(bits & i64::from(Self::ALL.0)).unwrap_or_default())
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Permission>::deserialize(deserializer).map(|list| Self::of(&list))
    }
}
