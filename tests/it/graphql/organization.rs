//! The organization itself: made once, changed, asked about, left and deleted.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    operations,
    server::{Client, Server, list, reply, text, texts},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";

async fn create(by: &Client, variables: Value) -> Value {
    by.operation("CreateOrganization", variables).await["createOrganization"].clone()
}

async fn update(by: &Client, variables: Value) -> Value {
    by.operation("UpdateOrganization", variables).await["updateOrganization"].clone()
}

/// The error codes of an answer, whoever gave it: a payload's user errors.
fn code(payload: &Value) -> &str {
    payload["userErrors"][0]["code"].as_str().unwrap_or("")
}

both_databases! {
    async fn made_twice_with_one_idempotency_key_it_is_made_once(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        let wish = json!({ "name": "Acme", "kind": "TEAM", "description": "Rockets", "idempotencyKey": "first" });
        let made = create(&ada, wish.clone()).await;
        let organization = &made["organization"];
        assert_eq!(
            (
                &organization["name"],
                &organization["kind"],
                &organization["description"],
                &organization["certification"]
            ),
            (&json!("Acme"), &json!("TEAM"), &json!("Rockets"), &Value::Null)
        );
        assert_eq!(organization["viewerRole"], json!({ "key": "ADMIN", "level": 1 }));
        assert_eq!(create(&ada, wish.clone()).await, made);
        let mut other = wish.clone();
        other["description"] = "Roses".into();
        let refused = create(&ada, other.clone()).await;
        let message = "This idempotency key was used with another input.";
        let error = json!({ "code": "IDEMPOTENCY_MISMATCH", "message": message, "field": ["input", "idempotencyKey"] });
        assert_eq!(refused, json!({ "organization": null, "cursor": null, "userErrors": [error] }));
        let bea = server.person(BEA).await;
        assert_ne!(create(&bea, wish.clone()).await["organization"]["id"], organization["id"], "a key is its person's");
        // What was changed since is answered as it is now.
        let id = text(organization, "/id");
        update(&ada, json!({ "id": id, "name": "Acme 2" })).await;
        assert_eq!(create(&ada, wish.clone()).await["organization"]["name"], "Acme 2");
        let answer = ada.operation("Viewer", json!({})).await;
        assert_eq!(answer["viewer"]["organizations"]["totalCount"], 2, "this one, and the personal one");
        ada.operation("DeleteOrganization", json!({ "id": id, "confirmName": "Acme 2" })).await;
        assert_eq!(code(&create(&ada, wish).await), "NOT_FOUND", "a replay checks access again");
    }

    async fn the_idempotency_key_may_come_in_the_header(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        let send = async |document: &str, key: &str, variables: Value| {
            let request = ada.request(Method::POST, "/graphql").header("idempotency-key", key);
            reply(request.json(&json!({ "query": document, "variables": variables }))).await.body["data"].clone()
        };
        let document = operations::document("CreateOrganization");
        let wish = json!({ "name": "Acme", "kind": "TEAM" });
        let first = send(&document, "by-header", wish.clone()).await;
        assert_eq!(code(&first["createOrganization"]), "");
        assert_eq!(send(&document, "by-header", wish.clone()).await, first);
        let second = send(&document, "another", wish.clone()).await;
        assert_ne!(second, first);
        for wrong in ["x".repeat(129).as_str(), ""] {
            let refused = send(&document, wrong, wish.clone()).await;
            assert_eq!(
                refused["createOrganization"]["userErrors"][0]["field"],
                json!(["input", "idempotencyKey"]),
                "{wrong:?}"
            );
        }
        let two = "mutation { a: createOrganization(input: { name: \"A\", kind: TEAM }) { organization { id } }
            b: createOrganization(input: { name: \"A\", kind: TEAM }) { organization { id } } }";
        let both = send(two, "by-header", json!({})).await;
        assert_ne!(both["a"], both["b"], "with two root fields the header belongs to none");
    }

    async fn an_idempotency_key_is_forgotten_after_a_day(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let wish = acme.with(json!({ "name": "Key", "idempotencyKey": "k" }));
        let made = acme.ada.operation("CreateApiKey", wish.clone()).await;
        server.wait(TimeDelta::hours(24) - TimeDelta::seconds(1));
        let again = acme.ada.operation("CreateApiKey", wish.clone()).await;
        assert_eq!(again["createApiKey"]["apiKey"], made["createApiKey"]["apiKey"]);
        server.wait(TimeDelta::seconds(2));
        assert_eq!(acme.ada.refusals("CreateApiKey", wish).await, ["NAME_TAKEN"], "it is a new wish");
        // Refusals are not kept.
        let taken = acme.with(json!({ "name": "Other", "idempotencyKey": "m", "permissions": [] }));
        let revoke = acme.with(json!({ "apiKeyId": made["createApiKey"]["apiKey"]["id"] }));
        let wish = acme.with(json!({ "name": "Key", "idempotencyKey": "n" }));
        assert_eq!(acme.ada.refusals("CreateApiKey", wish.clone()).await, ["NAME_TAKEN"]);
        assert_eq!(acme.ada.refusals("RevokeApiKey", revoke).await, [""; 0]);
        assert_eq!(acme.ada.refusals("CreateApiKey", wish).await, [""; 0]);
        assert_eq!(acme.ada.refusals("CreateApiKey", taken).await, [""; 0]);
    }

    async fn every_kind_but_a_personal_one_is_made_by_people(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        for (kind, wanted) in
            [("PERSONAL", "INVALID_INPUT"), ("ENTERPRISE", ""), ("TEAM", ""), ("WORKSPACE", "")]
        {
            assert_eq!(code(&create(&ada, json!({ "name": "Acme", "kind": kind })).await), wanted, "{kind}");
        }
        let refused =
            create(&ada, json!({ "name": "", "kind": "TEAM", "description": "x".repeat(1001), "idempotencyKey": "" }))
                .await;
        let fields: Vec<_> = list(&refused, "/userErrors").iter().map(|error| text(error, "/field/1")).collect();
        assert_eq!(fields, ["name", "description", "idempotencyKey"], "every mistake at once");
        for name in ["x".repeat(101).as_str(), " ", "two\nlines", "nul\0", "\u{202e}turned"] {
            assert_eq!(code(&create(&ada, json!({ "name": name, "kind": "TEAM" })).await), "INVALID_INPUT", "{name:?}");
        }
        let longest = "ä".repeat(100);
        assert_eq!(
            create(&ada, json!({ "name": longest, "kind": "TEAM" })).await["organization"]["name"],
            longest.as_str()
        );
    }

    async fn left_out_is_unchanged_null_clears_and_nothing_new_writes_nothing(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let first =
            update(&acme.ada, acme.with(json!({ "name": "Acme 2", "description": "  Rockets\nand more " }))).await;
        let shown = json!({ "id": acme.id, "name": "Acme 2", "description": "Rockets\nand more", "version": 4 });
        assert_eq!((&first["organization"], &first["userErrors"]), (&shown, &json!([])));
        assert_eq!(update(&acme.ada, acme.with(json!({}))).await, first);
        assert_eq!(update(&acme.ada, acme.with(json!({ "name": "Acme 2" }))).await, first);
        let cleared = update(&acme.ada, acme.with(json!({ "description": null }))).await;
        assert_eq!(
            cleared["organization"],
            json!({ "id": acme.id, "name": "Acme 2", "description": null, "version": 5 })
        );
        let default = json!({ "defaultInvitationRoleId": acme.role("AUDITOR"), "description": "" });
        assert_eq!(update(&acme.ada, acme.with(default)).await["organization"]["description"], Value::Null);
        let answer = acme.ada.operation("Roles", acme.with(json!({}))).await;
        assert_eq!(answer["organization"]["defaultInvitationRole"]["key"], "AUDITOR");
        let owner = json!({ "defaultInvitationRoleId": acme.role("ADMIN") });
        assert_eq!(code(&update(&acme.ada, acme.with(owner)).await), "ROLE_NOT_ASSIGNABLE", "never an owner role");
        let unknown = json!({ "defaultInvitationRoleId": "rol_nonsense" });
        assert_eq!(code(&update(&acme.ada, acme.with(unknown)).await), "NOT_FOUND");
    }

    async fn a_version_is_that_of_the_organization_and_not_of_its_members(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "MEMBER").await;
        let rename = async |name: &str, version: i64| {
            update(&acme.ada, acme.with(json!({ "name": name, "expectedVersion": version }))).await
        };
        let renamed = rename("Acme 2", 1).await;
        assert_eq!(renamed["userErrors"], json!([]), "joining is no change of the organization itself");
        let version = renamed["organization"]["version"].as_i64().unwrap();
        let refused = rename("Acme 3", 1).await;
        let message = format!("This was changed in the meantime: it is at version {version}, not 1.");
        let error = json!({ "code": "VERSION_MISMATCH", "message": message, "field": ["input", "expectedVersion"] });
        assert_eq!(refused, json!({ "organization": null, "cursor": null, "userErrors": [error] }));
        assert_eq!(code(&rename("Acme 3", -1).await), "VERSION_MISMATCH");
        assert_eq!(rename("Acme 3", version).await["userErrors"], json!([]));
    }

    async fn every_member_sees_the_organization_its_roles_and_its_counts(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        acme.key("Key", &[]).await;
        let answer = bea.operation("Overview", acme.with(json!({}))).await;
        let organization = &answer["organization"];
        assert_eq!(organization["viewerRole"], json!({ "key": "MEMBER", "name": "Member", "level": 4 }));
        assert_eq!(organization["viewerPermissions"], json!(["APPS_READ"]));
        assert_eq!(organization["memberManagement"], json!({ "available": true, "reason": null, "message": null }));
        let counts = json!({ "memberCount": 2, "activeMemberCount": 2, "pendingInvitationCount": 0, "apiKeyCount": 1, "recentActivity": null });
        assert_eq!(organization["overview"], counts);
        let answer = acme.ada.operation("Overview", acme.with(json!({}))).await;
        let recent = texts(&answer, "/organization/overview/recentActivity", "/type");
        let types = [
            "api_key.created",
            "member.joined",
            "invitation.accepted",
            "invitation.sent",
            "member.joined",
            "organization.created",
        ];
        assert_eq!(recent, types);
        let answer = bea.try_operation("Roles", acme.with(json!({}))).await;
        let groups = texts(&answer.body, "/data/organization/permissionGroups", "/name");
        assert!(groups.len() >= 6, "{groups:?}");
        let all: usize = list(&answer.body, "/data/organization/permissionGroups")
            .iter()
            .map(|group| list(group, "/permissions").len())
            .sum();
        assert_eq!(all, 18, "every permission is in one group");
        assert_eq!(answer.codes(), ["PERMISSION_REQUIRED"; 5], "how many hold a role is for who may see members");
    }

    async fn who_leaves_has_no_access_from_then_on(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let seen = async |by: &Client| by.operation("MayI", acme.with(json!({ "action": "LEAVE_ORGANIZATION" }))).await;
        let may = |allowed: bool, code: Value, message: Value| json!({ "organization": { "viewerCan": { "allowed": allowed, "code": code, "message": message } } });
        assert_eq!(seen(&bea).await, may(true, Value::Null, Value::Null));
        let message = "The organization would have no active owner left: promote somebody first, or delete it.";
        assert_eq!(seen(&acme.ada).await, may(false, json!("LAST_OWNER"), json!(message)));
        assert_eq!(acme.ada.refusals("LeaveOrganization", acme.with(json!({}))).await, ["LAST_OWNER"]);
        assert_eq!(bea.refusals("LeaveOrganization", acme.with(json!({}))).await, [""; 0]);
        assert_eq!(seen(&bea).await, json!({ "organization": null }));
        assert_eq!(bea.refusals("LeaveOrganization", acme.with(json!({}))).await, ["NOT_FOUND"]);
    }

    async fn deleted_with_its_name_typed_again_it_is_gone_for_everybody(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        let (_, key) = acme.key("Key", &["MEMBERS_READ"]).await;
        let delete = async |by: &Client, name: &str| {
            by.operation("DeleteOrganization", acme.with(json!({ "confirmName": name }))).await["deleteOrganization"]
                .clone()
        };
        let wrong = delete(&acme.ada, "Acme Inc").await;
        let error = json!({ "code": "INVALID_INPUT", "message": "confirmName must be the name of the organization.", "field": ["input", "confirmName"] });
        assert_eq!(wrong, json!({ "deletedOrganizationId": null, "userErrors": [error] }));
        assert_eq!(code(&delete(&bea, "Acme").await), "PERMISSION_REQUIRED");
        assert_eq!(delete(&acme.ada, "Acme").await, json!({ "deletedOrganizationId": acme.id, "userErrors": [] }));
        for by in [&acme.ada, &bea] {
            let answer = by
                .data(
                    "query ($id: ID!) { organization(id: $id) { name } viewer { organizations { totalCount } } }",
                    acme.with(json!({})),
                )
                .await;
            assert_eq!(answer, json!({ "organization": null, "viewer": { "organizations": { "totalCount": 1 } } }));
            assert_eq!(code(&delete(by, "Acme").await), "NOT_FOUND");
            assert_eq!(code(&update(by, acme.with(json!({ "name": "Phoenix" }))).await), "NOT_FOUND");
        }
        assert!(!key.is_let_in().await);
    }

    /// "The same rules that decide a command tell the SPA which buttons to disable": what is answered before is what
    /// the mutation answers after, for every action, role and target.
    async fn what_may_i_says_is_what_the_mutation_answers(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let mut people = vec![(ADA.to_owned(), "ADMIN", acme.ada.clone())];
        for role in ["CO_ADMIN", "MANAGER", "MEMBER", "AUDITOR"] {
            let email = format!("{}@example.com", role.to_lowercase().replace('_', "-"));
            let person = acme.join(&email, role).await;
            people.push((email, role, person));
        }
        let mut members = Vec::new();
        for (email, role, _) in &people {
            members.push((*role, acme.member(email).await));
        }
        let mut asked = 0;
        for (_, role, by) in &people {
            let mut agree = async |action: &str, document: &str, ask: Value, act: Value| {
                let mut question = acme.with(ask);
                question["action"] = action.into();
                let before = by.operation("MayI", question.clone()).await["organization"]["viewerCan"].clone();
                // A refused command changes nothing; one that would be allowed is refused by a version instead.
                let mut command = act;
                command["organizationId"] = acme.id.as_str().into();
                let answer = by.data(document, json!({ "input": command })).await["done"].clone();
                let allowed = matches!(code(&answer), "" | "VERSION_MISMATCH" | "INVALID_INPUT");
                let before_code = before["code"].as_str().unwrap_or("");
                let same = before["allowed"] == allowed && (allowed || before_code == code(&answer));
                assert!(same, "{role} {question}: told {before}, then answered {answer}");
                asked += 1;
            };
            for (target, id) in &members {
                let about = json!({ "memberId": id });
                let versioned = json!({ "memberId": id, "expectedVersion": 9999 });
                for (action, document) in
                    [("DEACTIVATE_MEMBER", DEACTIVATE), ("REMOVE_MEMBER", REMOVE), ("REACTIVATE_MEMBER", REACTIVATE)]
                {
                    agree(action, document, about.clone(), versioned.clone()).await;
                }
                for given in ["ADMIN", "CO_ADMIN", "MANAGER", "MEMBER", "AUDITOR"] {
                    if given == *target {
                        continue;
                    }
                    let mut ask = about.clone();
                    ask["roleId"] = acme.role(given).into();
                    let mut act = versioned.clone();
                    act["roleId"] = acme.role(given).into();
                    agree("CHANGE_MEMBER_ROLE", CHANGE, ask, act).await;
                }
            }
            agree("UPDATE_ORGANIZATION", UPDATE, json!({}), json!({ "name": "Other", "expectedVersion": 9999 })).await;
            agree("DELETE_ORGANIZATION", DELETE, json!({}), json!({ "confirmName": "wrong" })).await;
            agree(
                "CREATE_API_KEY",
                CREATE_KEY,
                json!({}),
                json!({ "name": "Key", "expiresAt": "2020-01-01T00:00:00Z" }),
            )
            .await;
            for given in ["ADMIN", "CO_ADMIN", "MANAGER", "MEMBER", "AUDITOR"] {
                let role = acme.role(given);
                let email = "pending@example.com";
                agree(
                    "INVITE_MEMBER",
                    INVITE,
                    json!({ "roleId": role }),
                    json!({ "email": email, "roleId": role, "replace": true }),
                )
                .await;
            }
        }
        assert_eq!(asked, 5 * (5 * 7 + 8));
    }

    async fn the_caller_sees_their_organizations_in_the_order_of_joining_and_in_pages(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = server.person(BEA).await;
        for name in ["One", "Two", "Three"] {
            server.wait(TimeDelta::seconds(1));
            create(&bea, json!({ "name": name, "kind": "TEAM" })).await;
        }
        assert_eq!(acme.ada.refusals("InviteMember", acme.with(json!({ "email": BEA }))).await, [""; 0]);
        server.wait(TimeDelta::seconds(1));
        let token = server.invitation_token(BEA).await;
        bea.operation("AcceptInvitation", json!({ "token": token })).await;
        let document = "query ($first: Int, $after: String) { viewer { organizations(first: $first, after: $after) {
            totalCount edges { role { key } node { name } } pageInfo { hasNextPage endCursor } } } }";
        let page = async |first: i64, after: Value| {
            bea.data(document, json!({ "first": first, "after": after })).await["viewer"]["organizations"].clone()
        };
        let first = page(4, Value::Null).await;
        assert_eq!(texts(&first, "/edges", "/node/name"), ["Personal", "One", "Two", "Three"]);
        assert_eq!((&first["totalCount"], &first["pageInfo"]["hasNextPage"]), (&json!(5), &json!(true)));
        let second = page(4, first["pageInfo"]["endCursor"].clone()).await;
        assert_eq!(texts(&second, "/edges", "/node/name"), ["Acme"]);
        assert_eq!(
            (&second["edges"][0]["role"]["key"], &second["pageInfo"]["hasNextPage"]),
            (&json!("MEMBER"), &json!(false))
        );
    }
}

const CHANGE: &str = "mutation ($input: ChangeMemberRoleInput!) { done: changeMemberRole(input: $input) { userErrors { code message } } }";
const DEACTIVATE: &str = "mutation ($input: DeactivateMemberInput!) { done: deactivateMember(input: $input) { userErrors { code message } } }";
const REACTIVATE: &str = "mutation ($input: ReactivateMemberInput!) { done: reactivateMember(input: $input) { userErrors { code message } } }";
const REMOVE: &str =
    "mutation ($input: RemoveMemberInput!) { done: removeMember(input: $input) { userErrors { code message } } }";
const UPDATE: &str = "mutation ($input: UpdateOrganizationInput!) { done: updateOrganization(input: $input) { userErrors { code message } } }";
const DELETE: &str = "mutation ($input: DeleteOrganizationInput!) { done: deleteOrganization(input: $input) { userErrors { code message } } }";
const CREATE_KEY: &str =
    "mutation ($input: CreateApiKeyInput!) { done: createApiKey(input: $input) { userErrors { code message } } }";
const INVITE: &str =
    "mutation ($input: InviteMemberInput!) { done: inviteMember(input: $input) { userErrors { code message } } }";
