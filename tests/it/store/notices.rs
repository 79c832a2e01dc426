//! Notices on their way: once for each minute, once for each person, and nothing where there is nobody to tell.

use chrono::TimeDelta;
use orgledger::{
    domain::{
        OrganizationId, UserId,
        organization::{
            Action,
            notices::{Categories, Category},
        },
    },
    store::{
        Database,
        files::Files,
        names::Wanted,
        notices::{self, Choice},
        outbox::{self, Kind, Taken},
        purge::purge,
        statement::Statement,
    },
};
use uuid::Uuid;

use super::world::{Person, World, change_role, rename};
use crate::support::databases::both_databases;

/// Calls every function that a letter about changes reads with.
pub async fn read(database: &Database, organization: OrganizationId) {
    let nobody = UserId(Uuid::nil());
    let readers = notices::readers_statement(organization, Categories::of(&Category::ALL));
    readers.all::<(Uuid, i64, i64)>(database).await.unwrap();
    notices::of_minute(database, organization, 1).await.unwrap();
    notices::addressee(database, organization, nobody).await.unwrap();
    notices::muted(database, organization, nobody).await.unwrap();
    let mut wanted = Wanted::default();
    wanted.user(nobody.0);
    wanted.api_key(nobody.0);
    wanted.invitation(nobody.0);
    wanted.role(nobody.0);
    wanted.joined(nobody.0);
    wanted.load(database, organization).await.unwrap();
}

/// Who notices and gatherings wait for, one line each.
async fn waiting(world: &World) -> Vec<(String, Uuid, i64)> {
    let text = "SELECT kind, subject_id, generation FROM outbox \
         WHERE kind IN ('GATHERING', 'NOTICE') AND state = 'PENDING' ORDER BY 1, 3, 2";
    Statement::new(text).all(world.database()).await.unwrap()
}

async fn subjects(world: &World, kind: &str) -> Vec<Uuid> {
    let rows = waiting(world).await;
    rows.into_iter().filter(|(found, ..)| found == kind).map(|(_, subject, _)| subject).collect()
}

/// The gathering that is due.
async fn gathering(world: &World) -> Taken {
    let taken = outbox::take(world.database(), world.now()).await.unwrap();
    taken.into_iter().find(|letter| letter.kind == Kind::Gathering).unwrap()
}

/// Lets the minute go by, and spreads whatever was gathered.
async fn spread(world: &World) {
    world.pass(TimeDelta::minutes(2));
    for taken in outbox::take(world.database(), world.now()).await.unwrap() {
        if taken.kind == Kind::Gathering {
            notices::spread(world.database(), &taken, world.now()).await.unwrap();
        }
    }
}

/// Ada's workspace with Bob as a co-admin, and everything that was told of that.
async fn acme(world: &World) -> (OrganizationId, Person, Person) {
    let ada = world.person("ada@example.com").await;
    let acme = world.organization(&ada, "Acme").await;
    let bob = world.member(acme, &ada, "bob@example.com", "CO_ADMIN").await;
    world.pass(TimeDelta::minutes(2));
    world.raw("DELETE FROM outbox").await;
    (acme, ada, bob)
}

fn choice(muted: &[Category], heard: &[Category]) -> Choice {
    Choice { muted: Categories::of(muted), heard: Categories::of(heard) }
}

both_databases! {
    async fn the_commands_of_a_minute_are_gathered_once_and_spread_when_it_is_over(url: &str) {
        let world = World::open(url).await;
        let (acme, ada, bob) = acme(&world).await;
        for name in ["a", "b", "c"] {
            world.api_key(acme, &ada, name).await;
            world.pass(TimeDelta::seconds(5));
        }
        world.act(acme, &ada, rename("Apex")).await;
        assert_eq!(subjects(&world, "GATHERING").await, [acme.0]);
        assert!(outbox::take(world.database(), world.now()).await.unwrap().is_empty(), "the minute is not over");
        world.pass(TimeDelta::minutes(1));
        world.api_key(acme, &ada, "d").await;
        assert_eq!(subjects(&world, "GATHERING").await.len(), 2, "another minute");
        spread(&world).await;
        assert_eq!(subjects(&world, "NOTICE").await, [bob.id.0, bob.id.0], "Ada did it all herself");
        assert_eq!(subjects(&world, "GATHERING").await, Vec::<Uuid>::new());
    }

    /// Nothing is written for who is alone, nor for what nobody is told of.
    async fn where_nobody_is_to_be_told_nothing_waits(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let alone = world.organization(&ada, "Alone").await;
        world.api_key(alone, &ada, "a").await;
        assert_eq!(waiting(&world).await, []);
        let (acme, ada, bob) = acme(&world).await;
        world.act(acme, &ada, rename("Apex")).await;
        assert_eq!(waiting(&world).await, []);
        let all: Vec<_> = Category::ALL.into_iter().filter(|category| category.can_be_muted()).collect();
        notices::choose(world.database(), acme, bob.id, choice(&all, &[])).await.unwrap().unwrap();
        world.api_key(acme, &ada, "a").await;
        spread(&world).await;
        assert_eq!(waiting(&world).await, []);
    }

    /// A courier that ends at any place in between, and two that come at once: the letters are made once.
    async fn a_minute_is_spread_once_whatever_ends_in_between(url: &str) {
        let world = World::open(url).await;
        let other = world.beside(url).await;
        let (acme, ada, bob) = acme(&world).await;
        world.api_key(acme, &ada, "a").await;
        world.pass(TimeDelta::minutes(2));
        // Taken, and never spread.
        gathering(&world).await;
        assert_eq!(subjects(&world, "NOTICE").await, Vec::<Uuid>::new());
        world.pass(outbox::LEASE);
        let taken = gathering(&other).await;
        assert_eq!(taken.attempts, 2);
        let (first, second) = tokio::join!(
            notices::spread(world.database(), &taken, world.now()),
            notices::spread(other.database(), &taken, world.now())
        );
        first.and(second).unwrap();
        assert_eq!(subjects(&world, "NOTICE").await, [bob.id.0]);
        // Sent and forgotten: whoever still holds the gathering makes no second letter of it.
        let notice = outbox::take(world.database(), world.now()).await.unwrap().remove(0);
        outbox::note(world.database(), vec![(notice.id, outbox::Outcome::Forgotten)]).await.unwrap();
        notices::spread(world.database(), &taken, world.now()).await.unwrap();
        world.pass(outbox::LEASE * 2);
        assert_eq!((waiting(&world).await, outbox::take(world.database(), world.now()).await.unwrap().len()), (vec![], 0));
    }

    /// What is left of many minutes is one row of the organization, whatever was told to how many.
    async fn the_outbox_does_not_grow_by_notices(url: &str) {
        let world = World::open(url).await;
        let (acme, ada, _) = acme(&world).await;
        for name in ["a", "b", "c"] {
            world.api_key(acme, &ada, name).await;
            spread(&world).await;
            for notice in outbox::take(world.database(), world.now()).await.unwrap() {
                outbox::note(world.database(), vec![(notice.id, outbox::Outcome::Forgotten)]).await.unwrap();
            }
        }
        let left: Vec<(String, String)> =
            Statement::new("SELECT kind, state FROM outbox").all(world.database()).await.unwrap();
        assert_eq!(left, [("GATHERING".to_owned(), "SENT".to_owned())]);
    }

    async fn nothing_is_left_of_an_organization_that_ended_before_it_was_told(url: &str) {
        let world = World::open(url).await;
        let (acme, ada, bob) = acme(&world).await;
        notices::choose(world.database(), acme, bob.id, choice(&[Category::Roles], &[])).await.unwrap().unwrap();
        world.api_key(acme, &ada, "a").await;
        world.pass(TimeDelta::minutes(2));
        let taken = gathering(&world).await;
        world.act(acme, &ada, Action::DeleteOrganization { confirm_name: "Acme".to_owned() }).await;
        notices::spread(world.database(), &taken, world.now()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        purge(world.database(), &Files::folder(folder.path()).unwrap()).await.unwrap();
        for table in ["outbox", "notification_preferences"] {
            let count = Statement::new(format!("SELECT COUNT(*) FROM {table}")).count(world.database()).await.unwrap();
            assert_eq!(count, 0, "{table}");
        }
        assert!(notices::addressee(world.database(), acme, bob.id).await.unwrap().is_none());
        assert!(notices::choose(world.database(), acme, bob.id, Choice::default()).await.unwrap().is_none());
    }

    /// Who signs in or is invited does not wait for a thousand notices.
    async fn other_letters_go_first(url: &str) {
        let world = World::open(url).await;
        let (acme, ada, bob) = acme(&world).await;
        let emails: Vec<_> = (0..12).map(|number| format!("m{number:02}@example.com")).collect();
        let people = world.people(&emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
        world.join(acme, &ada, &people, "CO_ADMIN").await;
        world.pass(TimeDelta::minutes(2));
        world.raw("DELETE FROM outbox").await;
        world.api_key(acme, &ada, "a").await;
        spread(&world).await;
        assert_eq!(subjects(&world, "NOTICE").await.len(), 13);
        world.pass(TimeDelta::seconds(1));
        world.act(acme, &ada, change_role(&bob, "MANAGER")).await;
        let taken = outbox::take(world.database(), world.now()).await.unwrap();
        assert_eq!(taken.len(), outbox::BATCH as usize);
        assert!(taken.iter().any(|letter| letter.kind == Kind::Membership), "{taken:?}");
    }
}
