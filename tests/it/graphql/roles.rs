//! Custom roles: how they are made, edited and deleted, and what each rule says when it says no. What an edit or a
//! deletion does to those who hold a role stands in `role_effects`.

use serde_json::{Value, json};

use super::{
    acme::Acme,
    server::{Client, Server, list, text, texts},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";
const CYN: &str = "cyn@example.com";

/// A mutation of roles with every fact that a refusal can have.
pub async fn role_mutation(by: &Client, name: &str, input: Value) -> Value {
    let input_type = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let object = if name == "deleteRole" {
        "deletedRoleId"
    } else {
        "role { id key name description level permissions version builtIn owner }"
    };
    let document = format!(
        "mutation ($input: {input_type}!) {{ {name}(input: $input) {{ {object} cursor userErrors {{ code field limit \
         role memberCount invitationCount permission missing expected actual }} }} }}"
    );
    by.data(&document, json!({ "input": input })).await[name].clone()
}

/// The one refusal of a payload that has nothing else: its facts, and only those that it has.
pub fn refusal(payload: &Value) -> Value {
    let [error] = list(payload, "/userErrors") else { panic!("not one refusal: {payload:#}") };
    for (field, value) in payload.as_object().unwrap() {
        assert!(field == "userErrors" || value.is_null(), "a refusal has {field}: {payload:#}");
    }
    let facts = error.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
    Value::Object(facts.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Makes a custom role; its id.
pub async fn make(acme: &Acme<'_>, name: &str, level: i32, permissions: &[&str]) -> String {
    let role = acme.with(json!({ "name": name, "level": level, "permissions": permissions }));
    let answer = acme.ada.operation("CreateRole", role).await;
    text(&answer, "/createRole/role/id").to_owned()
}

/// Somebody new who holds a custom role.
pub async fn holder(acme: &Acme<'_>, email: &str, role: &str) -> Client {
    let person = acme.join(email, "MEMBER").await;
    let give = acme.with(json!({ "memberId": acme.member(email).await, "roleId": role }));
    assert_eq!(acme.ada.refusals("ChangeMemberRole", give).await, [""; 0]);
    person
}

both_databases! {
    async fn a_role_is_made_edited_and_deleted(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let new = json!({ "name": "Rédactrice en chef", "level": 3, "permissions": ["MEMBERS_READ", "APPS_READ"], "description": "Edits." });
        let answer = acme.ada.operation("CreateRole", acme.with(new)).await;
        let made = &answer["createRole"];
        let id = text(made, "/role/id").to_owned();
        let role = json!({ "id": id, "key": "REDACTRICE_EN_CHEF", "name": "Rédactrice en chef", "level": 3, "permissions": ["MEMBERS_READ", "APPS_READ"] });
        assert_eq!((&made["role"], &made["userErrors"]), (&role, &json!([])));
        assert!(id.starts_with("rol_"), "{id}");

        let roles = async || acme.ada.operation("Roles", acme.with(json!({}))).await["organization"]["roles"].clone();
        let listed = roles().await;
        // By level, and by name within one.
        let keys = ["ADMIN", "CO_ADMIN", "MANAGER", "REDACTRICE_EN_CHEF", "AUDITOR", "MEMBER"];
        assert_eq!(texts(&listed, "", "/key"), keys);
        let mut whole = role;
        whole["description"] = "Edits.".into();
        for (field, value) in [("builtIn", json!(false)), ("owner", json!(false)), ("memberCount", json!(0)), ("viewerCanAssign", json!(true))] {
            whole[field] = value;
        }
        assert_eq!(listed[3], whole);

        let edit = acme.with(json!({ "roleId": id, "name": "Editor", "level": 9, "permissions": [] }));
        let answer = acme.ada.operation("UpdateRole", edit.clone()).await;
        let edited = &answer["updateRole"];
        assert_eq!(edited["role"], json!({ "id": id, "name": "Editor", "level": 9, "permissions": [] }));
        assert_ne!(edited["cursor"], made["cursor"]);
        let again = acme.ada.operation("UpdateRole", edit).await;
        assert_eq!(again["updateRole"], *edited, "the same again changes nothing, so the cursor stays");
        let listed = roles().await;
        assert_eq!(listed[5]["key"], "REDACTRICE_EN_CHEF", "the key is fixed");

        let delete = acme.with(json!({ "roleId": id }));
        let answer = acme.ada.operation("DeleteRole", delete.clone()).await;
        assert_eq!((&answer["deleteRole"]["deletedRoleId"], &answer["deleteRole"]["userErrors"]), (&json!(id), &json!([])));
        assert_ne!(answer["deleteRole"]["cursor"], edited["cursor"]);
        assert_eq!(list(&roles().await, "").len(), 5);
        assert_eq!(acme.ada.refusals("DeleteRole", delete).await, ["NOT_FOUND"]);
        let node = "query ($id: ID!) { node(id: $id) { id } }";
        assert_eq!(acme.ada.data(node, json!({ "id": id })).await["node"], Value::Null);
    }

    async fn what_is_left_out_stays_and_null_clears_the_description(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let new = json!({ "organizationId": acme.id, "name": "Editor", "level": 5, "permissions": ["APPS_READ"], "description": "Edits." });
        let made = role_mutation(&acme.ada, "createRole", new).await;
        let edit = async |mut more: Value| {
            more["organizationId"] = acme.id.as_str().into();
            more["roleId"] = made["role"]["id"].clone();
            let payload = role_mutation(&acme.ada, "updateRole", more).await;
            assert_eq!(payload["userErrors"], json!([]));
            payload["role"].clone()
        };
        let mut expected = made["role"].clone();
        assert_eq!(expected["version"], 3, "the sequence of the event that made it");
        assert_eq!(edit(json!({})).await, expected, "nothing is asked, nothing changes");
        expected["level"] = 6.into();
        expected["version"] = 4.into();
        assert_eq!(edit(json!({ "level": 6 })).await, expected);
        expected["description"] = Value::Null;
        expected["version"] = 5.into();
        assert_eq!(edit(json!({ "description": null })).await, expected);
        assert_eq!(edit(json!({ "description": "  " })).await, expected, "white space is no description");
        expected["description"] = "Corrects.".into();
        expected["permissions"] = json!([]);
        expected["version"] = 6.into();
        assert_eq!(edit(json!({ "description": " Corrects. ", "permissions": [] })).await, expected);
        expected["name"] = "editor".into();
        expected["version"] = 7.into();
        assert_eq!(edit(json!({ "name": "editor" })).await, expected, "its own name is not taken");
    }

    async fn every_mistake_of_an_input_is_told_at_once(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let told = async |name: &str, input: Value| {
            let payload = role_mutation(&acme.ada, name, input).await;
            let errors = list(&payload, "/userErrors").iter();
            errors.map(|error| format!("{} {}", text(error, "/code"), text(error, "/field/1"))).collect::<Vec<_>>()
        };
        let create = json!({ "organizationId": "org_nonsense", "name": " ", "level": 1, "permissions": [], "description": "\u{7}", "idempotencyKey": "" });
        let all = ["NOT_FOUND organizationId", "INVALID_INPUT name", "INVALID_INPUT level", "INVALID_INPUT description", "INVALID_INPUT idempotencyKey"];
        assert_eq!(told("createRole", create).await, all);
        let update = json!({ "organizationId": acme.id, "roleId": "rol_nonsense", "name": "x".repeat(101), "level": 10, "description": "x".repeat(1001) });
        let all = ["NOT_FOUND roleId", "INVALID_INPUT name", "INVALID_INPUT level", "INVALID_INPUT description"];
        assert_eq!(told("updateRole", update).await, all);
        let delete = json!({ "organizationId": acme.id, "roleId": "", "reassignToRoleId": acme.id });
        assert_eq!(told("deleteRole", delete).await, ["NOT_FOUND roleId", "NOT_FOUND reassignToRoleId"]);
        // What no letter or digit is in makes no key; that is known once the rest is right.
        for level in [i32::MIN, 0, 10, i32::MAX] {
            let create = json!({ "organizationId": acme.id, "name": "A", "level": level, "permissions": [] });
            assert_eq!(told("createRole", create).await, ["INVALID_INPUT level"], "{level}");
        }
        let create = json!({ "organizationId": acme.id, "name": "!?", "level": 2, "permissions": [] });
        assert_eq!(told("createRole", create).await, ["INVALID_INPUT name"]);
        let roles = acme.ada.operation("Roles", acme.with(json!({}))).await;
        assert_eq!(list(&roles, "/organization/roles").len(), 5, "nothing was made");
    }

    async fn each_rule_says_no_with_its_facts(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        let lead = make(&acme, "Lead", 3, &["ROLES_MANAGE", "MEMBERS_READ"]).await;
        let cyn = holder(&acme, CYN, &lead).await;
        let create = async |by: &Client, name: &str, level: i32, permissions: &[&str]| {
            let input = json!({ "organizationId": acme.id, "name": name, "level": level, "permissions": permissions });
            role_mutation(by, "createRole", input).await
        };
        let edit = async |by: &Client, role: &str, mut more: Value| {
            more["organizationId"] = acme.id.as_str().into();
            more["roleId"] = role.into();
            role_mutation(by, "updateRole", more).await
        };
        let required = json!({ "code": "PERMISSION_REQUIRED", "permission": "ROLES_MANAGE" });
        assert_eq!(refusal(&create(&bea, "Mine", 5, &[]).await), required);
        assert_eq!(refusal(&edit(&bea, &lead, json!({})).await), required);
        let low = json!({ "code": "RANK_TOO_LOW" });
        for level in [2, 3] {
            assert_eq!(refusal(&create(&cyn, "Mine", level, &[]).await), low, "not above oneself, and not beside");
        }
        assert_eq!(refusal(&edit(&cyn, &lead, json!({ "description": "Me." })).await), low, "not one's own");
        let missing = |missing: &[&str]| json!({ "code": "PERMISSION_NOT_HELD", "field": ["input", "permissions"], "missing": missing });
        let reach = create(&cyn, "Mine", 4, &["AUDIT_READ", "MEMBERS_READ", "API_KEYS_READ"]).await;
        assert_eq!(refusal(&reach), missing(&["API_KEYS_READ", "AUDIT_READ"]));
        let mine = create(&cyn, "Mine", 4, &["MEMBERS_READ"]).await;
        let mine = text(&mine, "/role/id");
        assert_eq!(refusal(&edit(&cyn, mine, json!({ "level": 3 })).await), low, "nor lifted to one's own");
        // What the role has already may stay, though the editor does not hold it; what is added may not.
        let bills = make(&acme, "Bills", 5, &["BILLING_READ"]).await;
        assert_eq!(edit(&cyn, &bills, json!({ "permissions": ["BILLING_READ", "MEMBERS_READ"] })).await["userErrors"], json!([]));
        let more = json!({ "permissions": ["BILLING_READ", "BILLING_MANAGE", "MEMBERS_READ"] });
        assert_eq!(refusal(&edit(&cyn, &bills, more).await), missing(&["BILLING_MANAGE"]));

        let built_in = json!({ "code": "INVALID_INPUT", "field": ["input", "roleId"] });
        assert_eq!(refusal(&edit(&acme.ada, acme.role("AUDITOR"), json!({ "level": 5 })).await), built_in);
        let delete = json!({ "organizationId": acme.id, "roleId": acme.role("MEMBER"), "reassignToRoleId": mine });
        assert_eq!(refusal(&role_mutation(&acme.ada, "deleteRole", delete).await), built_in);
        let taken = json!({ "code": "NAME_TAKEN", "field": ["input", "name"] });
        for name in ["LEAD", " lead ", "co admin", "Co-Admin", "l\u{c9}AD"] {
            assert_eq!(refusal(&create(&acme.ada, name, 5, &[]).await), taken, "{name}");
        }
        assert_eq!(refusal(&edit(&acme.ada, mine, json!({ "name": "Member" })).await), taken);

        let (_, key) = acme.key("Roles", &["ROLES_MANAGE"]).await;
        assert_eq!(refusal(&create(&key, "By key", 2, &[]).await), low, "a key stands at the second level");
        assert_eq!(create(&key, "By key", 3, &["ROLES_MANAGE"]).await["role"]["key"], "BY_KEY");

        let team = Acme::made_by(&server, acme.ada.clone(), "TEAM").await;
        let input = json!({ "organizationId": team.id, "name": "Lead", "level": 2, "permissions": [] });
        let no_roles = json!({ "code": "INVALID_INPUT", "field": ["input", "organizationId"] });
        assert_eq!(refusal(&role_mutation(&team.ada, "createRole", input).await), no_roles);
    }

    async fn an_organization_has_fifty_custom_roles_at_most(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for number in 0..50 {
            make(&acme, &format!("Role {number}"), 2 + number % 8, &[]).await;
        }
        let input = json!({ "organizationId": acme.id, "name": "One more", "level": 2, "permissions": [] });
        let full = role_mutation(&acme.ada, "createRole", input.clone()).await;
        assert_eq!(refusal(&full), json!({ "code": "LIMIT_REACHED", "limit": 50 }));
        let roles = acme.ada.operation("Roles", acme.with(json!({}))).await;
        let first = list(&roles, "/organization/roles").iter().find(|role| role["key"] == "ROLE_7").unwrap();
        assert_eq!(acme.ada.refusals("DeleteRole", acme.with(json!({ "roleId": first["id"] }))).await, [""; 0]);
        let again = role_mutation(&acme.ada, "createRole", input).await;
        assert_eq!(again["role"]["key"], "ONE_MORE", "a deleted one makes room");
    }

    async fn an_idempotency_key_makes_one_role(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let lead = make(&acme, "Lead", 2, &["ROLES_MANAGE"]).await;
        let bea = holder(&acme, BEA, &lead).await;
        let input = |name: &str| json!({ "organizationId": acme.id, "name": name, "level": 5, "permissions": [], "idempotencyKey": "one" });
        let first = role_mutation(&acme.ada, "createRole", input("Editor")).await;
        acme.ada.operation("UpdateOrganization", acme.with(json!({ "name": "Apex" }))).await;
        let second = role_mutation(&acme.ada, "createRole", input("Editor")).await;
        assert_eq!(second, first, "the same role, and the cursor of when it was made");
        let roles = acme.ada.operation("Roles", acme.with(json!({}))).await;
        assert_eq!(list(&roles, "/organization/roles").len(), 7);
        let mismatch = json!({ "code": "IDEMPOTENCY_MISMATCH", "field": ["input", "idempotencyKey"] });
        assert_eq!(refusal(&role_mutation(&acme.ada, "createRole", input("Another")).await), mismatch);

        // A key is the caller's own, and a refusal is not kept.
        assert_eq!(refusal(&role_mutation(&bea, "createRole", input("Editor")).await)["code"], "NAME_TAKEN");
        let hers = role_mutation(&bea, "createRole", input("Hers")).await;
        assert_eq!(hers["role"]["key"], "HERS");
        // The objects are read as they are now; one that is gone is none.
        acme.ada.operation("DeleteRole", acme.with(json!({ "roleId": first["role"]["id"] }))).await;
        let mut replayed = first.clone();
        replayed["role"] = Value::Null;
        assert_eq!(role_mutation(&acme.ada, "createRole", input("Editor")).await, replayed);
    }

    /// Like every other command of who is no member.
    async fn a_repetition_checks_access_again(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let lead = make(&acme, "Lead", 2, &["ROLES_MANAGE"]).await;
        let bea = holder(&acme, BEA, &lead).await;
        let input = json!({ "organizationId": acme.id, "name": "Hers", "level": 5, "permissions": [], "idempotencyKey": "one" });
        role_mutation(&bea, "createRole", input.clone()).await;
        acme.ada.operation("RemoveMember", acme.with(json!({ "memberId": acme.member(BEA).await }))).await;
        let again = role_mutation(&bea, "createRole", input).await;
        assert_eq!(again["role"], Value::Null, "what they made is not shown");
        assert_eq!(refusal(&again)["code"], "NOT_FOUND");
    }

    async fn a_version_that_is_not_the_roles_own_is_refused_with_both_numbers(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let role = make(&acme, "Editor", 5, &[]).await;
        acme.ada.operation("UpdateOrganization", acme.with(json!({ "name": "Apex" }))).await;
        let given = |version: i32| json!({ "organizationId": acme.id, "roleId": role, "expectedVersion": version });
        let mismatch = |expected: i64, actual: i64| json!({ "code": "VERSION_MISMATCH", "field": ["input", "expectedVersion"], "expected": expected, "actual": actual });
        let mut edit = given(4);
        edit["level"] = 6.into();
        assert_eq!(refusal(&role_mutation(&acme.ada, "updateRole", edit.clone()).await), mismatch(4, 3));
        edit["expectedVersion"] = 3.into();
        assert_eq!(role_mutation(&acme.ada, "updateRole", edit.clone()).await["role"]["version"], 5);
        assert_eq!(refusal(&role_mutation(&acme.ada, "updateRole", edit).await), mismatch(3, 5));
        assert_eq!(refusal(&role_mutation(&acme.ada, "deleteRole", given(3)).await), mismatch(3, 5));
        for wrong in [-1, 0, i32::MAX] {
            assert_eq!(refusal(&role_mutation(&acme.ada, "deleteRole", given(wrong)).await)["code"], "VERSION_MISMATCH");
        }
        assert_eq!(role_mutation(&acme.ada, "deleteRole", given(5)).await["deletedRoleId"], role.as_str());
    }

    /// A role of another organization, one that never was, one that is gone, and what is no id at all.
    async fn ids_that_name_no_role_here_all_answer_the_same(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let other = Acme::made_by(&server, server.person("eve@example.com").await, "WORKSPACE").await;
        let theirs = make(&other, "Editor", 5, &[]).await;
        let gone = make(&acme, "Gone", 5, &[]).await;
        acme.ada.operation("DeleteRole", acme.with(json!({ "roleId": gone }))).await;
        let used = make(&acme, "Used", 5, &[]).await;
        let never = format!("{}1", &used[..used.len() - 1]);
        let of = |input: Value| {
            let mut input = input;
            input["organizationId"] = acme.id.as_str().into();
            input
        };
        let not_found = |field: &str| json!({ "code": "NOT_FOUND", "field": ["input", field] });
        for id in [&theirs, &gone, &never, other.role("MEMBER"), &acme.id, "rol_", "ROL", "", &"x".repeat(500)] {
            let update = role_mutation(&acme.ada, "updateRole", of(json!({ "roleId": id, "level": 3 }))).await;
            assert_eq!(refusal(&update), not_found("roleId"), "{id}");
            let delete = role_mutation(&acme.ada, "deleteRole", of(json!({ "roleId": id }))).await;
            assert_eq!(refusal(&delete), not_found("roleId"), "{id}");
            let reassign = json!({ "roleId": used, "reassignToRoleId": id });
            let reassign = role_mutation(&acme.ada, "deleteRole", of(reassign)).await;
            assert_eq!(refusal(&reassign), not_found("reassignToRoleId"), "{id}");
            let may_i = json!({ "action": "UPDATE_ROLE", "roleId": id });
            let answer = acme.ada.operation("MayI", acme.with(may_i)).await;
            assert_eq!(answer["organization"]["viewerCan"]["code"], "NOT_FOUND", "{id}");
            let node = acme.ada.data("query ($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
            assert!(node["node"].is_null() || *id == acme.id, "{id}");
        }
        // An outsider learns as little about an organization that is not theirs.
        for (name, mut input) in [("updateRole", json!({ "roleId": used })), ("deleteRole", json!({ "roleId": used }))] {
            input["organizationId"] = acme.id.as_str().into();
            assert_eq!(refusal(&role_mutation(&other.ada, name, input).await), not_found("organizationId"), "{name}");
        }
    }

    async fn who_may_not_list_members_or_invitations_is_not_told_how_many_have_a_role(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let member = acme.join(BEA, "MEMBER").await;
        let auditor = acme.join(CYN, "AUDITOR").await;
        let manager = acme.join("manager@example.com", "MANAGER").await;
        let role = make(&acme, "Editor", 3, &[]).await;
        let editor = holder(&acme, "one@example.com", &role).await;
        holder(&acme, "two@example.com", &role).await;
        holder(&acme, "three@example.com", &role).await;
        let of = async |email: &str| acme.with(json!({ "memberId": acme.member(email).await }));
        acme.ada.operation("DeactivateMember", of("two@example.com").await).await;
        acme.ada.operation("RemoveMember", of("three@example.com").await).await;
        for (email, role) in [("p@example.com", &*role), ("q@example.com", &role), ("r@example.com", acme.role("MEMBER"))] {
            acme.ada.operation("InviteMember", acme.with(json!({ "email": email, "roleId": role }))).await;
        }
        let document = "query ($id: ID!) { organization(id: $id) { roles { key memberCount pendingInvitationCount } } }";
        let seen = async |by: &Client| {
            let reply = by.run(document, acme.with(json!({}))).await;
            let roles = list(&reply.body, "/data/organization/roles").iter();
            let editor = roles.clone().find(|role| role["key"] == "EDITOR").unwrap().clone();
            assert!(reply.codes().iter().all(|code| *code == "PERMISSION_REQUIRED"));
            (editor["memberCount"].clone(), editor["pendingInvitationCount"].clone(), reply.codes().len())
        };
        assert_eq!(seen(&acme.ada).await, (json!(2), json!(2), 0), "inactive ones count, former ones do not");
        assert_eq!(seen(&manager).await, (json!(2), json!(2), 0));
        assert_eq!(seen(&auditor).await, (json!(2), Value::Null, 6));
        assert_eq!(seen(&member).await, (Value::Null, Value::Null, 12));
        assert_eq!(seen(&editor).await, (Value::Null, Value::Null, 12));
        server.wait(chrono::TimeDelta::days(8));
        assert_eq!(seen(&acme.ada).await, (json!(2), json!(0), 0), "what has expired does not count");
    }
}
