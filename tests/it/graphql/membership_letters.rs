//! The letters about a membership: who is told what became of it, and that nobody is told what they did themselves.

use chrono::TimeDelta;
use orgledger::store::statement::Statement;
use serde_json::json;

use super::{
    acme::{ADA, Acme},
    roles::{holder, make},
    server::{Client, Server, text},
    statements::counted,
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";
const CYN: &str = "cyn@example.com";

/// The letters to an address that are about a membership.
async fn letters(server: &Server, email: &str) -> Vec<String> {
    let subjects = ["Subject: Your role in ", "Subject: Your access to ", "Subject: You were removed from "];
    let about = |letter: &String| letter.lines().any(|line| subjects.iter().any(|subject| line.starts_with(subject)));
    server.letters_to(email).await.into_iter().filter(about).collect()
}

/// What each of them says in its line about the role, or in its subject where there is none; sorted, because letters
/// that go out together have no order.
async fn told(server: &Server, email: &str) -> Vec<String> {
    let said = |letter: String| {
        let line = |beginning: &str| letter.lines().find_map(|line| line.strip_prefix(beginning).map(str::to_owned));
        line("Your role: ").or_else(|| line("Subject: ")).unwrap()
    };
    let mut told: Vec<_> = letters(server, email).await.into_iter().map(said).collect();
    told.sort_unstable();
    told
}

/// Somebody does something about a member.
async fn act(by: &Client, acme: &Acme<'_>, name: &str, email: &str, role: Option<&str>) {
    let variables = acme.with(json!({ "memberId": acme.member(email).await, "roleId": role }));
    assert_eq!(by.refusals(name, variables).await, [""; 0], "{name}");
}

/// So many people have joined and been given another role, of which no letter has told them yet.
async fn with_new_roles(acme: &Acme<'_>, people: usize) {
    let emails: Vec<_> = (0..people).map(|number| format!("p{number}@example.com")).collect();
    for email in &emails {
        acme.join(email, "MEMBER").await;
    }
    while acme.server.deliver().await > 0 {}
    for email in &emails {
        change_role(acme, email, acme.role("MANAGER")).await;
    }
}

/// Ada gives a member another role.
async fn change_role(acme: &Acme<'_>, email: &str, role: &str) {
    act(&acme.ada, acme, "ChangeMemberRole", email, Some(role)).await;
}

both_databases! {
    async fn who_is_given_another_role_deactivated_or_removed_is_told_by_letter(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        bea.operation("UpdateViewer", json!({ "name": "Beatrix" })).await;
        assert_eq!(told(&server, BEA).await, [""; 0], "who joined did so themselves");
        change_role(&acme, BEA, acme.role("MANAGER")).await;
        let [letter] = letters(&server, BEA).await.try_into().unwrap();
        for line in ["Subject: Your role in Acme has changed", "Hello Beatrix,", "Organization: Acme", "Your role: Manager", &server.url] {
            assert_eq!(letter.lines().filter(|found| *found == line).count(), 1, "{line} in {letter}");
        }
        assert!(letter.contains("To: Beatrix <bea@example.com>") && letter.contains("<strong>Manager</strong>"), "{letter}");
        assert!(!letter.contains(ADA), "it does not say who did it");
        change_role(&acme, BEA, acme.role("MANAGER")).await;
        assert_eq!(letters(&server, BEA).await.len(), 1, "what changes nothing is told nobody");

        act(&acme.ada, &acme, "DeactivateMember", BEA, None).await;
        act(&acme.ada, &acme, "ReactivateMember", BEA, None).await;
        act(&acme.ada, &acme, "RemoveMember", BEA, None).await;
        assert_eq!(told(&server, BEA).await, ["Manager", "You were removed from Acme", "Your access to Acme was switched off"]);
        assert_eq!(told(&server, ADA).await, [""; 0]);
    }

    async fn nobody_gets_a_letter_for_what_they_did_themselves(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        let cyn = acme.join(CYN, "ADMIN").await;
        act(&acme.ada, &acme, "ChangeMemberRole", ADA, Some(acme.role("ADMIN"))).await;
        act(&bea, &acme, "ChangeMemberRole", BEA, Some(acme.role("AUDITOR"))).await;
        assert_eq!(bea.refusals("LeaveOrganization", acme.with(json!({}))).await, [""; 0]);
        act(&cyn, &acme, "ChangeMemberRole", CYN, Some(acme.role("MANAGER"))).await;
        for email in [ADA, BEA, CYN] {
            assert_eq!(told(&server, email).await, [""; 0], "{email}");
        }
        // A key is nobody's own hand, not even its maker's.
        let (_, key) = acme.key("Key", &["MEMBERS_ASSIGN_ROLE", "APPS_READ"]).await;
        act(&key, &acme, "ChangeMemberRole", CYN, Some(acme.role("MEMBER"))).await;
        assert_eq!(told(&server, CYN).await, ["Member"]);
    }

    async fn a_transfer_is_told_to_who_becomes_the_owner(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "MEMBER").await;
        let to = acme.with(json!({ "memberId": acme.member(BEA).await, "formerOwnerRoleId": acme.role("AUDITOR") }));
        assert_eq!(acme.ada.refusals("TransferOwnership", to).await, [""; 0]);
        assert_eq!(told(&server, BEA).await, ["Admin"]);
        assert_eq!(told(&server, ADA).await, [""; 0], "who handed over knows");
    }

    async fn the_deletion_of_a_role_is_told_to_who_held_it_and_an_edit_to_nobody(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let role = make(&acme, "Editor", 3, &["APPS_READ"]).await;
        for email in [BEA, CYN, "gus@example.com"] {
            holder(&acme, email, &role).await;
        }
        act(&acme.ada, &acme, "DeactivateMember", CYN, None).await;
        act(&acme.ada, &acme, "RemoveMember", "gus@example.com", None).await;
        acme.ada.operation("InviteMember", acme.with(json!({ "email": "pat@example.com", "roleId": role }))).await;
        assert_eq!(told(&server, BEA).await, ["Editor"]);
        let edit = acme.with(json!({ "roleId": role, "name": "Writer", "level": 5, "permissions": [] }));
        acme.ada.operation("UpdateRole", edit).await;
        assert_eq!(told(&server, BEA).await, ["Editor"], "the role is another one, who holds it is the same");
        let delete = acme.with(json!({ "roleId": role, "reassignToRoleId": acme.role("MANAGER") }));
        assert_eq!(acme.ada.refusals("DeleteRole", delete).await, [""; 0]);
        assert_eq!(told(&server, BEA).await, ["Editor", "Manager"]);
        assert_eq!(told(&server, CYN).await, ["Editor", "Manager", "Your access to Acme was switched off"]);
        assert_eq!(told(&server, "gus@example.com").await, ["Editor", "You were removed from Acme"]);
        assert_eq!(told(&server, "pat@example.com").await, [""; 0], "an invitation is no membership yet");
        assert_eq!(told(&server, ADA).await, [""; 0]);
    }

    /// A courier may come late: each letter says what its event said, with today's names.
    async fn a_late_letter_names_the_role_that_was_given_then(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "MEMBER").await;
        let role = make(&acme, "Editor", 3, &["APPS_READ"]).await;
        change_role(&acme, BEA, &role).await;
        change_role(&acme, BEA, acme.role("AUDITOR")).await;
        assert_eq!(acme.ada.refusals("DeleteRole", acme.with(json!({ "roleId": role }))).await, [""; 0]);
        acme.ada.operation("UpdateOrganization", acme.with(json!({ "name": "Apex" }))).await;
        act(&acme.ada, &acme, "RemoveMember", BEA, None).await;
        assert_eq!(told(&server, BEA).await, ["Auditor", "Editor", "You were removed from Apex"]);
    }

    async fn no_letter_goes_out_once_the_organization_is_deleted(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "MEMBER").await;
        acme.join(CYN, "MEMBER").await;
        while server.deliver().await > 0 {}
        change_role(&acme, BEA, acme.role("MANAGER")).await;
        act(&acme.ada, &acme, "RemoveMember", CYN, None).await;
        acme.ada.operation("DeleteOrganization", acme.with(json!({ "confirmName": "Acme" }))).await;
        assert_eq!((told(&server, BEA).await, told(&server, CYN).await), (vec![], vec![]));
    }

    /// A letter's id follows from what it says, and the place in a ledger is not enough to tell two of them apart.
    async fn the_same_person_is_told_of_two_organizations_whose_events_stand_at_the_same_place(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let other = Acme::made_by(&server, server.person("eve@example.com").await, "WORKSPACE").await;
        for (organization, name) in [(&acme, "One"), (&other, "Two")] {
            organization.join(BEA, "MEMBER").await;
            organization.ada.operation("UpdateOrganization", organization.with(json!({ "name": name }))).await;
        }
        let mut places = Vec::new();
        for organization in [&acme, &other] {
            let change = json!({ "memberId": organization.member(BEA).await, "roleId": organization.role("MANAGER") });
            let answer = organization.ada.operation("ChangeMemberRole", organization.with(change)).await;
            places.push(text(&answer, "/changeMemberRole/cursor").to_owned());
        }
        assert_eq!(places[0], places[1]);
        let mut names: Vec<_> = letters(&server, BEA).await.iter().filter_map(|letter| {
            letter.lines().find_map(|line| line.strip_prefix("Organization: ").map(str::to_owned))
        }).collect();
        names.sort_unstable();
        assert_eq!(names, ["One", "Two"]);
    }

    async fn the_letters_of_a_round_are_read_and_noted_together(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        with_new_roles(&acme, 5).await;
        let (delivered, statements) = counted(server.deliver()).await;
        assert_eq!(delivered, 5);
        assert_eq!(statements.len(), 4, "a look, what is due, what it says, how it went: {statements:#?}");
        let said = json!(["Manager"]);
        for number in 0..5 {
            assert_eq!(json!(told(&server, &format!("p{number}@example.com")).await), said);
        }
    }

    async fn a_letter_that_cannot_be_written_holds_up_no_other_of_the_round(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        with_new_roles(&acme, 5).await;
        acme.ada.operation("InviteMember", acme.with(json!({ "email": BEA, "roleId": acme.role("MEMBER") }))).await;
        let database = &server.store.database;
        let files = || std::fs::read_dir(server.mail()).unwrap().count() as u64;
        let noted = async || Statement::new("SELECT COUNT(*) FROM outbox WHERE state = 'SENT'").count(database).await.unwrap();
        let before = (files(), noted().await);
        Statement::new("ALTER TABLE invitation_details RENAME TO away").run(database).await.unwrap();
        assert_eq!(server.deliver().await, 6);
        assert_eq!((files() - before.0, noted().await - before.1), (5, 5));
        Statement::new("ALTER TABLE away RENAME TO invitation_details").run(database).await.unwrap();
        server.wait(TimeDelta::seconds(20));
        assert_eq!(server.letters_to(BEA).await.len(), 1, "and it is tried again soon");
    }

    async fn a_name_that_looks_like_markup_or_a_header_is_only_a_name_in_the_letter(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        bea.operation("UpdateViewer", json!({ "name": "\"Bea\" <eve@example.com>, <img src=x>" })).await;
        let name = "<b>Acme</b> & Bcc: all@example.com";
        acme.ada.operation("UpdateOrganization", acme.with(json!({ "name": name }))).await;
        let role = make(&acme, "<script>alert(1)</script>", 3, &["APPS_READ"]).await;
        change_role(&acme, BEA, &role).await;
        let [letter] = letters(&server, BEA).await.try_into().unwrap();
        let (headers, body) = letter.split_once("\n\n").unwrap();
        let html = body.split_once("Content-Type: text/html").unwrap().1;
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<b>"), "{html}");
        assert!(body.lines().any(|line| line == "Your role: <script>alert(1)</script>"), "plain text needs no escapes");
        assert!(headers.lines().all(|line| !line.starts_with("Bcc:")), "{headers}");
        assert!(server.letters_to("eve@example.com").await.iter().all(|letter| !letter.contains("Your role")));
    }
}
