//! The end of a person and of an organization: what is left of them is their ids.

use chrono::TimeDelta;
use orgledger::{
    commands::{Caller, erasure::Erasure},
    domain::{
        Actor, GlobalId, OrganizationId, UserId,
        organization::{Action, Command},
    },
    store::{
        append::Origin,
        data_exports, erasure,
        ledger::Request,
        purge::purge,
        rebuild::{Which, rebuild},
        statement::Statement,
        verify::verify,
    },
};
use serde_json::{Value, json};

use super::{
    acme::Acme,
    server::{Client, Server, list, text, texts},
    traces::{files, traces},
};
use crate::{store::rebuild::dump, support::databases::both_databases};

const ZED: &str = "zed.quux@example.com";
/// Parts of the name, the address and what else only this person brought.
const WORDS: &[&str] = &["zedekiah", "quux"];

async fn id(client: &Client) -> UserId {
    let answer = client.data("{ viewer { user { id } } }", json!({})).await;
    let Ok(GlobalId::User(user)) = text(&answer, "/viewer/user/id").parse() else { panic!("{answer}") };
    user
}

fn erasing(server: &Server) -> Erasure {
    Erasure { store: server.store.clone(), files: server.files.clone() }
}

/// Erases the caller; the codes and the organizations of what stands in the way.
async fn erase(client: &Client, email: &str) -> Vec<(String, Value)> {
    let document = "mutation A($email: String!) { eraseViewer(input: { confirmEmail: $email }) \
         { userErrors { code message field organizationId } } }";
    let answer = client.data(document, json!({ "email": email })).await;
    let errors = list(&answer, "/eraseViewer/userErrors");
    errors.iter().map(|error| (text(error, "/code").to_owned(), error["organizationId"].clone())).collect()
}

async fn make_exports(server: &Server) {
    while data_exports::run_one(&server.store.database, &server.files, &server.clock).await.unwrap() {}
}

/// Somebody who has left something everywhere that a person can.
async fn leave_traces(server: &Server, acme: &Acme<'_>) -> Client {
    let zed = acme.join(ZED, "CO_ADMIN").await;
    zed.operation("UpdateViewer", json!({ "name": "Zedekiah Quuxley" })).await;
    let organizations = zed.operation("Viewer", json!({})).await;
    let mut edges = list(&organizations, "/viewer/organizations/edges").iter();
    let personal = text(edges.find(|edge| edge["node"]["kind"] == "PERSONAL").unwrap(), "/node/id").to_owned();
    let renamed = json!({ "id": personal, "name": "Quux & Sons", "description": "By Zedekiah." });
    assert_eq!(zed.refusals("UpdateOrganization", renamed).await, [""; 0]);
    let guest = json!({ "email": "guest@example.com", "name": "Guest" });
    assert_eq!(zed.refusals("InviteMember", acme.with(guest)).await, [""; 0]);
    acme.join("cleo@example.com", "MEMBER").await;
    let reason = json!({ "memberId": acme.member("cleo@example.com").await, "roleId": acme.role("AUDITOR"),
        "reason": "Zedekiah Quuxley said so.", "idempotencyKey": "quux-1" });
    assert_eq!(zed.refusals("ChangeMemberRole", acme.with(reason)).await, [""; 0]);
    let bea = server.person("bea@example.com").await;
    let second = bea.operation("CreateOrganization", json!({ "name": "Beta", "kind": "TEAM" })).await;
    let invited = json!({ "id": text(&second, "/createOrganization/organization/id"), "email": "Zed.Quux@Example.com",
        "name": "Mr Quuxley" });
    assert_eq!(bea.refusals("InviteMember", invited).await, [""; 0]);
    assert_eq!(zed.refusals("RequestDataExport", acme.with(json!({}))).await, [""; 0]);
    assert_eq!(zed.refusals("RequestViewerDataExport", json!({})).await, [""; 0]);
    make_exports(server).await;
    assert!(server.letters_to(ZED).await.len() > 1);
    server.flush_usage().await;
    zed
}

both_databases! {
    async fn nothing_of_an_erased_person_is_left_but_their_id(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let zed = leave_traces(&server, &acme).await;
        let user = id(&zed).await;
        let before = traces(&server, url, WORDS).await;
        for place in ["users", "members", "invitation_details", "event_context", "events", "commands", "sign_in_links", ".eml"] {
            assert!(before.iter().any(|trace| trace.ends_with(place)), "{place} has something to lose: {before:?}");
        }
        assert_eq!(files(server.folder()).len(), 2, "two exports");

        assert_eq!(erase(&zed, "other@example.com").await, [("INVALID_INPUT".to_owned(), Value::Null)]);
        assert!(zed.is_let_in().await);
        assert_eq!(erase(&zed, " Zed.Quux@EXAMPLE.com ").await, []);
        assert!(!zed.is_let_in().await);
        assert_eq!(traces(&server, url, WORDS).await, [""; 0]);
        assert_eq!(files(server.folder()), [""; 0], "nor in a copy of everything");
        let row: Option<(Vec<u8>, Option<String>)> = Statement::new("SELECT salt, erasure FROM users WHERE user_id = $1")
            .bind(user.0).optional(&server.store.database).await.unwrap();
        assert_eq!(row, Some((Vec::new(), Some("DONE".to_owned()))), "no commitment can be opened");

        let live = dump(&server.store.database).await;
        rebuild(&server.store.database, Which::Every, |_| ()).await.unwrap();
        assert_eq!(dump(&server.store.database).await, live);
        verify(&server.store.database).await.unwrap();
        assert_eq!(traces(&server, url, WORDS).await, [""; 0]);

        let former = json!({ "search": "erased", "filter": { "statuses": ["FORMER"] } });
        let members = acme.ada.operation("Members", acme.with(former)).await;
        assert_eq!(texts(&members, "/organization/members/edges", "/node/user/name"), ["Erased person"]);
        let log = acme.ada.operation("AuditLog", acme.with(json!({ "first": 100 }))).await;
        let nodes: Vec<_> = list(&log, "/organization/auditLog/edges").iter().map(|edge| &edge["node"]).collect();
        let theirs: Vec<_> = nodes.iter().filter(|node| node["actor"]["displayName"] == "Erased person").collect();
        assert!(theirs.len() > 3 && theirs.iter().all(|node| node["ip"].is_null() && node["reason"].is_null()));
        assert_eq!(theirs[0]["type"], "member.left");

        let again = server.person(ZED).await;
        assert_ne!(id(&again).await, user);
        let viewer = again.operation("Viewer", json!({})).await;
        assert_eq!(texts(&viewer, "/viewer/organizations/edges", "/node/kind"), ["PERSONAL"]);
        assert_eq!(viewer["viewer"]["invitations"], json!([]));
        acme.join("late@example.com", "MEMBER").await;
    }

    /// All of them at once, each by its name; and nothing has happened.
    async fn organizations_that_would_lose_their_owner_stand_in_the_way(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let corp = acme.ada.operation("CreateOrganization", json!({ "name": "Corp", "kind": "ENTERPRISE" })).await;
        let corp = text(&corp, "/createOrganization/organization/id").to_owned();
        let bob = acme.join("bob@example.com", "MEMBER").await;
        let team = Acme::made_by(&server, bob.clone(), "TEAM").await;
        let invited = team.with(json!({ "email": "ada@example.com" }));
        bob.operation("InviteMember", invited).await;
        let token = server.invitation_token("ada@example.com").await;
        assert_eq!(acme.ada.refusals("AcceptInvitation", json!({ "token": token })).await, [""; 0]);
        let before = dump(&server.store.database).await;
        let mut wrong = erase(&acme.ada, "ada@example.com").await;
        wrong.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(wrong, [("LAST_OWNER".to_owned(), json!(acme.id)), ("OWNER_MUST_TRANSFER".to_owned(), json!(corp))]);
        assert_eq!(dump(&server.store.database).await, before);

        let promoted = json!({ "memberId": acme.member("bob@example.com").await, "roleId": acme.role("ADMIN") });
        assert_eq!(acme.ada.refusals("ChangeMemberRole", acme.with(promoted)).await, [""; 0]);
        let deleted = json!({ "id": corp, "confirmName": "Corp" });
        assert_eq!(acme.ada.refusals("DeleteOrganization", deleted).await, [""; 0]);
        assert_eq!(erase(&acme.ada, "ada@example.com").await, []);
        assert_eq!(traces(&server, url, &["ada@example.com"]).await, [""; 0]);
        assert_eq!(bob.refusals("UpdateOrganization", acme.with(json!({ "name": "Bobs" }))).await, [""; 0]);
        verify(&server.store.database).await.unwrap();
    }

    /// From whichever step it was interrupted behind: until it goes on, nobody signs in, joins or invites them.
    async fn an_interrupted_erasure_goes_on(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let zed = leave_traces(&server, &acme).await;
        let user = id(&zed).await;
        let link = server.sign_in_token(ZED).await;
        erasure::mark(&server.store.database, user, Actor::User(user)).await.unwrap();
        assert!(!zed.is_let_in().await);
        assert_eq!(server.anonymous().refusals("CompleteSignIn", json!({ "token": link })).await, ["INVALID_INPUT"]);
        assert_eq!(acme.ada.refusals("InviteMember", acme.with(json!({ "email": ZED }))).await, ["CONFLICT"]);
        // As if it had stopped behind the first organization, and then behind the blanking.
        let Ok(GlobalId::Organization(organization)) = acme.id.parse() else { panic!("{}", acme.id) };
        let action = Action::ErasePerson { user };
        let command = Command { actor: Actor::User(user), now: server.store.now(), expected_version: None, action };
        let origin = Origin { request_id: "half".to_owned(), ..Origin::default() };
        let request = Request { organization, command, origin: origin.clone(), details: Vec::new(), idempotency: None };
        for written in [true, false] {
            assert_eq!(server.store.ledger.execute(request.clone()).await.unwrap().written, written);
        }
        assert_eq!(erasing(&server).resume().await.unwrap(), 1);
        assert_eq!(traces(&server, url, WORDS).await, [""; 0]);
        assert_eq!(erasing(&server).resume().await.unwrap(), 0);
        let caller = Caller { actor: Actor::Operator, origin };
        assert_eq!(erasing(&server).erase(&caller, user).await.unwrap(), []);
        verify(&server.store.database).await.unwrap();
        assert_ne!(id(&server.person(ZED).await).await, user);
    }

    /// Somebody whose ledger cannot be read keeps nobody else, and is tried again.
    async fn who_cannot_be_erased_holds_up_nobody(url: &str) {
        let server = Server::start(url).await;
        let mut people = Vec::new();
        for email in [ZED, "bea@example.com", "cleo@example.com"] {
            people.push(id(&server.person(email).await).await);
        }
        people.sort();
        let database = &server.store.database;
        for user in &people {
            erasure::mark(database, *user, Actor::User(*user)).await.unwrap();
        }
        let first = OrganizationId::personal(people[0]);
        let move_head = |by: i64| {
            let text = "UPDATE streams SET version = version + $2 WHERE organization_id = $1";
            Statement::new(text).bind(first.0).bind(by).run(database)
        };
        move_head(1).await.unwrap();
        let erased = async || Statement::new("SELECT COUNT(*) FROM users WHERE erasure = 'DONE'").count(database).await;
        assert!(erasing(&server).resume().await.is_err());
        assert_eq!(erased().await.unwrap(), 2);
        move_head(-1).await.unwrap();
        assert_eq!(erasing(&server).resume().await.unwrap(), 1);
        assert_eq!(erased().await.unwrap(), 3);
    }

    /// An export begins anew with each of them, and is made in the end.
    async fn any_number_may_be_erased_while_an_export_waits(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        assert_eq!(acme.ada.refusals("RequestDataExport", acme.with(json!({}))).await, [""; 0]);
        for number in 0..=data_exports::ATTEMPTS {
            let email = format!("guest{number}@example.com");
            let guest = acme.join(&email, "MEMBER").await;
            let taken = data_exports::take(&server.store.database, server.store.now()).await.unwrap();
            assert!(taken.is_some(), "{number}");
            assert_eq!(erase(&guest, &email).await, []);
        }
        make_exports(&server).await;
        let ready = Statement::new("SELECT COUNT(*) FROM data_exports WHERE state = 'READY'");
        assert_eq!(ready.count(&server.store.database).await.unwrap(), 1);
    }

    /// Where an owner becomes the last one in between, they can sign in and put that right.
    async fn who_cannot_be_erased_after_all_is_here_again(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let user = id(&acme.ada).await;
        erasure::mark(&server.store.database, user, Actor::User(user)).await.unwrap();
        assert_eq!(erasing(&server).resume().await.unwrap(), 1);
        let ada = server.person("ada@example.com").await;
        assert_eq!(id(&ada).await, user);
        assert_eq!(ada.operation("Viewer", json!({})).await["viewer"]["organizations"]["totalCount"], 2);
    }

    async fn a_key_erases_nobody_and_exports_nobodys_data(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (_, key) = acme.key("script", &["DATA_EXPORT"]).await;
        assert_eq!(key.refusals("EraseViewer", json!({ "confirmEmail": "ada@example.com" })).await, ["USER_REQUIRED"]);
        assert_eq!(key.refusals("RequestViewerDataExport", json!({})).await, ["USER_REQUIRED"]);
        assert_eq!(key.refusals("RequestDataExport", acme.with(json!({}))).await, [""; 0]);
    }

    /// Names, descriptions, keys, letters, and the addresses of who was invited there and nowhere else.
    async fn nothing_of_a_deleted_organization_is_left_but_its_end(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person("ada@example.com").await;
        let input = json!({ "name": "Zyxcorp", "kind": "WORKSPACE", "description": "Makes wumpuses." });
        let made = ada.operation("CreateOrganization", input).await;
        let acme = Acme::found(&server, ada, text(&made, "/createOrganization/organization/id")).await;
        acme.key("frobkey", &["MEMBERS_READ"]).await;
        let guest = json!({ "email": "stranger@nowhere.example", "name": "Strange Guest" });
        assert_eq!(acme.ada.refusals("InviteMember", acme.with(guest)).await, [""; 0]);
        let known = acme.join("known@example.com", "MEMBER").await;
        assert_eq!(acme.ada.refusals("RequestDataExport", acme.with(json!({}))).await, [""; 0]);
        make_exports(&server).await;
        server.letters_to("known@example.com").await;
        let words = &["zyxcorp", "wumpus", "frobkey", "stranger@", "strange guest"];
        assert!(traces(&server, url, words).await.len() > words.len());
        let deleted = acme.with(json!({ "confirmName": "Zyxcorp" }));
        assert_eq!(acme.ada.refusals("DeleteOrganization", deleted).await, [""; 0]);
        assert!(purge(&server.store.database, &server.files).await.unwrap() > 0);
        assert_eq!(traces(&server, url, words).await, [""; 0]);
        assert_eq!(files(server.folder()), [""; 0]);
        assert!(known.is_let_in().await, "who came stays");
        verify(&server.store.database).await.unwrap();
        server.wait(TimeDelta::minutes(5));
        server.person("stranger@nowhere.example").await;
    }
}
