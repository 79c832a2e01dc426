//! Commands with an idempotency key: done once, answered again for a day.

use chrono::TimeDelta;
use futures_util::future::join_all;
use orgledger::{
    domain::{
        OrganizationId,
        organization::{Action, api_keys::KeyType},
    },
    store::{
        hot,
        ledger::{Freshness, Request},
        rebuild::{Which, rebuild},
    },
};

use super::world::{Person, World, refusal};
use crate::support::databases::both_databases;

/// The wish for an API key of one name; each time with another id and secret, as a repeated request has them.
fn wish(world: &World, organization: OrganizationId, by: &Person, (name, key): (&str, &str)) -> Request {
    let request = world.request(organization, by, world.new_key(name, None, KeyType::Standard));
    Request { idempotency: Some(world.idempotency(key, name)), ..request }
}

both_databases! {
    /// The second answer names the first one's objects; another input under the same key is refused.
    async fn a_repeated_command_is_done_once(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let bob = world.member(acme, &ada, "bob@example.com", "ADMIN").await;
        let ledger = &world.store.ledger;
        let first = ledger.execute(wish(&world, acme, &ada, ("ci", "k1"))).await.unwrap();
        let second = ledger.execute(wish(&world, acme, &ada, ("ci", "k1"))).await.unwrap();
        assert!(first.written && !first.replayed && second.replayed && !second.written);
        assert_eq!((first.objects.len(), &first.objects, first.version), (1, &second.objects, second.version));

        let other_input = ledger.execute(wish(&world, acme, &ada, ("cd", "k1"))).await;
        assert_eq!(refusal(other_input).code(), "IDEMPOTENCY_MISMATCH");
        let other_actor = ledger.execute(wish(&world, acme, &bob, ("cd", "k1"))).await.unwrap();
        assert!(other_actor.written, "a key belongs to who gave it");
        let refused = ledger.execute(wish(&world, acme, &ada, ("cd", "k2"))).await;
        assert_eq!(refusal(refused).code(), "NAME_TAKEN");
        let freed = ledger.execute(wish(&world, acme, &ada, ("free", "k2"))).await;
        assert!(freed.unwrap().written, "a refusal is not kept");
    }

    /// A day later the key is forgotten, and not a microsecond before.
    async fn after_a_day_it_is_a_new_command(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let ledger = &world.store.ledger;
        ledger.execute(wish(&world, acme, &ada, ("ci", "k1"))).await.unwrap();
        world.pass(TimeDelta::hours(24) - TimeDelta::microseconds(1));
        assert!(ledger.execute(wish(&world, acme, &ada, ("ci", "k1"))).await.unwrap().replayed);
        world.pass(TimeDelta::microseconds(1));
        let again = ledger.execute(wish(&world, acme, &ada, ("ci", "k1"))).await;
        assert_eq!(refusal(again).code(), "NAME_TAKEN", "it is decided like any other");
        assert!(ledger.execute(wish(&world, acme, &ada, ("cd", "k1"))).await.unwrap().written);
    }

    /// The same wish at the same moment on two servers is written once, and everybody gets the same answer: nobody is
    /// told that the name is taken, which is taken by this very wish.
    async fn the_same_key_at_once_is_written_once(url: &str) {
        let one = World::open(url).await;
        let two = one.beside(url).await;
        let ada = one.person("ada@example.com").await;
        let acme = one.organization(&ada, "Acme").await;
        two.store.ledger.view(acme, Freshness::Compared, |_| ()).await.unwrap();
        for round in 0..10 {
            let (name, key) = (format!("ci {round}"), format!("k{round}"));
            let before = hot::head(one.database(), acme).await.unwrap().unwrap().version;
            let wishes = (0..10).map(|number| {
                let world = if number % 2 == 0 { &one } else { &two };
                world.store.ledger.execute(wish(world, acme, &ada, (&name, &key)))
            });
            let receipts: Vec<_> = join_all(wishes).await.into_iter().map(Result::unwrap).collect();
            assert_eq!(receipts.iter().filter(|receipt| receipt.written).count(), 1);
            assert_eq!(receipts.iter().filter(|receipt| receipt.replayed).count(), 9);
            assert!(receipts.iter().all(|receipt| receipt.version == before + 1));
            assert!(receipts.iter().all(|receipt| receipt.objects == receipts[0].objects));
        }
        one.holds().await;
    }

    /// Of two inputs that come under one key at the same moment, one is done; the other is told that it is another.
    async fn one_key_at_once_for_two_inputs_is_one_input(url: &str) {
        let one = World::open(url).await;
        let two = one.beside(url).await;
        let ada = one.person("ada@example.com").await;
        let acme = one.organization(&ada, "Acme").await;
        for round in 0..10 {
            let key = format!("k{round}");
            let names = [format!("ci {round}"), format!("cd {round}")];
            let wishes = (0..8).map(|number| {
                let world = if number % 2 == 0 { &one } else { &two };
                world.store.ledger.execute(wish(world, acme, &ada, (&names[number % 3 % 2], &key)))
            });
            let (mut written, mut other) = (0, 0);
            for result in join_all(wishes).await {
                match result {
                    Ok(receipt) => written += u32::from(receipt.written),
                    Err(no) => other += u32::from(refusal(Err(no)).code() == "IDEMPOTENCY_MISMATCH"),
                }
            }
            assert!(written == 1 && [3, 5].contains(&other), "{written} written, {other} other inputs");
        }
        one.holds().await;
    }

    /// The ledger of a deleted organization is kept, and so is the answer to who deleted it, through a rebuild as well.
    async fn a_deletion_is_answered_again(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let delete = Action::DeleteOrganization { confirm_name: "Acme".to_owned() };
        let request =
            Request { idempotency: Some(world.idempotency("k", "delete")), ..world.request(acme, &ada, delete) };
        let done = world.store.ledger.execute(request.clone()).await.unwrap();
        for _ in 0..2 {
            let again = world.store.ledger.execute(request.clone()).await.unwrap();
            assert!(again.replayed && !again.written && again.version == done.version);
            rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
        }
    }
}
