//! Product A, a small team: the keys of its services and agents.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::{
    acme::Acme,
    server::{Client, Server, list, text},
};
use super::{BEA, CYN, done, refused, told, told_no};
use crate::support::databases::both_databases;

/// The keys that a caller sees.
async fn keys(by: &Client, acme: &Acme<'_>) -> Vec<Value> {
    list(&by.operation("ApiKeys", acme.with(json!({}))).await, "/organization/apiKeys/nodes").to_vec()
}

/// Ada makes a key: what the list says of it, and somebody who holds it.
async fn make(acme: &Acme<'_>, variables: Value) -> (Value, Client) {
    // Keys of one moment have no order.
    acme.server.wait(TimeDelta::seconds(1));
    let made = done(&acme.ada, acme, "CreateApiKey", variables).await;
    (keys(&acme.ada, acme).await[0].clone(), acme.server.with_key(text(&made, "/secret")))
}

/// Whoever holds the key reads the list of members.
async fn reads(holder: &Client, acme: &Acme<'_>) -> bool {
    holder.is_let_in().await && super::members(holder, acme, json!({})).await["totalCount"] == 1
}

both_databases! {
    // A, keys: services and agents speak to the product with them.
    async fn a_service_or_an_agent_speaks_with_a_key_and_as_that_key(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        for (name, kind) in [("Nightly report", "STANDARD"), ("Helper", "AI_AGENT")] {
            let wish = json!({ "name": name, "type": kind, "permissions": ["MEMBERS_READ"] });
            let (key, holder) = make(&acme, wish).await;
            assert!(reads(&holder, &acme).await, "{kind}");
            // An agent has few units at once, and all of them again a little later.
            server.wait(TimeDelta::minutes(1));
            let viewer = holder.operation("Viewer", json!({})).await["viewer"].clone();
            server.wait(TimeDelta::minutes(1));
            assert_eq!((&viewer["apiKey"]["id"], &viewer["user"]), (&key["id"], &Value::Null), "it is nobody's mask");
            let said = refused(&holder, &acme, "InviteMember", json!({ "email": BEA })).await;
            assert_eq!(said, "PERMISSION_REQUIRED: This needs the permission MEMBERS_INVITE.", "and no more than that");
        }
    }

    // A, the list of keys: a label, and what the key is for.
    async fn each_key_shows_its_name_and_what_it_is_for(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        make(&acme, json!({ "name": "Report", "description": "Writes the nightly report." })).await;
        make(&acme, json!({ "name": "Probe" })).await;
        let shown: Vec<_> =
            keys(&acme.ada, &acme).await.iter().map(|key| json!([key["name"], key["description"]])).collect();
        assert_eq!(shown, [json!(["Probe", null]), json!(["Report", "Writes the nightly report."])], "newest first");
        let found = acme.ada.operation("ApiKeys", acme.with(json!({ "search": "NIGHTLY" }))).await;
        assert_eq!(found["organization"]["apiKeys"]["totalCount"], 1, "and is found by either");
    }

    // A, the list of keys: the switch.
    async fn the_switch_takes_a_key_out_of_use_and_back(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let (key, holder) = make(&acme, json!({ "name": "Report", "permissions": ["MEMBERS_READ"] })).await;
        let id = json!({ "apiKeyId": key["id"] });
        let mut page = acme.changes(&acme.ada).await;
        assert!(reads(&holder, &acme).await);
        for _ in 0..2 {
            let off = done(&acme.ada, &acme, "DisableApiKey", id.clone()).await;
            assert_eq!(off["apiKey"]["status"], "DISABLED");
            assert_eq!(told(&mut page, &off).await, ["API_KEYS"]);
            assert!(!holder.is_let_in().await, "with the very next request");
            assert_eq!(keys(&acme.ada, &acme).await[0]["status"], "DISABLED", "it stays in the list");
            let on = done(&acme.ada, &acme, "EnableApiKey", id.clone()).await;
            assert_eq!(on["apiKey"]["status"], "ACTIVE");
            assert!(reads(&holder, &acme).await, "with the same secret");
            told(&mut page, &on).await;
        }
    }

    // A, the list of keys: there is something to copy while it is visible, which is once.
    async fn a_key_can_be_copied_when_it_is_made_and_never_again(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let made = done(&acme.ada, &acme, "CreateApiKey", json!({ "name": "Report" })).await;
        let (secret, prefix) = (text(&made, "/secret"), text(&made, "/apiKey/prefix"));
        assert!(secret.starts_with(prefix) && secret.len() > prefix.len() + 30);
        assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "one double click selects it");
        let rest = &secret[prefix.len()..];
        for name in ["ApiKeys", "AuditLog", "Events", "Overview"] {
            let answer = acme.ada.operation(name, acme.with(json!({}))).await.to_string();
            assert!(!answer.contains(rest), "{name}");
        }
        assert_eq!(keys(&acme.ada, &acme).await[0]["prefix"], prefix, "what is left tells keys apart");
    }

    // A, the menu of a key: its name and description.
    async fn the_name_and_the_description_of_a_key_can_be_edited(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let (key, holder) = make(&acme, json!({ "name": "Report", "permissions": ["MEMBERS_READ"] })).await;
        make(&acme, json!({ "name": "Probe" })).await;
        let edit = |more: Value| {
            let mut variables = json!({ "apiKeyId": key["id"] });
            variables.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
            variables
        };
        let wish = json!({ "name": "Weekly report", "description": "On Mondays." });
        let edited = done(&acme.ada, &acme, "UpdateApiKey", edit(wish)).await;
        assert_eq!(
            (&edited["apiKey"]["name"], &edited["apiKey"]["description"]),
            (&json!("Weekly report"), &json!("On Mondays."))
        );
        assert!(reads(&holder, &acme).await, "the key itself stays as it is");
        let cleared = done(&acme.ada, &acme, "UpdateApiKey", edit(json!({ "description": null }))).await;
        assert_eq!(
            (&cleared["apiKey"]["name"], &cleared["apiKey"]["description"]),
            (&json!("Weekly report"), &Value::Null)
        );
        let taken = edit(json!({ "name": "PROBE" }));
        assert_eq!(told_no(&acme.ada, &acme, "UpdateApiKey", taken).await, "NAME_TAKEN: This name is taken.");
    }

    // A, the menu of a key: removing is for good.
    async fn a_removed_key_is_off_the_list_and_never_comes_back(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let (key, holder) = make(&acme, json!({ "name": "Report" })).await;
        let id = json!({ "apiKeyId": key["id"] });
        done(&acme.ada, &acme, "RevokeApiKey", id.clone()).await;
        assert_eq!(keys(&acme.ada, &acme).await, [] as [Value; 0]);
        for name in ["EnableApiKey", "RotateApiKey", "UpdateApiKey"] {
            let said = told_no(&acme.ada, &acme, name, id.clone()).await;
            assert!(said.starts_with("INVALID_INPUT"), "{name}: {said}");
        }
        assert!(!holder.is_let_in().await);
        let (again, other) = make(&acme, json!({ "name": "Report" })).await;
        assert_ne!(again["id"], key["id"], "its name is free for another one");
        assert!(other.is_let_in().await && !holder.is_let_in().await);
    }

    // A, the note on removing: whatever used the key is out.
    async fn a_removed_key_ends_the_access_of_whatever_uses_it_at_once(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let wish = json!({ "name": "Report", "permissions": ["MEMBERS_READ"] });
        let (key, holder) = make(&acme, wish).await;
        let mut page = acme.changes(&holder).await;
        assert!(reads(&holder, &acme).await);
        done(&acme.ada, &acme, "RevokeApiKey", json!({ "apiKeyId": key["id"] })).await;
        assert!(!holder.is_let_in().await, "the very next request is refused");
        assert_eq!(page.ends_with("changes").await, "ACCESS_ENDED", "and what was open is closed");
    }

    // A, making a key: a name has to be there, a description may be.
    async fn a_new_key_needs_a_name_and_no_description(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        for name in ["", "  "] {
            let said = told_no(&acme.ada, &acme, "CreateApiKey", json!({ "name": name })).await;
            assert!(said.starts_with("INVALID_INPUT: name "), "{said}");
        }
        let (key, _) = make(&acme, json!({ "name": "Report" })).await;
        assert_eq!((&key["type"], &key["description"]), (&json!("STANDARD"), &Value::Null));
        assert_eq!(key["permissions"], json!([]), "it may do nothing that nobody ticked");
        let taken = json!({ "name": "report" });
        assert_eq!(told_no(&acme.ada, &acme, "CreateApiKey", taken).await, "NAME_TAKEN: This name is taken.");
    }

    // A, keys: the page is for who manages access, and for who reviews it.
    async fn a_member_neither_sees_nor_makes_keys_and_an_auditor_only_sees_them(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        make(&acme, json!({ "name": "Report" })).await;
        let (bea, cyn) = (acme.join(BEA, "MEMBER").await, acme.join(CYN, "AUDITOR").await);
        let reply = bea.try_operation("ApiKeys", acme.with(json!({}))).await;
        assert_eq!(reply.codes(), ["PERMISSION_REQUIRED"]);
        assert_eq!(reply.body["data"]["organization"], json!({ "apiKeys": null }));
        assert_eq!(keys(&cyn, &acme).await[0]["name"], "Report");
        for person in [&bea, &cyn] {
            let said = refused(person, &acme, "CreateApiKey", json!({ "name": "Mine" })).await;
            assert_eq!(said, "PERMISSION_REQUIRED: This needs the permission API_KEYS_MANAGE.");
        }
    }
}
