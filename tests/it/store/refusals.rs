//! Refused commands beside the chain: who is told no finds it kept, in its place, and never more than the bound.

use chrono::TimeDelta;
use orgledger::{
    domain::{
        OrganizationId,
        organization::{Action, CreatedKeys},
        values::Text,
    },
    store::{
        append::{Origin, Reason},
        history::{self, Filter},
        ledger::Request,
        page::{Direction, End, Key, Position, Window},
        rebuild::{Which, rebuild},
        refusals::{ACTOR_HOURLY, Kept, Line, ORGANIZATION_HOURLY, RefusalRow},
    },
};
use uuid::Uuid;

use super::{
    history::lived,
    pages::both_ways,
    world::{World, change_role, deactivate, refusal, remove, rename},
};
use crate::support::databases::both_databases;

const ALL: Window = Window { limit: 5000, end: End::First, after: None, before: None };

/// Every refusal that is kept, newest first.
async fn kept(world: &World, organization: OrganizationId) -> Vec<RefusalRow> {
    let page = Filter::default().log(world.database(), organization, Kept::Refused, &ALL).await.unwrap();
    let row = |line| match line {
        Line::Refused(row) => *row,
        Line::Done(entry) => panic!("not refused: {entry:?}"),
    };
    page.rows.into_iter().map(row).collect()
}

fn short(row: &RefusalRow) -> (i64, i64, &str, &str) {
    (row.sequence, row.attempt, &row.action, &row.code)
}

/// What a filter means, said by hand.
type Means = Box<dyn Fn(&RefusalRow) -> bool>;

fn place(line: &Line) -> (u64, u64) {
    match line.position() {
        Position { key: Key::Pair(sequence, attempt), id: None } => (sequence, attempt),
        other => panic!("{other:?}"),
    }
}

both_databases! {
    /// What is kept says who, what, about whom and from where, and no input; outsiders leave no trace.
    async fn a_refused_command_of_a_member_is_kept_and_one_of_an_outsider_is_not(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let bob = world.member(acme, &ada, "bob@example.com", "MEMBER").await;
        let key = world.api_key(acme, &ada, "ci").await;
        let version = history::after(world.database(), acme, 0, u64::MAX).await.unwrap().len();
        let version = i64::try_from(version).unwrap();

        let reason = Some(Reason { text: Text::parse("secret words").unwrap().unwrap(), salt: [7; 32] });
        let origin = Origin {
            request_id: "r-1".to_owned(),
            ip: Some("192.0.2.7".to_owned()),
            user_agent: Some("curl/8".to_owned()),
            reason,
        };
        let request = Request { origin, ..world.request(acme, &bob, remove(&ada)) };
        assert_eq!(refusal(world.store.ledger.execute(request).await).code(), "PERMISSION_REQUIRED");
        world.ask(acme, orgledger::domain::Actor::ApiKey(key), rename("Evil")).await.unwrap_err();
        world.ask(acme, &ada, Action::LeaveOrganization { created_keys: CreatedKeys::Keep }).await.unwrap_err();
        world.act(acme, &ada, deactivate(&bob)).await;
        world.ask(acme, &bob, rename("Evil")).await.unwrap_err();
        world.act(acme, &ada, remove(&bob)).await;
        let outsider = world.person("eve@example.com").await;
        for nobody in [&bob, &outsider] {
            assert_eq!(refusal(world.ask(acme, nobody, rename("Evil")).await).code(), "NOT_FOUND");
        }
        let nowhere = OrganizationId(Uuid::from_u128(77));
        world.ask(nowhere, &ada, rename("Evil")).await.unwrap_err();

        let rows = kept(&world, acme).await;
        let expected = [
            (version + 1, 1, "organization.update", "MEMBER_INACTIVE"),
            (version, 3, "member.leave", "LAST_OWNER"),
            (version, 2, "organization.update", "PERMISSION_REQUIRED"),
            (version, 1, "member.remove", "PERMISSION_REQUIRED"),
        ];
        assert_eq!(rows.iter().map(short).collect::<Vec<_>>(), expected);
        let first = rows.last().unwrap();
        assert_eq!((first.actor_kind.as_str(), first.actor_id), ("USER", bob.id.0));
        assert_eq!((first.target_kind.as_str(), first.target_id), ("MEMBER", ada.id.0));
        assert_eq!((first.request_id.as_str(), first.refused_at, first.dropped), ("r-1", world.now(), 0));
        assert_eq!((first.ip.as_deref(), first.user_agent.as_deref()), (Some("192.0.2.7"), Some("curl/8")));
        assert_eq!((rows[2].actor_kind.as_str(), rows[2].actor_id), ("API_KEY", key.0));
        assert_eq!((rows[1].target_kind.as_str(), rows[1].target_id), ("MEMBER", ada.id.0), "who wanted to leave");
        assert!(kept(&world, nowhere).await.is_empty());
        let words = super::rebuild::dump(world.database()).await.remove("refusals").unwrap().concat();
        assert!(!words.contains("Evil") && !words.contains("secret words"), "{words}");

        rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
        assert_eq!(kept(&world, acme).await.len(), 4, "a rebuild leaves them alone");
        world.act(acme, &ada, Action::DeleteOrganization { confirm_name: "Acme".to_owned() }).await;
        world.ask(acme, &ada, rename("Evil")).await.unwrap_err();
        assert!(kept(&world, acme).await.is_empty(), "they end with the organization");
    }

    /// Sixty an hour are kept; the others are counted at the last one, whoever else is refused in between.
    async fn beyond_sixty_an_hour_refusals_are_counted(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let bob = world.member(acme, &ada, "bob@example.com", "MEMBER").await;
        let cy = world.member(acme, &ada, "cy@example.com", "MEMBER").await;
        let tries = async |who, times: usize| {
            for _ in 0..times {
                world.ask(acme, who, remove(&ada)).await.unwrap_err();
            }
        };
        tries(&bob, 1).await;
        world.pass(TimeDelta::minutes(30));
        tries(&bob, ACTOR_HOURLY + 1).await;
        tries(&cy, 1).await;
        let rows = kept(&world, acme).await;
        let of_bob: Vec<_> = rows.iter().filter(|row| row.actor_id == bob.id.0).map(|row| row.dropped).collect();
        assert_eq!((rows.len(), of_bob.len(), of_bob[0]), (ACTOR_HOURLY + 1, ACTOR_HOURLY, 2));
        assert_eq!(of_bob.iter().sum::<i64>(), 2);
        // The first one is an hour old by now, and one more has its place.
        world.pass(TimeDelta::minutes(30));
        tries(&bob, 2).await;
        let rows = kept(&world, acme).await;
        let of_bob: Vec<_> = rows.iter().filter(|row| row.actor_id == bob.id.0).map(|row| row.dropped).collect();
        assert_eq!((of_bob.len(), of_bob[0], of_bob[1]), (ACTOR_HOURLY + 1, 1, 2));
    }

    /// An organization has a bound too, so that many members together do not fill the table.
    async fn beyond_a_thousand_an_hour_an_organization_only_counts(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let bob = world.member(acme, &ada, "bob@example.com", "MEMBER").await;
        world.ask(acme, &bob, remove(&ada)).await.unwrap_err();
        let numbers = format!(
            "INSERT INTO refusals SELECT organization_id, sequence, n.i, refused_at, action, code, actor_kind, \
             organization_id, target_kind, target_id, request_id, ip, user_agent, 0 FROM refusals, \
             (WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {ORGANIZATION_HOURLY}) \
             SELECT i FROM n) AS n"
        );
        world.raw(&numbers).await;
        world.ask(acme, &bob, remove(&ada)).await.unwrap_err();
        let rows = kept(&world, acme).await;
        assert_eq!((rows.len() as u64, rows[0].dropped), (ORGANIZATION_HOURLY, 1));
        world.pass(TimeDelta::hours(1));
        world.ask(acme, &bob, remove(&ada)).await.unwrap_err();
        assert_eq!(kept(&world, acme).await.len() as u64, ORGANIZATION_HOURLY + 1);
    }

    /// What was done and what was refused in one order, in pages from either end.
    async fn refusals_stand_behind_the_event_that_they_were_decided_on(url: &str) {
        let world = World::open(url).await;
        let (acme, people) = lived(&world, 11, 70).await;
        let every = Filter::default;
        let mut places: Vec<(u64, u64)> =
            history::after(world.database(), acme, 0, u64::MAX).await.unwrap().iter().map(|e| (e.sequence, 0)).collect();
        let rows = kept(&world, acme).await;
        assert!(rows.len() > 20 && rows.iter().any(|row| row.attempt > 1), "{}", rows.len());
        places.extend(rows.iter().map(|row| (row.sequence.unsigned_abs(), row.attempt.unsigned_abs())));
        places.sort_unstable();
        places.reverse();
        let as_id = |place: (u64, u64)| Uuid::from_u64_pair(place.0, place.1);
        let ids: Vec<_> = places.iter().copied().map(as_id).collect();
        for size in [1, 2, 7, 50] {
            let read = async |window: Window| every().log(world.database(), acme, Kept::Both, &window).await.unwrap();
            both_ways(size, &ids, read, Line::position, |line| as_id(place(line))).await;
        }
        let count = async |filter: Filter, kept| filter.log_count(world.database(), acme, kept).await.unwrap();
        assert_eq!(count(every(), Kept::Both).await, places.len() as u64);
        assert_eq!(count(every(), Kept::Refused).await, rows.len() as u64);

        let middle = rows[rows.len() / 2].refused_at;
        let (first, last) = (rows.last().unwrap().sequence.unsigned_abs(), rows[0].sequence.unsigned_abs());
        let of = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let bob = people[1].id.0;
        let cases: Vec<(Filter, Means)> = vec![
            (Filter { types: of(&["member.*"]), ..every() }, Box::new(|row| row.action.starts_with("member."))),
            (Filter { types: of(&["role.update"]), ..every() }, Box::new(|row| row.action == "role.update")),
            (Filter { types: of(&["role.updated"]), ..every() }, Box::new(|_| false)),
            (Filter { actors: vec![bob, bob], ..every() }, Box::new(move |row| row.actor_id == bob)),
            (Filter { targets: vec![bob], ..every() }, Box::new(move |row| row.target_id == bob)),
            (Filter { actor_kinds: of(&["USER"]), ..every() }, Box::new(|_| true)),
            (Filter { actor_kinds: of(&["SYSTEM"]), ..every() }, Box::new(|_| false)),
            (Filter { from: Some(middle), ..every() }, Box::new(move |row| row.refused_at >= middle)),
            (Filter { to: Some(middle), ..every() }, Box::new(move |row| row.refused_at < middle)),
            (
                Filter { from_sequence: Some(first + 1), to_sequence: Some(last), ..every() },
                Box::new(move |row| (first + 1..last).contains(&row.sequence.unsigned_abs())),
            ),
            (Filter { search: Some("Deact".to_owned()), ..every() }, Box::new(|row| row.action.contains("deact"))),
        ];
        for (filter, means) in cases {
            let expected: Vec<_> = rows.iter().filter(|row| means(row)).map(short).collect();
            let page = filter.log(world.database(), acme, Kept::Refused, &ALL).await.unwrap();
            let found: Vec<_> = page
                .rows
                .iter()
                .map(|line| match line {
                    Line::Refused(row) => short(row),
                    Line::Done(_) => panic!("{filter:?}"),
                })
                .collect();
            assert_eq!(found, expected, "{filter:?}");
            assert_eq!(count(filter, Kept::Refused).await, expected.len() as u64);
        }
        let done = every().page(world.database(), acme, Direction::Descending, &ALL).await.unwrap().rows.len();
        assert_eq!(count(every(), Kept::Done).await, done as u64);
        world.holds().await;
    }

    /// Several at once: each has its own number, and the bound holds.
    async fn refusals_at_one_moment_are_all_kept(url: &str) {
        let world = World::open(url).await;
        let other = world.beside(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let bob = world.member(acme, &ada, "bob@example.com", "MEMBER").await;
        let attempts = (0..70).map(|number| {
            let server = if number % 2 == 0 { &world } else { &other };
            server.ask(acme, &bob, change_role(&ada, "MEMBER"))
        });
        for answer in futures_util::future::join_all(attempts).await {
            assert_eq!(refusal(answer).code(), "PERMISSION_REQUIRED");
        }
        let rows = kept(&world, acme).await;
        assert_eq!((rows.len(), rows.iter().map(|row| row.dropped).sum::<i64>()), (ACTOR_HOURLY, 10));
    }
}
