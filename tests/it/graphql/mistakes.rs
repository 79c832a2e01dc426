//! Mistakes of ours. A clock at the beginning of all time makes some: nothing expects a moment that has none before it.
//! Whoever asks gets one sentence with a reference; everybody else is served as ever.

use chrono::{DateTime, Utc};
use orgledger::{
    domain::{
        Actor, GlobalId,
        organization::{Action, Command, profile::CertificationDecision},
    },
    store::{append::Origin, ledger::Request},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    operations,
    server::{BEGINNING, Server},
    socket::{Socket, events_until},
};
use crate::support::databases::both_databases;

/// The one sentence, with a reference and with nothing else.
fn sentence(error: &Value) -> &str {
    assert_eq!(error["extensions"], json!({ "code": "INTERNAL" }));
    let (begin, end) = error["message"].as_str().unwrap().split_once("; the reference is ").unwrap();
    assert_eq!(begin, "Something went wrong here");
    end.strip_suffix('.').unwrap()
}

/// The operator certifies an organization, at the right time.
async fn certify(server: &Server, organization: &str) {
    let Ok(GlobalId::Organization(organization)) = organization.parse() else { panic!("{organization}") };
    let action = Action::DecideCertification { decision: CertificationDecision::Certify };
    let now = BEGINNING.parse().unwrap();
    let command = Command { actor: Actor::Operator, now, expected_version: None, action };
    let origin = Origin { request_id: "operator".to_owned(), ..Origin::default() };
    let request = Request { organization, command, origin, details: Vec::new(), idempotency: None };
    assert!(server.store.ledger.execute(request).await.unwrap().written);
}

both_databases! {
    async fn a_mistake_is_one_sentence_and_the_others_go_on(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "ENTERPRISE").await;
        assert_eq!(acme.ada.refusals("RequestCertification", acme.with(json!({}))).await, [""; 0]);
        let events = operations::document("OrganizationEvents");
        let mut socket = Socket::open(&acme.ada).await;
        socket.subscribe("events", &events, acme.with(json!({}))).await;
        events_until(&mut socket, "events", 3).await;
        let mut streamed = acme.ada.request(Method::POST, "/graphql").header("accept", "text/event-stream");
        streamed = streamed.json(&json!({ "query": events, "variables": acme.with(json!({})) }));
        let mut streamed = streamed.send().await.unwrap();
        let mut text = String::new();
        while text.matches("event: next").count() < 3 {
            text.push_str(std::str::from_utf8(&streamed.chunk().await.unwrap().unwrap()).unwrap());
        }
        let mut anonymous = Socket::open(&server.anonymous()).await;
        let mut other = Socket::open(&acme.ada).await;

        let back = server.clock.now() - DateTime::<Utc>::MIN_UTC;
        server.clock.advance(-back);
        // In a resolver, over HTTP and over a socket.
        let asks = operations::document("RequestSignIn");
        let answer = server.anonymous().run(&asks, json!({ "email": ADA })).await;
        assert_eq!(sentence(&answer.body["errors"][0]), answer.headers["x-request-id"]);
        assert!(answer.body.get("data").is_none(), "{}", answer.body);
        anonymous.subscribe("1", &asks, json!({ "email": ADA })).await;
        let message = anonymous.next("1").await;
        assert_eq!(message["type"], "error");
        sentence(&message["payload"][0]);
        // In a handler: of a page, of the API, and of a socket.
        let form = server.anonymous().request(Method::POST, "/sign-in").form(&[("email", ADA)]).send().await.unwrap();
        let session = acme.ada.request(Method::POST, "/graphql").json(&json!({ "query": "{ viewer { __typename } }" }));
        for answer in [form, session.send().await.unwrap()] {
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let reference = answer.headers()["x-request-id"].clone();
            assert_eq!(sentence(&answer.json::<Value>().await.unwrap()["errors"][0]), reference);
        }
        other.subscribe("1", "{ viewer { __typename } }", json!({})).await;
        assert_eq!(other.next("1").await, json!({ "type": "closed", "code": 1011 }));
        // In a subscription that has begun: its access is looked at with every event.
        certify(&server, &acme.id).await;
        let message = socket.next("events").await;
        assert_eq!(message["type"], "error", "{message}");
        sentence(&message["payload"][0]);
        while let Some(chunk) = streamed.chunk().await.unwrap() {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data: {")).unwrap();
        sentence(&serde_json::from_str::<Value>(&format!("{{{last}")).unwrap()["errors"][0]);

        server.clock.advance(back);
        for socket in [&mut socket, &mut anonymous] {
            socket.subscribe("2", "{ viewer { __typename } }", json!({})).await;
            assert_eq!(socket.next("2").await["type"], "next", "the socket goes on");
        }
        let answer = acme.ada.data("{ viewer { user { email } } }", json!({})).await;
        assert_eq!(answer["viewer"]["user"]["email"], ADA);
    }
}
