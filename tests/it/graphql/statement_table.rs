//! What each operation asks of the database, as a table: the documents that clients send, of an organization that is in
//! memory. Who asks is known already; finding that out is one statement more, which requests of one moment share.
//!
//! A row says how many statements there are, and what each does to which table first. BEGIN and COMMIT are not among them.

use std::{collections::BTreeMap, fmt::Write};

use chrono::TimeDelta;
use orgledger::domain::{GlobalId, OrganizationId};
use serde_json::{Value, json};

use super::{
    inside::Inside,
    operations,
    statements::{counted, in_one_thread},
    transcript::hold,
};
use crate::store::world::{Person, World, role};

/// What a statement is about: what it does, and to which table first; one that writes several tables names them all.
fn subject(statement: &str) -> String {
    let words = statement.split(|c: char| c.is_whitespace() || "(),".contains(c)).filter(|word| !word.is_empty());
    let words: Vec<_> = words.collect();
    // `v` has the values, and `held` the heads that are free.
    let is_table = |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase()) && !["v", "held"].contains(&word);
    let after = |word: &str| words.windows(2).find(|pair| pair[0] == word && is_table(pair[1])).map(|pair| pair[1]);
    if statement.contains("WITH v0(") {
        let written = words.windows(2).filter(|pair| ["INTO", "UPDATE"].contains(&pair[0]) && is_table(pair[1]));
        return format!("write {}", written.map(|pair| pair[1]).collect::<Vec<_>>().join(" and "));
    }
    let verbs =
        [("insert", "INTO"), ("delete", "DELETE FROM"), ("update", "UPDATE"), ("read", "FROM"), ("read", "JOIN")];
    let of = |(verb, word): (&str, &str)| {
        let table = after(word.split(' ').next_back().unwrap()).filter(|_| statement.contains(word));
        table.map(|table| format!("{verb} {table}"))
    };
    verbs.into_iter().find_map(of).unwrap_or_else(|| panic!("of no table: {statement}"))
}

/// The table as it grows.
struct Table<'a> {
    inside: &'a Inside,
    organization: OrganizationId,
    text: String,
}

impl Table<'_> {
    /// Somebody sends one of the documents; tells what is inside its one field.
    async fn row(&mut self, by: &Person, name: &str, mut variables: Value) -> Value {
        variables["id"] = Inside::id(self.organization).into();
        let document = operations::document(name);
        let (answer, statements) = counted(Box::pin(self.inside.data(by, &document, variables))).await;
        let payload = answer.as_object().unwrap().values().next().unwrap().clone();
        let errors = payload.get("userErrors").unwrap_or(&Value::Null);
        assert!(errors.as_array().is_none_or(Vec::is_empty), "{name}: {errors}");
        let mut subjects: BTreeMap<_, usize> = BTreeMap::new();
        for statement in &statements {
            *subjects.entry(subject(statement)).or_default() += 1;
        }
        let told =
            |(subject, count): (String, usize)| if count == 1 { subject } else { format!("{count} × {subject}") };
        let told: Vec<_> = subjects.into_iter().map(told).collect();
        writeln!(self.text, "| {name} | {} | {} |", statements.len(), told.join(", ")).unwrap();
        payload
    }

    async fn questions(&mut self, ada: &Person, bob: &str) {
        self.row(ada, "Viewer", json!({})).await;
        self.row(ada, "Overview", json!({})).await;
        self.row(ada, "MayI", json!({ "action": "REMOVE_MEMBER", "memberId": bob })).await;
        self.row(ada, "Members", json!({ "first": 50 })).await;
        self.row(ada, "Members", json!({ "first": 50, "search": "bob" })).await;
        self.row(ada, "Members", json!({ "first": 50, "asOf": "2036-01-01T00:00:00Z" })).await;
        self.row(ada, "MemberProfile", json!({ "memberId": bob })).await;
        self.row(ada, "Invitations", json!({})).await;
        self.row(ada, "Roles", json!({})).await;
        self.row(ada, "ApiKeys", json!({})).await;
        self.row(ada, "AuditLog", json!({ "first": 50 })).await;
        self.row(ada, "Events", json!({ "first": 50 })).await;
        self.row(ada, "LedgerHead", json!({})).await;
        self.row(ada, "NotificationPreferences", json!({})).await;
        let period = json!({ "from": "2016-01-01T00:00:00Z", "to": "2036-01-01T00:00:00Z" });
        self.row(ada, "AccessChanges", period).await;
        self.row(ada, "EventTypes", json!({})).await;
    }

    async fn commands(&mut self, ada: &Person, bob: &Person, invitation: &str) {
        let of_role = |key: &str| GlobalId::Role(self.organization, role(key)).to_string();
        let (manager, auditor) = (of_role("MANAGER"), of_role("AUDITOR"));
        let member = GlobalId::Member(self.organization, bob.id).to_string();
        self.row(ada, "CreateOrganization", json!({ "name": "Corp", "kind": "TEAM" })).await;
        self.row(ada, "UpdateOrganization", json!({ "name": "Apex" })).await;
        let change = json!({ "memberId": member, "roleId": manager });
        self.row(ada, "ChangeMemberRole", change).await;
        let change = json!({ "memberId": member, "roleId": auditor, "reason": "Audits", "idempotencyKey": "change" });
        self.row(ada, "ChangeMemberRole", change).await;
        self.row(ada, "DeactivateMember", json!({ "memberId": member })).await;
        self.row(ada, "ReactivateMember", json!({ "memberId": member })).await;
        self.row(ada, "InviteMember", json!({ "email": "one@example.com" })).await;
        let rows: Vec<_> = (0..20).map(|number| json!({ "email": format!("g{number}@example.com") })).collect();
        self.row(ada, "InviteMembers", json!({ "invitations": rows })).await;
        self.row(ada, "ResendInvitation", json!({ "invitationId": invitation })).await;
        self.row(ada, "RevokeInvitation", json!({ "invitationId": invitation })).await;
        let role = json!({ "name": "Editor", "level": 3, "permissions": ["APPS_READ"] });
        let made = self.row(ada, "CreateRole", role).await;
        self.row(ada, "UpdateRole", json!({ "roleId": made["role"]["id"], "name": "Author" })).await;
        self.row(ada, "DeleteRole", json!({ "roleId": made["role"]["id"] })).await;
        let made = self.row(ada, "CreateApiKey", json!({ "name": "ci", "permissions": ["MEMBERS_READ"] })).await;
        self.row(ada, "VerifyApiKey", json!({ "key": made["secret"] })).await;
        let key = json!({ "apiKeyId": made["apiKey"]["id"], "name": "CI", "graceSeconds": 60 });
        for name in ["UpdateApiKey", "DisableApiKey", "EnableApiKey", "RotateApiKey", "RevokeApiKey"] {
            self.row(ada, name, key.clone()).await;
        }
        let preferences = json!({ "preferences": [{ "category": "MEMBERS", "email": false }] });
        self.row(ada, "UpdateNotificationPreferences", preferences).await;
        self.row(ada, "RemoveMember", json!({ "memberId": member })).await;
    }
}

/// The table of one database. PostgreSQL takes in one statement what a command writes to tables that it does not read.
async fn the_statements_of_each_operation_are_those_of_the_table(url: &str) {
    let world = World::open(url).await;
    let ada = world.person("ada@example.com").await;
    let acme = world.organization(&ada, "Acme").await;
    let bob = world.member(acme, &ada, "bob@example.com", "MEMBER").await;
    let guest = world.person("guest@example.com").await;
    let invitation = GlobalId::Invitation(acme, world.invite(acme, &ada, &guest, "MEMBER").await).to_string();
    world.pass(TimeDelta::hours(1));
    let inside = Inside::new(&world.store);
    let heading = "# What each operation asks of the database\n\n\
         Made by the test `the_statements_of_each_operation_are_those_of_the_table`; BEGIN and COMMIT are not counted.\n\n\
         | operation | statements | of what |\n|---|--:|---|\n";
    let mut table = Table { inside: &inside, organization: acme, text: heading.to_owned() };
    Box::pin(table.questions(&ada, &GlobalId::Member(acme, bob.id).to_string())).await;
    Box::pin(table.commands(&ada, &bob, &invitation)).await;
    let database = if url.starts_with("sqlite:") { "sqlite" } else { "postgres" };
    hold(&format!("tests/golden/statements.{database}.md"), &table.text);
}

in_one_thread! {
    the_statements_of_each_operation_are_those_of_the_table
}
