//! What PostgreSQL's locks do to commands that meet at one moment. Each test holds a lock itself until everybody who
//! has to wait does, so that the moment is always the same one.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use orgledger::{
    domain::{InvitationId, OrganizationId, UserId, organization::Action},
    store::{
        Database, Store,
        database::Pooling,
        files::Files,
        ledger::Request,
        members::Filter,
        purge::purge,
        rebuild::{Which, rebuild},
        statement::Statement,
        users::{self, NewUser},
    },
};
use sqlx::Postgres;
use tokio::time::{sleep, timeout};

use super::world::{Person, World, change_role, named, rename};
use crate::{graphql::statements::counted, support::databases::on_postgres};

/// How long the task that appends waits for a lock, and a bit: who waits longer waits in a transaction of its own.
const LONGER_THAN_AN_APPEND: Duration = Duration::from_millis(200);

/// Somebody who holds locks.
struct Holder(sqlx::Transaction<'static, Postgres>);

impl Holder {
    /// Runs statements, and keeps what they lock.
    async fn of(world: &World, statements: &str) -> Self {
        let Database::Postgres { pool, .. } = world.database() else { panic!("only for PostgreSQL") };
        let mut transaction = pool.begin().await.unwrap();
        sqlx::raw_sql(statements).execute(&mut *transaction).await.unwrap();
        Self(transaction)
    }

    /// How many wait for this one, or for somebody who does, for this long at least.
    async fn waiting(&mut self, time: Duration) -> i64 {
        let text = "WITH RECURSIVE waiting (pid, since) AS ( \
             SELECT l.pid, l.waitstart FROM pg_locks l \
             WHERE NOT l.granted AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid)) \
             UNION SELECT l.pid, l.waitstart FROM pg_locks l JOIN waiting w ON w.pid = ANY (pg_blocking_pids(l.pid)) \
             WHERE NOT l.granted) \
             SELECT COUNT(DISTINCT pid) FROM waiting WHERE since <= clock_timestamp() - make_interval(secs => $1)";
        sqlx::query_scalar(text).bind(time.as_secs_f64()).fetch_one(&mut *self.0).await.unwrap()
    }

    /// Waits until so many do.
    async fn until_waiting(&mut self, count: i64, time: Duration) {
        let waiting = async {
            while self.waiting(time).await < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(7), waiting).await.expect("somebody has to wait for the lock");
    }

    async fn let_go(self) {
        self.0.commit().await.unwrap();
    }
}

/// The command by which an invited person joins, with an idempotency key.
fn joining(world: &World, organization: OrganizationId, who: &Person, invitation: InvitationId) -> Request {
    let accept = Action::AcceptInvitation {
        invitation,
        generation: None,
        email_commitment: who.commitment.clone(),
        organizations: 0,
        masked_email: String::new(),
    };
    Request { idempotency: Some(world.idempotency("k", "k")), ..world.request(organization, who, accept) }
}

fn spawned(store: &Store, request: Request) -> tokio::task::JoinHandle<u64> {
    let ledger = store.ledger.clone();
    tokio::spawn(async move { ledger.execute(request).await.unwrap().version })
}

/// The name and the searched name of a member.
async fn listed(world: &World, organization: OrganizationId, who: &Person) -> (Option<String>, String) {
    let row = Filter::present(organization).find(world.database(), who.id).await.unwrap().unwrap();
    (row.name, row.name_key)
}

/// Whoever holds the head of one organization, such as a rebuild, holds up nobody else's commands.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_head_stops_no_other_organization() {
    on_postgres("store::locks::a_locked_head_stops_no_other_organization", async |url| {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let apex = world.organization(&ada, "Apex").await;
        let text = format!("SELECT version FROM streams WHERE organization_id = '{}' FOR UPDATE", acme.0);
        let mut holder = Holder::of(&world, &text).await;
        let held_up = spawned(&world.store, world.request(acme, &ada, rename("A")));
        for (number, time) in [Duration::ZERO, LONGER_THAN_AN_APPEND].into_iter().enumerate() {
            holder.until_waiting(1, time).await;
            let other = world.act(apex, &ada, rename(&format!("B {number}")));
            timeout(Duration::from_secs(3), other).await.expect("it waits for the lock of another organization");
        }
        assert!(!held_up.is_finished());
        holder.let_go().await;
        assert_eq!(held_up.await.unwrap(), 3, "and the command that had to wait is done");
        world.holds().await;
    })
    .await;
}

/// Whoever holds the head for a moment has nobody decide again: what many do to the organization waits for it, once.
#[tokio::test]
async fn a_head_that_is_held_for_a_moment_is_waited_for() {
    on_postgres("store::locks::a_head_that_is_held_for_a_moment_is_waited_for", async |url| {
        let world = World::open(url).await;
        let people = world.people(&["ada@example.com", "bob@example.com", "cy@example.com"]).await;
        let ada = &people[0];
        let acme = world.organization(ada, "Acme").await;
        world.join(acme, ada, &people[1..], "MEMBER").await;
        let mut version = 8;
        // On a busy machine a moment may become too long; then it is tried again.
        for number in 0..50 {
            let text = format!("SELECT version FROM streams WHERE organization_id = '{}' FOR UPDATE", acme.0);
            let mut holder = Holder::of(&world, &text).await;
            let role = ["MANAGER", "MEMBER"][number % 2];
            let given =
                people[1..].iter().map(|who| spawned(&world.store, world.request(acme, ada, change_role(who, role))));
            let given: Vec<_> = given.collect();
            let all = async {
                holder.until_waiting(1, Duration::ZERO).await;
                holder.let_go().await;
                join_all(given).await.into_iter().map(Result::unwrap).collect::<Vec<_>>()
            };
            let (versions, statements) = counted(all).await;
            assert_eq!(versions, [version + 1, version + 2]);
            version += 2;
            if !statements.iter().any(|text| text.contains("SELECT version, head_hash")) {
                return;
            }
        }
        panic!("each time the organization was read again");
    })
    .await;
}

/// A server that froze in the middle of a transaction, or whose machine is gone, holds up the others for seconds. Who only
/// reads may take longer: nobody waits for it.
#[tokio::test]
async fn an_organization_is_not_held_by_who_does_nothing() {
    on_postgres("store::locks::an_organization_is_not_held_by_who_does_nothing", async |url| {
        let world = World::open(url).await;
        let people = world.people(&["ada@example.com", "bob@example.com"]).await;
        let [ada, bob] = [&people[0], &people[1]];
        let acme = world.organization(ada, "Acme").await;
        world.join(acme, ada, &people[1..], "MEMBER").await;
        let through_pooler = Database::connect_through(url, Pooling::Transaction).await.unwrap();
        for (database, role) in [(world.database(), "MANAGER"), (&through_pooler, "MEMBER")] {
            let reading = || Statement::new("SELECT version FROM streams WHERE organization_id = $1").bind(acme.0);
            let mut snapshot = database.snapshot().await.unwrap();
            let before: Vec<(i64,)> = reading().all_in(&mut snapshot).await.unwrap();
            let mut frozen = database.begin().await.unwrap();
            let mut holding = reading();
            holding.push(" FOR UPDATE");
            holding.run_in(&mut frozen).await.unwrap();
            spawned(&world.store, world.request(acme, ada, change_role(bob, role))).await.unwrap();
            assert!(frozen.commit().await.is_err(), "it was ended");
            assert_eq!(reading().all_in::<(i64,)>(&mut snapshot).await.unwrap(), before);
        }
        through_pooler.close().await;
    })
    .await;
}

/// Who is renamed while they join is listed by their new name: here the rename comes second and waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_rename_in_the_middle_of_a_join_is_not_lost() {
    on_postgres("store::locks::a_rename_in_the_middle_of_a_join_is_not_lost", async |url| {
        let world = World::open(url).await;
        let [ada, bob] = world.people(&["ada@example.com", "bob@example.com"]).await.try_into().unwrap();
        let acme = world.organization(&ada, "Acme").await;
        let invitation = world.invite(acme, &ada, &bob, "MEMBER").await;
        // The last table that a command writes.
        let mut holder = Holder::of(&world, "LOCK TABLE commands IN EXCLUSIVE MODE").await;
        let join = spawned(&world.store, joining(&world, acme, &bob, invitation));
        holder.until_waiting(1, LONGER_THAN_AN_APPEND).await;
        let (database, id) = (world.database().clone(), bob.id);
        let renaming = tokio::spawn(async move { users::rename(&database, id, Some(&named("Robert"))).await });
        while !renaming.is_finished() && holder.waiting(Duration::ZERO).await < 2 {
            sleep(Duration::from_millis(5)).await;
        }
        holder.let_go().await;
        join.await.unwrap();
        renaming.await.unwrap().unwrap();
        assert_eq!(listed(&world, acme, &bob).await, (Some("Robert".to_owned()), "robert".to_owned()));
    })
    .await;
}

/// The same where the rename comes first, and the join waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_in_the_middle_of_a_rename_takes_the_new_name() {
    on_postgres("store::locks::a_join_in_the_middle_of_a_rename_takes_the_new_name", async |url| {
        let world = World::open(url).await;
        let [ada, bob] = world.people(&["ada@example.com", "bob@example.com"]).await.try_into().unwrap();
        let acme = world.organization(&ada, "Acme").await;
        let invitation = world.invite(acme, &ada, &bob, "MEMBER").await;
        let text = format!("UPDATE users SET name = 'Robert', name_key = 'robert' WHERE user_id = '{}'", bob.id.0);
        let mut holder = Holder::of(&world, &text).await;
        let join = spawned(&world.store, joining(&world, acme, &bob, invitation));
        holder.until_waiting(1, LONGER_THAN_AN_APPEND).await;
        holder.let_go().await;
        join.await.unwrap();
        assert_eq!(listed(&world, acme, &bob).await, (Some("Robert".to_owned()), "robert".to_owned()));
    })
    .await;
}

/// Two lists of the same new people in opposite orders, in the middle of each other: no deadlock, the same people.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_people_in_opposite_orders_do_not_wait_for_each_other() {
    on_postgres("store::locks::lists_of_people_in_opposite_orders_do_not_wait_for_each_other", async |url| {
        let world = World::open(url).await;
        // A third one, who makes the person in the middle, keeps both where they would meet.
        let text = "INSERT INTO users (user_id, email, email_key, name_key, salt, email_verified, created_at, \
             last_login_at) \
             VALUES (gen_random_uuid(), 'u4@example.com', 'u4@example.com', '', '', FALSE, now(), now())";
        let mut holder = Holder::of(&world, text).await;
        let mut addresses: Vec<_> = (0..9).map(|number| format!("u{number}@example.com")).collect();
        let mut lists = Vec::new();
        for count in 1..=2 {
            let new = |address: &String| NewUser {
                id: UserId(world.store.entropy.uuid()),
                salt: [0; 32],
                email: address.parse().unwrap(),
            };
            let list: Vec<_> = addresses.iter().map(new).collect();
            let (database, now) = (world.database().clone(), world.now());
            lists.push(tokio::spawn(async move { users::resolve(&database, &list, now).await }));
            holder.until_waiting(count, Duration::ZERO).await;
            addresses.reverse();
        }
        holder.let_go().await;
        let mut found = Vec::new();
        for list in lists {
            let mut ids: Vec<_> = list.await.unwrap().unwrap().into_iter().map(|row| row.user_id).collect();
            ids.sort_unstable();
            found.push(ids);
        }
        assert!(found[0].len() == 9 && found[0] == found[1]);
    })
    .await;
}

/// A rebuild erases members and then reads their people; a rename holds the person and then wants the members. Both take
/// the person first, so the one waits for the other and not each for each.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_and_a_rename_at_one_moment_both_succeed() {
    let name = "store::locks::a_rebuild_and_a_rename_at_one_moment_both_succeed";
    on_postgres(name, async |url| {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        world.organization(&ada, "Acme").await;
        let mut holder = Holder::of(&world, "LOCK TABLE member_history IN EXCLUSIVE MODE").await;
        let database = world.database().clone();
        let rebuilt = tokio::spawn(async move { rebuild(&database, Which::Every, |_| ()).await });
        holder.until_waiting(1, Duration::ZERO).await;
        let (database, id) = (world.database().clone(), ada.id);
        let renamed = tokio::spawn(async move { users::rename(&database, id, Some(&named("Robert"))).await });
        holder.until_waiting(2, Duration::ZERO).await;
        holder.let_go().await;
        rebuilt.await.unwrap().unwrap();
        renamed.await.unwrap().unwrap();
    })
    .await;
}

/// A sign-in at a provider is noted by a later request where somebody holds the person, as a rebuild does.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_noted_when_nobody_holds_the_person() {
    on_postgres("a_sign_in_is_noted_when_nobody_holds_the_person", async |url| {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        world.organization(&ada, "Acme").await;
        let later = world.now() + TimeDelta::hours(1);
        let last = async || users::find(world.database(), ada.id).await.unwrap().unwrap().last_login_at;
        let holder = Holder::of(&world, "SELECT user_id FROM users FOR SHARE").await;
        users::note_login(world.database(), ada.id, later).await.expect("it does not wait");
        assert_ne!(last().await, later);
        holder.let_go().await;
        users::note_login(world.database(), ada.id, later).await.unwrap();
        assert_eq!(last().await, later);
    })
    .await;
}

/// Whoever is invited elsewhere while an organization that invited them is purged keeps their row.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_being_invited_elsewhere_outlives_a_purge() {
    on_postgres("who_is_being_invited_elsewhere_outlives_a_purge", async |url| {
        let world = World::open(url).await;
        let [ada, bob] = world.people(&["ada@example.com", "bob@example.com"]).await.try_into().unwrap();
        let acme = world.organization(&ada, "Acme").await;
        world.invite(acme, &ada, &bob, "MEMBER").await;
        world.act(acme, &ada, Action::DeleteOrganization { confirm_name: "Acme".to_owned() }).await;
        let id = bob.id.0;
        let inviting = format!(
            "SELECT user_id FROM users WHERE user_id = '{id}' FOR SHARE; \
             INSERT INTO user_invitations VALUES ('{id}', '{id}', '{id}')"
        );
        let mut holder = Holder::of(&world, &inviting).await;
        let folder = tempfile::tempdir().unwrap();
        let files = Files::folder(folder.path()).unwrap();
        let invited = async {
            holder.until_waiting(1, Duration::ZERO).await;
            holder.let_go().await;
        };
        let (purged, ()) = tokio::join!(purge(world.database(), &files), invited);
        assert!(purged.unwrap() > 0);
        assert!(users::find(world.database(), bob.id).await.unwrap().is_some());
    })
    .await;
}
