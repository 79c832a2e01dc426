//! Letters with a mail server: sent, tried again, or given up, and where that is seen.

use orgledger::store::{Database, statement::Statement};
use serde_json::{Value, json};

use super::{
    callers::Caller,
    processes::{Installation, Server, link, until},
};
use crate::support::{
    databases::both_databases,
    smtp::{NO_MAILBOX, SmtpServer, TRY_LATER},
};

async fn sign_in(server: &Server, mail: &mut SmtpServer, email: &str) -> Caller {
    server.anybody().change("requestSignIn", json!({ "email": email }), "").await.done();
    let letter = mail.next_message().await;
    assert_eq!(letter.to, [email]);
    let link = link(&String::from_utf8(letter.data).unwrap()).unwrap();
    assert!(!server.log().contains(&link), "what is sent is not in the log");
    let answer = server.anybody().complete_sign_in(link.split_once("token=").unwrap().1).await;
    server.bearer(answer["sessionToken"].as_str().unwrap())
}

/// The delivery of the one invitation of an address.
async fn delivery(caller: &Caller, organization: &str, email: &str) -> Value {
    let document = "query($id: ID!, $search: String) { organization(id: $id) { invitations(search: $search) \
         { nodes { delivery { state attempts lastError } } } } }";
    let mut data = caller.ask(document, json!({ "id": organization, "search": email })).await;
    data["organization"]["invitations"]["nodes"][0]["delivery"].take()
}

both_databases! {
    async fn letters_are_sent_by_the_mail_server_and_an_invitation_shows_how_that_went(url: &str) {
        let mut mail = SmtpServer::start().await;
        let installation = Installation::on(url).with("SMTP_URL", &mail.url());
        let server = installation.serve().await;
        let zoe = sign_in(&server, &mut mail, "zoe@example.com").await;
        let organization = zoe.create_organization("Acme").await;

        zoe.invite(&organization, "sam@example.com").await.done();
        let letter = String::from_utf8(mail.next_message().await.data).unwrap();
        let token = link(&letter).unwrap().split_once("/invitations/").unwrap().1.to_owned();
        let sent = json!({ "state": "SENT", "attempts": 1, "lastError": null });
        until("the letter to be noted", async || {
            (delivery(&zoe, &organization, "sam@example.com").await == sent).then_some(())
        })
        .await;
        let sam = sign_in(&server, &mut mail, "sam@example.com").await;
        sam.change("acceptInvitation", json!({ "token": token }), "member { id }").await.done();
        assert!(!server.mail.exists(), "nothing is kept that was sent");

        let gone = format!("{NO_MAILBOX}@example.com");
        zoe.invite(&organization, &gone).await.done();
        let failed = until("the letter to be given up", async || {
            Some(delivery(&zoe, &organization, &gone).await).filter(|delivery| delivery["state"] == "FAILED")
        })
        .await;
        assert_eq!((&failed["attempts"], failed["lastError"].as_str()), (&json!(1), Some("the mail server refused the letter (550)")));

        let later = format!("{TRY_LATER}@example.com");
        zoe.invite(&organization, &later).await.done();
        let database = Database::connect(url).await.unwrap();
        for attempt in 1..=8 {
            let tried = until("the letter to be tried", async || {
                let delivery = delivery(&zoe, &organization, &later).await;
                Some(delivery).filter(|delivery| delivery["attempts"] == attempt && !delivery["lastError"].is_null())
            })
            .await;
            assert_eq!(tried["state"], if attempt < 8 { "PENDING" } else { "FAILED" });
            assert_eq!(tried["lastError"], "the mail server refused the letter (451)");
            // Nobody waits for the hours until the next attempt.
            let again = "UPDATE outbox SET next_attempt_at = created_at, last_error = NULL \
                 WHERE state = 'PENDING' AND kind = 'INVITATION'";
            Statement::new(again).run(&database).await.unwrap();
        }
        assert!(mail.is_empty());
        database.close().await;
        server.stop().await;
    }
}
