//! Subscriptions over graphql-transport-ws: everything since a cursor, then what happens, for as long as there is
//! access.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::Acme,
    operations,
    server::{Client, Server, text},
    socket::{Socket, events_until},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";

/// Ada changes the name, which is one event.
async fn rename(acme: &Acme<'_>, name: &str) {
    assert_eq!(acme.ada.refusals("UpdateOrganization", acme.with(json!({ "name": name }))).await, [""; 0]);
}

/// Begins the subscription to events.
async fn follow(client: &Client, variables: Value) -> Socket {
    let mut socket = Socket::open(client).await;
    socket.subscribe("1", &operations::document("OrganizationEvents"), variables).await;
    socket
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|edge| text(edge, "/node/type")).collect()
}

both_databases! {
    async fn a_subscriber_gets_what_was_and_what_comes_each_exactly_once(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let mut socket = follow(&acme.ada, acme.with(json!({}))).await;
        let before = events_until(&mut socket, "1", 2).await;
        assert_eq!(types(&before), ["organization.created", "member.joined"]);
        for name in ["Two", "Three", "Four"] {
            rename(&acme, name).await;
        }
        let live = events_until(&mut socket, "1", 5).await;
        assert_eq!(types(&live), ["organization.renamed"; 3]);
        assert_eq!(live[0]["node"]["data"], json!({ "from": "Acme", "to": "Two" }));
        drop(socket);
        rename(&acme, "Five").await;
        let mut socket = follow(&acme.ada, acme.with(json!({ "after": live[1]["cursor"] }))).await;
        let rest = events_until(&mut socket, "1", 6).await;
        assert_eq!(rest[0], live[2], "the one event that was read twice is the one behind the given cursor");
        assert_eq!(rest.len(), 2);
        let page = acme.ada.operation("Events", acme.with(json!({ "after": live[1]["cursor"] }))).await;
        assert_eq!(
            page["organization"]["events"]["edges"][0]["cursor"], rest[0]["cursor"],
            "pages and streams share their cursors"
        );
        socket.close().await;
    }

    /// Those at one place read one page, and here they come to one place from several: each still gets its own.
    async fn who_reads_slowly_or_begins_late_gets_every_event_once_and_in_order(url: &str) {
        const LAST: u64 = 232;
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let all = |variables: Value| follow(&acme.ada, acme.with(variables));
        let mut slow = all(json!({})).await;
        let mut renames = all(json!({ "filter": { "types": ["organization.renamed"] } })).await;
        let (mut late, mut quick) = (Vec::new(), all(json!({})).await);
        let mut seen = events_until(&mut quick, "1", 2).await;
        for sequence in 3..=LAST {
            rename(&acme, &format!("Name {sequence}")).await;
            if sequence % 3 == 0 {
                seen.extend(events_until(&mut quick, "1", sequence).await);
            }
            if sequence % 50 == 0 {
                let after = &seen[usize::try_from(sequence / 2).unwrap() - 1]["cursor"];
                late.push((sequence / 2, all(json!({ "after": after })).await));
            }
        }
        seen.extend(events_until(&mut quick, "1", LAST).await);
        let sequences: Vec<_> = seen.iter().map(|edge| edge["node"]["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, (1..=LAST).collect::<Vec<_>>());
        assert_eq!(events_until(&mut slow, "1", LAST).await, seen);
        for (after, mut socket) in late {
            assert_eq!(events_until(&mut socket, "1", LAST).await, seen[usize::try_from(after).unwrap()..]);
        }
        // What only moves the cursor has no event.
        let mut told = events_until(&mut renames, "1", LAST).await;
        told.retain(|edge| !edge["node"].is_null());
        assert_eq!(told, seen[2..]);
    }

    async fn every_wake_up_is_answered_as_it_was_asked(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let mut socket = Socket::open(&acme.ada).await;
        let document = "subscription Renames($id: ID!, $types: [String!], $typed: Boolean!, $dated: Boolean!) {
            ...Told
        }
        subscription Other($id: ID!) { organizationChanges(organizationId: $id) { areas } }
        fragment Told on Subscription {
            told: organizationEvents(organizationId: $id, filter: { types: $types }) {
                event: node { sequence type @include(if: $typed) occurredAt @skip(if: $dated) }
            }
        }";
        let variables = json!({ "types": ["organization.renamed"], "typed": true, "dated": true });
        let payload = json!({ "query": document, "operationName": "Renames", "variables": acme.with(variables) });
        socket.send(json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
        assert_eq!(socket.next("1").await["payload"], json!({ "data": { "told": { "event": null } } }));
        for (sequence, name) in [(3, "Two"), (4, "Three")] {
            rename(&acme, name).await;
            let event = json!({ "sequence": sequence, "type": "organization.renamed" });
            assert_eq!(socket.next("1").await["payload"], json!({ "data": { "told": { "event": event } } }));
        }
    }

    async fn a_mutations_cursor_is_the_place_of_its_event(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let answer = acme.ada.operation("UpdateOrganization", acme.with(json!({ "name": "Two" }))).await;
        let mut socket = follow(&acme.ada, acme.with(json!({}))).await;
        let events = events_until(&mut socket, "1", 3).await;
        assert_eq!(events[2]["cursor"], answer["updateOrganization"]["cursor"]);
    }

    async fn a_filter_takes_names_and_prefixes_and_its_heartbeats_move_the_cursor(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "MEMBER").await;
        let filter = json!({ "filter": { "types": ["member.*", "organization.renamed"] } });
        let mut socket = follow(&acme.ada, acme.with(filter.clone())).await;
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let edge = socket.answer("1").await;
            if !edge["node"].is_null() {
                seen.push(edge);
            }
        }
        assert_eq!(types(&seen), ["member.joined", "member.joined"]);
        acme.key("Key", &[]).await;
        let heartbeat = socket.answer("1").await;
        assert_eq!(heartbeat["node"], Value::Null);
        let mut variables = acme.with(filter);
        variables["after"] = heartbeat["cursor"].clone();
        let mut resumed = follow(&acme.ada, variables).await;
        rename(&acme, "Two").await;
        for socket in [&mut socket, &mut resumed] {
            assert_eq!(socket.answer("1").await["node"]["sequence"], 7);
        }
    }

    async fn every_member_is_told_which_area_changed(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let mut socket = acme.changes(&bea).await;
        socket.subscribe("events", &operations::document("OrganizationEvents"), acme.with(json!({}))).await;
        assert_eq!(socket.ends_with("events").await, "PERMISSION_REQUIRED");
        let default = acme.with(json!({ "defaultInvitationRoleId": acme.role("AUDITOR") }));
        acme.ada.operation("UpdateOrganization", default).await;
        assert_eq!(socket.answer("changes").await["areas"], json!(["SETTINGS"]));
        rename(&acme, "Two").await;
        assert_eq!(socket.answer("changes").await["areas"], json!(["PROFILE"]));
        acme.key("Key", &[]).await;
        assert_eq!(socket.answer("changes").await["areas"], json!(["API_KEYS"]));
        acme.ada.operation("InviteMember", acme.with(json!({ "email": "x@example.com" }))).await;
        let change = socket.answer("changes").await;
        assert_eq!(change["areas"], json!(["INVITATIONS"]));
        let page = acme.ada.operation("Events", acme.with(json!({ "after": change["cursor"] }))).await;
        assert_eq!(page["organization"]["events"]["edges"], json!([]), "its cursor is one of the ledger");
    }

    async fn a_subscription_ends_when_its_access_does(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let mut ends = Vec::new();
        // Removed, deactivated, gone, demoted, signed out: each with a member of their own.
        for (way, role) in [
            ("removed", "AUDITOR"),
            ("deactivated", "AUDITOR"),
            ("left", "AUDITOR"),
            ("demoted", "AUDITOR"),
            ("signed out", "AUDITOR"),
        ] {
            let email = format!("{}@example.com", way.replace(' ', "-"));
            let person = acme.join(&email, role).await;
            let head = acme.ada.operation("AuditLog", acme.with(json!({ "first": 1 }))).await;
            let head = head["organization"]["auditLog"]["edges"][0]["node"]["sequence"].as_u64().unwrap();
            let mut socket = follow(&person, acme.with(json!({}))).await;
            events_until(&mut socket, "1", head).await;
            let member = acme.with(json!({ "memberId": acme.member(&email).await, "roleId": acme.role("MEMBER") }));
            match way {
                "removed" => acme.ada.operation("RemoveMember", member).await,
                "deactivated" => acme.ada.operation("DeactivateMember", member).await,
                "left" => person.operation("LeaveOrganization", acme.with(json!({}))).await,
                "demoted" => acme.ada.operation("ChangeMemberRole", member).await,
                _ => person.operation("SignOut", json!({})).await,
            };
            // An error is the last word of an operation: nothing completes it.
            let message = socket.next("1").await;
            assert_eq!(message["type"], "error", "{way}");
            ends.push((way, message["payload"][0]["extensions"]["code"].clone()));
        }
        for (way, code) in ends {
            assert_eq!(code, "ACCESS_ENDED", "{way}");
        }
    }

    async fn a_keys_subscription_ends_when_the_key_is_switched_off_or_revoked(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for (name, way) in [("One", "DisableApiKey"), ("Two", "RevokeApiKey")] {
            let (id, key) = acme.key(name, &["EVENTS_SUBSCRIBE"]).await;
            let mut socket = follow(&key, acme.with(json!({}))).await;
            assert_eq!(socket.answer("1").await["node"]["sequence"], 1);
            acme.ada.operation(way, acme.with(json!({ "apiKeyId": id }))).await;
            assert_eq!(socket.ends_with("1").await, "ACCESS_ENDED", "{way}");
            assert_eq!(Socket::refused(&key).await, 4403, "{way}");
        }
        let (_, key) = acme.key("Three", &["AUDIT_READ"]).await;
        let mut socket = follow(&key, acme.with(json!({}))).await;
        assert_eq!(socket.ends_with("1").await, "PERMISSION_REQUIRED");
    }

    /// Somebody who has found a secret follows no longer than it is good.
    async fn a_replaced_secrets_subscription_ends_with_its_grace(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for grace in [0, 2] {
            let (id, old) = acme.key(&format!("Grace {grace}"), &["EVENTS_SUBSCRIBE"]).await;
            let mut followed = follow(&old, acme.with(json!({}))).await;
            assert_eq!(followed.answer("1").await["node"]["sequence"], 1);
            let rotation = acme.with(json!({ "apiKeyId": id, "graceSeconds": grace }));
            let rotated = acme.ada.operation("RotateApiKey", rotation).await;
            let new = server.with_key(rotated["rotateApiKey"]["secret"].as_str().unwrap());
            let mut goes_on = follow(&new, acme.with(json!({}))).await;
            server.wait(TimeDelta::seconds(grace));
            assert_eq!(followed.ends_with("1").await, "ACCESS_ENDED", "{grace}");
            let name = format!("Acme {grace}");
            rename(&acme, &name).await;
            while goes_on.answer("1").await["node"]["data"]["to"] != *name {}
        }
    }

    async fn who_follows_an_organization_to_its_end_reads_the_end(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let mut socket = follow(&acme.ada, acme.with(json!({}))).await;
        events_until(&mut socket, "1", 2).await;
        acme.ada.operation("DeleteOrganization", acme.with(json!({ "confirmName": "Acme" }))).await;
        assert_eq!(socket.answer("1").await["node"]["type"], "organization.deleted");
        assert_eq!(socket.next("1").await["type"], "complete");
        let mut socket = follow(&acme.ada, acme.with(json!({}))).await;
        assert_eq!(socket.ends_with("1").await, "NOT_FOUND", "and nobody begins anew");
    }

    async fn nobody_and_outsiders_are_refused_and_a_wrong_cursor_is_told(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let ends = async |client: &Client, variables: Value| follow(client, variables).await.ends_with("1").await;
        assert_eq!(ends(&server.anonymous(), acme.with(json!({}))).await, "UNAUTHENTICATED");
        assert_eq!(ends(&server.person(BEA).await, acme.with(json!({}))).await, "NOT_FOUND");
        assert_eq!(ends(&acme.ada, json!({ "id": "nonsense" })).await, "NOT_FOUND");
        for cursor in ["", "nonsense", "\0"] {
            assert_eq!(ends(&acme.ada, acme.with(json!({ "after": cursor }))).await, "INVALID_CURSOR", "{cursor:?}");
        }
        assert_eq!(Socket::refused(&server.with_key("ols_nonsense")).await, 4403, "Forbidden");
        let mut socket = Socket::open(&acme.ada).await;
        socket.subscribe("1", "subscription { shoeSize }", json!({})).await;
        assert_eq!(socket.ends_with("1").await, "BAD_USER_INPUT");
        assert_eq!(
            acme.ada.run(&operations::document("OrganizationEvents"), acme.with(json!({}))).await.codes().len(),
            1,
            "not over POST"
        );
    }

    /// A ledger that was restored from an older copy lacks what its subscribers have seen: they have to be told, or they
    /// would miss what is written until it is as long as it was.
    async fn a_cursor_ahead_of_the_ledger_is_told_until_the_ledger_has_come_there(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        // The largest sequence there is, which no addition may overflow.
        let largest = "WyJsZWRnZXIiLCJuIiwxODQ0Njc0NDA3MzcwOTU1MTYxNSxudWxsXQ".to_owned();
        let next = BASE64_URL_SAFE_NO_PAD.encode(r#"["ledger","n",3,null]"#);
        let ends = async |after: &str| {
            let mut socket = follow(&acme.ada, acme.with(json!({ "after": after }))).await;
            socket.ends_with("1").await
        };
        for after in [&largest, &next] {
            assert_eq!(ends(after).await, "CURSOR_AHEAD");
        }
        rename(&acme, "Two").await;
        let mut socket = follow(&acme.ada, acme.with(json!({ "after": next }))).await;
        rename(&acme, "Three").await;
        assert_eq!(socket.answer("1").await["node"]["sequence"], 4);
        assert_eq!(ends(&largest).await, "CURSOR_AHEAD");
    }

    async fn one_socket_carries_queries_mutations_and_several_subscriptions(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let mut socket = Socket::open(&acme.ada).await;
        for id in ["a", "b"] {
            socket.subscribe(id, &operations::document("OrganizationEvents"), acme.with(json!({}))).await;
        }
        socket.subscribe("q", &operations::document("Overview"), acme.with(json!({}))).await;
        assert_eq!(socket.answer("q").await["name"], "Acme");
        assert_eq!(socket.next("q").await["type"], "complete");
        socket.subscribe("m", &operations::document("UpdateOrganization"), acme.with(json!({ "name": "Two" }))).await;
        assert_eq!(socket.answer("m").await["organization"]["name"], "Two");
        for id in ["a", "b"] {
            assert_eq!(events_until(&mut socket, id, 3).await.len(), 3);
        }
        socket.send(json!({ "type": "complete", "id": "a" })).await;
        socket.send(json!({ "type": "ping" })).await;
        rename(&acme, "Three").await;
        assert_eq!(socket.answer("b").await["node"]["sequence"], 4);
        assert_eq!(acme.ada.refusals("SignOut", json!({})).await, [""; 0]);
        socket.subscribe("late", "{ viewer { user { id } } }", json!({})).await;
        assert_eq!(
            socket.ends_with("late").await,
            "UNAUTHENTICATED",
            "the credential is looked at for every operation"
        );
    }
}
