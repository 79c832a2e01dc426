//! What is good once: the address of a logo's upload, and a sign-in link. What was done with it uses it up, and nothing
//! that failed: who was told nothing but that the service is not available can try again.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::json;

use super::trial::{PATIENCE, Trial, post};
use crate::{
    graphql::{acme::Acme, operations, server::text},
    support::pictures::png,
};

/// Uses both up, while one statement after the other fails.
pub async fn use_up(trial: &Trial<'_>) {
    link(trial).await;
    address(trial).await;
}

async fn address(trial: &Trial<'_>) {
    let acme = Acme::workspace(trial.server).await;
    let answer = acme.ada.operation("CreateLogoUpload", acme.with(json!({}))).await;
    let path = text(&answer, "/createLogoUpload/uploadUrl").strip_prefix(&trial.server.url).unwrap().to_owned();
    let nobody = trial.server.anonymous();
    for passing in 0..PATIENCE {
        let (answer, fired) = trial.fail_after(passing, nobody.request(Method::PUT, &path).body(png(1))).await;
        if answer.status.is_success() {
            assert!(passing > 3, "nothing has failed");
            let again = nobody.request(Method::PUT, &path).body(png(1)).send().await.unwrap();
            assert_eq!(again.status(), StatusCode::GONE);
            return;
        }
        assert!(fired && answer.status == StatusCode::SERVICE_UNAVAILABLE, "after {passing}: {answer:#?}");
    }
    panic!("nobody can change the logo");
}

/// A link that is used up has signed somebody in: they are given the token of their session.
async fn link(trial: &Trial<'_>) {
    let nobody = trial.server.anonymous();
    let document = operations::document("CompleteSignIn");
    let mut token = trial.server.sign_in_token("zoe@example.com").await;
    for passing in 0..PATIENCE {
        let request = post(&nobody, &document, &json!({ "token": token }));
        let (answer, fired) = trial.fail_after(passing, request).await;
        let body = answer.json().unwrap();
        let session = &body["data"]["completeSignIn"]["sessionToken"];
        if session.is_string() && !fired {
            assert!(passing > 3, "nothing has failed");
            return;
        }
        if session.is_string() {
            trial.later();
            token = trial.server.sign_in_token("zoe@example.com").await;
        } else {
            assert!(answer.is_a_failure("CompleteSignIn"), "after {passing}, the link is used up: {answer:#?}");
        }
    }
    panic!("nobody can sign in");
}
