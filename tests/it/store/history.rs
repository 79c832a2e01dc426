//! The past is what the ledger says it was: members, roles and the audit log after random histories, at every sequence,
//! held against the fold of the events up to there.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use orgledger::{
    domain::{
        Actor, InvitationId, Organization, OrganizationId, RoleId, Timestamp, UserId,
        organization::{Action, CreatedKeys, Event, Permissions, members::MemberStatus, names},
    },
    store::{
        aggregate::Recorded,
        history,
        members::{Filter, MemberRow, OrderField},
        page::{Direction, End, Window},
        profile,
        roles::{self, RoleRow},
    },
};
use uuid::Uuid;

use super::{
    pages::both_ways,
    world::{Person, World, role},
};
use crate::support::databases::both_databases;

const ALL: Window = Window { limit: 1000, end: End::First, after: None, before: None };

/// Numbers that look like chance and repeat themselves.
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    pub fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// What somebody may try: most of it is possible at some time, and refused at others.
fn action(dice: &mut Dice, world: &World, people: &[Person], customs: &mut Vec<RoleId>) -> Action {
    let member = dice.of(&people[1..]).id;
    let created_keys = CreatedKeys::Keep;
    let mut roles: Vec<_> = ["ADMIN", "CO_ADMIN", "MANAGER", "MEMBER", "AUDITOR"].map(role).into();
    roles.extend(customs.iter().copied());
    let some = *dice.of(&roles);
    let custom = if customs.is_empty() { some } else { *dice.of(customs) };
    let permissions = Permissions::from_bits(i64::try_from(dice.below(1 << 18)).unwrap());
    let level = i32::try_from(2 + dice.below(8)).unwrap().try_into().unwrap();
    let name: orgledger::domain::values::Name = format!("Role {}", dice.below(12)).parse().unwrap();
    match dice.below(13) {
        0 | 1 => Action::DeactivateMember { member, created_keys },
        2 => Action::ReactivateMember { member },
        3 => Action::RemoveMember { member, created_keys },
        4 => Action::LeaveOrganization { created_keys },
        5 => {
            let made = RoleId(world.store.entropy.uuid());
            customs.push(made);
            Action::CreateRole { role: made, name, description: None, level, permissions }
        }
        6..=9 => {
            let (name, level, permissions) = match dice.below(3) {
                0 => (Some(name), None, None),
                1 => (None, Some(level), Some(permissions)),
                _ => (None, None, Some(permissions)),
            };
            Action::UpdateRole { role: custom, name, description: None, level, permissions }
        }
        10 => Action::DeleteRole { role: custom, reassign_to: Some(role("MEMBER")) },
        _ => Action::ChangeMemberRole { member, role: some },
    }
}

/// A workspace after so many tries by anybody, and its people.
pub async fn lived(world: &World, seed: u64, tries: usize) -> (OrganizationId, Vec<Person>) {
    let people = world.people(&["ada@e.com", "bob@e.com", "cy@e.com", "dee@e.com", "eve@e.com", "fay@e.com"]).await;
    let ada = &people[0];
    let acme = world.organization(ada, "Acme").await;
    world.join(acme, ada, &people[1..], "MEMBER").await;
    let (mut dice, mut customs) = (Dice::new(seed), Vec::new());
    for _ in 0..tries {
        world.pass(TimeDelta::microseconds(*dice.of(&[0, 0, 1, 250_000])));
        // The owner does most of it, and who is gone comes back sooner or later.
        let by = if dice.below(3) > 0 { ada } else { dice.of(&people) };
        let wanted = action(&mut dice, world, &people, &mut customs);
        if matches!(wanted, Action::LeaveOrganization { .. }) && by.id == ada.id {
            let back = dice.of(&people[1..]).clone();
            let request = world.invitation(acme, ada, &[(&back, None)], "MANAGER");
            // Whoever was demoted meanwhile invites nobody.
            let Ok(receipt) = world.store.ledger.execute(request).await else { continue };
            if matches!(receipt.notes.invited.as_slice(), [Ok(_)]) {
                world.accept(acme, &back, InvitationId(receipt.objects[0])).await;
            }
            continue;
        }
        let _ = world.ask(acme, by, wanted).await;
    }
    (acme, people)
}

/// The organization at one sequence.
#[derive(Clone, Default)]
struct Moment {
    state: Organization,
    joined: HashMap<UserId, (Timestamp, Option<Uuid>)>,
}

/// A member: id, role with what it was then, status, beginning, inviter, version.
type Line = (Uuid, Option<(Uuid, String, i64, i64)>, String, Timestamp, Option<Uuid>, i64);

impl Moment {
    /// One for every sequence, from none to all.
    fn every(events: &[Recorded]) -> Vec<Self> {
        let mut moments = vec![Self::default()];
        for recorded in events {
            let mut next = moments.last().unwrap().clone();
            next.state.evolve(&recorded.event);
            if let Event::MemberJoined { user_id, invited_by, .. } = recorded.event {
                next.joined.insert(user_id, (recorded.recorded_at, invited_by.map(Actor::id)));
            }
            moments.push(next);
        }
        moments
    }

    fn members(&self, statuses: &[MemberStatus], by_joining: bool) -> Vec<Line> {
        let roles: BTreeMap<_, _> = self.state.roles().collect();
        let line = |(id, member): (UserId, orgledger::domain::organization::members::Member)| {
            // Who left may have had a role that was deleted since; it is shown as it was at last.
            let role = roles
                .get(&member.role)
                .map(|role| (member.role.0, role.name.clone(), i64::from(role.level), role.permissions.bits()));
            let (joined_at, invited_by) = self.joined[&id];
            let version = i64::try_from(member.version).unwrap();
            (id.0, role, member.status.name().to_owned(), joined_at, invited_by, version)
        };
        let mut lines: Vec<_> =
            self.state.members().filter(|(_, member)| statuses.contains(&member.status)).map(line).collect();
        lines.sort_by_key(|line| (if by_joining { line.3 } else { Timestamp::default() }, line.0));
        lines
    }
}

fn line(row: &MemberRow) -> Line {
    let role = row.role.row().map(|role| (role.role_id, role.name, role.level, role.permissions));
    (row.user_id, role, row.status.clone(), row.joined_at, row.invited_by_id, row.version)
}

/// A role: id, key, name, level, permissions, owner, built in.
type RoleLine = (Uuid, String, String, i64, i64, bool, bool);

fn role_line(row: RoleRow) -> RoleLine {
    (row.role_id, row.key, row.name, row.level, row.permissions, row.owner, row.built_in)
}

both_databases! {
    async fn members_and_roles_of_any_moment_are_the_replay_up_to_there(url: &str) {
        let world = World::open(url).await;
        let (mut deleted, mut edited) = (0, 0);
        for seed in 1..=3 {
            let (acme, _) = lived(&world, seed, 90).await;
            let events = history::after(world.database(), acme, 0, u64::MAX).await.unwrap();
            deleted += events.iter().filter(|event| matches!(event.event, Event::RoleDeleted { .. })).count();
            edited += events.iter().filter(|event| matches!(event.event, Event::RoleUpdated { .. })).count();
            for (sequence, moment) in Moment::every(&events).iter().enumerate() {
                hold(&world, acme, sequence as u64, moment).await;
            }
            for recorded in &events {
                let at = recorded.recorded_at;
                let last = events.iter().filter(|event| event.recorded_at <= at).map(|event| event.sequence).max();
                let found = profile::sequence_at(world.database(), acme, at).await.unwrap();
                assert_eq!(Some(found), last, "what was recorded at one moment belongs to it, all of it");
            }
            let early = events[0].recorded_at - TimeDelta::microseconds(1);
            assert_eq!(profile::sequence_at(world.database(), acme, early).await.unwrap(), 0);
            let late = world.now() + TimeDelta::days(10_000);
            assert_eq!(profile::sequence_at(world.database(), acme, late).await.unwrap(), events.len() as u64);
        }
        assert!(deleted > 2 && edited > 10, "{deleted} roles deleted, {edited} edits");
        world.holds().await;
    }

    /// The filters one by one and two by two, from either end, by pages of any size: always what a look at every event
    /// finds.
    async fn the_audit_log_is_what_a_look_at_every_event_finds(url: &str) {
        let world = World::open(url).await;
        let (acme, people) = lived(&world, 7, 60).await;
        let events = history::after(world.database(), acme, 0, u64::MAX).await.unwrap();
        let middle = events[events.len() / 2].recorded_at;
        let some = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let every = history::Filter::default;
        let ids = vec![people[1].id.0, people[0].id.0, people[1].id.0];
        let single = [
            every(),
            history::Filter { types: some(&["member.*", "role.created"]), ..every() },
            history::Filter { types: some(&["member", "nothing.*"]), ..every() },
            history::Filter { types: some(&["*", "nothing"]), ..every() },
            history::Filter { actors: ids.clone(), ..every() },
            history::Filter { targets: ids, ..every() },
            history::Filter { actor_kinds: some(&["USER", "OPERATOR"]), ..every() },
            history::Filter { actor_kinds: some(&["API_KEY"]), ..every() },
            history::Filter { from: Some(middle), ..every() },
            history::Filter { to: Some(middle), ..every() },
            history::Filter { from_sequence: Some(5), to_sequence: Some(30), ..every() },
            history::Filter { search: Some("ROLE".to_owned()), ..every() },
            history::Filter { search: Some("no such word".to_owned()), ..every() },
        ];
        let mut filters = single.to_vec();
        for (one, other) in single.iter().enumerate().flat_map(|(at, one)| single[..at].iter().map(move |two| (one, two)))
        {
            filters.push(both(one, other));
        }
        for filter in filters {
            let expected: Vec<_> = events.iter().filter(|event| takes(&filter, event)).map(|event| event.sequence).collect();
            assert_eq!(filter.count(world.database(), acme).await.unwrap(), expected.len() as u64, "{filter:?}");
            let id = |entry: &history::Entry| Uuid::from_u128(entry.recorded.sequence.into());
            for direction in [Direction::Ascending, Direction::Descending] {
                let mut ids: Vec<_> = expected.iter().map(|sequence| Uuid::from_u128((*sequence).into())).collect();
                if direction == Direction::Descending {
                    ids.reverse();
                }
                let read = async |window: Window| filter.page(world.database(), acme, direction, &window).await.unwrap();
                both_ways(7, &ids, read, history::Entry::position, id).await;
            }
        }
    }
}

/// Holds the rows of a moment against the state that was folded to it.
async fn hold(world: &World, acme: OrganizationId, sequence: u64, moment: &Moment) {
    let every = [MemberStatus::Active, MemberStatus::Inactive, MemberStatus::Former];
    let database = world.database();
    let past = Filter { as_of: Some(sequence), ..Filter::present(acme) };
    for (statuses, field) in [(&every[..], OrderField::JoinedAt), (&every[..2], OrderField::LastLoginAt)] {
        let filter = Filter { statuses: statuses.to_vec(), ..past.clone() };
        let page = filter.page(database, (field, Direction::Ascending), &ALL).await.unwrap();
        let expected = moment.members(statuses, field == OrderField::JoinedAt);
        let mut found: Vec<_> = page.rows.iter().map(line).collect();
        // Whose role is gone by then has it as it was at last; the fold knows nothing of it any more.
        for (found, expected) in found.iter_mut().zip(&expected) {
            if expected.1.is_none() && expected.2 == "FORMER" {
                assert!(found.1.take().is_some(), "as of {sequence}: {found:?}");
            }
        }
        assert_eq!(found, expected, "as of {sequence}");
        assert_eq!(filter.count(database).await.unwrap(), expected.len() as u64);
    }
    let expected: BTreeMap<_, _> = moment
        .state
        .roles()
        .map(|(id, role)| {
            let permissions = role.permissions.bits();
            let level = role.level.into();
            (id.0, (id.0, role.key.clone(), role.name.clone(), level, permissions, role.owner, role.built_in))
        })
        .collect();
    let found = roles::list_at(database, acme, sequence).await.unwrap();
    let levels: Vec<_> = found.iter().map(|row| row.level).collect();
    assert!(levels.is_sorted(), "{levels:?}");
    let found: BTreeMap<_, _> = found.into_iter().map(|row| (row.role_id, role_line(row))).collect();
    assert_eq!(found, expected, "roles as of {sequence}");
    let counts: BTreeMap<_, _> = roles::member_counts_at(database, acme, sequence).await.unwrap().into_iter().collect();
    let mut expected: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (_, member) in moment.state.members().filter(|(_, member)| member.status != MemberStatus::Former) {
        *expected.entry(member.role.0).or_default() += 1;
    }
    assert_eq!(counts, expected, "holders as of {sequence}");
}

/// A filter with the conditions of two.
fn both(one: &history::Filter, other: &history::Filter) -> history::Filter {
    let (one, other) = (one.clone(), other.clone());
    let list = |one: Vec<String>, other: Vec<String>| if one.is_empty() { other } else { one };
    let ids = |one: Vec<Uuid>, other: Vec<Uuid>| if one.is_empty() { other } else { one };
    history::Filter {
        types: list(one.types, other.types),
        actors: ids(one.actors, other.actors),
        actor_kinds: list(one.actor_kinds, other.actor_kinds),
        targets: ids(one.targets, other.targets),
        from: one.from.or(other.from),
        to: one.to.or(other.to),
        from_sequence: one.from_sequence.or(other.from_sequence),
        to_sequence: one.to_sequence.or(other.to_sequence),
        search: one.search.or(other.search),
    }
}

/// Whether a filter means an event, said by hand.
fn takes(filter: &history::Filter, event: &Recorded) -> bool {
    let name = event.event.name();
    let noun = format!("{}.*", name.split('.').next().unwrap());
    let one_of = |list: &[Uuid], id: Uuid| list.is_empty() || list.contains(&id);
    (filter.types.is_empty()
        || filter.types.iter().any(|pattern| *pattern == name || *pattern == noun || pattern == "*"))
        && one_of(&filter.actors, event.metadata.actor_id)
        && one_of(&filter.targets, event.event.target().id(event.organization))
        && (filter.actor_kinds.is_empty() || filter.actor_kinds.contains(&event.metadata.actor_kind))
        && filter.from.is_none_or(|from| event.recorded_at >= from)
        && filter.to.is_none_or(|to| event.recorded_at < to)
        && filter.from_sequence.is_none_or(|from| event.sequence >= from)
        && filter.to_sequence.is_none_or(|to| event.sequence < to)
        && filter.search.as_ref().is_none_or(|search| name.contains(&search.to_lowercase()))
}

/// The lists of names are those of the code: what is not in them is found by no filter.
#[test]
fn every_event_stands_in_the_list_of_names() {
    let source = include_str!("../../../src/domain/organization/event.rs");
    let name = |line: &'static str| line.trim().strip_prefix("#[serde(rename = \"")?.strip_suffix("\")]");
    assert_eq!(source.lines().filter_map(name).collect::<Vec<_>>(), names::EVENTS);
    let source = include_str!("../../../src/domain/organization/names.rs");
    let body = source.split("const fn name(&self)").nth(1).unwrap().split("pub fn target").next().unwrap();
    let quoted: Vec<_> = body.split('"').skip(1).step_by(2).collect();
    assert_eq!(quoted, names::ACTIONS);
    assert!(names::ACTIONS.iter().all(|name| !names::EVENTS.contains(name)), "tried and done are told apart");
}
