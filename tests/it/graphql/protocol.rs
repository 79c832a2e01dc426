//! graphql-transport-ws to the letter, and subscriptions however their document is written and whichever way they come.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    acme::Acme,
    operations,
    server::{Client, Server, reply},
    socket::{Socket, events_until},
};
use crate::support::databases::{both_databases, on_sqlite};

const VIEWER: &str = "{ viewer { user { id } } }";

/// Says these things on a new connection, and tells the code with which it is closed.
async fn closed(client: &Client, messages: &[Value]) -> Option<u64> {
    let mut socket = Socket::connect(client).await;
    for message in messages {
        match message {
            Value::String(text) => socket.say(text).await,
            message => socket.send(message.clone()).await,
        }
    }
    loop {
        let message = socket.receive().await;
        if message["type"] == "closed" {
            return message["code"].as_u64();
        }
    }
}

#[tokio::test]
async fn a_socket_is_closed_with_the_code_of_what_went_wrong() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let init = json!({ "type": "connection_init" });
        let events = json!({ "query": operations::document("OrganizationEvents"), "variables": acme.with(json!({})) });
        let credential = json!({ "authorization": format!("Bearer {}", acme.ada.credential.as_ref().unwrap()) });
        let as_ada = json!({ "type": "connection_init", "payload": credential });
        let subscribe = json!({ "type": "subscribe", "id": "1", "payload": events });
        for wrong in [
            json!("nonsense"),
            json!(""),
            json!("[".repeat(100_000)),
            json!({}),
            json!([]),
            json!({ "type": "start", "id": "1" }),
            json!({ "type": "connection_ack" }),
            json!({ "type": "subscribe" }),
            json!({ "type": "subscribe", "id": "1" }),
            json!({ "type": "subscribe", "id": 1, "payload": { "query": VIEWER } }),
            json!({ "type": "subscribe", "id": "", "payload": { "query": VIEWER } }),
            json!({ "type": "subscribe", "id": "x".repeat(129), "payload": { "query": VIEWER } }),
            json!({ "type": "subscribe", "id": "1", "payload": { "query": 5 } }),
            json!({ "type": "complete" }),
        ] {
            assert_eq!(closed(&server.anonymous(), &[init.clone(), wrong.clone()]).await, Some(4400), "{wrong}");
        }
        for early in [subscribe.clone(), json!({ "type": "complete", "id": "1" })] {
            assert_eq!(closed(&server.anonymous(), std::slice::from_ref(&early)).await, Some(4401), "{early}");
        }
        assert_eq!(closed(&acme.ada, &[as_ada.clone(), subscribe.clone(), subscribe]).await, Some(4409));
        assert_eq!(closed(&acme.ada, &[init.clone(), init]).await, Some(4429));
        let wrong = json!({ "type": "connection_init", "payload": { "authorization": 5 } });
        assert_eq!(closed(&acme.ada, &[wrong]).await, Some(4403));
    })
    .await;
}

#[tokio::test]
async fn a_socket_runs_fifty_operations_at_once_and_any_number_one_after_the_other() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let mut socket = Socket::open(&acme.ada).await;
        let changes = operations::document("OrganizationChanges");
        for number in 0..1000 {
            socket.subscribe(&format!("a{number}"), VIEWER, json!({})).await;
            assert!(socket.answer(&format!("a{number}")).await.is_object());
            assert_eq!(socket.next(&format!("a{number}")).await["type"], "complete");
        }
        for _ in 0..1000 {
            socket.subscribe("again", &changes, acme.with(json!({}))).await;
            socket.send(json!({ "type": "complete", "id": "again" })).await;
        }
        for number in 0..50 {
            socket.subscribe(&number.to_string(), &changes, acme.with(json!({}))).await;
        }
        for _ in 0..100 {
            socket.subscribe("beyond", &changes, acme.with(json!({}))).await;
            assert_eq!(socket.ends_with("beyond").await, "TOO_MANY_OPERATIONS");
        }
        socket.send(json!({ "type": "complete", "id": "7" })).await;
        socket.subscribe("one more", VIEWER, json!({})).await;
        assert!(socket.answer("one more").await.is_object());
        // Who begins later than the change is not told of it.
        for number in (0..50).filter(|number| *number != 7) {
            assert_eq!(socket.answer(&number.to_string()).await["areas"], json!([]), "{number} has begun");
        }
        assert_eq!(acme.ada.refusals("UpdateOrganization", acme.with(json!({ "name": "Two" }))).await, [""; 0]);
        for number in (0..50).filter(|number| *number != 7) {
            assert_eq!(socket.answer(&number.to_string()).await["areas"], json!(["PROFILE"]), "{number}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_variable_that_is_missing_is_named_before_anything_is_run() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let document = "query ($id: ID!, $size: Int! = 5, $after: String) {
            organization(id: $id) { members(first: $size, after: $after) { totalCount } }
        }";
        for variables in [json!({}), json!({ "id": null }), json!({ "Id": acme.id })] {
            let answer = acme.ada.run(document, variables.clone()).await;
            assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{variables}");
            assert_eq!(answer.body["errors"][0]["message"], "The variable $id is required.");
            assert!(answer.body.get("data").is_none());
            let mut socket = Socket::open(&acme.ada).await;
            socket.subscribe("1", document, variables).await;
            assert_eq!(socket.ends_with("1").await, "BAD_USER_INPUT");
        }
        assert_eq!(acme.ada.data(document, acme.with(json!({}))).await["organization"]["members"]["totalCount"], 1);
    })
    .await;
}

both_databases! {
    async fn the_field_of_a_subscription_may_stand_in_fragments_and_there_is_one(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let field = "organizationEvents(organizationId: $id) { ...E } ";
        let edge = "fragment E on EventEdge { cursor node { sequence } }";
        let fragment = format!("fragment F on Subscription {{ {field} }}");
        let mut socket = Socket::open(&acme.ada).await;
        for (number, (selection, fragments)) in [
            (field.to_owned(), ""),
            (format!("... on Subscription {{ {field} }}"), ""),
            (format!("... {{ ... on Subscription {{ {field} }} }}"), ""),
            ("...F".to_owned(), &fragment),
            ("... { ...F }".to_owned(), &fragment),
            ("...G".to_owned(), &format!("fragment G on Subscription {{ ... {{ ...F }} }} {fragment}")),
        ]
        .into_iter()
        .enumerate()
        {
            let document = format!("subscription ($id: ID!) {{ {selection} }} {fragments} {edge}");
            let id = number.to_string();
            socket.subscribe(&id, &document, acme.with(json!({}))).await;
            assert_eq!(events_until(&mut socket, &id, 2).await.len(), 2, "{document}");
        }
        for selection in [
            format!("{field} b: {field}"),
            format!("{field} organizationChanges(organizationId: $id) {{ cursor }}"),
            format!("{field} ... on Subscription {{ b: {field} }}"),
            format!("... {{ {field} }} ... {{ b: {field} }}"),
            format!("{field} __typename"),
            format!("{field} @include(if: true)"),
            format!("... @skip(if: false) {{ {field} }}"),
        ] {
            let selection = selection.replace("{ ...E }  @include(if: true)", "@include(if: true) { ...E }");
            let document = format!("subscription ($id: ID!) {{ {selection} }} {edge}");
            socket.subscribe("two", &document, acme.with(json!({}))).await;
            assert_eq!(socket.ends_with("two").await, "BAD_USER_INPUT", "{document}");
            let body = json!({ "query": document, "variables": acme.with(json!({})) });
            let streamed = acme.ada.request(Method::POST, "/graphql").header("accept", "text/event-stream").json(&body);
            assert_eq!(reply(streamed).await.codes()[0], "BAD_USER_INPUT", "{document}");
        }
    }

    async fn a_stream_of_events_ends_when_its_access_does(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for (email, way) in [("bea@example.com", "RemoveMember"), ("cleo@example.com", "DeactivateMember")] {
            let person = acme.join(email, "AUDITOR").await;
            let body = json!({ "query": operations::document("OrganizationEvents"), "variables": acme.with(json!({})) });
            let request = person.request(Method::POST, "/graphql").header("accept", "text/event-stream").json(&body);
            let mut streamed = request.send().await.unwrap();
            let mut text = String::new();
            let mut removed = false;
            while let Some(chunk) = streamed.chunk().await.unwrap() {
                text.push_str(std::str::from_utf8(&chunk).unwrap());
                if !removed && text.contains("member.joined") && text.ends_with("\n\n") {
                    removed = true;
                    let member = acme.with(json!({ "memberId": acme.member(email).await }));
                    assert_eq!(acme.ada.refusals(way, member).await, [""; 0]);
                }
            }
            let last: Vec<_> = text.trim_end().rsplit("\n\n").take(2).collect();
            assert!(last[0].starts_with("event: complete"), "{way}: {text}");
            assert!(last[1].contains(r#""code":"ACCESS_ENDED""#), "{way}: {text}");
        }
    }
}
