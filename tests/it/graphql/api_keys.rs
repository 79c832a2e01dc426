//! API keys: made once, shown once, switched, rotated, ended; and what a key may do as a caller.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    server::{Client, Server, list, text, texts},
};
use crate::support::databases::both_databases;

/// Ada makes a key; the payload.
async fn make(acme: &Acme<'_>, variables: Value) -> Value {
    acme.ada.operation("CreateApiKey", acme.with(variables)).await["createApiKey"].clone()
}

/// What the list says about the keys that a filter finds.
async fn listed(acme: &Acme<'_>, variables: Value) -> Vec<Value> {
    let answer = acme.ada.operation("ApiKeys", acme.with(variables)).await;
    list(&answer, "/organization/apiKeys/nodes").to_vec()
}

async fn change(acme: &Acme<'_>, name: &str, key: &str, more: Value) -> Value {
    let mut variables = acme.with(more);
    variables["apiKeyId"] = key.into();
    let answer = acme.ada.operation(name, variables).await;
    answer.as_object().unwrap().values().next().unwrap().clone()
}

both_databases! {
    async fn the_secret_is_shown_once_and_the_list_knows_its_beginning(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let made = make(&acme, json!({ "name": " Report ", "description": "Nightly", "permissions": ["MEMBERS_READ", "AUDIT_READ"], "idempotencyKey": "k1" })).await;
        let (secret, prefix) = (text(&made, "/secret"), text(&made, "/apiKey/prefix"));
        assert!(
            secret.starts_with(&format!("{prefix}_")) && prefix.starts_with("olk_s_") && prefix.len() == 18,
            "{prefix}"
        );
        assert!(secret.len() == 57 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        let key = json!({ "id": made["apiKey"]["id"], "name": "Report", "prefix": prefix, "type": "STANDARD", "status": "ACTIVE",
            "permissions": ["MEMBERS_READ", "AUDIT_READ"], "rateLimit": null, "expiresAt": null, "createdAt": "2026-03-02T09:01:00+00:00" });
        assert_eq!(made["apiKey"], key);
        let again = make(&acme, json!({ "name": " Report ", "description": "Nightly", "permissions": ["MEMBERS_READ", "AUDIT_READ"], "idempotencyKey": "k1" })).await;
        assert_eq!((&again["apiKey"], &again["secret"], &again["cursor"]), (&key, &Value::Null, &made["cursor"]));
        let everything = [
            acme.ada.operation("ApiKeys", acme.with(json!({}))).await,
            acme.ada.operation("AuditLog", acme.with(json!({}))).await,
            acme.ada.operation("Events", acme.with(json!({}))).await,
        ];
        let everything = json!(everything).to_string();
        assert!(everything.contains(prefix) && !everything.contains(&secret[19..51]), "no list has the secret");
        let shown = &listed(&acme, json!({})).await[0];
        assert_eq!(
            (&shown["createdBy"]["displayName"], &shown["lastUsedAt"], &shown["description"]),
            (&json!(ADA), &Value::Null, &json!("Nightly"))
        );
    }

    async fn a_key_acts_as_itself_in_its_own_organization_only(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let other = Acme::made_by(&server, acme.ada.clone(), "TEAM").await;
        let (id, key) = acme.key("Key", &["MEMBERS_READ", "MEMBERS_INVITE", "APPS_READ"]).await;
        let answer = key.operation("Viewer", json!({})).await;
        assert_eq!(answer["viewer"]["user"], Value::Null);
        assert_eq!(answer["viewer"]["apiKey"], json!({ "id": id, "name": "Key" }));
        assert_eq!(answer["viewer"]["organizations"]["totalCount"], 1);
        assert_eq!(texts(&answer, "/viewer/organizations/edges", "/node/id"), [acme.id.as_str()]);
        assert_eq!((&answer["viewer"]["sessions"], &answer["viewer"]["invitations"]), (&json!([]), &json!([])));
        let answer = key.try_operation("Overview", acme.with(json!({}))).await;
        let organization = &answer.body["data"]["organization"];
        assert_eq!(
            (&organization["viewerRole"], &organization["viewerPermissions"]),
            (&Value::Null, &json!(["MEMBERS_READ", "MEMBERS_INVITE", "APPS_READ"]))
        );
        let answer = key.data("query ($id: ID!) { organization(id: $id) { name } }", other.with(json!({}))).await;
        assert_eq!(answer["organization"], Value::Null);
        let invite = json!({ "email": "bea@example.com" });
        assert_eq!(key.refusals("InviteMember", other.with(invite.clone())).await, ["NOT_FOUND"]);
        assert_eq!(key.refusals("InviteMember", acme.with(invite)).await, [""; 0]);
        assert_eq!(key.try_operation("ApiKeys", acme.with(json!({}))).await.codes(), ["PERMISSION_REQUIRED"]);
        let log = acme.ada.operation("AuditLog", acme.with(json!({ "first": 1 }))).await;
        let actor = &log["organization"]["auditLog"]["edges"][0]["node"]["actor"];
        assert_eq!(*actor, json!({ "kind": "API_KEY", "id": id, "displayName": "Key" }));
    }

    async fn what_only_a_person_can_do_is_refused_to_a_key(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (_, key) = acme.key("Key", &["ORGANIZATION_DELETE", "ORGANIZATION_UPDATE"]).await;
        for (name, variables) in [
            ("LeaveOrganization", acme.with(json!({}))),
            ("DeleteOrganization", acme.with(json!({ "confirmName": "Acme" }))),
            ("CreateOrganization", json!({ "name": "Another", "kind": "TEAM" })),
            ("AcceptInvitation", json!({ "invitationId": "inv_nonsense" })),
            ("SignOut", json!({})),
        ] {
            let refused = key.refusals(name, variables).await;
            let wanted = if name == "AcceptInvitation" { "NOT_FOUND" } else { "USER_REQUIRED" };
            assert_eq!(refused, [wanted], "{name}");
        }
        assert_eq!(key.refusals("UpdateOrganization", acme.with(json!({ "name": "Acme 2" }))).await, [""; 0]);
    }

    async fn disabled_expired_and_revoked_keys_are_refused_with_the_next_request(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let made = make(&acme, json!({ "name": "Key", "expiresAt": "2026-03-03T00:00:00Z" })).await;
        let (id, key) = (text(&made, "/apiKey/id"), server.with_key(text(&made, "/secret")));
        assert!(key.is_let_in().await);
        assert_eq!(change(&acme, "DisableApiKey", id, json!({})).await["apiKey"]["status"], "DISABLED");
        assert!(!key.is_let_in().await);
        let twice = change(&acme, "DisableApiKey", id, json!({})).await;
        assert_eq!((&twice["apiKey"]["status"], &twice["userErrors"]), (&json!("DISABLED"), &json!([])));
        assert_eq!(change(&acme, "EnableApiKey", id, json!({})).await["apiKey"]["status"], "ACTIVE");
        assert!(key.is_let_in().await);
        server.wait(TimeDelta::hours(14) + TimeDelta::minutes(59) - TimeDelta::milliseconds(1));
        assert!(key.is_let_in().await);
        server.wait(TimeDelta::milliseconds(1));
        assert!(!key.is_let_in().await);
        assert_eq!(listed(&acme, json!({ "filter": { "statuses": ["EXPIRED"] } })).await[0]["status"], "EXPIRED");
        assert_eq!(listed(&acme, json!({ "filter": { "statuses": ["ACTIVE"] } })).await, [] as [Value; 0]);
        let longer = change(&acme, "UpdateApiKey", id, json!({ "expiresAt": null })).await;
        assert_eq!((&longer["apiKey"]["expiresAt"], &longer["userErrors"]), (&Value::Null, &json!([])), "null clears");
        assert!(key.is_let_in().await);
        let revoked = change(&acme, "RevokeApiKey", id, json!({ "reason": "Found on a page." })).await;
        assert_eq!(
            (&revoked["apiKey"]["status"], &revoked["apiKey"]["revokedAt"]),
            (&json!("REVOKED"), &json!("2026-03-03T00:00:00+00:00"))
        );
        assert!(!key.is_let_in().await);
        for name in ["EnableApiKey", "UpdateApiKey", "RotateApiKey"] {
            let refused = change(&acme, name, id, json!({ "name": "Other" })).await;
            assert!(!list(&refused, "/userErrors").is_empty(), "{name}: revoked is for good");
        }
        assert_eq!(listed(&acme, json!({})).await, [] as [Value; 0], "lists hide revoked keys");
        assert_eq!(listed(&acme, json!({ "filter": { "statuses": ["REVOKED"] } })).await.len(), 1, "unless asked");
        let log = acme.ada.operation("AuditLog", acme.with(json!({ "first": 1 }))).await;
        assert_eq!(log["organization"]["auditLog"]["edges"][0]["node"]["reason"], "Found on a page.");
    }

    async fn rotated_the_old_secret_lives_as_long_as_the_grace_and_the_key_stays_itself(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let made = make(&acme, json!({ "name": "Key", "type": "AI_AGENT" })).await;
        let (id, first) = (text(&made, "/apiKey/id"), server.with_key(text(&made, "/secret")));
        assert!(text(&made, "/secret").starts_with("olk_a_"));
        let rotate = async |grace: Value| change(&acme, "RotateApiKey", id, json!({ "graceSeconds": grace })).await;
        for wrong in [-1, 604_801, i32::MAX, i32::MIN] {
            let refused = rotate(json!(wrong)).await;
            assert_eq!(refused["userErrors"][0]["field"], json!(["input", "graceSeconds"]), "{wrong}");
            assert_eq!(refused["secret"], Value::Null);
        }
        let rotated = rotate(json!(60)).await;
        assert_eq!(rotated["apiKey"]["id"], id);
        assert_ne!(rotated["apiKey"]["prefix"], made["apiKey"]["prefix"]);
        assert!(text(&rotated, "/secret").starts_with("olk_a_"));
        let second = server.with_key(text(&rotated, "/secret"));
        server.wait(TimeDelta::seconds(59));
        assert!(first.is_let_in().await && second.is_let_in().await);
        server.wait(TimeDelta::seconds(1));
        assert!(!first.is_let_in().await && second.is_let_in().await);
        let third = server.with_key(text(&rotate(json!(604_800)).await, "/secret"));
        let fourth = server.with_key(text(&rotate(json!(604_800)).await, "/secret"));
        assert!(!second.is_let_in().await, "at most two secrets live");
        assert!(third.is_let_in().await && fourth.is_let_in().await);
        let fifth = server.with_key(text(&rotate(Value::Null).await, "/secret"));
        assert!(
            !third.is_let_in().await && !fourth.is_let_in().await && fifth.is_let_in().await,
            "no grace unless asked"
        );
        let sixth = server.with_key(text(&rotate(json!(3600)).await, "/secret"));
        change(&acme, "DisableApiKey", id, json!({})).await;
        assert!(!fifth.is_let_in().await && !sixth.is_let_in().await, "disabling ends both");
        change(&acme, "EnableApiKey", id, json!({})).await;
        assert!(fifth.is_let_in().await && sixth.is_let_in().await);
        change(&acme, "RevokeApiKey", id, json!({})).await;
        assert!(!fifth.is_let_in().await && !sixth.is_let_in().await, "revoking too");
    }

    async fn last_used_is_shown_once_it_was_written(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (id, key) = acme.key("Key", &[]).await;
        server.wait(TimeDelta::minutes(3));
        assert!(key.is_let_in().await);
        server.flush_usage().await;
        let shown = &listed(&acme, json!({})).await[0];
        assert_eq!((&shown["id"], &shown["lastUsedAt"]), (&json!(id), &json!("2026-03-02T09:04:00+00:00")));
        server.wait(TimeDelta::minutes(1));
        change(&acme, "DisableApiKey", &id, json!({})).await;
        assert!(!key.is_let_in().await);
        server.flush_usage().await;
        assert_eq!(
            listed(&acme, json!({})).await[0]["lastUsedAt"],
            "2026-03-02T09:04:00+00:00",
            "what is refused is no use"
        );
    }

    async fn agents_always_have_a_rate_limit_and_others_may(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let limit = async |variables: Value| make(&acme, variables).await["apiKey"]["rateLimit"].clone();
        assert_eq!(
            limit(json!({ "name": "a", "type": "AI_AGENT" })).await,
            json!({ "unitsPerMinute": 60, "burst": 10 })
        );
        let given = json!({ "unitsPerMinute": 5, "burst": 2 });
        assert_eq!(limit(json!({ "name": "b", "type": "AI_AGENT", "rateLimit": given })).await, given);
        assert_eq!(limit(json!({ "name": "c", "rateLimit": given })).await, given);
        assert_eq!(limit(json!({ "name": "d" })).await, Value::Null);
        for (units, burst) in [(0, 1), (-1, 1), (1, 0), (1_000_001, 1)] {
            let refused =
                make(&acme, json!({ "name": "e", "rateLimit": { "unitsPerMinute": units, "burst": burst } })).await;
            assert_eq!(refused["userErrors"][0]["field"], json!(["input", "rateLimit"]), "{units} {burst}");
        }
        let agent = listed(&acme, json!({ "filter": { "types": ["AI_AGENT"] }, "search": "b" })).await;
        let id = text(&agent[0], "/id").to_owned();
        change(&acme, "UpdateApiKey", &id, json!({ "rateLimit": null })).await;
        assert_ne!(
            listed(&acme, json!({ "search": "b" })).await[0]["rateLimit"],
            Value::Null,
            "an agent has one always"
        );
    }

    async fn what_a_key_is_can_be_edited_and_every_mistake_is_told_at_once(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let made = make(&acme, json!({ "name": "Key", "description": "One", "permissions": ["APPS_READ"] })).await;
        let id = text(&made, "/apiKey/id");
        make(&acme, json!({ "name": "Taken" })).await;
        let update = async |more: Value| change(&acme, "UpdateApiKey", id, more).await;
        let edited =
            update(json!({ "name": "Key 2", "permissions": ["MEMBERS_READ"], "expiresAt": "2026-04-01T00:00:00Z" }))
                .await;
        let key = json!({ "id": id, "name": "Key 2", "description": "One", "permissions": ["MEMBERS_READ"], "expiresAt": "2026-04-01T00:00:00+00:00" });
        assert_eq!(edited["apiKey"], key, "left out is unchanged");
        assert_eq!(update(json!({})).await["cursor"], edited["cursor"], "nothing is no change");
        let cleared = update(json!({ "description": null, "expiresAt": null })).await;
        assert_eq!((&cleared["apiKey"]["description"], &cleared["apiKey"]["expiresAt"]), (&Value::Null, &Value::Null));
        let refused = update(json!({ "name": "taken" })).await;
        assert_eq!(
            (&refused["userErrors"][0]["code"], &refused["userErrors"][0]["field"]),
            (&json!("NAME_TAKEN"), &json!(["input", "name"]))
        );
        let refused =
            update(json!({ "name": "", "description": "x".repeat(1001), "rateLimit": { "unitsPerMinute": 0 } })).await;
        let fields: Vec<_> = list(&refused, "/userErrors").iter().map(|error| text(error, "/field/1")).collect();
        assert_eq!(fields, ["name", "description", "rateLimit"]);
        let past = update(json!({ "expiresAt": "2020-01-01T00:00:00Z" })).await;
        assert_eq!(past["userErrors"][0]["field"], json!(["input", "expiresAt"]));
    }

    async fn names_of_living_keys_are_unique_and_free_again_once_revoked(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let made = make(&acme, json!({ "name": "Straße" })).await;
        assert_eq!(make(&acme, json!({ "name": "STRAẞE" })).await["userErrors"][0]["code"], "NAME_TAKEN");
        change(&acme, "RevokeApiKey", text(&made, "/apiKey/id"), json!({})).await;
        assert_eq!(make(&acme, json!({ "name": "STRAẞE" })).await["userErrors"], json!([]));
    }

    async fn nobody_puts_into_a_key_what_they_do_not_hold(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join("bea@example.com", "CO_ADMIN").await;
        let document = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
            apiKey { id } secret userErrors { code field missing } } }";
        let make = async |by: &Client, name: &str, permissions: Value| {
            let input = json!({ "organizationId": acme.id, "name": name, "permissions": permissions });
            by.data(document, json!({ "input": input })).await["createApiKey"].clone()
        };
        let refused = make(&bea, "a", json!(["ROLES_MANAGE", "MEMBERS_READ", "BILLING_MANAGE"])).await;
        let error = json!({ "code": "PERMISSION_NOT_HELD", "field": ["input", "permissions"], "missing": ["ROLES_MANAGE", "BILLING_MANAGE"] });
        assert_eq!(refused["userErrors"], json!([error]));
        let (strong, _) = acme.key("Strong", &["ROLES_MANAGE"]).await;
        let id = acme.with(json!({ "apiKeyId": strong }));
        for name in ["RotateApiKey", "EnableApiKey", "UpdateApiKey", "RevokeApiKey"] {
            assert_eq!(
                bea.refusals(name, id.clone()).await,
                ["RANK_TOO_LOW"],
                "{name}: made by an owner, it stands as high as she"
            );
        }
        let maker = make(&acme.ada, "Maker", json!(["API_KEYS_MANAGE"])).await;
        let maker = server.with_key(text(&maker, "/secret"));
        assert_eq!(
            make(&maker, "b", json!(["MEMBERS_READ"])).await["userErrors"][0]["missing"],
            json!(["MEMBERS_READ"])
        );
        assert_eq!(make(&maker, "c", json!([])).await["userErrors"], json!([]));
        let member = acme.join("cyn@example.com", "MEMBER").await;
        assert_eq!(make(&member, "d", json!([])).await["userErrors"][0]["code"], "PERMISSION_REQUIRED");
    }

    async fn a_key_outlives_who_made_it_and_dies_with_its_organization(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join("bea@example.com", "ADMIN").await;
        let (_, key) = acme.key("Key", &["MEMBERS_READ"]).await;
        assert_eq!(acme.ada.refusals("LeaveOrganization", acme.with(json!({}))).await, [""; 0]);
        let answer = key.operation("Members", acme.with(json!({}))).await;
        assert_eq!(answer["organization"]["members"]["totalCount"], 1);
        assert_eq!(bea.refusals("DeleteOrganization", acme.with(json!({ "confirmName": "Acme" }))).await, [""; 0]);
        let reply = key.try_operation("Members", acme.with(json!({}))).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
}
