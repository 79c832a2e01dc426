//! What the help pages of three products promise their users about members, roles, ownership, leaving, keys and
//! settings: each promise is the name of a test, in the order of the pages, kept over the API on both databases.
//!
//! Product A is a `TEAM`, product B a `WORKSPACE`, product C an `ENTERPRISE` (and the `PERSONAL` organization beside
//! it). What the pages say of billing, apps and their instances, the marketplace, and dashboards is not asked here;
//! nor is what is not there yet: notification preferences, and the export of data.
//!
//! Nothing is tried without asking first: [`done`] and [`refused`] hold that `viewerCan` said beforehand what the
//! mutation then answers, to the letter of the message.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    acme::Acme,
    server::{Client, list, text},
    socket::Socket,
};

mod enterprise;
mod enterprise_roles;
mod team;
mod team_keys;
mod team_members;
mod workspace;
mod workspace_keys;
mod workspace_ranks;
mod workspace_roles;

const BEA: &str = "bea@example.com";
const CYN: &str = "cyn@example.com";
const DAN: &str = "dan@example.com";
const EVE: &str = "eve@example.com";

/// What `viewerCan` says to a caller about a mutation; null to who has no access at all.
async fn asked(by: &Client, acme: &Acme<'_>, mutation: &str, variables: &Value) -> Value {
    let mut action = String::new();
    for letter in mutation.chars() {
        if letter.is_ascii_uppercase() && !action.is_empty() {
            action.push('_');
        }
        action.push(letter.to_ascii_uppercase());
    }
    let role = ["roleId", "defaultInvitationRoleId", "formerOwnerRoleId"].iter().find_map(|name| variables.get(name));
    let question = json!({ "action": action, "memberId": variables.get("memberId"), "roleId": role });
    by.operation("MayI", acme.with(question)).await["organization"]["viewerCan"].clone()
}

/// Does what `viewerCan` allows; the payload.
async fn done(by: &Client, acme: &Acme<'_>, mutation: &str, variables: Value) -> Value {
    let decision = asked(by, acme, mutation, &variables).await;
    assert_eq!(decision, json!({ "allowed": true, "code": null, "message": null }), "{mutation} {variables}");
    let answer = by.operation(mutation, acme.with(variables)).await;
    let payload = answer.as_object().unwrap().values().next().unwrap().clone();
    assert_eq!(payload["userErrors"], json!([]), "{mutation}");
    payload
}

/// Tries what `viewerCan` refuses; the code and the message, which are the same both times. Who has no access cannot
/// even ask.
async fn refused(by: &Client, acme: &Acme<'_>, mutation: &str, variables: Value) -> String {
    let decision = asked(by, acme, mutation, &variables).await;
    let said = told_no(by, acme, mutation, variables).await;
    if decision.is_null() {
        assert!(said.starts_with("NOT_FOUND") || said.starts_with("MEMBER_INACTIVE"), "{mutation}: {said}");
    } else {
        assert_eq!(decision["allowed"], false, "{mutation}: {said}");
        assert_eq!(said, format!("{}: {}", text(&decision, "/code"), text(&decision, "/message")), "{mutation}");
    }
    said
}

/// Tries what is refused for a reason that lies in the input; the code and the message.
async fn told_no(by: &Client, acme: &Acme<'_>, mutation: &str, variables: Value) -> String {
    let answer = by.operation(mutation, acme.with(variables)).await;
    let payload = answer.as_object().unwrap().values().next().unwrap();
    let errors = list(payload, "/userErrors");
    assert_eq!(errors.len(), 1, "{mutation}: {payload}");
    format!("{}: {}", text(&errors[0], "/code"), text(&errors[0], "/message"))
}

/// The members that a caller finds.
async fn members(by: &Client, acme: &Acme<'_>, variables: Value) -> Value {
    by.operation("Members", acme.with(variables)).await["organization"]["members"].clone()
}

/// A row of the list of members, whatever its status.
async fn row(by: &Client, acme: &Acme<'_>, email: &str) -> Value {
    let wanted = json!({ "search": email, "filter": { "statuses": ["ACTIVE", "INACTIVE", "FORMER"] } });
    members(by, acme, wanted).await["edges"][0]["node"].clone()
}

/// The page of one member.
async fn profile(by: &Client, acme: &Acme<'_>, email: &str) -> Value {
    let variables = acme.with(json!({ "memberId": acme.member(email).await }));
    by.try_operation("MemberProfile", variables).await.body["data"]["organization"]["member"].clone()
}

/// Variables that name a member.
async fn about(acme: &Acme<'_>, email: &str) -> Value {
    json!({ "memberId": acme.member(email).await })
}

/// Variables that give a member a role.
async fn with_role(acme: &Acme<'_>, email: &str, role: &str) -> Value {
    json!({ "memberId": acme.member(email).await, "roleId": acme.role(role) })
}

/// The organization as a caller sees it; null to who has no access.
async fn overview(by: &Client, acme: &Acme<'_>) -> Value {
    by.operation("Overview", acme.with(json!({}))).await["organization"].clone()
}

/// The names and roles of a person's organizations, by name: those of one moment have no order.
async fn organizations(by: &Client) -> Vec<String> {
    let answer = by.operation("Viewer", json!({})).await;
    let edges = list(&answer, "/viewer/organizations/edges").iter();
    let mut names: Vec<_> =
        edges.map(|edge| format!("{} as {}", text(edge, "/node/name"), text(edge, "/role/key"))).collect();
    names.sort();
    names
}

/// A person who is called something.
async fn named(person: Client, name: &str) -> Client {
    assert_eq!(person.refusals("UpdateViewer", json!({ "name": name })).await, [""; 0]);
    person
}

/// The newest letter to an address, subject and all.
async fn last_letter(acme: &Acme<'_>, email: &str) -> String {
    acme.server.letters_to(email).await.pop().unwrap_or_else(|| panic!("no letter to {email}"))
}

/// Whether one of the letters to an address says this. Letters that go out together have no order.
async fn heard(acme: &Acme<'_>, email: &str, part: &str) -> bool {
    acme.server.letters_to(email).await.iter().any(|letter| letter.contains(part))
}

/// The areas that an open page is told to load again, up to the change that a payload is about.
async fn told(socket: &mut Socket, payload: &Value) -> Vec<String> {
    let mut areas = BTreeSet::new();
    loop {
        let change = socket.answer("changes").await;
        areas.extend(list(&change, "/areas").iter().map(|area| area.as_str().unwrap().to_owned()));
        if change["cursor"] == payload["cursor"] {
            return areas.into_iter().collect();
        }
    }
}
