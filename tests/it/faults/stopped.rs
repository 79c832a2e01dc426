//! PostgreSQL that is paused, so that it says nothing, and PostgreSQL that is stopped, so that it is not there: whoever
//! asks is told so and when to come again, and once it is back, everything goes on by itself.

use axum::http::{StatusCode, header};
use orgledger::store::{statement::Statement, verify::verify};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio::task::JoinSet;

use super::trial::{Answer, post};
use crate::{
    graphql::{acme::Acme, operations, server::Server},
    support::{databases::announce, postgres},
};

/// How many clients command at the moment at which it happens.
const CLIENTS: usize = 8;

/// Invites people until it is not done; the request that was not, and the answer.
async fn invite(request: impl Fn(usize) -> RequestBuilder) -> (RequestBuilder, Answer) {
    for number in 0.. {
        let answer = Answer::of(request(number)).await;
        if answer.is_a_failure("InviteMember") {
            return (request(number), answer);
        }
    }
    unreachable!()
}

/// What reads, writes and loads, by GraphQL and beside it, is told that the service is not available, and when it may be.
async fn everybody_is_told(acme: &Acme<'_>, link: &str) {
    let nobody = acme.server.anonymous();
    let of = |name: &str| post(&acme.ada, &operations::document(name), &acme.with(json!({ "name": "Acme" })));
    let export = format!("/organizations/{}/audit.jsonl", acme.id);
    let sign_in = json!({ "email": "zoe@example.com" });
    let (query, mutation, anonymous, export, page) = tokio::join!(
        Answer::of(of("Overview")),
        Answer::of(of("UpdateOrganization")),
        Answer::of(post(&nobody, &operations::document("RequestSignIn"), &sign_in)),
        Answer::of(acme.ada.request(Method::GET, &export)),
        Answer::of(nobody.request(Method::GET, link)),
    );
    for (what, answer) in [("a query", &query), ("a mutation", &mutation), ("who signs in", &anonymous)] {
        assert!(answer.is_a_failure(what), "{what}: {answer:#?}");
    }
    for (what, answer) in [("an export", export), ("a page", page)] {
        let told = answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.headers.contains_key(header::RETRY_AFTER);
        assert!(told, "{what}: {answer:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_a_database_that_is_paused_or_stopped_is_told_and_served_when_it_is_back() {
    let Some(mut postgres) = postgres::Server::alone() else {
        return announce("skipped: no PostgreSQL to pause and stop");
    };
    let server = Server::start(&postgres.url).await;
    let acme = Acme::workspace(&server).await;
    let link = format!("/sign-in?token={}", server.sign_in_token("zoe@example.com").await);
    for (away, back) in [("pause", "resume"), ("stop", "start")] {
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (ada, acme) = (acme.ada.clone(), acme.with(json!({})));
            clients.spawn(invite(move |number| {
                let mut variables = acme.clone();
                variables["email"] = format!("{away}-{client}-{number}@example.com").into();
                variables["idempotencyKey"] = format!("{away}-{client}-{number}").into();
                post(&ada, &operations::document("InviteMember"), &variables)
            }));
        }
        // In the middle of what they do.
        acme.ada.operation("Overview", acme.with(json!({}))).await;
        tokio::task::block_in_place(|| postgres.tell(away));
        everybody_is_told(&acme, &link).await;
        let unanswered = clients.join_all().await;
        tokio::task::block_in_place(|| postgres.tell(back));
        for (request, told) in unanswered {
            let again = Answer::of(request).await;
            assert!(!again.is_a_failure("InviteMember"), "{away}: {told:#?} and then {again:#?}");
            assert_eq!(again.json().unwrap()["data"]["inviteMember"]["userErrors"], json!([]), "{away}");
        }
        acme.ada.operation("Overview", acme.with(json!({}))).await;
        verify(&server.store.database).await.unwrap();
        let text = "SELECT COUNT(*) FROM events WHERE event_type = 'invitation.sent'";
        let sent = Statement::new(text).count(&server.store.database).await.unwrap();
        let text = "SELECT COUNT(DISTINCT user_id) FROM invitations";
        let people = Statement::new(text).count(&server.store.database).await.unwrap();
        assert_eq!(sent, people, "each was invited once");
    }
    drop(server);
}
