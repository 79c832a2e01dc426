//! Members as they are listed: in pages, by filters, by a part of a name, today and as of any event of the past.

use std::collections::HashMap;

use chrono::TimeDelta;
use orgledger::{
    domain::{
        Organization, OrganizationId, SessionId, Timestamp, UserId,
        organization::{
            Action, CreatedKeys, Event,
            members::{Member, MemberStatus},
        },
        values::normalize,
    },
    secrets::SessionToken,
    store::{
        NEVER, history,
        members::{self, Filter, MemberRow, OrderField},
        page::{Direction, End, Window},
        sessions::{self, NewLink, NewSession},
        users,
    },
};
use uuid::Uuid;

use super::{
    pages::{SIZES, both_ways},
    world::{Person, World, change_role, deactivate, named, remove, role},
};
use crate::support::databases::both_databases;

const ALL: Window = Window { limit: 1000, end: End::First, after: None, before: None };
const ORDERS: [OrderField; 4] = [OrderField::Name, OrderField::Email, OrderField::JoinedAt, OrderField::LastLoginAt];
const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];
const EVERY_STATUS: [MemberStatus; 3] = [MemberStatus::Active, MemberStatus::Inactive, MemberStatus::Former];

/// Who they are: an address and, where they have one, a name.
const PEOPLE: [(&str, Option<&str>); 24] = [
    ("ada@example.com", Some("Ada Lovelace")),
    ("ADA.second@Example.com", Some("ada lovelace")),
    ("zoe@example.com", Some("Zoë Müller")),
    ("zoe2@example.com", Some("Zoe\u{308} Mu\u{308}ller")),
    ("o'neil_100%@example.com", Some("O'Neil \"the\" 100%")),
    ("back.slash@example.org", Some("back\\slash")),
    ("under_score@example.com", Some("Under_Score \\ Back")),
    ("percent%percent@example.com", Some("%")),
    ("x@example.com", Some("_")),
    ("big@example.com", Some("ÅNGSTRÖM")),
    ("small@example.com", Some("ångström")),
    ("emoji@example.com", Some("😀 Smile")),
    ("greek@example.com", Some("Αλέξανδρος")),
    ("turk@example.com", Some("İstanbul")),
    ("han@example.com", Some("王小明")),
    ("b1@example.com", Some("Bob")),
    ("b2@example.com", Some("Bob")),
    ("b3@example.com", Some("bob")),
    ("n1@example.com", None),
    ("N2@example.com", None),
    ("sharp@example.com", Some("Straße")),
    ("cafe@example.com", Some("Cafe\u{301}")),
    ("long@example.com", Some("A b c d e f g h i j k l m n o p q r s t u v w x y z")),
    ("zz@example.net", Some("~ tilde")),
];

/// Parts of names and addresses, of one character and more; some are nobody's.
#[rustfmt::skip]
const SEARCHES: &[&str] = &[
    "a", "Z", "é", "e\u{301}", "ë", "Ë", "%", "_", "\\", "'", "\"", "~", "@", ".", "王", "😀", "ß", "ü", "Ü",
    "u\u{308}", "zo", "zË", "oë", "ÅN", "小明", "%@", "_1", "10", "\\ ", "o'", "ada", "ADA", "ÅNG", "ång", "bob",
    "BOB", "λέξ", "ΑΛΈ", "100", "00%", "0%@", "r_s", "rxs", "r%s", "k\\s", "王小明", "caf", "😀 s", "l\" ", "neil",
    "NeIl", "straße", "café", "CAFE\u{301}", "cafe", "zoë müller", "lovelace", "example.com", "e\" 100%",
    "o'neil_100%@", "oxneil", "back\\slash", "back\\\\slash", "back%slash", "nobody at all", "İ",
    "i\u{307}stan", "istan", "A B C D", "x y z", "example.net", "\n", "ada\nada", "a@",
];

/// The organization by hand: its folded state, and when each membership began.
#[derive(Clone, Default)]
struct Model {
    state: Organization,
    joined: HashMap<UserId, Timestamp>,
}

/// What the directory knows of a person.
struct Entry {
    name_key: String,
    email_key: String,
    last_login_at: Timestamp,
}

type Directory = HashMap<UserId, Entry>;

/// A member by hand: id, role, status, beginning.
type Line = (Uuid, Option<Uuid>, String, Timestamp);

impl Model {
    /// One for every sequence, from none to all.
    async fn replay(world: &World, organization: OrganizationId) -> Vec<Self> {
        let mut models = vec![Self::default()];
        for recorded in history::after(world.database(), organization, 0, u64::MAX).await.unwrap() {
            let mut next = models.last().unwrap().clone();
            next.state.evolve(&recorded.event);
            if let Event::MemberJoined { user_id, .. } = recorded.event {
                next.joined.insert(user_id, recorded.recorded_at);
            }
            models.push(next);
        }
        models
    }

    /// The list that a filter means, in order.
    fn list(&self, directory: &Directory, filter: &Filter, (field, direction): (OrderField, Direction)) -> Vec<Line> {
        let mut lines: Vec<_> = self.state.members().collect();
        lines.retain(|(id, member)| {
            let Entry { name_key, email_key, .. } = &directory[id];
            let (text, joined) = (format!("{name_key}\n{email_key}"), self.joined[id]);
            filter.statuses.contains(&member.status)
                && (filter.roles.is_empty() || filter.roles.contains(&member.role))
                && filter.search.as_ref().is_none_or(|search| text.contains(&normalize(search)))
                && filter.joined_from.is_none_or(|from| joined >= from)
                && filter.joined_to.is_none_or(|to| joined < to)
        });
        lines.sort_by_cached_key(|(id, _)| {
            let Entry { name_key, email_key, last_login_at } = &directory[id];
            let (text, time) = match field {
                OrderField::Name => (name_key.clone(), NEVER),
                OrderField::Email => (email_key.clone(), NEVER),
                OrderField::JoinedAt => (String::new(), self.joined[id]),
                OrderField::LastLoginAt => (String::new(), *last_login_at),
            };
            (text, time, id.0)
        });
        if direction == Direction::Descending {
            lines.reverse();
        }
        let line = |(id, member): (UserId, Member)| {
            (id.0, Some(member.role.0), member.status.name().to_owned(), self.joined[&id])
        };
        lines.into_iter().map(line).collect()
    }
}

fn line(row: &MemberRow) -> Line {
    (row.user_id, row.role.role_id, row.status.clone(), row.joined_at)
}

async fn sign_in(world: &World, person: &Person) {
    let (link, entropy) = (world.store.entropy.uuid(), &world.store.entropy);
    let wish = NewLink { id: link, email: person.email.clone(), ip: link.to_string() };
    sessions::request_link(world.database(), &wish, world.now()).await.unwrap();
    let session = NewSession {
        id: SessionId(entropy.uuid()),
        token_hash: SessionToken::new(&entropy.base62(SessionToken::LENGTH)).hash(),
        user_id: UserId(entropy.uuid()),
        salt: entropy.bytes(),
        ip: None,
        user_agent: None,
    };
    let user = sessions::complete(world.database(), link, session, world.now()).await.unwrap().unwrap();
    assert_eq!(user.user_id, person.id.0);
}

/// A workspace in which everybody joined, and then some changed, rested, left and came back.
async fn acme(world: &World) -> (OrganizationId, Vec<Person>, Directory) {
    let people = world.people(&PEOPLE.map(|(email, _)| email)).await;
    let mut directory = Directory::new();
    for (number, (person, (_, name))) in people.iter().zip(PEOPLE).enumerate() {
        if let Some(name) = name {
            users::rename(world.database(), person.id, Some(&named(name))).await.unwrap();
        }
        let mut last_login_at = NEVER;
        if number % 3 != 0 {
            world.pass(TimeDelta::microseconds(i64::from(number % 2 == 0)));
            sign_in(world, person).await;
            last_login_at = world.now();
        }
        let email_key = person.email.key().to_owned();
        let name_key = name.map_or_else(|| email_key.clone(), normalize);
        directory.insert(person.id, Entry { name_key, email_key, last_login_at });
    }
    let (ada, others) = people.split_first().unwrap();
    let acme = world.organization(ada, "Acme").await;
    for (some, role) in others.chunks(6).zip(["MEMBER", "MANAGER", "AUDITOR", "MEMBER"]) {
        world.pass(TimeDelta::microseconds(999_999));
        world.join(acme, ada, some, role).await;
    }
    let bob = &people[15];
    world.act(acme, ada, change_role(bob, "ADMIN")).await;
    for person in [&people[3], &people[9], &people[20]] {
        world.pass(TimeDelta::milliseconds(1));
        world.act(acme, bob, deactivate(person)).await;
    }
    world.act(acme, ada, Action::ReactivateMember { member: people[9].id }).await;
    for person in [&people[5], &people[10], &people[9]] {
        world.pass(TimeDelta::seconds(1));
        world.act(acme, ada, remove(person)).await;
    }
    world.act(acme, &people[6], Action::LeaveOrganization { created_keys: CreatedKeys::Keep }).await;
    world.act(acme, ada, change_role(&people[1], "MANAGER")).await;
    world.pass(TimeDelta::days(1));
    world.join(acme, bob, &[people[5].clone(), people[6].clone()], "CO_ADMIN").await;
    world.act(acme, bob, remove(&people[6])).await;
    (acme, people, directory)
}

both_databases! {
    /// Every order, direction, filter and page size, from either end.
    async fn pages_of_members_are_the_whole_list_in_pieces(url: &str) {
        let world = World::open(url).await;
        let (acme, people, directory) = acme(&world).await;
        let models = Model::replay(&world, acme).await;
        let model = models.last().unwrap();
        let present = Filter::present(acme);
        let joined = model.joined[&people[8].id];
        let filters = [
            present.clone(),
            Filter { statuses: EVERY_STATUS.into(), ..present.clone() },
            Filter { statuses: vec![MemberStatus::Former], ..present.clone() },
            Filter { statuses: vec![MemberStatus::Inactive], ..present.clone() },
            Filter { statuses: Vec::new(), ..present.clone() },
            Filter { roles: vec![role("MANAGER")], ..present.clone() },
            Filter { roles: vec![role("ADMIN"), role("MEMBER")], ..present.clone() },
            Filter { joined_from: Some(joined), ..present.clone() },
            Filter { joined_to: Some(joined), ..present.clone() },
            Filter { search: Some("example.com".to_owned()), roles: vec![role("MEMBER")], ..present.clone() },
            Filter { statuses: EVERY_STATUS.into(), as_of: Some(20), ..present.clone() },
            Filter { as_of: Some(model.state.version()), search: Some("o".to_owned()), ..present },
        ];
        for (number, filter) in filters.iter().enumerate() {
            let model = filter.as_of.map_or(model, |sequence| &models[usize::try_from(sequence).unwrap()]);
            let sizes = if number == 0 { &SIZES[..] } else { &SIZES[2..] };
            let orders = ORDERS.iter().flat_map(|field| DIRECTIONS.map(|direction| (*field, direction)));
            for (order, size) in orders.flat_map(|order| sizes.iter().map(move |size| (order, *size))) {
                let expected = model.list(&directory, filter, order);
                let ids: Vec<_> = expected.iter().map(|line| line.0).collect();
                let read = async |window: Window| filter.page(world.database(), order, &window).await.unwrap();
                both_ways(size, &ids, read, |row| row.position(order.0), |row| row.user_id).await;
                if size == 50 {
                    let page = filter.page(world.database(), order, &ALL).await.unwrap();
                    assert_eq!(page.rows.iter().map(line).collect::<Vec<_>>(), expected, "{filter:?}");
                    assert_eq!(filter.count(world.database()).await.unwrap(), expected.len() as u64, "{filter:?}");
                }
            }
        }
    }

    /// A part of a name or address is found whatever its case and its composition, and no character is special.
    async fn a_part_of_a_name_or_address_is_found(url: &str) {
        let world = World::open(url).await;
        let (acme, _, directory) = acme(&world).await;
        let models = Model::replay(&world, acme).await;
        let order = (OrderField::Name, Direction::Ascending);
        let mut hits = 0;
        for search in SEARCHES {
            for as_of in [None, Some(30)] {
                let model = if as_of.is_some() { &models[30] } else { models.last().unwrap() };
                let filter = Filter { search: Some((*search).to_owned()), as_of, ..Filter::present(acme) };
                let expected = model.list(&directory, &filter, order);
                let page = filter.page(world.database(), order, &ALL).await.unwrap();
                assert_eq!(page.rows.iter().map(line).collect::<Vec<_>>(), expected, "{search:?}");
                assert_eq!(filter.count(world.database()).await.unwrap(), expected.len() as u64, "{search:?}");
                // What is found today is counted along with the page.
                let all = (as_of.is_none() && !expected.is_empty()).then_some(expected.len() as u64);
                let some = Window { limit: 1, ..ALL };
                assert_eq!(filter.page(world.database(), order, &some).await.unwrap().total, all, "{search:?}");
                hits += expected.len();
            }
        }
        assert!(hits > 200, "{hits}");
    }

    /// A list of the past is what the ledger says was then, at every event.
    async fn as_of_is_a_replay_up_to_that_event(url: &str) {
        let world = World::open(url).await;
        let (acme, people, directory) = acme(&world).await;
        let models = Model::replay(&world, acme).await;
        let order = (OrderField::JoinedAt, Direction::Ascending);
        for (sequence, model) in models.iter().enumerate() {
            let as_of = Some(sequence as u64);
            let filter = Filter { statuses: EVERY_STATUS.into(), as_of, ..Filter::present(acme) };
            let rows = filter.page(world.database(), order, &ALL).await.unwrap().rows;
            let expected = model.list(&directory, &filter, order);
            assert_eq!(rows.iter().map(line).collect::<Vec<_>>(), expected, "as of {sequence}");
            assert_eq!(filter.count(world.database()).await.unwrap(), expected.len() as u64);
            let one = filter.find(world.database(), people[6].id).await.unwrap();
            let by_hand = expected.into_iter().find(|line| line.0 == people[6].id.0);
            assert_eq!(one.as_ref().map(line), by_hand, "one, as of {sequence}");
        }
        let today = Filter { statuses: EVERY_STATUS.into(), ..Filter::present(acme) };
        let rows = today.page(world.database(), order, &ALL).await.unwrap().rows;
        let versions: HashMap<_, _> = models.last().unwrap().state.members().collect();
        for row in rows {
            assert_eq!(row.version.cast_unsigned(), versions[&UserId(row.user_id)].version);
        }
    }

    /// The periods of a member join each other without a gap, each with what changed at its beginning.
    async fn the_history_of_a_member_has_no_gap(url: &str) {
        let world = World::open(url).await;
        let (acme, people, _) = acme(&world).await;
        let events = history::after(world.database(), acme, 0, u64::MAX).await.unwrap();
        for person in &people {
            let mut expected: Vec<(String, Option<Uuid>, Timestamp, Option<Timestamp>)> = Vec::new();
            let (mut state, mut before) = (Organization::default(), None);
            for recorded in &events {
                state.evolve(&recorded.event);
                let member = state.members().find(|(id, _)| *id == person.id).map(|(_, member)| member);
                if let Some(now) = member.filter(|now| before.is_none_or(|version| version != now.version)) {
                    before = Some(now.version);
                    if let Some(last) = expected.last_mut() {
                        last.3 = Some(recorded.recorded_at);
                    }
                    expected.push((now.status.name().to_owned(), Some(now.role.0), recorded.recorded_at, None));
                }
            }
            expected.reverse();
            let periods = members::periods(world.database(), acme, person.id).await.unwrap();
            let found: Vec<_> =
                periods.into_iter().map(|p| (p.status, p.role.role_id, p.from_at, p.until_at)).collect();
            assert_eq!(found, expected, "{person:?}");
        }
        assert_eq!(members::periods(world.database(), acme, people[6].id).await.unwrap().len(), 4);
    }

    /// A name is the directory's: who changes it is found by the new one at once, everywhere they are or were.
    async fn a_new_name_is_found_and_the_old_one_is_not(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let organizations = [world.organization(&ada, "Acme").await, world.organization(&ada, "Apex").await];
        let bob = world.person("bob@example.com").await;
        let found = async |organization, search: &str| {
            let filter = Filter { statuses: EVERY_STATUS.into(), ..Filter::present(organization) };
            Filter { search: Some(search.to_owned()), ..filter }.count(world.database()).await.unwrap()
        };
        for organization in organizations {
            world.join(organization, &ada, std::slice::from_ref(&bob), "MEMBER").await;
        }
        world.act(organizations[1], &ada, remove(&bob)).await;
        for (name, old, new) in
            [(Some("Robert"), "bobby", "robert"), (Some("Bobby"), "robert", "bobby"), (None, "bobby", "bob@")]
        {
            users::rename(world.database(), bob.id, name.map(named).as_ref()).await.unwrap();
            for organization in organizations {
                assert_eq!((found(organization, old).await, found(organization, new).await), (0, 1), "{name:?}");
            }
        }
        users::suggest_name(world.database(), bob.id, &named("Suggested")).await.unwrap();
        users::suggest_name(world.database(), bob.id, &named("Ignored")).await.unwrap();
        sign_in(&world, &bob).await;
        world.join(organizations[1], &ada, std::slice::from_ref(&bob), "MANAGER").await;
        for organization in organizations {
            assert_eq!((found(organization, "suggest").await, found(organization, "ignored").await), (1, 0));
            let row = Filter::present(organization).find(world.database(), bob.id).await.unwrap().unwrap();
            assert_eq!((row.name.as_deref(), row.last_login_at), (Some("Suggested"), world.now()));
        }
    }
}
