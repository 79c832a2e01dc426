//! `verifyApiKey`: one outcome for everything that can be the matter with a key, and nothing for who does not hold it.

use axum::http::StatusCode;
use chrono::TimeDelta;
use orgledger::{domain::organization::api_keys::KeyType, secrets::ApiKeySecret};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    acme::Acme,
    operations,
    server::{Server, reply, text},
    socket::Socket,
};
use crate::support::databases::{both_databases, on_sqlite};

async fn verified(server: &Server, key: &str, permission: Value) -> Value {
    let variables = json!({ "key": key, "permission": permission });
    server.anonymous().operation("VerifyApiKey", variables).await["verifyApiKey"].clone()
}

async fn outcome(server: &Server, key: &str) -> String {
    text(&verified(server, key, Value::Null).await, "/outcome").to_owned()
}

/// Makes a key; its id and its secret.
async fn made(acme: &Acme<'_>, key: Value) -> (String, String) {
    let answer = acme.ada.operation("CreateApiKey", acme.with(key)).await;
    let place = |place: &str| text(&answer, place).to_owned();
    (place("/createApiKey/apiKey/id"), place("/createApiKey/secret"))
}

/// An answer that tells an outcome and nothing else.
fn nothing_but(outcome: &str) -> Value {
    json!({ "outcome": outcome, "organizationId": null, "apiKeyId": null, "type": null, "permissions": [], "rateLimit": null })
}

/// A key of the right form that nobody has.
fn unknown(number: u32) -> String {
    ApiKeySecret::new(KeyType::Standard, &format!("{number:0>12}"), &"x".repeat(32)).expose().to_owned()
}

both_databases! {
    async fn a_good_key_is_valid_for_what_it_may_do(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (id, secret) = made(&acme, json!({ "name": "Key", "permissions": ["MEMBERS_READ", "APPS_READ"] })).await;
        let valid = json!({ "outcome": "VALID", "organizationId": acme.id, "apiKeyId": id, "type": "STANDARD",
            "permissions": ["MEMBERS_READ", "APPS_READ"], "rateLimit": null });
        assert_eq!(verified(&server, &secret, Value::Null).await, valid);
        assert_eq!(verified(&server, &secret, json!("APPS_READ")).await, valid);
        let mut lacking = valid;
        lacking["outcome"] = "PERMISSION_REQUIRED".into();
        assert_eq!(verified(&server, &secret, json!("APPS_MANAGE")).await, lacking);
        server.flush_usage().await;
        let listed = acme.ada.operation("ApiKeys", acme.with(json!({}))).await;
        assert_eq!(text(&listed, "/organization/apiKeys/nodes/0/lastUsedAt"), "2026-03-02T09:01:00+00:00");
    }

    /// The answers to a wrong secret and to a key that never was are the same to the letter.
    async fn a_key_that_is_not_right_to_the_letter_is_not_found(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (_, secret) = made(&acme, json!({ "name": "Key" })).await;
        let wrong = ApiKeySecret::new(KeyType::Standard, &secret[6..18], &"x".repeat(32)).expose().to_owned();
        let agent = ApiKeySecret::new(KeyType::AiAgent, &secret[6..18], &secret[19..51]).expose().to_owned();
        let mistyped = format!("{}{}", &secret[..56], if secret.ends_with('0') { "1" } else { "0" });
        let long = format!("{secret}{}", "x".repeat(10_000));
        for key in [&wrong, &agent, &mistyped, &unknown(1), &long, &secret[..56], "", "olk_s_", "ols_x", "\u{0}é"] {
            let shown: String = key.chars().take(60).collect();
            assert_eq!(verified(&server, key, json!("APPS_READ")).await, nothing_but("NOT_FOUND"), "{shown}");
        }
        assert_eq!(outcome(&server, &secret).await, "VALID");
    }

    async fn what_was_taken_away_is_gone_with_the_next_question(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let key = json!({ "name": "Key", "permissions": ["APPS_READ"], "expiresAt": "2026-03-03T00:00:00Z", "type": "AI_AGENT" });
        let (id, secret) = made(&acme, key).await;
        let change = async |name: &str, more: Value| {
            let mut variables = acme.with(more);
            variables["apiKeyId"] = id.as_str().into();
            assert_eq!(acme.ada.refusals(name, variables).await, [""; 0], "{name}");
        };
        let ended = |outcome: &str| json!({ "outcome": outcome, "organizationId": acme.id, "apiKeyId": id,
            "type": "AI_AGENT", "permissions": [], "rateLimit": null });
        assert_eq!(outcome(&server, &secret).await, "VALID");
        change("DisableApiKey", json!({})).await;
        assert_eq!(verified(&server, &secret, json!("APPS_READ")).await, ended("DISABLED"));
        change("EnableApiKey", json!({})).await;
        assert_eq!(outcome(&server, &secret).await, "VALID");
        server.wait(TimeDelta::hours(15));
        assert_eq!(verified(&server, &secret, Value::Null).await, ended("EXPIRED"));
        change("UpdateApiKey", json!({ "expiresAt": null })).await;
        assert_eq!(outcome(&server, &secret).await, "VALID");
        change("RevokeApiKey", json!({})).await;
        assert_eq!(verified(&server, &secret, Value::Null).await, ended("REVOKED"));
    }

    async fn an_old_secret_is_valid_for_its_grace_and_then_was_never_there(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (id, first) = made(&acme, json!({ "name": "Key" })).await;
        let rotate = async |grace: u32| {
            let rotation = acme.with(json!({ "apiKeyId": id, "graceSeconds": grace }));
            text(&acme.ada.operation("RotateApiKey", rotation).await, "/rotateApiKey/secret").to_owned()
        };
        let second = rotate(60).await;
        assert_eq!([outcome(&server, &first).await, outcome(&server, &second).await], ["VALID", "VALID"]);
        server.wait(TimeDelta::seconds(60));
        assert_eq!(verified(&server, &first, Value::Null).await, nothing_but("NOT_FOUND"));
        let third = rotate(0).await;
        assert_eq!([outcome(&server, &second).await, outcome(&server, &third).await], ["NOT_FOUND", "VALID"]);
    }

    async fn a_key_dies_with_its_organization(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (_, secret) = made(&acme, json!({ "name": "Key" })).await;
        assert_eq!(outcome(&server, &secret).await, "VALID");
        assert_eq!(acme.ada.refusals("DeleteOrganization", acme.with(json!({ "confirmName": "Acme" }))).await, [""; 0]);
        assert_eq!(verified(&server, &secret, Value::Null).await, nothing_but("NOT_FOUND"));
    }

    async fn a_question_costs_the_key_one_unit_of_its_limit(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let limit = json!({ "unitsPerMinute": 6, "burst": 2 });
        let (id, secret) = made(&acme, json!({ "name": "Key", "permissions": ["APPS_READ"], "rateLimit": limit })).await;
        let answer = |outcome: &str, remaining: u32, reset_at: &str| {
            json!({ "outcome": outcome, "organizationId": acme.id, "apiKeyId": id, "type": "STANDARD",
                "permissions": ["APPS_READ"], "rateLimit": { "limit": 2, "remaining": remaining, "resetAt": reset_at } })
        };
        assert_eq!(verified(&server, &secret, Value::Null).await, answer("VALID", 1, "2026-03-02T09:01:10+00:00"));
        let lacking = verified(&server, &secret, json!("APPS_MANAGE")).await;
        assert_eq!(lacking, answer("PERMISSION_REQUIRED", 0, "2026-03-02T09:01:20+00:00"));
        let limited = answer("RATE_LIMITED", 0, "2026-03-02T09:01:20+00:00");
        assert_eq!(verified(&server, &secret, json!("APPS_MANAGE")).await, limited);
        assert_eq!(server.with_key(&secret).run("{ viewer { apiKey { id } } }", json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
        server.wait(TimeDelta::seconds(10));
        assert_eq!(outcome(&server, &secret).await, "VALID");
    }
}

#[tokio::test]
async fn an_address_that_shows_too_many_wrong_keys_has_to_wait_whatever_it_shows() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (_, secret) = made(&acme, json!({ "name": "Key" })).await;
        for number in 0..29 {
            assert_eq!(outcome(&server, &unknown(number)).await, "NOT_FOUND", "{number}");
        }
        for _ in 0..50 {
            assert_eq!(outcome(&server, &secret).await, "VALID", "right ones are not counted");
        }
        assert_eq!(outcome(&server, "nonsense").await, "NOT_FOUND");
        for key in [&secret, &unknown(30), "nonsense"] {
            assert_eq!(verified(&server, key, Value::Null).await, nothing_but("RATE_LIMITED"));
        }
        server.wait(TimeDelta::seconds(2));
        assert_eq!(outcome(&server, &secret).await, "VALID");
        assert_eq!(outcome(&server, &unknown(31)).await, "NOT_FOUND");
        assert_eq!(outcome(&server, &secret).await, "RATE_LIMITED");
    })
    .await;
}

/// The database is gone, and whoever needs it is told so.
#[tokio::test]
async fn what_cannot_be_a_key_and_who_has_to_wait_never_reach_the_database() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        server.store.database.close().await;
        let asked = server.anonymous().try_operation("VerifyApiKey", json!({ "key": unknown(1) })).await;
        assert_eq!(asked.codes(), ["UNAVAILABLE"]);
        let (form, mistyped) = (unknown(1).replacen('_', "-", 2), unknown(1).replace('x', "y"));
        for number in 0..15 {
            assert_eq!(verified(&server, &form, Value::Null).await, nothing_but("NOT_FOUND"), "{number}");
            assert_eq!(verified(&server, &mistyped, Value::Null).await, nothing_but("NOT_FOUND"), "{number}");
        }
        assert_eq!(verified(&server, &unknown(1), Value::Null).await, nothing_but("RATE_LIMITED"));
    })
    .await;
}

/// One document cannot try a thousand: its questions are answered one after the other.
#[tokio::test]
async fn a_document_full_of_questions_is_limited_like_as_many_requests() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let fields: String = (0..50)
            .map(|number| {
                ["k", &number.to_string(), ": verifyApiKey(key: \"", &unknown(number), "\") { outcome } "].concat()
            })
            .collect();
        let answer = server.anonymous().data(&format!("{{ {fields} }}"), json!({})).await;
        let outcomes = answer.as_object().unwrap().values();
        assert_eq!(outcomes.filter(|answer| answer["outcome"] == "NOT_FOUND").count(), 30);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_verified_by_post_only() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (_, secret) = made(&acme, json!({ "name": "Key" })).await;
        let (document, variables) = (operations::document("VerifyApiKey"), json!({ "key": secret }));
        let query = [("query", document.clone()), ("variables", variables.to_string())];
        let answer = reply(server.anonymous().request(Method::GET, "/graphql").query(&query)).await;
        assert_eq!((answer.codes(), &answer.body["data"]), (vec!["BAD_USER_INPUT"], &Value::Null));
        assert!(!answer.body.to_string().contains(&secret[6..]));
        let mut socket = Socket::open(&server.anonymous()).await;
        socket.subscribe("1", &document, variables).await;
        assert_eq!(socket.ends_with("1").await, "BAD_USER_INPUT");
    })
    .await;
}
