//! Product B, a company's workspace: its keys, the standard ones and those of AI agents.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::{
    acme::{ADA, Acme},
    server::{Client, Server, list, text},
};
use super::{BEA, CYN, DAN, done, heard, members, refused, told_no};
use crate::support::databases::both_databases;

/// The first key of the list that a caller sees.
async fn newest(by: &Client, acme: &Acme<'_>) -> Value {
    list(&by.operation("ApiKeys", acme.with(json!({}))).await, "/organization/apiKeys/nodes")[0].clone()
}

both_databases! {
    // B, the list of keys: name, prefix, type, day of creation, last use.
    async fn each_key_shows_name_prefix_type_creation_and_last_use(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let wish = json!({ "name": "Report", "permissions": ["MEMBERS_READ"] });
        let made = done(&acme.ada, &acme, "CreateApiKey", wish).await;
        let (secret, prefix) = (text(&made, "/secret"), text(&made, "/apiKey/prefix"));
        let columns = |key: &Value| {
            json!([key["name"], key["prefix"], key["type"], key["createdAt"], key["lastUsedAt"], key["status"]])
        };
        let mut row = json!(["Report", prefix, "STANDARD", "2026-03-02T09:01:00+00:00", null, "ACTIVE"]);
        assert_eq!(columns(&newest(&acme.ada, &acme).await), row, "never used");
        server.wait(TimeDelta::minutes(9));
        let holder = server.with_key(secret);
        assert_eq!(members(&holder, &acme, json!({})).await["totalCount"], 1);
        server.flush_usage().await;
        row[4] = "2026-03-02T09:10:00+00:00".into();
        assert_eq!(columns(&newest(&acme.ada, &acme).await), row);
        assert!(prefix.len() < 20 && secret.starts_with(prefix), "a beginning that tells it from others, no more");
    }

    // B, making a key: shown once.
    async fn a_new_key_is_shown_once_even_to_who_asks_again(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let wish = json!({ "name": "Report", "idempotencyKey": "one click" });
        let made = done(&acme.ada, &acme, "CreateApiKey", wish.clone()).await;
        let secret = text(&made, "/secret");
        assert!(server.with_key(secret).is_let_in().await);
        let again = done(&acme.ada, &acme, "CreateApiKey", wish).await;
        assert_eq!((&again["apiKey"], &again["secret"]), (&made["apiKey"], &Value::Null), "the same key, without it");
        let rest = secret.rsplit('_').next().unwrap();
        for name in ["ApiKeys", "AuditLog", "Events"] {
            let answer = acme.ada.operation(name, acme.with(json!({}))).await.to_string();
            assert!(!answer.contains(rest), "{name}");
        }
        assert!(!heard(&acme, ADA, rest).await, "no letter carries it");
    }

    // B, revoking a key: for good, at once, and a new one is the only way on.
    async fn a_revoked_key_is_out_at_once_and_for_good_and_a_new_one_takes_its_place(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (id, holder) = acme.key("Report", &["MEMBERS_READ"]).await;
        let mut page = acme.changes(&holder).await;
        assert_eq!(members(&holder, &acme, json!({})).await["totalCount"], 1);
        let revoke = json!({ "apiKeyId": id, "reason": "Found on a page." });
        let revoked = done(&acme.ada, &acme, "RevokeApiKey", revoke.clone()).await;
        assert_eq!((&revoked["apiKey"]["status"], revoked["apiKey"]["revokedAt"].is_string()), (&json!("REVOKED"), true));
        let reply = holder.try_operation("Members", acme.with(json!({}))).await;
        assert_eq!((reply.status, reply.codes()), (StatusCode::UNAUTHORIZED, vec!["UNAUTHENTICATED"]));
        assert_eq!(page.ends_with("changes").await, "ACCESS_ENDED");
        for name in ["EnableApiKey", "DisableApiKey", "RotateApiKey", "UpdateApiKey"] {
            let said = told_no(&acme.ada, &acme, name, json!({ "apiKeyId": id })).await;
            assert!(said.starts_with("INVALID_INPUT: apiKeyId "), "{name}: {said}");
        }
        assert_eq!(done(&acme.ada, &acme, "RevokeApiKey", revoke).await["apiKey"], revoked["apiKey"], "twice is once");
        server.wait(TimeDelta::days(6));
        assert!(!holder.is_let_in().await);
        let (other, holder) = acme.key("Report", &["MEMBERS_READ"]).await;
        assert_ne!(other, id);
        assert_eq!(members(&holder, &acme, json!({})).await["totalCount"], 1);
        let log = acme.ada.operation("AuditLog", acme.with(json!({ "filter": { "types": ["api_key.revoked"] } }))).await;
        assert_eq!(text(&log, "/organization/auditLog/edges/0/node/reason"), "Found on a page.");
    }

    // B, the types: the standard one is what one gets, and has no limit unless it is given one.
    async fn a_standard_key_is_the_usual_one_and_without_a_limit(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let made = done(&acme.ada, &acme, "CreateApiKey", json!({ "name": "Report" })).await;
        let key = &made["apiKey"];
        assert_eq!((&key["type"], &key["rateLimit"]), (&json!("STANDARD"), &Value::Null));
        let limit = json!({ "unitsPerMinute": 600, "burst": 20 });
        let wish = json!({ "name": "Probe", "type": "STANDARD", "rateLimit": limit });
        assert_eq!(done(&acme.ada, &acme, "CreateApiKey", wish).await["apiKey"]["rateLimit"], limit);
    }

    // B, the types: an agent's key can be told from others and always has limits of its own.
    async fn an_agents_key_is_marked_and_always_has_limits_of_its_own(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let made = done(&acme.ada, &acme, "CreateApiKey", json!({ "name": "Helper", "type": "AI_AGENT" })).await;
        assert!(text(&made, "/secret").starts_with("olk_a_"), "the key itself says what it is");
        let usual = json!({ "unitsPerMinute": 60, "burst": 10 });
        assert_eq!(newest(&acme.ada, &acme).await["rateLimit"], usual);
        let own = json!({ "unitsPerMinute": 5, "burst": 2 });
        let id = &made["apiKey"]["id"];
        done(&acme.ada, &acme, "UpdateApiKey", json!({ "apiKeyId": id, "rateLimit": own })).await;
        assert_eq!(newest(&acme.ada, &acme).await["rateLimit"], own);
        done(&acme.ada, &acme, "UpdateApiKey", json!({ "apiKeyId": id, "rateLimit": null })).await;
        assert_eq!(newest(&acme.ada, &acme).await["rateLimit"], usual, "to take it away gives the usual one");
        let agents = json!({ "filter": { "types": ["AI_AGENT"] } });
        acme.key("Report", &[]).await;
        let answer = acme.ada.operation("ApiKeys", acme.with(agents)).await;
        assert_eq!(answer["organization"]["apiKeys"]["totalCount"], 1, "and they are found by their type");
    }

    // B, the types: the limits of an agent are kept to.
    async fn an_agent_that_asks_too_much_is_told_to_wait(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let limit = json!({ "unitsPerMinute": 1, "burst": 9 });
        let wish = json!({ "name": "Helper", "type": "AI_AGENT", "permissions": ["MEMBERS_READ"], "rateLimit": limit });
        let made = done(&acme.ada, &acme, "CreateApiKey", wish).await;
        let agent = server.with_key(text(&made, "/secret"));
        let mut refused = None;
        for _ in 0..20 {
            let reply = agent.try_operation("Members", acme.with(json!({}))).await;
            if reply.status == StatusCode::TOO_MANY_REQUESTS {
                refused = Some(reply);
                break;
            }
        }
        let refused = refused.expect("a request that is one too many");
        assert_eq!(refused.codes(), ["RATE_LIMITED"]);
        let wait: i64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert_eq!(members(&acme.ada, &acme, json!({})).await["totalCount"], 1, "people go on");
        server.wait(TimeDelta::seconds(wait));
        assert_eq!(agent.try_operation("Members", acme.with(json!({}))).await.status, StatusCode::OK);
    }

    // B, keys: who makes and revokes them.
    async fn admins_and_co_admins_manage_keys_and_others_do_not_even_see_them(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (bea, cyn) = (acme.join(BEA, "CO_ADMIN").await, acme.join(CYN, "MANAGER").await);
        let dan = acme.join(DAN, "CO_ADMIN").await;
        let made = done(&bea, &acme, "CreateApiKey", json!({ "name": "Bea's", "permissions": ["MEMBERS_READ"] })).await;
        let id = json!({ "apiKeyId": made["apiKey"]["id"] });
        done(&bea, &acme, "DisableApiKey", id.clone()).await;
        done(&bea, &acme, "EnableApiKey", id.clone()).await;
        let rank = "RANK_TOO_LOW: This needs a higher rank than yours.";
        assert_eq!(told_no(&dan, &acme, "RevokeApiKey", id.clone()).await, rank);
        assert_eq!(newest(&dan, &acme).await["createdBy"]["displayName"], BEA, "though it is seen whose it is");
        let reply = cyn.try_operation("ApiKeys", acme.with(json!({}))).await;
        assert_eq!(reply.codes(), ["PERMISSION_REQUIRED"]);
        let said = refused(&cyn, &acme, "CreateApiKey", json!({ "name": "Mine" })).await;
        assert_eq!(said, "PERMISSION_REQUIRED: This needs the permission API_KEYS_MANAGE.");
        done(&acme.ada, &acme, "RevokeApiKey", id).await;
        let more = json!({ "name": "More", "permissions": ["ROLES_MANAGE"] });
        assert_eq!(
            told_no(&bea, &acme, "CreateApiKey", more).await,
            "PERMISSION_NOT_HELD: You cannot give permissions that you do not hold yourself."
        );
    }
}
