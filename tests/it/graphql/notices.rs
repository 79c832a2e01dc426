//! Letters about what changed: who is told of what, one letter a minute and person, and what each chose not to hear of.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    roles::{holder, make},
    server::{Client, Server},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";
const CYN: &str = "cyn@example.com";
const DAN: &str = "dan@example.com";

/// Lets the minute go by; every letter about changes to an address, each as its lines, in the order of what they tell.
async fn told(server: &Server, email: &str) -> Vec<Vec<String>> {
    server.wait(TimeDelta::minutes(2));
    letters(server, email).await.iter().map(|letter| lines(letter)).collect()
}

/// The letters about changes that have reached an address.
async fn letters(server: &Server, email: &str) -> Vec<String> {
    let is_notice = |letter: &String| letter.contains("\nSubject: What changed in ");
    let mut letters: Vec<_> = server.letters_to(email).await.into_iter().filter(is_notice).collect();
    letters.sort_by_key(|letter| letter.lines().find_map(|line| line.strip_prefix("When: ").map(str::to_owned)));
    letters
}

/// What a letter tells, line by line.
fn lines(letter: &str) -> Vec<String> {
    letter.lines().filter_map(|line| line.strip_prefix("- ").map(str::to_owned)).collect()
}

/// Has everything told that has happened so far, so that a test begins with a minute of its own.
async fn settle(server: &Server) {
    server.wait(TimeDelta::minutes(2));
    server.forget_letters().await;
}

/// Somebody does something, and no rule says no.
async fn act(by: &Client, name: &str, variables: Value) {
    assert_eq!(by.refusals(name, variables).await, [""; 0], "{name}");
}

async fn change_role(by: &Client, acme: &Acme<'_>, email: &str, role: &str) {
    let variables = acme.with(json!({ "memberId": acme.member(email).await, "roleId": acme.role(role) }));
    act(by, "ChangeMemberRole", variables).await;
}

async fn choose(by: &Client, acme: &Acme<'_>, category: &str, email: bool) {
    let preferences = json!({ "preferences": [{ "category": category, "email": email }] });
    act(by, "UpdateNotificationPreferences", acme.with(preferences)).await;
}

both_databases! {
    async fn fifty_invitations_are_one_letter_to_each_who_manages_members(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for (email, role) in [(BEA, "CO_ADMIN"), (CYN, "MANAGER"), (DAN, "ADMIN")] {
            acme.join(email, role).await;
        }
        settle(&server).await;
        let row = |number| json!({ "email": format!("guest{number:02}@example.com"), "roleId": acme.role("MEMBER") });
        let rows: Vec<_> = (0..50).map(row).collect();
        act(&acme.ada, "InviteMembers", acme.with(json!({ "invitations": rows }))).await;
        acme.key("Nightly", &[]).await;
        for email in [BEA, DAN] {
            let [told] = told(&server, email).await.try_into().unwrap();
            assert_eq!(told.len(), 21);
            assert_eq!(told[0], "ada@example.com invited guest00@example.com as Member");
            assert_eq!(told[19], "ada@example.com made the API key Nightly", "it is not lost among fifty");
            assert_eq!(told[20], "and 31 more");
        }
        assert_eq!((told(&server, CYN).await, told(&server, ADA).await), (vec![], vec![]), "not managing, and not others");
    }

    async fn what_happens_in_a_minute_is_one_letter_and_the_next_minute_is_another(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "ADMIN").await;
        bea.operation("UpdateViewer", json!({ "name": "Beatrix" })).await;
        acme.join(CYN, "MEMBER").await;
        settle(&server).await;
        change_role(&acme.ada, &acme, CYN, "MANAGER").await;
        acme.key("Nightly", &[]).await;
        make(&acme, "Editor", 3, &["APPS_READ"]).await;
        act(&acme.ada, "UpdateOrganization", acme.with(json!({ "name": "Apex" }))).await;
        assert_eq!(letters(&server, BEA).await, [""; 0], "the minute is not over");
        server.wait(TimeDelta::minutes(1));
        act(&acme.ada, "DeactivateMember", acme.with(json!({ "memberId": acme.member(CYN).await }))).await;
        let told = told(&server, BEA).await;
        let first = [
            "ada@example.com gave cyn@example.com the role Manager",
            "ada@example.com made the API key Nightly",
            "ada@example.com made the role Editor",
        ];
        assert_eq!(told, [&first[..], &["ada@example.com switched off the access of cyn@example.com"]]);
        let letter = letters(&server, BEA).await.remove(0);
        for line in ["Subject: What changed in Apex", "Hello Beatrix,", "Organization: Apex", &server.url] {
            assert_eq!(letter.lines().filter(|found| *found == line).count(), 1, "{line} in {letter}");
        }
        assert_eq!(letters(&server, ADA).await, [""; 0], "nobody is told what they did themselves");
        assert_eq!(letters(&server, CYN).await, [""; 0], "nor who manages nothing");
    }

    async fn who_chose_not_to_hear_of_something_is_not_told(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "ADMIN").await;
        acme.join(CYN, "MEMBER").await;
        settle(&server).await;
        choose(&bea, &acme, "MEMBERS", false).await;
        change_role(&acme.ada, &acme, CYN, "MANAGER").await;
        assert_eq!(told(&server, BEA).await, [[""; 0]; 0]);
        change_role(&acme.ada, &acme, CYN, "MEMBER").await;
        acme.key("Nightly", &[]).await;
        assert_eq!(told(&server, BEA).await, [["ada@example.com made the API key Nightly"]]);
        choose(&bea, &acme, "MEMBERS", true).await;
        settle(&server).await;
        change_role(&acme.ada, &acme, CYN, "MANAGER").await;
        assert_eq!(told(&server, BEA).await.last().unwrap(), &["ada@example.com gave cyn@example.com the role Manager"]);
        // A choice holds for letters that wait already.
        let before = letters(&server, BEA).await.len();
        acme.key("Weekly", &[]).await;
        server.wait(TimeDelta::minutes(2));
        assert_eq!(server.deliver().await, 1, "spread, and not sent");
        choose(&bea, &acme, "API_KEYS", false).await;
        assert_eq!(letters(&server, BEA).await.len(), before);
    }

    /// Who muted everything else still hears who becomes an owner or ceases to be one, and hears that first.
    async fn who_controls_the_organization_is_told_to_every_owner(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "ADMIN").await;
        acme.join(CYN, "CO_ADMIN").await;
        acme.join(DAN, "MEMBER").await;
        for category in ["MEMBERS", "ROLES", "API_KEYS", "BILLING"] {
            choose(&bea, &acme, category, false).await;
        }
        settle(&server).await;
        change_role(&acme.ada, &acme, DAN, "MANAGER").await;
        change_role(&acme.ada, &acme, DAN, "ADMIN").await;
        change_role(&acme.ada, &acme, DAN, "AUDITOR").await;
        let told_of_dan = |role: &str| format!("ada@example.com gave dan@example.com the role {role}");
        let owners = ["Admin", "Auditor"].map(told_of_dan);
        assert_eq!(told(&server, BEA).await, [&owners[..]]);
        let all = ["Admin", "Auditor", "Manager"].map(told_of_dan);
        assert_eq!(letters(&server, CYN).await.iter().map(|letter| lines(letter)).collect::<Vec<_>>(), [&all[..]]);
        assert_eq!(letters(&server, DAN).await, [""; 0], "a letter of its own tells who it is about");
    }

    async fn who_may_no_longer_know_is_not_told(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for email in [BEA, CYN, DAN] {
            acme.join(email, "CO_ADMIN").await;
        }
        settle(&server).await;
        // Before the minute is spread, and after.
        acme.key("Nightly", &[]).await;
        server.wait(TimeDelta::minutes(2));
        change_role(&acme.ada, &acme, BEA, "MANAGER").await;
        assert_eq!(server.deliver().await, 2, "spread, and not sent; and the letter to Bea about her role");
        act(&acme.ada, "DeactivateMember", acme.with(json!({ "memberId": acme.member(CYN).await }))).await;
        let key = "ada@example.com made the API key Nightly".to_owned();
        for (email, wanted) in [(BEA, false), (CYN, false)] {
            let told = letters(&server, email).await.iter().any(|letter| lines(letter).contains(&key));
            assert_eq!(told, wanted, "{email}");
        }
        // Who holds what they held then is told of both minutes.
        let told = told(&server, DAN).await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0], [key]);
    }

    async fn no_letter_goes_out_once_the_organization_is_deleted(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "CO_ADMIN").await;
        settle(&server).await;
        acme.key("Nightly", &[]).await;
        server.wait(TimeDelta::minutes(2));
        assert_eq!(server.deliver().await, 1, "spread, and not sent");
        act(&acme.ada, "DeleteOrganization", acme.with(json!({ "confirmName": "Acme" }))).await;
        assert_eq!(told(&server, BEA).await, [[""; 0]; 0]);
    }

    /// What the directory knows of somebody who was invited is not for others until they accept.
    async fn a_letter_shows_what_was_typed_of_who_was_invited(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "CO_ADMIN").await;
        let cyn = server.person(CYN).await;
        cyn.operation("UpdateViewer", json!({ "name": "Cynthia Secret" })).await;
        settle(&server).await;
        act(&acme.ada, "InviteMember", acme.with(json!({ "email": "CYN@Example.com", "roleId": acme.role("MEMBER") }))).await;
        let token = server.invitation_token("CYN@Example.com").await;
        act(&cyn, "DeclineInvitation", json!({ "token": token })).await;
        let told = told(&server, BEA).await.concat();
        assert_eq!(told, ["ada@example.com invited CYN@Example.com as Member", "CYN@Example.com declined the invitation"]);
    }

    /// A custom role that may switch members off and not see them is not shown them by letter.
    async fn a_letter_tells_nothing_that_its_reader_cannot_read(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let blind = make(&acme, "Blind", 3, &["MEMBERS_UPDATE", "API_KEYS_MANAGE", "ORGANIZATION_DELETE"]).await;
        let seeing = make(&acme, "Seeing", 3, &["MEMBERS_UPDATE", "MEMBERS_READ", "MEMBERS_INVITE"]).await;
        holder(&acme, BEA, &blind).await;
        holder(&acme, CYN, &seeing).await;
        settle(&server).await;
        acme.key("Nightly", &[]).await;
        act(&acme.ada, "InviteMember", acme.with(json!({ "email": DAN, "roleId": acme.role("ADMIN") }))).await;
        assert_eq!(told(&server, BEA).await, [[""; 0]; 0]);
        assert_eq!(told(&server, CYN).await, [["ada@example.com invited dan@example.com as Admin"]]);
    }

    async fn a_name_that_looks_like_markup_or_a_header_is_only_a_name_in_the_letter(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "CO_ADMIN").await;
        let name = "<b>Acme</b> & Bcc: all@example.com";
        acme.ada.operation("UpdateOrganization", acme.with(json!({ "name": name }))).await;
        acme.ada.operation("UpdateViewer", json!({ "name": "<img src=x>" })).await;
        settle(&server).await;
        acme.key("<script>alert(1)</script>", &[]).await;
        acme.key(&"\u{1f980}".repeat(100), &[]).await;
        server.wait(TimeDelta::minutes(2));
        let [letter] = letters(&server, BEA).await.try_into().unwrap();
        let (headers, body) = letter.split_once("\n\n").unwrap();
        let html = body.split_once("Content-Type: text/html").unwrap().1;
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<b>"), "{html}");
        let crabs = format!("<img src=x> made the API key {}…", "\u{1f980}".repeat(60));
        assert_eq!(lines(body), ["<img src=x> made the API key <script>alert(1)</script>", &crabs]);
        assert!(headers.lines().all(|line| !line.starts_with("Bcc:")), "{headers}");
        assert!(letter.lines().all(|line| line.len() <= 998));
    }

    /// Who makes something with a key did not do it by their own hand.
    async fn what_a_key_does_is_told_to_its_maker_too(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "AUDITOR").await;
        let (_, key) = acme.key("Robot", &["MEMBERS_ASSIGN_ROLE", "APPS_READ"]).await;
        settle(&server).await;
        change_role(&key, &acme, BEA, "MEMBER").await;
        assert_eq!(told(&server, ADA).await, [["The API key Robot gave bea@example.com the role Member"]]);
    }
}
