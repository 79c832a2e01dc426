//! Rate limits as a caller meets them: 429 and when to come back over HTTP, an error on a socket, the cost in every
//! answer.

use axum::http::{HeaderMap, StatusCode};
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    acme::Acme,
    server::{Client, Reply, Server, reply, text},
    socket::Socket,
};
use crate::support::databases::{both_databases, on_sqlite};

const VIEWER: &str = "{ viewer { apiKey { id } } }";

/// Makes a key with a limit; its id and who holds it.
async fn limited(acme: &Acme<'_>, units_per_minute: u32, burst: u32) -> (String, Client) {
    let limit = json!({ "unitsPerMinute": units_per_minute, "burst": burst });
    let permissions = ["MEMBERS_READ", "EVENTS_SUBSCRIBE"];
    let key = json!({ "name": format!("{units_per_minute} {burst}"), "permissions": permissions, "rateLimit": limit });
    let answer = acme.ada.operation("CreateApiKey", acme.with(key)).await;
    let secret = text(&answer, "/createApiKey/secret");
    (text(&answer, "/createApiKey/apiKey/id").to_owned(), acme.server.with_key(secret))
}

/// The numbers of the rate limit's headers: limit, remaining, reset, when to come back.
fn numbers(headers: &HeaderMap) -> [Option<u64>; 4] {
    let names = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after"];
    names.map(|name| headers.get(name).map(|value| value.to_str().unwrap().parse().unwrap()))
}

async fn viewer_by_get(client: &Client) -> Reply {
    reply(client.request(Method::GET, "/graphql").query(&[("query", VIEWER)])).await
}

both_databases! {
    async fn over_its_limit_a_key_is_told_when_to_come_back_and_comes_back(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (_, key) = limited(&acme, 20, 2).await;
        let answer = key.run(VIEWER, json!({})).await;
        assert_eq!((answer.status, numbers(&answer.headers)), (StatusCode::OK, [Some(2), Some(1), Some(3), None]));
        assert_eq!(answer.body["extensions"], json!({ "cost": { "units": 1 } }));
        let answer = viewer_by_get(&key).await;
        assert_eq!((answer.status, numbers(&answer.headers)), (StatusCode::OK, [Some(2), Some(0), Some(6), None]));
        for answer in [key.run(VIEWER, json!({})).await, viewer_by_get(&key).await] {
            assert_eq!((answer.status, answer.codes()), (StatusCode::TOO_MANY_REQUESTS, vec!["RATE_LIMITED"]));
            assert_eq!(numbers(&answer.headers), [Some(2), Some(0), Some(6), Some(3)]);
            assert!(answer.body.get("data").is_none() && answer.headers.contains_key("x-request-id"));
            assert_eq!(answer.body["extensions"], json!({ "cost": { "units": 1 } }));
            assert_eq!(answer.body["errors"].as_array().unwrap().len(), 1);
            assert_eq!(answer.body["errors"][0]["extensions"]["retryAfter"], 3, "as on a socket");
        }
        server.wait(TimeDelta::seconds(3));
        assert_eq!(key.run(VIEWER, json!({})).await.status, StatusCode::OK);
        assert_eq!(key.run(VIEWER, json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
        for client in [&acme.ada, &server.anonymous()] {
            let answer = client.run(VIEWER, json!({})).await;
            assert_eq!((answer.status, numbers(&answer.headers)), (StatusCode::OK, [None; 4]), "people have no limit");
            assert_eq!(answer.body["extensions"], json!({ "cost": { "units": 1 } }));
        }
    }

    async fn what_costs_more_than_the_burst_is_refused_with_both_numbers(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (_, key) = limited(&acme, 60, 3).await;
        let answer = key.try_operation("Members", acme.with(json!({ "first": 100 }))).await;
        assert_eq!((answer.status, answer.codes()), (StatusCode::TOO_MANY_REQUESTS, vec!["RATE_LIMITED"]));
        assert_eq!(numbers(&answer.headers), [Some(3), Some(3), Some(0), None], "waiting does not help");
        let units = answer.body["extensions"]["cost"]["units"].as_u64().unwrap();
        let said = format!("This costs {units} units, and the key may spend at most 3 at once.");
        assert_eq!(text(&answer.body, "/errors/0/message"), said);
        let answer = key.try_operation("Members", acme.with(json!({ "first": 5 }))).await;
        assert_eq!((answer.status, &answer.body["extensions"]["cost"]["units"]), (StatusCode::OK, &json!(1)));
        let answer = acme.ada.try_operation("Members", acme.with(json!({ "first": 100 }))).await;
        assert_eq!((answer.status, answer.body["extensions"]["cost"]["units"].as_u64()), (StatusCode::OK, Some(units)));
    }

    async fn a_changed_limit_holds_with_the_next_request(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (id, key) = limited(&acme, 60, 1).await;
        let limit = async |limit: Value| {
            let change = acme.with(json!({ "apiKeyId": id, "rateLimit": limit }));
            let document = "mutation ($id: ID!, $apiKeyId: ID!, $rateLimit: RateLimitInput) {
                updateApiKey(input: { organizationId: $id, apiKeyId: $apiKeyId, rateLimit: $rateLimit }) { userErrors { code } } }";
            assert_eq!(acme.ada.data(document, change).await["updateApiKey"]["userErrors"], json!([]));
        };
        assert_eq!(key.run(VIEWER, json!({})).await.status, StatusCode::OK);
        assert_eq!(key.run(VIEWER, json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
        limit(json!({ "unitsPerMinute": 60, "burst": 3 })).await;
        let answer = key.run(VIEWER, json!({})).await;
        assert_eq!((answer.status, numbers(&answer.headers)[1]), (StatusCode::OK, Some(1)), "one was spent before");
        limit(json!({ "unitsPerMinute": 60, "burst": 1 })).await;
        assert_eq!(key.run(VIEWER, json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
        limit(Value::Null).await;
        let answer = key.run(VIEWER, json!({})).await;
        assert_eq!((answer.status, numbers(&answer.headers)), (StatusCode::OK, [None; 4]));
    }

    async fn a_socket_is_told_in_its_error(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (_, key) = limited(&acme, 6, 2).await;
        let mut socket = Socket::open(&key).await;
        socket.subscribe("1", VIEWER, json!({})).await;
        assert_ne!(socket.answer("1").await["apiKey"], Value::Null);
        let follow = "subscription ($id: ID!) { organizationEvents(organizationId: $id) { cursor } }";
        socket.subscribe("2", follow, acme.with(json!({}))).await;
        assert_ne!(socket.answer("2").await["cursor"], Value::Null);
        socket.subscribe("3", VIEWER, json!({})).await;
        let message = socket.next("3").await;
        let error = if message["type"] == "error" { &message["payload"][0] } else { &message["payload"]["errors"][0] };
        assert_eq!(error["extensions"], json!({ "code": "RATE_LIMITED", "retryAfter": 10 }));
        let answer = key.run(VIEWER, json!({})).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "a socket and HTTP are counted together");
        assert_eq!(acme.ada.refusals("UpdateOrganization", acme.with(json!({ "name": "Acme 2" }))).await, [""; 0]);
        assert_ne!(socket.answer("2").await["cursor"], Value::Null, "what a subscription says costs no more");
        server.wait(TimeDelta::seconds(10));
        socket.subscribe("4", VIEWER, json!({})).await;
        assert_ne!(socket.answer("4").await["apiKey"], Value::Null);
    }
}

#[tokio::test]
async fn an_agent_without_a_limit_of_its_own_gets_ten_at_once_whatever_it_sends() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let made = acme.with(json!({ "name": "Agent", "type": "AI_AGENT" }));
        let made = acme.ada.operation("CreateApiKey", made).await;
        let agent = server.with_key(text(&made, "/createApiKey/secret"));
        let circle = "{ ...A } fragment A on Query { ...A }";
        let sent = [VIEWER, "{", "{ shoeSize }", circle, "mutation { signOut { userErrors { code } } }"];
        for (number, document) in (0..9_u64).zip(sent.iter().cycle()) {
            let answer = agent.run(document, json!({})).await;
            assert_eq!(answer.status, StatusCode::OK, "{document}");
            assert_eq!(numbers(&answer.headers)[..2], [Some(10), Some(9 - number)], "{document}");
            assert_eq!(answer.body["extensions"], json!({ "cost": { "units": 1 } }), "{document}");
        }
        let revoke = json!({ "apiKeyId": made["createApiKey"]["apiKey"]["id"] });
        assert_eq!(agent.run(VIEWER, json!({})).await.status, StatusCode::OK);
        assert_eq!(agent.run(VIEWER, json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
        acme.ada.operation("RevokeApiKey", acme.with(revoke)).await;
        assert_eq!(
            agent.run(VIEWER, json!({})).await.status,
            StatusCode::UNAUTHORIZED,
            "what has ended is not told to wait"
        );
    })
    .await;
}
