//! Look-ups of one moment: many of them are few statements, and one that fails says so to everybody who waited for it.

use futures_util::future::join_all;
use orgledger::{
    domain::{OrganizationId, UserId},
    store::{Error, lookups::AT_ONCE},
};
use uuid::Uuid;

use super::world::World;
use crate::support::databases::both_databases;

both_databases! {
    async fn everybody_finds_their_own_however_many_ask(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let organizations = &world.store.lookups.organizations;
        let asked = (0..3 * AT_ONCE).map(|number| match number % 4 {
            0 => (acme, Some(ada.id)),
            1 => (acme, None),
            2 => (acme, Some(UserId(Uuid::from_u128(number as u128)))),
            _ => (OrganizationId(Uuid::from_u128(number as u128)), Some(ada.id)),
        });
        let found = join_all(asked.map(|key| organizations.find(key))).await;
        for (number, row) in found.into_iter().enumerate() {
            let row = row.unwrap();
            let status = row.as_ref().map(|row| row.member_status.as_deref());
            let expected = [Some(Some("ACTIVE")), Some(None), Some(None), None][number % 4];
            assert_eq!(status, expected, "{number}");
        }
    }

    async fn a_statement_that_fails_fails_who_waited_for_it(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        world.database().close().await;
        let organizations = &world.store.lookups.organizations;
        for _ in 0..2 {
            for result in join_all((0..10).map(|_| organizations.find((acme, Some(ada.id))))).await {
                assert!(matches!(result.unwrap_err().root(), Error::Closed));
            }
        }
    }
}
