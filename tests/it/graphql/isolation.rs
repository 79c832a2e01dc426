//! What is another tenant's is not there, what is malformed is nobody's, and no input is answered with a failure of
//! the service.

use async_graphql::parser::{
    parse_query,
    types::{BaseType, DocumentOperations, OperationType, VariableDefinition},
};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    acme::Acme,
    operations, schema,
    server::{Client, Server, text},
};
use crate::support::databases::both_databases;

/// Operations that are served and name an organization or something in it, with what else they need.
const MUTATIONS: &[(&str, &str)] = &[
    ("UpdateOrganization", r#"{ "name": "Mine" }"#),
    ("CreateLogoUpload", "{}"),
    ("RemoveLogo", "{}"),
    ("RequestDataExport", "{}"),
    ("LeaveOrganization", "{}"),
    ("DeleteOrganization", r#"{ "confirmName": "Acme" }"#),
    ("ChangeMemberRole", r#"{ "memberId": "", "roleId": "" }"#),
    ("DeactivateMember", r#"{ "memberId": "" }"#),
    ("ReactivateMember", r#"{ "memberId": "" }"#),
    ("RemoveMember", r#"{ "memberId": "" }"#),
    ("InviteMember", r#"{ "email": "x@example.com", "roleId": "" }"#),
    ("InviteMembers", r#"{ "invitations": [{ "email": "x@example.com" }] }"#),
    ("ResendInvitation", r#"{ "invitationId": "" }"#),
    ("RevokeInvitation", r#"{ "invitationId": "" }"#),
    ("CreateApiKey", r#"{ "name": "Mine" }"#),
    ("UpdateApiKey", r#"{ "apiKeyId": "", "name": "Mine" }"#),
    ("DisableApiKey", r#"{ "apiKeyId": "" }"#),
    ("EnableApiKey", r#"{ "apiKeyId": "" }"#),
    ("RotateApiKey", r#"{ "apiKeyId": "" }"#),
    ("RevokeApiKey", r#"{ "apiKeyId": "" }"#),
    ("UpdateNotificationPreferences", r#"{ "preferences": [] }"#),
];
const QUERIES: &[&str] = &[
    "Overview",
    "Members",
    "Invitations",
    "Roles",
    "ApiKeys",
    "AuditLog",
    "Events",
    "LedgerHead",
    "NotificationPreferences",
];

/// Ids that are none.
const MALFORMED: &[&str] = &[
    "",
    "org_",
    "mem_",
    "nonsense",
    "\0",
    "org_\0",
    "ä",
    "0",
    "org_0000000000000000000000",
    "%",
    "' OR 1=1 --",
    "mem_00000000000000000000000000000000000000000000",
    "org_zzzzzzzzzzzzzzzzzzzzzz",
    "ORG_0000000000000000000000",
];

/// Texts that break what is not careful.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "\u{1}\u{7f}\u{85}",
    "\u{202e}",
    "\u{feff}",
    "\r\n\t",
    "';DROP TABLE events;--",
    "\\",
    "%_\\%",
    "\u{10ffff}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "e\u{301}\u{301}\u{301}",
    "${jndi:ldap://x}",
    "<script>",
    "\u{fffd}",
    "ẞ",
    "İ",
    "a@b",
    "\"@example.com",
];

/// What of an organization can be named from outside: ids by the variable that takes them.
async fn ids(acme: &Acme<'_>) -> Value {
    let member = acme.member("member@example.com").await;
    let (key, _) = acme.key("Target", &[]).await;
    let invited = acme.ada.operation("InviteMember", acme.with(json!({ "email": "pending@example.com" }))).await;
    json!({ "memberId": member, "roleId": acme.role("MEMBER"), "apiKeyId": key,
        "invitationId": text(&invited, "/inviteMember/invitation/id") })
}

/// The variables of a table's row, with ids filled in.
fn filled(variables: &str, organization: &str, ids: &Value) -> Value {
    let mut variables: Value = serde_json::from_str(variables).unwrap();
    variables["id"] = organization.into();
    for (name, id) in ids.as_object().unwrap() {
        if variables.get(name).is_some() {
            variables[name] = id.clone();
        }
    }
    variables
}

/// Errors that an answer must not have: failures of the service, and errors without a code.
fn failures(body: &Value) -> Vec<&Value> {
    let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fine =
        |error: &&Value| !matches!(error["extensions"]["code"].as_str(), None | Some("INTERNAL" | "UNAVAILABLE"));
    errors.iter().filter(|error| !fine(error)).collect()
}

async fn no_failure(by: &Client, document: &str, variables: Value) {
    let shown = variables.to_string();
    let reply = by.run(document, variables).await;
    let shown: String = shown.chars().take(300).collect();
    assert!(matches!(reply.status, StatusCode::OK | StatusCode::BAD_REQUEST), "{} for {shown}", reply.status);
    assert!(failures(&reply.body).is_empty(), "{document}\nwith {shown}: {:#}", reply.body);
}

fn hostile_texts() -> Vec<String> {
    let long = ["x".repeat(10_000), "é\u{1f468}".repeat(3_000)];
    HOSTILE.iter().map(|text| (*text).to_owned()).chain(long).collect()
}

/// A value of a variable with which an operation comes as far as it can without an object of its own.
fn usual(variable: &str, organization: &str) -> Value {
    match variable {
        "id" => organization.into(),
        "email" => "someone@example.com".into(),
        "kind" => "TEAM".into(),
        "action" => "INVITE_MEMBER".into(),
        "key" | "token" | "name" | "confirmName" => "some text".into(),
        "memberId" | "roleId" | "apiKeyId" | "invitationId" => "nothing".into(),
        "invitations" => json!([{ "email": "someone@example.com" }]),
        "preferences" => json!([{ "category": "ROLES", "email": false }]),
        _ => Value::Null,
    }
}

/// Values of a type that are wrong, or right and unexpected.
fn hostile_values(kind: &str, texts: &[String]) -> Vec<Value> {
    let (past, future) = ("-262143-01-01T00:00:00Z", "+262142-12-31T23:59:59Z");
    let of_each = |inside: &dyn Fn(&String) -> Value| texts.iter().map(inside).collect::<Vec<_>>();
    let (mut values, more) = match kind {
        "String" | "ID" => (of_each(&|text| json!(text)), json!([5, true, {}, []])),
        "Int" => {
            let numbers = r#"[-1, 0, 2147483647, -2147483648, 2147483648, 9007199254740993, 1e300, 1.5, "1", true]"#;
            (serde_json::from_str(numbers).unwrap(), json!([]))
        }
        "DateTime" => {
            let none = json!(["", "now", "2026-13-01T00:00:00Z", "9999-12-31T23:59:60Z", "\0", 0]);
            (vec![json!("2026-03-02T09:00:00+23:59"), json!("0000-01-01T00:00:00Z"), json!(past), json!(future)], none)
        }
        "MemberFilter" => {
            let more =
                json!([{ "statuses": ["NONE"] }, { "joinedFrom": past }, { "joinedTo": future }, { "joinedTo": "x" }]);
            (of_each(&|text| json!({ "roleIds": [text] })), more)
        }
        "AuditFilter" => {
            let types = of_each(&|text| json!({ "types": [text, format!("{text}*"), format!("{text}.*")] }));
            let ids = of_each(&|text| json!({ "actorIds": [text], "targetIds": [text] }));
            let search = of_each(&|text| json!({ "search": text }));
            ([types, ids, search].concat(), json!([{ "from": past }, { "to": future }, { "outcomes": [] }]))
        }
        _ => (Vec::new(), json!(["NONSENSE", 5, {}, []])),
    };
    values.extend(more.as_array().unwrap().iter().cloned());
    values
}

both_databases! {
    async fn what_belongs_to_others_is_not_there(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join("member@example.com", "MEMBER").await;
        let ids = ids(&acme).await;
        let eve = server.person("eve@example.com").await;
        let own = Acme::made_by(&server, eve.clone(), "WORKSPACE").await;
        let (_, key) = own
            .key("Eve's", &["MEMBERS_READ", "MEMBERS_INVITE", "API_KEYS_MANAGE", "ORGANIZATION_UPDATE", "AUDIT_READ"])
            .await;
        for by in [&eve, &key, &server.anonymous()] {
            for name in QUERIES {
                let answer = by.operation(name, acme.with(json!({}))).await;
                assert_eq!(answer, json!({ "organization": null }), "{name}");
            }
        }
        for (name, variables) in MUTATIONS {
            let theirs = filled(variables, &acme.id, &ids);
            assert_eq!(eve.refusals(name, theirs.clone()).await, ["NOT_FOUND"], "{name}");
            let wanted = if matches!(*name, "LeaveOrganization" | "DeleteOrganization") {
                &["NOT_FOUND", "USER_REQUIRED"][..]
            } else {
                &["NOT_FOUND"]
            };
            let refused = key.refusals(name, theirs.clone()).await;
            assert!(wanted.contains(&refused[0].as_str()), "{name}: {refused:?}");
            assert_eq!(server.anonymous().try_operation(name, theirs).await.codes(), ["UNAUTHENTICATED"], "{name}");
            // One's own organization with ids of theirs.
            if variables.contains("Id\"") {
                let mixed = filled(variables, &own.id, &ids);
                let refused = eve.refusals(name, mixed).await;
                assert!(refused.iter().all(|code| code == "NOT_FOUND") && !refused.is_empty(), "{name}: {refused:?}");
            }
        }
        let document = "query ($id: ID!, $memberId: ID!, $roleId: ID!) { organization(id: $id) { member(id: $memberId) { id }
            viewerCan(action: REMOVE_MEMBER, memberId: $memberId) { code } may: viewerCan(action: INVITE_MEMBER, roleId: $roleId) { code } } }";
        let answer = eve.data(document, own.with(ids.clone())).await;
        let none = json!({ "member": null, "viewerCan": { "code": "NOT_FOUND" }, "may": { "code": "NOT_FOUND" } });
        assert_eq!(answer["organization"], none);
        let mut all: Vec<_> = ids.as_object().unwrap().values().cloned().collect();
        all.push(json!(acme.id));
        let user = acme.ada.operation("Viewer", json!({})).await["viewer"]["user"]["id"].clone();
        all.push(user);
        let nodes = "query ($ids: [ID!]!, $one: ID!) { nodes(ids: $ids) { id } node(id: $one) { id } }";
        let answer = eve.data(nodes, json!({ "ids": all, "one": acme.id })).await;
        assert_eq!(answer, json!({ "nodes": vec![Value::Null; all.len()], "node": null }));
        let answer = acme.ada.data(nodes, json!({ "ids": all, "one": acme.id })).await;
        assert_eq!(answer["node"]["id"], acme.id);
        assert_eq!(answer["nodes"].as_array().unwrap().iter().filter(|node| node.is_null()).count(), 0, "{answer}");
        // Nothing of it has changed anything.
        let answer = acme.ada.operation("Overview", acme.with(json!({}))).await;
        assert_eq!(answer["organization"]["name"], "Acme");
        assert_eq!(answer["organization"]["overview"]["memberCount"], 2);
    }

    async fn a_malformed_id_is_answered_like_an_unknown_one(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join("member@example.com", "MEMBER").await;
        let ids = ids(&acme).await;
        for malformed in MALFORMED {
            for name in QUERIES {
                let answer = acme.ada.operation(name, json!({ "id": malformed })).await;
                assert_eq!(answer, json!({ "organization": null }), "{name} of {malformed:?}");
            }
            let answer = acme
                .ada
                .data(
                    "query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id, $id]) { id } }",
                    json!({ "id": malformed }),
                )
                .await;
            assert_eq!(answer, json!({ "node": null, "nodes": [null, null] }), "{malformed:?}");
        }
        for malformed in MALFORMED.iter().copied().chain([&*"x".repeat(10_000)]) {
            for (name, variables) in MUTATIONS {
                for variable in ["id", "memberId", "roleId", "apiKeyId", "invitationId"] {
                    let mut variables = filled(variables, &acme.id, &ids);
                    if variables.get(variable).is_none() {
                        continue;
                    }
                    variables[variable] = malformed.into();
                    let refused = acme.ada.refusals(name, variables).await;
                    assert!(
                        refused.iter().all(|code| code == "NOT_FOUND") && !refused.is_empty(),
                        "{name} {variable} {malformed:?}: {refused:?}"
                    );
                }
            }
        }
    }

    /// Every text, number and time of every operation, with what breaks what is not careful.
    async fn no_input_makes_the_service_fail(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join("member@example.com", "MEMBER").await;
        let texts = hostile_texts();
        for name in operations::names() {
            let document = operations::document(name);
            let DocumentOperations::Multiple(parsed) = parse_query(&document).unwrap().operations else {
                panic!("{name}")
            };
            let operation = parsed.into_values().next().unwrap().node;
            // No session ends here, and the letters of sign-ins are few.
            let elsewhere = matches!(name, "SignOut" | "RequestSignIn") || operation.ty == OperationType::Subscription;
            if elsewhere || schema::NOT_YET.contains(&name) {
                continue;
            }
            let named = |variable: &VariableDefinition| variable.name.node.to_string();
            let definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
            let usual: Map<_, _> = definitions.clone().map(|one| (named(one), usual(&named(one), &acme.id))).collect();
            for definition in definitions {
                let BaseType::Named(kind) = &definition.var_type.node.base else { continue };
                for value in hostile_values(kind, &texts) {
                    let mut variables = Value::Object(usual.clone());
                    variables[named(definition)] = value;
                    no_failure(&acme.ada, &document, variables).await;
                }
            }
        }
        let document = operations::document("InviteMembers");
        for text in &texts {
            for row in [
                json!({ "email": text }),
                json!({ "email": "y@example.com", "name": text }),
                json!({ "email": "y@example.com", "roleId": text }),
            ] {
                no_failure(&acme.ada, &document, acme.with(json!({ "invitations": [row] }))).await;
            }
        }
        let answer = acme.ada.operation("Overview", acme.with(json!({}))).await;
        assert_eq!(answer["organization"]["overview"]["activeMemberCount"], 2);
    }
}
