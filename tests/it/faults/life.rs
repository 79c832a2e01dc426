//! Requests that together reach every statement of queries, mutations, subscriptions, pages and logos: every operation
//! of `tests/fixtures/operations.graphql` that is served, the pages behind the links in letters, and an upload.

use reqwest::Method;
use serde_json::{Value, json};

use super::trial::Trial;
use crate::{
    graphql::{
        acme::Acme,
        operations,
        server::{Client, text, token},
    },
    support::pictures::png,
};

/// See the module.
pub async fn live(trial: &Trial<'_>) {
    let acme = Acme::workspace(trial.server).await;
    let bea = acme.join("bea@example.com", "CO_ADMIN").await;
    let cyn = acme.join("cyn@example.com", "MEMBER").await;
    profile(trial, &acme).await;
    invitations(trial, &acme).await;
    roles(trial, &acme).await;
    keys(trial, &acme).await;
    questions(trial, &acme, &bea).await;
    members(trial, &acme, &cyn).await;
    sessions(trial).await;
    pages(trial, &acme).await;
    ends(trial, &acme, &bea).await;
}

async fn profile(trial: &Trial<'_>, acme: &Acme<'_>) {
    let ada = &acme.ada;
    trial.mutation(ada, "UpdateViewer", json!({ "name": "Ada" })).await;
    let made = json!({ "name": "Corp", "kind": "ENTERPRISE", "description": "One", "idempotencyKey": "corp" });
    let made = trial.mutation(ada, "CreateOrganization", made).await;
    let corp = json!({ "id": text(&made, "/organization/id") });
    trial.mutation(ada, "RequestCertification", corp).await;
    let role = acme.role("MANAGER");
    let edit = json!({ "name": "Acme Works", "description": "Two", "defaultInvitationRoleId": role });
    trial.mutation(ada, "UpdateOrganization", acme.with(edit)).await;
    let address = trial.mutation(ada, "CreateLogoUpload", acme.with(json!({}))).await;
    let path = text(&address, "/uploadUrl").strip_prefix(&trial.server.url).unwrap().to_owned();
    let nobody = trial.server.anonymous();
    trial.tell("a logo", || nobody.request(Method::PUT, &path).body(png(1))).await;
    // Where nobody heard that it was done, the address is used up; the next one is not.
    let address = acme.ada.operation("CreateLogoUpload", acme.with(json!({}))).await;
    let path = text(&address, "/createLogoUpload/uploadUrl").strip_prefix(&trial.server.url).unwrap().to_owned();
    assert!(nobody.request(Method::PUT, &path).body(png(2)).send().await.unwrap().status().is_success());
    let shown = trial.query(ada, "Overview", acme.with(json!({}))).await;
    let path = text(&shown, "/organization/logoUrl").strip_prefix(&trial.server.url).unwrap().to_owned();
    trial.open(&nobody, &path).await;
    trial.mutation(ada, "RemoveLogo", acme.with(json!({}))).await;
}

async fn invitations(trial: &Trial<'_>, acme: &Acme<'_>) {
    let ada = &acme.ada;
    let invitation = |email: &str| acme.with(json!({ "email": email, "name": "Guest", "idempotencyKey": email }));
    let mut ids = Vec::new();
    for email in ["one@example.com", "two@example.com", "three@example.com"] {
        let made = trial.mutation(ada, "InviteMember", invitation(email)).await;
        ids.push(text(&made, "/invitation/id").to_owned());
    }
    let many = json!({ "invitations": [{ "email": "four@example.com" }, { "email": "five@example.com" }] });
    trial.mutation(ada, "InviteMembers", acme.with(many)).await;
    trial.query(ada, "Invitations", acme.with(json!({ "search": "example", "states": ["PENDING"] }))).await;
    trial.mutation(ada, "ResendInvitation", acme.with(json!({ "invitationId": ids[1] }))).await;
    trial.mutation(ada, "RevokeInvitation", acme.with(json!({ "invitationId": ids[2] }))).await;
    let one = trial.server.person("one@example.com").await;
    let link = trial.server.invitation_token("one@example.com").await;
    trial.query(&trial.server.anonymous(), "InvitationPreview", json!({ "token": link })).await;
    trial.query(&one, "Viewer", json!({})).await;
    trial.mutation(&one, "AcceptInvitation", json!({ "token": link })).await;
    // What comes after the commit fails only where everything before it passes.
    acme.ada.operation("InviteMember", invitation("six@example.com")).await;
    let six = trial.server.person("six@example.com").await;
    let token = trial.server.invitation_token("six@example.com").await;
    let body = json!({ "query": operations::document("AcceptInvitation"), "variables": { "token": token } });
    trial.rest("AcceptInvitation", &|| six.request(Method::POST, "/graphql").json(&body), None).await;
    let two = trial.server.person("two@example.com").await;
    trial.mutation(&two, "DeclineInvitation", json!({ "invitationId": ids[1] })).await;
}

async fn roles(trial: &Trial<'_>, acme: &Acme<'_>) {
    let ada = &acme.ada;
    let role = json!({ "name": "Editor", "level": 3, "permissions": ["MEMBERS_READ"], "description": "Edits" });
    trial.mutation(ada, "CreateRole", acme.with(role)).await;
    let roles = trial.query(ada, "Roles", acme.with(json!({}))).await;
    let editor = roles["organization"]["roles"].as_array().unwrap().iter().find(|role| role["name"] == "Editor");
    let editor = text(editor.unwrap(), "/id").to_owned();
    acme.ada.operation("InviteMember", acme.with(json!({ "email": "ed@example.com", "roleId": editor }))).await;
    let edit = json!({ "roleId": editor, "name": "Author", "level": 4, "permissions": ["MEMBERS_READ", "APPS_READ"] });
    trial.mutation(ada, "UpdateRole", acme.with(edit)).await;
    let delete = json!({ "roleId": editor, "reassignToRoleId": acme.role("MEMBER") });
    trial.mutation(ada, "DeleteRole", acme.with(delete)).await;
}

async fn keys(trial: &Trial<'_>, acme: &Acme<'_>) {
    let ada = &acme.ada;
    let limit = json!({ "unitsPerMinute": 100_000, "burst": 100_000 });
    let key = json!({ "name": "Report", "permissions": ["MEMBERS_READ"], "rateLimit": limit, "idempotencyKey": "key" });
    let made = trial.mutation(ada, "CreateApiKey", acme.with(key)).await;
    let id = text(&made, "/apiKey/id").to_owned();
    let key = acme.with(json!({ "apiKeyId": id, "name": "Reports", "description": "Nightly", "graceSeconds": 60 }));
    trial.query(ada, "ApiKeys", acme.with(json!({ "search": "report", "filter": { "statuses": ["ACTIVE"] } }))).await;
    trial.mutation(ada, "UpdateApiKey", key.clone()).await;
    trial.mutation(ada, "DisableApiKey", key.clone()).await;
    trial.mutation(ada, "EnableApiKey", key.clone()).await;
    trial.mutation(ada, "RotateApiKey", key.clone()).await;
    let rotated = acme.ada.operation("RotateApiKey", key.clone()).await;
    let script = trial.server.with_key(text(&rotated, "/rotateApiKey/secret"));
    trial.query(&script, "Viewer", json!({})).await;
    trial.query(&script, "Members", acme.with(json!({}))).await;
    let shown = json!({ "key": script.credential });
    // What remains of its limit changes with every look.
    trial.mutation(&trial.server.anonymous(), "VerifyApiKey", shown).await;
    trial.server.flush_usage().await;
    trial.mutation(ada, "RevokeApiKey", key).await;
}

async fn questions(trial: &Trial<'_>, acme: &Acme<'_>, bea: &Client) {
    let ada = &acme.ada;
    trial.query(ada, "Overview", acme.with(json!({}))).await;
    let page = |more: Value| acme.with(more);
    for variables in [
        json!({ "first": 2 }),
        json!({ "last": 2, "search": "e", "orderBy": { "field": "NAME" } }),
        json!({ "filter": { "statuses": ["FORMER", "INACTIVE"], "roleIds": [acme.role("MEMBER")] } }),
        json!({ "orderBy": { "field": "LAST_LOGIN_AT", "direction": "DESC" } }),
        json!({ "asOf": "2026-03-02T09:03:00Z", "first": 1 }),
    ] {
        trial.query(ada, "Members", page(variables)).await;
    }
    let first = acme.ada.operation("Members", page(json!({ "first": 1 }))).await;
    let cursor = text(&first, "/organization/members/pageInfo/endCursor");
    trial.query(ada, "Members", page(json!({ "first": 2, "after": cursor }))).await;
    let member = acme.member("bea@example.com").await;
    trial.query(ada, "MemberProfile", page(json!({ "memberId": member }))).await;
    let question = json!({ "action": "CHANGE_MEMBER_ROLE", "memberId": member, "roleId": acme.role("MEMBER") });
    trial.query(bea, "MayI", page(question)).await;
    let filter = json!({ "types": ["member.*"], "search": "joined", "outcomes": ["SUCCEEDED", "REFUSED"] });
    trial.query(ada, "AuditLog", page(json!({ "first": 5, "filter": filter }))).await;
    trial.query(ada, "AuditLog", page(json!({ "first": 100 }))).await;
    trial.query(ada, "Events", page(json!({ "first": 100 }))).await;
    let (key, _) = acme.key("Other", &["APPS_READ"]).await;
    let invitations = acme.ada.operation("Invitations", page(json!({}))).await;
    let events = acme.ada.operation("Events", page(json!({ "first": 1 }))).await;
    let ids = json!([
        acme.id,
        member,
        acme.role("MEMBER"),
        key,
        text(&invitations, "/organization/invitations/nodes/0/id"),
        text(&events, "/organization/events/edges/0/node/id"),
    ]);
    trial
        .document(ada, "nodes", "query A($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", json!({ "ids": ids }))
        .await;
    trial.follow(ada, "OrganizationEvents", page(json!({}))).await;
}

async fn members(trial: &Trial<'_>, acme: &Acme<'_>, cyn: &Client) {
    let ada = &acme.ada;
    let member = acme.member("cyn@example.com").await;
    let of = |role: &str| acme.with(json!({ "memberId": member, "roleId": acme.role(role), "reason": "Because" }));
    trial.mutation(ada, "ChangeMemberRole", of("MANAGER")).await;
    trial.mutation(ada, "DeactivateMember", of("MANAGER")).await;
    trial.mutation(ada, "ReactivateMember", of("MANAGER")).await;
    let one = acme.member("one@example.com").await;
    trial.mutation(ada, "RemoveMember", acme.with(json!({ "memberId": one, "createdKeys": "REVOKE" }))).await;
    trial.mutation(cyn, "LeaveOrganization", acme.with(json!({}))).await;
}

async fn sessions(trial: &Trial<'_>) {
    let nobody = trial.server.anonymous();
    trial.mutation(&nobody, "RequestSignIn", json!({ "email": "zoe@example.com" })).await;
    trial.sign_in(&nobody, "zoe@example.com").await;
    trial.later();
    let zoe = trial.server.person("zoe@example.com").await;
    let other = trial.server.person("zoe@example.com").await;
    let viewer = other.operation("Viewer", json!({})).await;
    let sessions = viewer["viewer"]["sessions"].as_array().unwrap();
    let current = sessions.iter().find(|session| session["current"] == true).unwrap();
    trial.mutation(&zoe, "EndSession", json!({ "id": text(current, "/id") })).await;
    let document = operations::document("SignOut");
    let body = json!({ "query": document });
    trial.tell("SignOut", || zoe.request(Method::POST, "/graphql").json(&body)).await;
}

async fn pages(trial: &Trial<'_>, acme: &Acme<'_>) {
    let browser = trial.server.anonymous();
    for email in ["pia@example.com", "quin@example.com"] {
        acme.ada.operation("InviteMember", acme.with(json!({ "email": email }))).await;
    }
    let path = |link: &str| link.strip_prefix(&trial.server.url).unwrap().to_owned();
    trial.open(&browser, "/").await;
    trial.send(&browser, "/sign-in", &[("email", "pia@example.com")]).await;
    trial.later();
    trial.server.sign_in_token("pia@example.com").await;
    let link = trial.server.link_for("pia@example.com", "/sign-in").await;
    trial.open(&browser, &path(&link)).await;
    trial.send(&browser, "/sign-in/complete", &[("token", token(&link))]).await;
    let link = path(&trial.server.link_for("pia@example.com", "/invitations").await);
    trial.open(&browser, &link).await;
    trial.send(&browser, &format!("{link}/sign-in"), &[]).await;
    trial.later();
    let pia = trial.server.person("pia@example.com").await.credential.unwrap();
    trial.send(&browser, &link, &[("session_token", &pia), ("answer", "accept")]).await;
    let quin = trial.server.person("quin@example.com").await;
    let waiting = quin.operation("Viewer", json!({})).await;
    let id = text(&waiting, "/viewer/invitations/0/id");
    let quin = quin.credential.unwrap();
    let fields = [("session_token", quin.as_str()), ("answer", "decline"), ("invitation_id", id)];
    trial.send(&browser, "/invitations/respond", &fields).await;
}

async fn ends(trial: &Trial<'_>, acme: &Acme<'_>, bea: &Client) {
    let member = acme.member("bea@example.com").await;
    let transfer = json!({ "memberId": member, "formerOwnerRoleId": acme.role("MEMBER") });
    trial.mutation(&acme.ada, "TransferOwnership", acme.with(transfer)).await;
    trial.mutation(bea, "DeleteOrganization", acme.with(json!({ "confirmName": "Acme Works" }))).await;
}
