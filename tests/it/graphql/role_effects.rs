//! What an edit or a deletion of a custom role does to those who hold it: with their next request, to what they follow,
//! and to what history tells afterwards.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    operations,
    roles::{holder, make, refusal, role_mutation},
    server::{Client, Server, list, text, texts},
    socket::Socket,
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";
const CYN: &str = "cyn@example.com";
const GUS: &str = "gus@example.com";
const PAT: &str = "pat@example.com";

/// Ada edits a role.
async fn edit(acme: &Acme<'_>, role: &str, mut more: Value) {
    more["roleId"] = role.into();
    assert_eq!(acme.ada.refusals("UpdateRole", acme.with(more)).await, [""; 0]);
}

/// The people that a list shows, with their roles and states.
async fn people(acme: &Acme<'_>, mut variables: Value) -> Vec<String> {
    variables["orderBy"] = json!({ "field": "EMAIL" });
    let answer = acme.ada.operation("Members", acme.with(variables)).await;
    let line = |edge: &Value| {
        let node = &edge["node"];
        format!("{} {} {}", text(node, "/user/email"), text(node, "/role/name"), text(node, "/status"))
    };
    list(&answer, "/organization/members/edges").iter().map(line).collect()
}

/// Follows an organization's events until its head, which is now.
async fn follow(acme: &Acme<'_>, by: &Client) -> Socket {
    let head = acme.ada.operation("AuditLog", acme.with(json!({ "first": 1 }))).await;
    let head = head["organization"]["auditLog"]["edges"][0]["node"]["sequence"].as_u64().unwrap();
    let mut socket = Socket::open(by).await;
    socket.subscribe("1", &operations::document("OrganizationEvents"), acme.with(json!({}))).await;
    super::socket::events_until(&mut socket, "1", head).await;
    socket
}

/// A role that is held by Bea, by Cyn who is inactive, and was held by Gus; that Pat is invited with; and that
/// invitations give by default. A minute passes after that, and another one after the deletion.
struct Deleted<'a> {
    acme: Acme<'a>,
    role: String,
    before: String,
    payload: Value,
    changes: Value,
}

impl<'a> Deleted<'a> {
    async fn tell(server: &'a Server) -> Self {
        let acme = Acme::workspace(server).await;
        let role = make(&acme, "Editor", 3, &["APPS_READ", "EVENTS_SUBSCRIBE"]).await;
        for email in [BEA, CYN, GUS] {
            holder(&acme, email, &role).await;
        }
        acme.ada.operation("DeactivateMember", acme.with(json!({ "memberId": acme.member(CYN).await }))).await;
        acme.ada.operation("RemoveMember", acme.with(json!({ "memberId": acme.member(GUS).await }))).await;
        let default = acme.with(json!({ "defaultInvitationRoleId": role }));
        acme.ada.operation("UpdateOrganization", default).await;
        acme.ada.operation("InviteMember", acme.with(json!({ "email": PAT }))).await;
        let before = server.clock.now().to_rfc3339();
        server.wait(TimeDelta::minutes(1));

        let delete = json!({ "organizationId": acme.id, "roleId": role });
        let in_use = json!({ "code": "ROLE_IN_USE", "field": ["input", "reassignToRoleId"], "memberCount": 2, "invitationCount": 1 });
        assert_eq!(refusal(&role_mutation(&acme.ada, "deleteRole", delete.clone()).await), in_use);
        let mut to_itself = delete;
        to_itself["reassignToRoleId"] = role.as_str().into();
        let invalid = json!({ "code": "INVALID_INPUT", "field": ["input", "reassignToRoleId"] });
        assert_eq!(refusal(&role_mutation(&acme.ada, "deleteRole", to_itself).await), invalid);

        let mut socket = acme.changes(&acme.ada).await;
        let move_all = acme.with(json!({ "roleId": role, "reassignToRoleId": acme.role("MANAGER") }));
        let payload = acme.ada.operation("DeleteRole", move_all).await["deleteRole"].clone();
        assert_eq!((&payload["deletedRoleId"], &payload["userErrors"]), (&json!(role), &json!([])));
        let changes = socket.answer("changes").await;
        server.wait(TimeDelta::minutes(1));
        Self { acme, role, before, payload, changes }
    }
}

both_databases! {
    async fn an_edit_takes_effect_with_the_next_request_of_who_holds_the_role(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let role = make(&acme, "Editor", 3, &["APPS_READ"]).await;
        let bea = holder(&acme, BEA, &role).await;
        let seen = async || {
            let reply = bea.try_operation("Members", acme.with(json!({}))).await;
            let mine = "query ($id: ID!) { organization(id: $id) { viewerRole { name level } viewerPermissions } }";
            let mine = bea.data(mine, acme.with(json!({}))).await["organization"].clone();
            (reply.codes().len(), mine)
        };
        let mine = |name: &str, level: i32, permissions: &[&str]| {
            json!({ "viewerRole": { "name": name, "level": level }, "viewerPermissions": permissions })
        };
        assert_eq!(seen().await, (1, mine("Editor", 3, &["APPS_READ"])));
        edit(&acme, &role, json!({ "name": "Writer", "level": 2, "permissions": ["APPS_READ", "MEMBERS_READ"] })).await;
        assert_eq!(seen().await, (0, mine("Writer", 2, &["MEMBERS_READ", "APPS_READ"])));
        assert_eq!(people(&acme, json!({})).await, [format!("{ADA} Admin ACTIVE"), format!("{BEA} Writer ACTIVE")]);
        let profile = acme.ada.operation("MemberProfile", acme.with(json!({ "memberId": acme.member(BEA).await }))).await;
        assert_eq!(profile["organization"]["member"]["permissions"], json!(["MEMBERS_READ", "APPS_READ"]));
        edit(&acme, &role, json!({ "permissions": [] })).await;
        assert_eq!(seen().await, (1, mine("Writer", 2, &[])));

        // A rank that was lowered is lower in every decision.
        let invites = ["MEMBERS_INVITE", "MEMBERS_ASSIGN_ROLE", "MEMBERS_READ", "APPS_READ"];
        edit(&acme, &role, json!({ "permissions": invites })).await;
        let invite = |email: &str| acme.with(json!({ "email": email, "roleId": acme.role("MANAGER") }));
        assert_eq!(bea.refusals("InviteMember", invite("x@example.com")).await, [""; 0]);
        edit(&acme, &role, json!({ "level": 3 })).await;
        assert_eq!(bea.refusals("InviteMember", invite("y@example.com")).await, ["ROLE_NOT_ASSIGNABLE"]);
    }

    async fn who_loses_the_permission_by_an_edit_or_a_deletion_follows_events_no_longer(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for way in ["an edit", "a deletion"] {
            let role = make(&acme, &format!("Reads before {way}"), 3, &["EVENTS_SUBSCRIBE"]).await;
            let email = format!("{}@example.com", way.replace(' ', "-"));
            let person = holder(&acme, &email, &role).await;
            let mut socket = follow(&acme, &person).await;
            let mut changes = acme.changes(&person).await;
            edit(&acme, &role, json!({ "description": "Still." , "level": 4 })).await;
            assert_eq!(socket.answer("1").await["node"]["type"], "role.updated", "{way} that takes nothing ends nothing");
            assert_eq!(changes.answer("changes").await["areas"], json!(["ROLES"]));
            if way == "an edit" {
                edit(&acme, &role, json!({ "permissions": ["APPS_READ"] })).await;
            } else {
                let delete = acme.with(json!({ "roleId": role, "reassignToRoleId": acme.role("MEMBER") }));
                acme.ada.operation("DeleteRole", delete).await;
            }
            assert_eq!(socket.ends_with("1").await, "ACCESS_ENDED", "{way}");
            let areas = changes.answer("changes").await["areas"].clone();
            let expected = if way == "an edit" { json!(["ROLES"]) } else { json!(["MEMBERS", "ROLES"]) };
            assert_eq!(areas, expected, "who is a member is told that something changed");
        }
    }

    async fn invitations_give_a_custom_role_by_default_until_it_is_gone(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let role = make(&acme, "Editor", 3, &["APPS_READ"]).await;
        let default = async || acme.ada.operation("Roles", acme.with(json!({}))).await["organization"]["defaultInvitationRole"]["key"].clone();
        acme.ada.operation("UpdateOrganization", acme.with(json!({ "defaultInvitationRoleId": role }))).await;
        assert_eq!(default().await, "EDITOR");
        let in_use = role_mutation(&acme.ada, "deleteRole", json!({ "organizationId": acme.id, "roleId": role })).await;
        let facts = json!({ "code": "ROLE_IN_USE", "field": ["input", "reassignToRoleId"], "memberCount": 0, "invitationCount": 0 });
        assert_eq!(refusal(&in_use), facts);
        let sent = acme.ada.operation("InviteMember", acme.with(json!({ "email": BEA }))).await;
        assert_eq!(sent["inviteMember"]["invitation"]["role"]["key"], "EDITOR");
        let token = server.invitation_token(BEA).await;
        let joined = server.person(BEA).await.operation("AcceptInvitation", json!({ "token": token })).await;
        assert_eq!(joined["acceptInvitation"]["member"]["role"]["key"], "EDITOR");

        let owner = role_mutation(&acme.ada, "deleteRole", json!({ "organizationId": acme.id, "roleId": role, "reassignToRoleId": acme.role("ADMIN") })).await;
        assert_eq!(refusal(&owner)["code"], "ROLE_NOT_ASSIGNABLE", "the default is never an owner's role");
        let delete = acme.with(json!({ "roleId": role, "reassignToRoleId": acme.role("AUDITOR") }));
        assert_eq!(acme.ada.refusals("DeleteRole", delete).await, [""; 0]);
        assert_eq!(default().await, "AUDITOR");
        let sent = acme.ada.operation("InviteMember", acme.with(json!({ "email": CYN }))).await;
        assert_eq!(sent["inviteMember"]["invitation"]["role"]["key"], "AUDITOR");
    }

    async fn a_role_that_cannot_take_the_place_of_another_is_the_field_of_the_refusal(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let role = make(&acme, "Editor", 3, &[]).await;
        acme.ada.operation("UpdateOrganization", acme.with(json!({ "defaultInvitationRoleId": role }))).await;
        let delete = json!({ "organizationId": acme.id, "roleId": role, "reassignToRoleId": acme.role("ADMIN") });
        let field = json!(["input", "reassignToRoleId"]);
        assert_eq!(refusal(&role_mutation(&acme.ada, "deleteRole", delete).await)["field"], field);
    }

    async fn a_deletion_moves_members_invitations_and_the_default_to_another_role(url: &str) {
        let server = Server::start(url).await;
        let Deleted { acme, role, before, changes, .. } = Deleted::tell(&server).await;
        let all = json!({ "filter": { "statuses": ["ACTIVE", "INACTIVE", "FORMER"] } });
        let now = [
            format!("{ADA} Admin ACTIVE"),
            format!("{BEA} Manager ACTIVE"),
            format!("{CYN} Manager INACTIVE"),
            format!("{GUS} Editor FORMER"),
        ];
        assert_eq!(people(&acme, all).await, now, "who left kept what they held at last");
        let then = [format!("{ADA} Admin ACTIVE"), format!("{BEA} Editor ACTIVE"), format!("{CYN} Editor INACTIVE")];
        assert_eq!(people(&acme, json!({ "asOf": before })).await, then);
        let held = json!({ "filter": { "roleIds": [role], "statuses": ["ACTIVE", "INACTIVE", "FORMER"] } });
        assert_eq!(people(&acme, held.clone()).await, [format!("{GUS} Editor FORMER")]);
        let mut held_then = held;
        held_then["asOf"] = before.into();
        assert_eq!(people(&acme, held_then).await.len(), 3, "and Gus, who had left by then");

        let profile = acme.ada.operation("MemberProfile", acme.with(json!({ "memberId": acme.member(BEA).await }))).await;
        let periods = list(&profile, "/organization/member/history").iter();
        let periods: Vec<_> = periods.map(|period| (text(period, "/role/key"), period["until"].is_null())).collect();
        assert_eq!(periods, [("MANAGER", true), ("EDITOR", false), ("MEMBER", false)]);
        let invited = acme.ada.operation("Invitations", acme.with(json!({ "search": PAT }))).await;
        let invitation = &invited["organization"]["invitations"]["nodes"][0];
        assert_eq!((&invitation["state"], &invitation["role"]["key"]), (&json!("PENDING"), &json!("MANAGER")));
        let token = server.invitation_token(PAT).await;
        let joined = server.person(PAT).await.operation("AcceptInvitation", json!({ "token": token })).await;
        assert_eq!(joined["acceptInvitation"]["member"]["role"]["key"], "MANAGER", "the link in the letter still works");
        let roles = acme.ada.operation("Roles", acme.with(json!({}))).await;
        assert_eq!(roles["organization"]["defaultInvitationRole"]["key"], "MANAGER");
        assert!(!texts(&roles, "/organization/roles", "/key").contains(&"EDITOR"));

        assert_eq!(changes["areas"], json!(["MEMBERS", "INVITATIONS", "ROLES", "SETTINGS"]));
        // The name and the key are free again, for another role with another id.
        let again = make(&acme, "Editor", 5, &[]).await;
        assert_ne!(again, role);
        let former = json!({ "filter": { "roleIds": [again], "statuses": ["FORMER"] } });
        assert_eq!(people(&acme, former).await, [""; 0], "who held the old one never held it");
    }

    async fn the_audit_log_names_a_role_that_is_gone(url: &str) {
        let server = Server::start(url).await;
        let Deleted { acme, role, .. } = Deleted::tell(&server).await;
        let entries = async |filter: Value| {
            let answer = acme.ada.operation("AuditLog", acme.with(json!({ "filter": filter, "first": 5 }))).await;
            let entry = |edge: &Value| json!([edge["node"]["type"], edge["node"]["target"]["displayName"], edge["node"]["changes"]]);
            list(&answer, "/organization/auditLog/edges").iter().map(entry).collect::<Vec<_>>()
        };
        let moved = |field: &str| json!([{ "field": field, "from": "EDITOR", "to": "MANAGER" }]);
        let taken = |field: &str, from: &str| json!({ "field": field, "from": from, "to": null });
        let found = entries(json!({})).await;
        let deleted = json!(["role.deleted", "Editor", [taken("name", "Editor"), taken("level", "3"), taken("permissions", "APPS_READ EVENTS_SUBSCRIBE")]]);
        assert_eq!(found[0], deleted);
        assert_eq!(found[1], json!(["organization.default_role_changed", "Acme", moved("defaultInvitationRole")]));
        assert_eq!(found[2], json!(["invitation.role_changed", PAT, moved("role")]));
        let mut members: Vec<_> = found[3..].iter().map(|entry| text(entry, "/1")).collect();
        members.sort_unstable();
        assert_eq!(members, [BEA, CYN]);
        for entry in &found[3..] {
            assert_eq!((&entry[0], &entry[2]), (&json!("member.role_changed"), &moved("role")));
        }
        let about = entries(json!({ "targetIds": [role] })).await;
        let given = |field: &str, to: &str| json!({ "field": field, "from": null, "to": to });
        let made = json!(["role.created", "Editor", [given("name", "Editor"), given("level", "3"), given("permissions", "APPS_READ EVENTS_SUBSCRIBE")]]);
        assert_eq!(about, [deleted, made]);
        let answer = acme.ada.operation("AuditLog", acme.with(json!({ "filter": { "types": ["role.*"] }, "first": 1 }))).await;
        let target = &answer["organization"]["auditLog"]["edges"][0]["node"]["target"];
        assert_eq!(*target, json!({ "kind": "ROLE", "id": role, "displayName": "Editor" }));
    }

    async fn an_edit_stands_in_the_audit_log_field_by_field(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let role = make(&acme, "Editor", 3, &["APPS_READ"]).await;
        let input = json!({ "organizationId": acme.id, "roleId": role, "name": "Writer", "level": 5, "description": "Writes.", "permissions": [] });
        role_mutation(&acme.ada, "updateRole", input).await;
        let answer = acme.ada.operation("AuditLog", acme.with(json!({ "first": 1 }))).await;
        let entry = &answer["organization"]["auditLog"]["edges"][0]["node"];
        let change = |field: &str, from: Value, to: Value| json!({ "field": field, "from": from, "to": to });
        let changes = [
            change("name", json!("Editor"), json!("Writer")),
            change("description", Value::Null, json!("Writes.")),
            change("level", json!("3"), json!("5")),
            change("permissions", json!("APPS_READ"), json!("")),
        ];
        assert_eq!((&entry["type"], &entry["changes"]), (&json!("role.updated"), &json!(changes)));
        assert_eq!(entry["target"], json!({ "kind": "ROLE", "id": role, "displayName": "Writer" }), "its name of today");
    }

    async fn events_of_roles_carry_the_ids_of_the_api(url: &str) {
        let server = Server::start(url).await;
        let Deleted { acme, role, payload, .. } = Deleted::tell(&server).await;
        let answer = acme.ada.operation("Events", acme.with(json!({ "first": 100 }))).await;
        let edges = list(&answer, "/organization/events/edges");
        let data = |name: &str| {
            let found = edges.iter().filter(|edge| edge["node"]["type"] == name);
            found.map(|edge| edge["node"]["data"].clone()).collect::<Vec<_>>()
        };
        let manager = acme.role("MANAGER");
        let created = json!({ "roleId": role, "key": "EDITOR", "name": "Editor", "description": null, "level": 3, "permissions": ["APPS_READ", "EVENTS_SUBSCRIBE"] });
        assert_eq!(data("role.created"), [created]);
        let deleted = json!({ "roleId": role, "key": "EDITOR", "name": "Editor", "level": 3, "permissions": ["APPS_READ", "EVENTS_SUBSCRIBE"] });
        assert_eq!(data("role.deleted"), [deleted]);
        let default = data("organization.default_role_changed");
        assert_eq!(default[1], json!({ "from": role, "to": manager }));
        for change in &data("member.role_changed")[3..] {
            assert_eq!((&change["from"], &change["to"]), (&json!(role), &json!(manager)));
            assert!(text(change, "/userId").starts_with("usr_"));
        }
        let invitation = &data("invitation.role_changed")[0];
        let ada = acme.ada.operation("Viewer", json!({})).await["viewer"]["user"]["id"].clone();
        assert_eq!((&invitation["from"], &invitation["to"]), (&json!(role), &json!(manager)));
        assert_eq!(invitation["invitedBy"], json!({ "kind": "USER", "id": ada }), "as if sent by who deleted the role");
        let last = edges.last().unwrap();
        assert_eq!((&last["node"]["type"], &last["cursor"]), (&json!("role.deleted"), &payload["cursor"]));
    }
}
