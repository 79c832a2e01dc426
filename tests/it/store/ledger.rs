//! Commands on the ledger: what one writes, what stale servers and lost callers do to it, what a failure leaves.

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use orgledger::{
    domain::{
        Actor, Organization, OrganizationId, Refusal,
        organization::{Action, Kind},
    },
    store::{
        history,
        hot::{self, Head},
        ledger::{Failure, Freshness, Request},
        statement::Statement,
    },
};
use tokio::time::timeout;

use super::world::{World, change_role, deactivate, refusal, remove, rename};
use crate::support::databases::{both_databases, on_postgres};

async fn head(world: &World, organization: OrganizationId) -> Head {
    hot::head(world.database(), organization).await.unwrap().unwrap()
}

async fn name(world: &World, organization: OrganizationId) -> String {
    let text = "SELECT name FROM organizations WHERE organization_id = $1";
    let row = Statement::new(text).bind(organization.0).optional::<(String,)>(world.database()).await;
    row.unwrap().unwrap().0
}

both_databases! {
    /// Who only looks at an organization has the cache know how heavy it is.
    async fn the_cache_weighs_what_is_read(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let people = world.people(&["bob@example.com", "cleo@example.com", "dan@example.com"]).await;
        world.join(acme, &ada, &people, "MEMBER").await;
        let weight = world.store.ledger.view(acme, Freshness::Compared, Organization::weight).await.unwrap();
        let cold = world.cold();
        assert_eq!(cold.store.ledger.weight(), 0);
        cold.store.ledger.view(acme, Freshness::Compared, Organization::weight).await.unwrap();
        assert_eq!((weight, cold.store.ledger.weight()), (8, 8), "one, four members, and three invitations");
        world.act(acme, &ada, rename("Apex")).await;
        cold.store.ledger.view(acme, Freshness::Compared, Organization::weight).await.unwrap();
        assert_eq!(cold.store.ledger.weight(), 8);
    }

    /// What a receipt says is what the head, the events and the rows say.
    async fn a_commands_events_rows_and_head_are_one(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let first = head(&world, acme).await;
        assert_eq!(first.version, 2, "created, and its owner joined");

        let receipt = world.act(acme, &ada, rename("Apex")).await;
        let second = head(&world, acme).await;
        assert!(receipt.written && !receipt.replayed);
        assert_eq!((receipt.version, second.version), (3, 3));
        assert_eq!(name(&world, acme).await, "Apex");
        let events = history::after(world.database(), acme, 0, u64::MAX).await.unwrap();
        assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((&events[2].prev_hash, &events[2].hash), (&first.hash, &second.hash));
        assert_eq!(events[2].metadata.actor(), Some(Actor::from(&ada)));

        let again = world.act(acme, &ada, rename("Apex")).await;
        assert_eq!((again.version, again.written), (3, false), "nothing to change writes nothing");
        let outsider = world.person("eve@example.com").await;
        let no = refusal(world.ask(acme, &outsider, rename("Mine")).await);
        assert_eq!(no.code(), "NOT_FOUND");
        assert_eq!(head(&world, acme).await.hash, second.hash, "a refusal changes nothing");
        assert_eq!((world.holds().await.organizations, world.holds().await.events), (1, 3));
    }

    /// A server whose memory is old notices at the append, and decides again.
    async fn a_stale_version_is_decided_anew(url: &str) {
        let world = World::open(url).await;
        let other = world.beside(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        for round in 0..5 {
            let one = world.act(acme, &ada, rename(&format!("One {round}"))).await;
            let two = other.act(acme, &ada, rename(&format!("Two {round}"))).await;
            assert_eq!((one.version, two.version), (3 + round * 2, 4 + round * 2));
        }
        let events = history::after(world.database(), acme, 3, 4).await.unwrap();
        let payload = serde_json::json!({ "from": "One 0", "to": "Two 0" });
        assert_eq!(events[0].payload, payload, "decided on what the other server had written");
        world.holds().await;
    }

    /// What is answered without an append is compared with the head first: a refusal, and nothing to change.
    async fn an_old_memory_neither_refuses_nor_does_nothing(url: &str) {
        let one = World::open(url).await;
        let two = one.beside(url).await;
        let ada = one.person("ada@example.com").await;
        let acme = one.organization(&ada, "Acme").await;
        let bob = one.member(acme, &ada, "bob@example.com", "MEMBER").await;
        assert_eq!(refusal(one.ask(acme, &bob, rename("Bob's")).await).code(), "PERMISSION_REQUIRED");
        two.act(acme, &ada, change_role(&bob, "CO_ADMIN")).await;
        assert!(one.act(acme, &bob, rename("Bob's")).await.written, "refused on the old state, accepted on the new");
        assert!(two.act(acme, &bob, rename("Bobby's")).await.written);
        one.act(acme, &ada, change_role(&bob, "MEMBER")).await;
        assert_eq!(refusal(two.ask(acme, &bob, rename("No")).await).code(), "PERMISSION_REQUIRED");

        assert!(one.act(acme, &ada, deactivate(&bob)).await.written);
        let reactivate = Action::ReactivateMember { member: bob.id };
        assert!(two.act(acme, &ada, reactivate.clone()).await.written);
        assert!(one.act(acme, &ada, deactivate(&bob)).await.written, "nothing to change on the old state only");
        assert!(two.act(acme, &ada, reactivate).await.written);
        let ledgers = [&one.store.ledger, &two.store.ledger];
        let versions = ledgers.map(|ledger| ledger.view(acme, Freshness::Compared, Organization::version));
        assert!(join_all(versions).await.into_iter().all(|version| version.unwrap() == 13), "a look is compared too");

        two.act(acme, &ada, remove(&bob)).await;
        assert_eq!(refusal(one.ask(acme, &bob, rename("No")).await).code(), "NOT_FOUND");
    }

    /// Two owners who demote each other at the same moment on two servers: one of them wins.
    async fn two_admins_who_demote_each_other_leave_one_owner(url: &str) {
        let one = World::open(url).await;
        let two = one.beside(url).await;
        let ada = one.person("ada@example.com").await;
        let acme = one.organization(&ada, "Acme").await;
        let bob = one.member(acme, &ada, "bob@example.com", "ADMIN").await;
        for round in 0..100 {
            let results = tokio::join!(
                one.ask(acme, &ada, change_role(&bob, "MEMBER")),
                two.ask(acme, &bob, change_role(&ada, "MEMBER"))
            );
            let (winner, loser) = match results {
                (Ok(_), Err(Failure::Refused(no))) if no.code() == "PERMISSION_REQUIRED" => (&ada, &bob),
                (Err(Failure::Refused(no)), Ok(_)) if no.code() == "PERMISSION_REQUIRED" => (&bob, &ada),
                other => panic!("round {round}: {other:?}"),
            };
            one.act(acme, winner, change_role(loser, "ADMIN")).await;
        }
        assert_eq!(head(&one, acme).await.version, 5 + 200);
        one.holds().await;
    }

    /// However many come at once through however many servers, a command is done or a rule says no.
    async fn a_hundred_commands_at_once_never_conflict(url: &str) {
        let one = World::open(url).await;
        let two = one.beside(url).await;
        let ada = one.person("ada@example.com").await;
        let acme = one.organization(&ada, "Acme").await;
        let bob = one.member(acme, &ada, "bob@example.com", "MEMBER").await;
        let before = head(&one, acme).await.version;
        let commands = (0..100).map(|number| {
            let world = if number % 2 == 0 { &one } else { &two };
            let by = if number % 5 == 0 { &bob } else { &ada };
            world.ask(acme, by, rename(&format!("Acme {number}")))
        });
        let results = join_all(commands).await;
        let mut versions: Vec<_> = results.iter().flatten().map(|receipt| receipt.version).collect();
        versions.sort_unstable();
        assert_eq!(versions, (before + 1..=before + 80).collect::<Vec<_>>());
        for (number, result) in results.into_iter().enumerate().filter(|(number, _)| number % 5 == 0) {
            assert_eq!(refusal(result).code(), "PERMISSION_REQUIRED", "command {number}");
        }
        one.holds().await;
    }

    /// Servers whose memory of many organizations is old at once: each command takes its lock, and all get through.
    async fn many_stale_organizations_at_once_get_through(url: &str) {
        let one = World::open(url).await;
        let two = one.beside(url).await;
        let ada = one.person("ada@example.com").await;
        let mut all = Vec::new();
        for number in 0..60 {
            all.push(one.organization(&ada, &format!("Acme {number}")).await);
        }
        for organization in &all {
            two.act(*organization, &ada, rename("Two")).await;
        }
        let receipts = join_all(all.iter().map(|organization| one.act(*organization, &ada, rename("One")))).await;
        assert!(receipts.iter().all(|receipt| receipt.version == 4));
        one.holds().await;
    }

    /// What waits is written in one transaction; what cannot be written there is tried alone, and only that fails.
    async fn a_command_that_fails_fails_none_that_is_written_with_it(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let mut all = Vec::new();
        for number in 0..20 {
            all.push(world.organization(&ada, &format!("Acme {number}")).await);
        }
        world
            .raw(
                "INSERT INTO audit_entries (organization_id, sequence, event_type, actor_id, target_id, actor_kind) \
                 SELECT a.organization_id, 3, a.event_type, a.actor_id, a.target_id, a.actor_kind \
                 FROM audit_entries a JOIN organizations o ON o.organization_id = a.organization_id \
                 WHERE a.sequence = 2 AND o.name = 'Acme 7'",
            )
            .await;
        let rename = |organization: &OrganizationId| world.request(*organization, &ada, rename("One"));
        let results = join_all(all.iter().map(|acme| world.store.ledger.execute(rename(acme)))).await;
        for (number, result) in results.iter().enumerate() {
            match result {
                Ok(receipt) => assert!(number != 7 && receipt.written && receipt.version == 3),
                Err(failure) => assert!(number == 7 && matches!(failure, Failure::Store(_)), "{number}: {failure:?}"),
            }
        }
        assert_eq!(head(&world, all[7]).await.version, 2);
        world.raw("DELETE FROM audit_entries WHERE sequence = 3 AND event_type <> 'organization.renamed'").await;
        assert_eq!(world.store.ledger.execute(rename(&all[7])).await.unwrap().version, 3);
        world.holds().await;
    }

    /// A database restored from a copy that lacks the last event goes on with another one: a server that remembers the
    /// lost one notices by the hash, though the length is the same.
    async fn another_history_of_the_same_length_is_noticed(url: &str) {
        let one = World::open(url).await;
        let two = one.beside(url).await;
        let ada = one.person("ada@example.com").await;
        let acme = one.organization(&ada, "Acme").await;
        one.act(acme, &ada, rename("Lost")).await;
        for text in [
            "DELETE FROM events WHERE sequence = 3",
            "DELETE FROM audit_entries WHERE sequence = 3",
            "UPDATE streams SET version = 2, head_hash = (SELECT hash FROM events WHERE sequence = 2)",
            "UPDATE organizations SET name = 'Acme', version = 1",
        ] {
            one.raw(text).await;
        }
        two.act(acme, &ada, rename("Two")).await;
        assert_eq!(one.act(acme, &ada, rename("Lost")).await.version, 4, "what it remembers is nothing to change");
        let events = history::after(one.database(), acme, 2, 4).await.unwrap();
        let payloads: Vec<_> = events.into_iter().map(|event| event.payload).collect();
        let renamed = |from, to| serde_json::json!({ "from": from, "to": to });
        assert_eq!(payloads, [renamed("Acme", "Two"), renamed("Two", "Lost")]);
        one.holds().await;
    }

    /// A client that goes away in the middle takes nothing with it.
    async fn a_cancelled_caller_does_not_cancel_the_command(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let mut heads = world.store.feed.follow(acme);
        assert!(world.ask(acme, &ada, rename("Apex")).now_or_never().is_none(), "polled once, and dropped");
        timeout(Duration::from_secs(10), heads.wait_for(|version| *version == 3)).await.unwrap().unwrap();
        assert_eq!(name(&world, acme).await, "Apex");
        assert_eq!(world.act(acme, &ada, rename("Acme")).await.version, 4);
    }

    /// What a failed append has decided is forgotten: nothing of it is in the database, and nothing in memory.
    async fn a_failed_append_leaves_nothing_and_is_forgotten(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let bob = world.person("bob@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let before = head(&world, acme).await;
        let request = world.invitation(acme, &ada, &[(&bob, None)], "MEMBER");

        // The letter is written last, after the head, the events and the rows.
        world.raw("ALTER TABLE outbox RENAME TO outbox_elsewhere").await;
        let failure = world.store.ledger.execute(request.clone()).await.unwrap_err();
        assert!(matches!(failure, Failure::Store(_)), "{failure:?}");
        assert_eq!(head(&world, acme).await.hash, before.hash);
        for table in ["invitations", "invitation_details", "user_invitations"] {
            let rows = Statement::new(format!("SELECT COUNT(*) FROM {table}")).count(world.database()).await;
            assert_eq!(rows.unwrap(), 0, "{table}");
        }
        world.raw("ALTER TABLE outbox_elsewhere RENAME TO outbox").await;

        let receipt = world.store.ledger.execute(request).await.unwrap();
        let invited = receipt.notes.invited[0].as_ref().unwrap();
        assert!(receipt.written && !invited.already_pending, "the invitation that failed was never there");
        assert_eq!(receipt.version, 3);
        world.holds().await;
    }

    /// An id is used once: not again after a deletion, and not by two servers at once.
    async fn an_organization_is_made_once(url: &str) {
        let one = World::open(url).await;
        let two = one.beside(url).await;
        let ada = one.person("ada@example.com").await;
        let acme = one.organization(&ada, "Acme").await;
        let create = one.request(
            acme,
            &ada,
            Action::CreateOrganization {
                kind: Kind::Team,
                name: "Again".parse().unwrap(),
                description: None,
                email_commitment: ada.commitment.clone(),
                organizations: 0,
            },
        );
        assert_eq!(refusal(two.store.ledger.execute(create.clone()).await).code(), "NOT_FOUND");
        one.act(acme, &ada, Action::DeleteOrganization { confirm_name: "acme".to_owned() }).await;
        assert_eq!(refusal(two.store.ledger.execute(create.clone()).await).code(), "NOT_FOUND");

        let create = Request { organization: OrganizationId(ada.id.0), ..create };
        let both = tokio::join!(one.store.ledger.execute(create.clone()), two.store.ledger.execute(create));
        let refused = match both {
            (Ok(_), Err(Failure::Refused(no))) | (Err(Failure::Refused(no)), Ok(_)) => no,
            other => panic!("made by both or by none: {other:?}"),
        };
        assert_eq!(refused, Refusal::NotFound { field: "organizationId" });
        one.holds().await;
    }
}

/// A server that loses its connections in the middle of anything has kept what it answered, and nothing by halves.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_loses_nothing_that_was_answered() {
    on_postgres("store::ledger::a_lost_connection_loses_nothing_that_was_answered", async |url| {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let other = world.beside(url).await;
        // Only connections that are in the middle of this test's own table.
        let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM (SELECT DISTINCT pid FROM pg_locks \
             WHERE relation = 'streams'::regclass AND pid <> pg_backend_pid()) AS busy";
        let (mut cuts, mut answered, mut lost) = (0, 0, 0);
        for number in 0..100_000 {
            let one = async { world.ask(acme, &ada, rename(&format!("Acme {number}"))).await };
            let (result, killed) = tokio::join!(one, Statement::new(cut).count(other.database()));
            cuts += killed.unwrap();
            match result {
                Ok(receipt) => {
                    answered += 1;
                    assert_eq!(head(&world, acme).await.version, receipt.version);
                }
                Err(Failure::Store(_)) => lost += 1,
                Err(Failure::Refused(no)) => panic!("{no}"),
            }
            if cuts >= 20 && answered >= 20 {
                break;
            }
        }
        let written = head(&world, acme).await.version - 2;
        assert!((answered..=answered + lost).contains(&written), "{answered} + {lost}: {written}");
        assert!(cuts >= 20 && lost > 0, "{cuts} cuts, {lost} lost");
        world.holds().await;
    })
    .await;
}
