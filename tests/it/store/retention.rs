//! From where something came is forgotten after its time, in batches; what was done, and why, is not.

use chrono::TimeDelta;
use orgledger::{
    domain::{Timestamp, values::Text},
    store::{
        append::{Origin, Reason},
        history::Filter,
        ledger::Request,
        page::{End, Window},
        refusals::{Kept, Line},
        retention::forget,
    },
};

use super::world::{World, remove, rename};
use crate::support::databases::both_databases;

/// Of each entry, newest first: the address, the program and the reason.
async fn known(
    world: &World,
    organization: orgledger::domain::OrganizationId,
) -> Vec<(Option<String>, Option<String>, Option<String>)> {
    let all = Window { limit: 5000, end: End::First, after: None, before: None };
    let page = Filter::default().log(world.database(), organization, Kept::Both, &all).await.unwrap();
    let of = |line| match line {
        Line::Done(entry) => (entry.ip, entry.user_agent, entry.reason),
        Line::Refused(row) => (row.ip, row.user_agent, None),
    };
    page.rows.into_iter().map(of).collect()
}

both_databases! {
    async fn what_is_older_than_its_time_is_blanked_and_nothing_else(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let [acme, apex] = [world.organization(&ada, "Acme").await, world.organization(&ada, "Apex").await];
        let bob = world.member(acme, &ada, "bob@example.com", "MEMBER").await;
        let mut times: Vec<Timestamp> = Vec::new();
        for number in 0..4 {
            world.pass(TimeDelta::days(30));
            times.push(world.now());
            let origin = Origin {
                request_id: "r".to_owned(),
                ip: Some(format!("192.0.2.{number}")),
                user_agent: (number % 2 == 0).then(|| "curl/8".to_owned()),
                reason: Text::parse("Because").unwrap().map(|text| Reason { text, salt: [7; 32] }),
            };
            for organization in [acme, apex] {
                let request = world.request(organization, &ada, rename(&format!("Name {number}")));
                world.store.ledger.execute(Request { origin: origin.clone(), ..request }).await.unwrap();
            }
            let refused = Request { origin, ..world.request(acme, &bob, remove(&ada)) };
            world.store.ledger.execute(refused).await.unwrap_err();
        }
        let before = known(&world, acme).await;
        assert_eq!(before.iter().filter(|(ip, ..)| ip.is_some()).count(), 8);
        assert_eq!(forget(world.database(), times[0]).await.unwrap(), 0, "what is as old as that is kept");
        // Two changes in each of two organizations, and two refusals.
        assert_eq!(forget(world.database(), times[2]).await.unwrap(), 6);
        assert_eq!(forget(world.database(), times[2]).await.unwrap(), 0);
        let after = known(&world, acme).await;
        for (after, before) in after.iter().zip(&before) {
            let old = ["192.0.2.0", "192.0.2.1"].iter().any(|old| before.0.as_deref() == Some(old));
            let expected = if old { (None, None, before.2.clone()) } else { before.clone() };
            assert_eq!(*after, expected);
        }
        assert_eq!(after.iter().filter(|(.., reason)| reason.is_some()).count(), 4, "reasons stay");
        assert_eq!(known(&world, apex).await.iter().filter(|(ip, ..)| ip.is_some()).count(), 2);
        world.holds().await;
    }

    /// More than one batch of them.
    async fn a_long_past_is_forgotten_in_batches(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let bob = world.member(acme, &ada, "bob@example.com", "MEMBER").await;
        world.ask(acme, &bob, remove(&ada)).await.unwrap_err();
        let many = "(WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) SELECT i FROM n) AS n";
        world
            .raw(&format!(
                "INSERT INTO refusals SELECT organization_id, sequence, n.i, refused_at, action, code, actor_kind, \
                 actor_id, target_kind, target_id, request_id, '192.0.2.1', NULL, 0 FROM refusals, {many}"
            ))
            .await;
        assert_eq!(forget(world.database(), world.now() + TimeDelta::seconds(1)).await.unwrap(), 2499);
        assert!(known(&world, acme).await.iter().all(|(ip, ..)| ip.is_none()));
    }
}
