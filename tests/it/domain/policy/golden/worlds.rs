//! The organizations of the access policy: two people for each role, one who rests, one who was removed, and a key
//! that holds everything a key can hold.

use orgledger::domain::organization::{members::MemberStatus, profile::Certification};

use super::*;

/// The custom role, in the middle of the ranks of a WORKSPACE.
pub(super) const LEAD: RoleId = RoleId(Uuid::from_u128(0xC000_0001));
/// What it is called there.
const LEAD_KEY: &str = "PEOPLE_LEAD";

const RESTING: UserId = person(90);
const REMOVED: UserId = person(91);
/// The key that acts. Its level is the highest that a key can have.
const ACTING_KEY: ApiKeyId = key(90);

/// A role as the tables need it.
#[derive(Clone, Debug)]
pub(super) struct Rank {
    pub(super) id: RoleId,
    pub(super) key: String,
    pub(super) level: u8,
    pub(super) owner: bool,
}

/// An organization, its roles and its people.
pub(super) struct World {
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    pub(super) certified: bool,
    pub(super) story: Story,
    pub(super) roles: Vec<Rank>,
    people: Vec<(UserId, Rank)>,
}

/// Who asks.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) title: String,
    pub(super) actor: Actor,
    pub(super) level: u8,
    pub(super) owner: bool,
    pub(super) role: Option<RoleId>,
    pub(super) permissions: Permissions,
}

/// Where somebody or something stands, seen from who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    Above,
    Beside,
    Below,
}

impl Where {
    pub(super) const ALL: [Self; 3] = [Self::Above, Self::Beside, Self::Below];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Beside => "beside",
            Self::Below => "below",
        }
    }

    /// Whether that level stands there, seen from the other one.
    pub(super) const fn is(self, level: u8, from: u8) -> bool {
        match self {
            Self::Above => level < from,
            Self::Beside => level == from,
            Self::Below => level > from,
        }
    }
}

impl World {
    /// An ENTERPRISE is certified or not; the others never ask.
    pub(super) fn new(title: &'static str, kind: Kind, certified: bool) -> Self {
        let rules = kind.rules();
        let mut story =
            nothing().given(Event::OrganizationCreated { kind, name: "Acme".to_owned(), description: None });
        if certified {
            story = story
                .given(Event::OrganizationCertificationRequested { from: Certification::NotRequested })
                .given(Event::OrganizationCertified {});
        }
        if rules.custom_roles {
            story = story.given(people_lead());
        }
        let mut ranks: Vec<_> = story
            .organization
            .roles()
            .map(|(id, role)| Rank { id, key: role.key.clone(), level: role.level, owner: role.owner })
            .collect();
        // Highest first, and beside each other in the order of the specification's table.
        let place = |rank: &Rank| rules.roles.iter().position(|role| role.id == rank.id).unwrap_or(usize::MAX);
        ranks.sort_by_key(|rank| (rank.level, place(rank)));

        let mut world = Self { title, kind, certified, story, roles: ranks, people: vec![] };
        for (index, rank) in (0_u128..).zip(world.roles.clone()) {
            let alone = rank.owner && rules.owners == OwnerRule::ExactlyOne;
            for user in [person(100 + 2 * index), person(101 + 2 * index)].into_iter().take(2 - usize::from(alone)) {
                world.story = world.story.given(joined(user, rank.id));
                world.people.push((user, rank.clone()));
            }
        }
        let acting_key = new_key(ACTING_KEY).named("acting").all().created(world.owner(), 2);
        world.story = world.story.given(acting_key);
        if kind != Kind::Personal {
            let rank = world.resting_rank();
            world.story = world.story.given(joined(RESTING, rank)).given(Event::MemberDeactivated { user_id: RESTING });
            let (user_id, role_id, status) = (REMOVED, role("MEMBER"), MemberStatus::Active);
            world.story =
                world.story.given(joined(user_id, role_id)).given(Event::MemberRemoved { user_id, role_id, status });
        }
        world
    }

    /// As high as somebody who rests can stand.
    fn resting_rank(&self) -> RoleId {
        let one_owner = self.kind.rules().owners == OwnerRule::ExactlyOne;
        self.roles.iter().find(|rank| !(rank.owner && one_owner)).map_or(LEAD, |rank| rank.id)
    }

    /// The first person of the owners' role.
    pub(super) fn owner(&self) -> UserId {
        self.people[0].0
    }

    /// Who asks in a column of their own: one person for each role, and the key.
    pub(super) fn columns(&self) -> Vec<Seat> {
        let first = |rank: &Rank| self.people.iter().find(|(_, held)| held.id == rank.id).map(|(user, _)| *user);
        let people = self.roles.iter().filter_map(|rank| Some(self.seat(&rank.key, first(rank)?, rank)));
        let acting = Seat {
            title: "an API key".to_owned(),
            actor: ACTING_KEY.actor(),
            level: 2,
            owner: false,
            role: None,
            permissions: Permissions::ALL,
        };
        people.chain([acting]).collect()
    }

    /// Who meets the same answer nearly everywhere.
    pub(super) fn bystanders(&self) -> Vec<Seat> {
        let lowest = &self.roles[self.roles.len() - 1];
        let outsider = self.seat("somebody who is no member", person(92), lowest);
        if self.kind == Kind::Personal {
            return vec![outsider];
        }
        let resting = self.roles.iter().find(|rank| rank.id == self.resting_rank()).unwrap_or(lowest);
        vec![outsider, self.seat("a former member", REMOVED, lowest), self.seat("an inactive member", RESTING, resting)]
    }

    fn seat(&self, title: &str, user: UserId, rank: &Rank) -> Seat {
        let mut roles = self.story.organization.roles();
        Seat {
            title: title.to_owned(),
            actor: user.actor(),
            level: rank.level,
            owner: rank.owner,
            role: Some(rank.id),
            permissions: roles.find(|(id, _)| *id == rank.id).map_or(Permissions::NONE, |(_, role)| role.permissions),
        }
    }

    /// The other people who stand there.
    pub(super) fn others<'a>(&'a self, seat: &'a Seat, place: Where) -> impl Iterator<Item = (UserId, &'a Rank)> {
        let there =
            move |(user, rank): &&(UserId, Rank)| user.actor() != seat.actor && place.is(rank.level, seat.level);
        self.people.iter().filter(there).map(|(user, rank)| (*user, rank))
    }

    /// Without the other owners, where there are some.
    pub(super) fn with_one_owner(&self, seat: &Seat) -> Story {
        let others = self.people.iter().filter(|(user, rank)| rank.owner && user.actor() != seat.actor);
        others.fold(self.story.clone(), |story, (user_id, rank)| {
            story.given(Event::MemberRemoved { user_id: *user_id, role_id: rank.id, status: MemberStatus::Active })
        })
    }
}

fn people_lead() -> Event {
    Event::RoleCreated {
        role_id: LEAD,
        key: LEAD_KEY.to_owned(),
        name: "People lead".to_owned(),
        description: None,
        level: 3,
        permissions: Permissions::of(&[
            P::MembersRead,
            P::MembersInvite,
            P::MembersUpdate,
            P::MembersAssignRole,
            P::MembersRemove,
            P::RolesManage,
            P::AppsRead,
        ]),
    }
}

impl NewKey {
    /// Everything there is.
    pub(super) const fn all(self) -> Self {
        Self { permissions: Permissions::ALL, ..self }
    }
}
