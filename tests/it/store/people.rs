//! The directory of people: rows for addresses, and names as they are searched.

use chrono::TimeDelta;
use orgledger::{
    domain::{Actor, UserId},
    store::{
        erasure,
        members::Filter,
        standing::{Credential, standings},
        users::{self, NewUser},
    },
};
use uuid::Uuid;

use super::world::{World, named};
use crate::support::databases::both_databases;

fn new(world: &World, address: &str) -> NewUser {
    NewUser {
        id: UserId(world.store.entropy.uuid()),
        salt: world.store.entropy.bytes(),
        email: address.parse().unwrap(),
    }
}

/// The normalized addresses and the ids of who is found, in order.
async fn resolved(world: &World, wanted: &[NewUser]) -> Vec<(String, Uuid)> {
    let rows = users::resolve(world.database(), wanted, world.now()).await.unwrap();
    let mut found: Vec<_> = rows.into_iter().map(|row| (row.email_key, row.user_id)).collect();
    found.sort_unstable();
    found
}

both_databases! {
    /// What stands on a provider's token ends with the wish to be erased, as sessions do.
    async fn a_token_is_good_until_its_person_is_being_erased(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let known = "INSERT INTO identities (issuer, subject, user_id, created_at) \
             SELECT 'https://id.example.com', 'ada', user_id, last_login_at FROM users";
        world.raw(known).await;
        let asked = [(Credential::Token { user: ada.id, expires_at: world.now() + TimeDelta::hours(1) }, acme)];
        let good = async || standings(world.database(), &asked, world.now()).await.unwrap().len() == 1;
        assert!(good().await);
        erasure::mark(world.database(), ada.id, Actor::from(&ada)).await.unwrap();
        assert!(!good().await);
    }

    /// One row per address, whoever asks how often, in whatever order and spelling.
    async fn an_address_is_one_person(url: &str) {
        let world = World::open(url).await;
        assert_eq!(users::resolve(world.database(), &[], world.now()).await.unwrap().len(), 0, "nobody is asked for");
        let spellings = ["bob@example.com", "ada@example.com", "BOB@Example.com", "bob@example.com"];
        let wanted = spellings.map(|address| new(&world, address));
        let found = resolved(&world, &wanted).await;
        let addresses: Vec<_> = found.iter().map(|(address, _)| address.as_str()).collect();
        assert_eq!(addresses, ["ada@example.com", "bob@example.com"]);
        let again = [new(&world, "ada@example.com"), new(&world, "Bob@example.com")];
        assert_eq!(resolved(&world, &again).await, found);
    }

    /// A Greek name is found by what somebody types of it: a sigma is one letter, at the end of a word too.
    async fn a_greek_name_is_found_by_any_part_of_it(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        users::rename(world.database(), ada.id, Some(&named("ΣΩΚΡΑΤΗΣ Οδός"))).await.unwrap();
        for search in ["ΣΩΚΡΑΤΗΣ", "σωκρατης", "σωκρατησ", "ΑΤΗΣ Ο", "της", "ΟΔΌΣ", "οδόσ"] {
            let filter = Filter { search: Some(search.to_owned()), ..Filter::present(acme) };
            assert_eq!(filter.count(world.database()).await.unwrap(), 1, "{search}");
        }
    }
}
