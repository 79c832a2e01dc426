//! The letters of invitations: what goes out, what is shown of it, and what is shown of whom it goes to.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::Acme,
    server::{Server, text},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";

/// Ada invites Bea; the payload.
async fn invite(acme: &Acme<'_>) -> Value {
    acme.ada.operation("InviteMember", acme.with(json!({ "email": BEA }))).await["inviteMember"].clone()
}

/// What the organization says about the newest invitation.
async fn newest(acme: &Acme<'_>) -> Value {
    let answer = acme.ada.operation("Invitations", acme.with(json!({ "first": 1 }))).await;
    answer["organization"]["invitations"]["nodes"][0].clone()
}

both_databases! {
    /// The letter that waits in the outbox is not the one that should go out.
    async fn a_letter_that_became_pointless_before_it_went_is_not_sent(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let sent = invite(&acme).await;
        let id = acme.with(json!({ "invitationId": text(&sent, "/invitation/id") }));
        assert_eq!(acme.ada.refusals("RevokeInvitation", id).await, [""; 0]);
        assert!(server.letters_to(BEA).await.is_empty());
    }

    async fn an_invitation_shows_how_its_letter_went(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let document = "query ($id: ID!) { organization(id: $id) { invitations { nodes { delivery { state attempts lastError } } } } }";
        let delivery = async || {
            let answer = acme.ada.data(document, acme.with(json!({}))).await;
            answer["organization"]["invitations"]["nodes"][0]["delivery"].clone()
        };
        while server.deliver().await > 0 {}
        // Where the folder should be there is a file, so that no letter can be written.
        std::fs::remove_dir_all(server.mail()).unwrap();
        std::fs::write(server.mail(), "in the way").unwrap();
        invite(&acme).await;
        assert_eq!(delivery().await, json!({ "state": "PENDING", "attempts": 0, "lastError": null }));
        assert_eq!(server.deliver().await, 1);
        let waiting = delivery().await;
        assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("PENDING"), &json!(1)));
        let error = text(&waiting, "/lastError");
        assert!(!error.contains("bea") && !error.contains("tmp"), "it names nobody and no place: {error}");
        assert_eq!(server.deliver().await, 0, "it waits before it is tried again");
        std::fs::remove_file(server.mail()).unwrap();
        server.wait(TimeDelta::hours(1));
        assert_eq!(server.deliver().await, 1);
        let sent = delivery().await;
        assert_eq!((&sent["state"], &sent["attempts"]), (&json!("SENT"), &json!(2)));
    }

    async fn a_letter_that_never_goes_is_given_up(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        while server.deliver().await > 0 {}
        std::fs::remove_dir_all(server.mail()).unwrap();
        std::fs::write(server.mail(), "in the way").unwrap();
        invite(&acme).await;
        let mut attempts = 0;
        loop {
            let tried = server.deliver().await;
            if tried == 0 {
                break;
            }
            attempts += tried;
            server.wait(TimeDelta::hours(2));
        }
        assert_eq!(attempts, 8);
        assert_eq!(newest(&acme).await["delivery"]["state"], "FAILED");
        std::fs::remove_file(server.mail()).unwrap();
    }

    async fn an_invitation_shows_what_was_typed_and_never_what_the_directory_knows(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = server.person(BEA).await;
        bea.operation("UpdateViewer", json!({ "name": "Beatrix Secret" })).await;
        let variables = acme.with(json!({ "email": "BEA@Example.com", "name": "Bee" }));
        let sent = acme.ada.operation("InviteMember", variables).await;
        assert_eq!(sent["inviteMember"]["invitation"]["email"], "BEA@Example.com");
        let shown = newest(&acme).await;
        assert_eq!((&shown["email"], &shown["name"]), (&json!("BEA@Example.com"), &json!("Bee")));
        let log = acme.ada.operation("AuditLog", acme.with(json!({ "first": 1 }))).await;
        let target = &log["organization"]["auditLog"]["edges"][0]["node"]["target"];
        assert_eq!(target["displayName"], "BEA@Example.com");
        let search = async |search: &str| {
            let answer = acme.ada.operation("Invitations", acme.with(json!({ "search": search }))).await;
            answer["organization"]["invitations"]["totalCount"].clone()
        };
        assert_eq!(
            (search("BEE").await, search("bea@ex").await, search("Secret").await),
            (json!(1), json!(1), json!(0))
        );
    }
}
