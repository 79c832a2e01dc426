//! Who is told of what by letter: the categories of each event, and who hears of a category. Nobody is told what they
//! did themselves, or what a letter of its own has told them.

use super::{
    event::Event,
    kinds::Kind,
    permissions::{Permission as P, Permissions},
};
use crate::domain::{
    actor::Actor,
    ids::{RoleId, UserId},
};

/// What a notice is about. The order is permanent: what people do not want to hear of is kept as one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Members and invitations.
    Members,
    /// Roles, and which one invitations give.
    Roles,
    /// API keys.
    ApiKeys,
    /// Who controls the organization.
    Security,
    /// Billing, of which there are no events yet.
    Billing,
}

impl Category {
    /// The name, as the API has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Members => "MEMBERS",
            Self::Roles => "ROLES",
            Self::ApiKeys => "API_KEYS",
            Self::Security => "SECURITY",
            Self::Billing => "BILLING",
        }
    }

    /// Every category, in the order of the enum.
    pub const ALL: [Self; 5] = [Self::Members, Self::Roles, Self::ApiKeys, Self::Security, Self::Billing];

    /// What somebody has to hold to hear of it: what manages it, and what lets them read the same over the API, so that
    /// a letter never tells what is hidden from them there.
    #[must_use]
    pub const fn needs(self) -> Permissions {
        match self {
            Self::Members => Permissions::of(&[P::MembersUpdate, P::MembersRead, P::MembersInvite]),
            Self::Roles => Permissions::of(&[P::RolesManage]),
            Self::ApiKeys => Permissions::of(&[P::ApiKeysManage, P::ApiKeysRead]),
            Self::Security => Permissions::of(&[P::OrganizationDelete, P::MembersRead]),
            Self::Billing => Permissions::of(&[P::BillingRead]),
        }
    }

    /// Whether one may choose not to hear of it.
    #[must_use]
    pub const fn can_be_muted(self) -> bool {
        !matches!(self, Self::Security)
    }
}

/// A set of categories; one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Categories(u8);

impl Categories {
    /// None.
    pub const NONE: Self = Self(0);

    /// The set of these.
    #[must_use]
    pub fn of(categories: &[Category]) -> Self {
        categories.iter().fold(Self::NONE, |set, category| set.with(*category))
    }

    /// The set with this one in it.
    #[must_use]
    pub const fn with(self, category: Category) -> Self {
        Self(self.0 | 1 << category as u8)
    }

    /// What is in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the category is in the set.
    #[must_use]
    pub const fn has(self, category: Category) -> bool {
        self.0 & (1 << category as u8) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The categories, in their order.
    pub fn iter(self) -> impl Iterator<Item = Category> {
        Category::ALL.into_iter().filter(move |category| self.has(*category))
    }

    /// As a column holds it.
    #[must_use]
    pub fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// From a column; bits that no category has are dropped.
    #[must_use]
    pub fn from_bits(bits: i64) -> Self {
        let known = Category::ALL.into_iter().filter(|category| bits & (1 << *category as u8) != 0);
        known.fold(Self::NONE, Self::with)
    }
}

impl Event {
    /// The one table of what belongs where; an event that stands in no category is told nobody. Who becomes an owner or
    /// ceases to be one is news of two kinds: for who manages members, and for the other owners.
    #[must_use]
    pub fn categories(&self) -> Categories {
        let members = |roles: &[RoleId]| {
            let members = Categories::of(&[Category::Members]);
            if roles.iter().copied().any(is_owner) { members.with(Category::Security) } else { members }
        };
        match self {
            // Everybody sees what the organization is called; the deletion takes every letter with it; and who is in is
            // told by `member.joined`.
            Self::OrganizationCreated { .. }
            | Self::OrganizationRenamed { .. }
            | Self::OrganizationDescriptionChanged { .. }
            | Self::OrganizationLogoChanged { .. }
            | Self::OrganizationCertificationRequested { .. }
            | Self::OrganizationDeleted {}
            | Self::InvitationAccepted { .. } => Categories::NONE,
            // Whoever takes the data along is told of to those who answer for it.
            Self::OrganizationCertified {}
            | Self::OrganizationCertificationRejected {}
            | Self::OrganizationDataExportRequested { .. }
            | Self::AuditExported { .. } => Categories::of(&[Category::Security]),
            Self::MemberOwnershipTransferred { .. } => Categories::of(&[Category::Members, Category::Security]),
            Self::MemberJoined { role_id, .. }
            | Self::MemberRemoved { role_id, .. }
            | Self::MemberLeft { role_id, .. } => members(&[*role_id]),
            Self::MemberRoleChanged { from, to, .. } => members(&[*from, *to]),
            Self::MemberDeactivated { .. }
            | Self::MemberReactivated { .. }
            | Self::InvitationSent { .. }
            | Self::InvitationResent { .. }
            | Self::InvitationRoleChanged { .. }
            | Self::InvitationDeclined { .. }
            | Self::InvitationRevoked { .. } => members(&[]),
            Self::OrganizationDefaultRoleChanged { .. }
            | Self::RoleCreated { .. }
            | Self::RoleUpdated { .. }
            | Self::RoleDeleted { .. } => Categories::of(&[Category::Roles]),
            Self::ApiKeyCreated { .. }
            | Self::ApiKeyUpdated { .. }
            | Self::ApiKeyDisabled { .. }
            | Self::ApiKeyEnabled { .. }
            | Self::ApiKeyRotated { .. }
            | Self::ApiKeyRevoked { .. } => Categories::of(&[Category::ApiKeys]),
        }
    }
}

/// Whether the role is the one of the owners, of whatever kind the organization is: no role of one kind has the id of
/// another's owner role.
fn is_owner(role: RoleId) -> bool {
    Kind::ALL.into_iter().any(|kind| kind.rules().owner_role().id == role)
}

/// An active member, as they are at the moment of a letter.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Who.
    pub user: UserId,
    /// What they hold.
    pub permissions: Permissions,
    /// What they chose not to hear of.
    pub muted: Categories,
}

impl Reader {
    /// Whether they hear of a category.
    #[must_use]
    pub const fn hears(&self, category: Category) -> bool {
        let muted = category.can_be_muted() && self.muted.has(category);
        category.needs().without(self.permissions).is_empty() && !muted
    }

    /// Whether an event is news to them.
    #[must_use]
    pub fn is_told(&self, event: &Event, actor: Option<Actor>) -> bool {
        let by_a_letter_of_its_own = match event {
            Event::InvitationSent { user_id, .. } => Some(*user_id),
            event => event.concerned_member(),
        };
        actor != Some(Actor::User(self.user))
            && by_a_letter_of_its_own != Some(self.user)
            && event.categories().iter().any(|category| self.hears(category))
    }
}
