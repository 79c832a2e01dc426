//! Signing in by an emailed link, sessions, and what becomes of credentials that are not good.

use axum::http::{HeaderValue, StatusCode, header};
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    server::{Server, list, reply, text, texts},
};
use crate::support::databases::both_databases;

/// A session token that is well formed and nobody's.
const NOBODYS_SESSION: &str = "ols_0123456789abcdefghijABCDEFGHIJ0123456789abc";

both_databases! {
    /// Nobody learns from it who has an account.
    async fn asking_for_a_link_is_answered_the_same_whether_or_not_anybody_has_the_address(url: &str) {
        let server = Server::start(url).await;
        server.person(ADA).await;
        let mut answers = Vec::new();
        for email in [ADA, "stranger@example.com"] {
            let answer = server.anonymous().try_operation("RequestSignIn", json!({ "email": email })).await;
            answers.push((answer.status, answer.body["data"].clone()));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0], (StatusCode::OK, json!({ "requestSignIn": { "userErrors": [] } })));
    }

    async fn an_address_that_is_none_is_refused_with_its_field(url: &str) {
        let server = Server::start(url).await;
        for email in
            ["", "ada", "ada@", "@example.com", "Ada <ada@example.com>", "ada@example.com\n", "a b@example.com"]
        {
            let answer = server.anonymous().operation("RequestSignIn", json!({ "email": email })).await;
            if email.trim() == ADA {
                assert_eq!(answer, json!({ "requestSignIn": { "userErrors": [] } }), "white space around is nothing");
                continue;
            }
            let error = json!({ "code": "INVALID_INPUT", "message": "email must be an email address.", "field": ["input", "email"] });
            assert_eq!(answer, json!({ "requestSignIn": { "userErrors": [error] } }), "{email:?}");
        }
    }

    async fn a_link_signs_in_once(url: &str) {
        let server = Server::start(url).await;
        let token = server.sign_in_token(ADA).await;
        let complete = async || server.anonymous().operation("CompleteSignIn", json!({ "token": token })).await;
        let first = complete().await;
        let session = text(&first, "/completeSignIn/sessionToken");
        assert!(session.starts_with("ols_") && session.len() == 47, "{session}");
        assert_eq!(first["completeSignIn"]["viewer"]["user"]["email"], ADA);
        assert_eq!(first["completeSignIn"]["expiresAt"], "2026-04-01T09:00:00+00:00", "30 days");
        let message = "token is not a sign-in link that is still good.";
        let error = json!({ "code": "INVALID_INPUT", "message": message, "field": ["input", "token"] });
        let nobody = json!({ "sessionToken": null, "expiresAt": null, "viewer": null, "userErrors": [error] });
        assert_eq!(complete().await["completeSignIn"], nobody);
        assert!(server.with_key(session).is_let_in().await);
    }

    /// Programs that scan mail open every link in it.
    async fn looking_at_a_link_never_uses_it_up(url: &str) {
        let server = Server::start(url).await;
        let link = server.anonymous().operation("RequestSignIn", json!({ "email": ADA })).await;
        assert_eq!(link["requestSignIn"]["userErrors"], json!([]));
        let link = server.link_for(ADA, "/sign-in").await;
        for _ in 0..3 {
            let page = reqwest::get(&link).await.unwrap();
            assert_eq!(page.status(), StatusCode::OK);
            assert!(page.text().await.unwrap().contains(ADA), "the page names the account");
            let head = reqwest::Client::new().head(&link).send().await.unwrap();
            assert_eq!(head.status(), StatusCode::OK);
        }
        let token = link.rsplit('=').next().unwrap();
        let answer = server.anonymous().operation("CompleteSignIn", json!({ "token": token })).await;
        assert_eq!(answer["completeSignIn"]["userErrors"], json!([]));
        assert_eq!(reqwest::get(&link).await.unwrap().status(), StatusCode::NOT_FOUND, "used up by the button only");
    }

    async fn a_link_dies_after_a_quarter_of_an_hour(url: &str) {
        let server = Server::start(url).await;
        let token = server.sign_in_token(ADA).await;
        let late = server.sign_in_token(ADA).await;
        let complete =
            async |token: &str| server.anonymous().refusals("CompleteSignIn", json!({ "token": token })).await;
        server.wait(TimeDelta::minutes(15) - TimeDelta::milliseconds(1));
        assert_eq!(complete(&token).await, [""; 0]);
        server.wait(TimeDelta::milliseconds(1));
        assert_eq!(complete(&late).await, ["INVALID_INPUT"]);
        let page = reqwest::get(format!("{}/sign-in?token={late}", server.url)).await.unwrap();
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
    }

    async fn tokens_that_were_never_ours_sign_nobody_in(url: &str) {
        let server = Server::start(url).await;
        let token = server.sign_in_token(ADA).await;
        let mut flipped = token.clone();
        let last = flipped.pop().unwrap();
        flipped.push(if last == 'A' { 'B' } else { 'A' });
        let invitation = Acme::workspace(&server).await.with(json!({ "email": "bea@example.com" }));
        let ada = server.person(ADA).await;
        ada.operation("InviteMember", invitation).await;
        let invitation = server.invitation_token("bea@example.com").await;
        for wrong in
            ["", "x", "\0", "ä", &flipped, &token.to_lowercase(), &invitation, &"0".repeat(44), &"z".repeat(10_000)]
        {
            let refused = server.anonymous().refusals("CompleteSignIn", json!({ "token": wrong })).await;
            assert_eq!(refused, ["INVALID_INPUT"], "{wrong:?}");
        }
        assert_eq!(server.anonymous().refusals("CompleteSignIn", json!({ "token": token })).await, [""; 0]);
    }

    /// Five letters a quarter of an hour to one address, and no word about it.
    async fn an_address_gets_five_links_in_a_quarter_of_an_hour_and_the_answer_does_not_tell(url: &str) {
        let server = Server::start(url).await;
        for _ in 0..7 {
            let answer = server.anonymous().operation("RequestSignIn", json!({ "email": ADA })).await;
            assert_eq!(answer, json!({ "requestSignIn": { "userErrors": [] } }));
        }
        assert_eq!(server.letters_to(ADA).await.len(), 5);
        server.wait(TimeDelta::minutes(15));
        server.anonymous().operation("RequestSignIn", json!({ "email": "ADA@EXAMPLE.COM" })).await;
        assert_eq!(server.letters_to("ADA@EXAMPLE.COM").await.len(), 1);
    }

    async fn one_ip_gets_twenty_links_in_a_quarter_of_an_hour(url: &str) {
        let server = Server::start(url).await;
        for number in 0..25 {
            let email = json!({ "email": format!("person{number}@example.com") });
            assert_eq!(server.anonymous().refusals("RequestSignIn", email).await, [""; 0]);
        }
        while server.deliver().await > 0 {}
        assert_eq!(std::fs::read_dir(server.mail()).unwrap().count(), 20);
    }

    async fn an_address_is_one_account_however_it_is_typed(url: &str) {
        let server = Server::start(url).await;
        let small = server.person(ADA).await.operation("Viewer", json!({})).await;
        let large = server.person("ADA@Example.COM").await.operation("Viewer", json!({})).await;
        assert_eq!(small["viewer"]["user"]["id"], large["viewer"]["user"]["id"]);
        assert_ne!(large["viewer"]["user"]["lastLoginAt"], small["viewer"]["user"]["lastLoginAt"]);
        assert_eq!(list(&large, "/viewer/sessions").len(), 2);
    }

    async fn sessions_are_listed_newest_first_and_end_one_by_one(url: &str) {
        let server = Server::start(url).await;
        let (first, second, third) = (server.person(ADA).await, server.person(ADA).await, server.person(ADA).await);
        let answer = second.operation("Viewer", json!({})).await;
        let current: Vec<_> =
            list(&answer, "/viewer/sessions").iter().map(|session| session["current"].clone()).collect();
        assert_eq!(json!(current), json!([false, true, false]));
        let ids = texts(&answer, "/viewer/sessions", "/id");
        let begun = texts(&answer, "/viewer/sessions", "/createdAt");
        assert!(begun[0] > begun[1] && begun[1] > begun[2], "{begun:?}");

        let end = async |id: &str| second.refusals("EndSession", json!({ "id": id })).await;
        assert_eq!(end(ids[2]).await, [""; 0]);
        assert!(!first.is_let_in().await && second.is_let_in().await && third.is_let_in().await);
        assert_eq!(end(ids[2]).await, ["NOT_FOUND"], "it has ended");
        assert_eq!(end("ses_0000000000000000000000").await, ["NOT_FOUND"]);
        assert_eq!(end("nonsense").await, ["NOT_FOUND"]);
        let bea = server.person("bea@example.com").await;
        let of_bea = bea.operation("Viewer", json!({})).await;
        assert_eq!(end(text(&of_bea, "/viewer/sessions/0/id")).await, ["NOT_FOUND"], "another person's");
        assert!(bea.is_let_in().await);

        assert_eq!(third.refusals("SignOut", json!({})).await, [""; 0]);
        assert!(!third.is_let_in().await && second.is_let_in().await);
        assert_eq!(end(ids[1]).await, [""; 0], "one's own current session too");
        assert!(!second.is_let_in().await);
    }

    async fn a_session_ends_by_itself_after_thirty_days_and_says_when_it_was_used(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        server.wait(TimeDelta::days(3));
        assert!(ada.is_let_in().await);
        server.flush_usage().await;
        let answer = ada.operation("Viewer", json!({})).await;
        assert_eq!(text(&answer, "/viewer/sessions/0/createdAt"), "2026-03-02T09:01:00+00:00");
        assert_eq!(text(&answer, "/viewer/sessions/0/lastSeenAt"), "2026-03-05T09:01:00+00:00");
        for _ in 0..2 {
            server.wait(TimeDelta::days(13));
            assert!(ada.is_let_in().await);
            server.flush_usage().await;
        }
        server.wait(TimeDelta::days(1) - TimeDelta::seconds(1));
        assert!(ada.is_let_in().await);
        server.wait(TimeDelta::seconds(1));
        assert!(!ada.is_let_in().await);
    }

    async fn a_bad_credential_is_401_and_tells_nothing_more(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (_, key) = acme.key("Key", &[]).await;
        let mut mistyped = key.credential.clone().unwrap();
        let last = mistyped.pop().unwrap();
        mistyped.push(if last == '0' { '1' } else { '0' });
        let (query, nothing) = ("{ viewer { user { id } } }", json!({}));
        let headers = [
            format!("Bearer {NOBODYS_SESSION}"),
            "Bearer ols_short".to_owned(),
            "Bearer olk_s_nonsense".to_owned(),
            format!("Bearer {mistyped}"),
            "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
            "Bearer ".to_owned(),
            "Bearer".to_owned(),
            "Basic YWRhOmFkYQ==".to_owned(),
            acme.ada.credential.clone().unwrap(),
            String::new(),
        ];
        let mut answers = Vec::new();
        for value in headers {
            let request = server.anonymous().request(Method::POST, "/graphql").header("authorization", &value);
            let answer = reply(request.json(&json!({ "query": query, "variables": nothing }))).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value:?}");
            assert_eq!(
                answer.headers.get(header::WWW_AUTHENTICATE).map(HeaderValue::as_bytes),
                Some(&b"Bearer"[..])
            );
            answers.push(answer.body);
        }
        let error = json!({ "message": "The credential is not valid.", "extensions": { "code": "UNAUTHENTICATED" } });
        assert!(answers.iter().all(|answer| *answer == json!({ "errors": [error] })), "{answers:#?}");
        assert_eq!(server.anonymous().data(query, nothing).await, json!({ "viewer": null }), "none at all is nobody");
        let request = server.anonymous().request(Method::POST, "/graphql");
        let request = request.header("authorization", format!("bEARER  {}", acme.ada.credential.as_ref().unwrap()));
        assert_eq!(
            reply(request.json(&json!({ "query": query }))).await.status,
            StatusCode::OK,
            "the word has no case"
        );
    }

    async fn people_name_themselves(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        let name = async |variables: Value| ada.operation("UpdateViewer", variables).await["updateViewer"].clone();
        let answer = name(json!({ "name": "  Ada Lovelace " })).await;
        assert_eq!((answer["user"]["name"].clone(), answer["userErrors"].clone()), (json!("Ada Lovelace"), json!([])));
        assert_eq!(name(json!({})).await["user"]["name"], "Ada Lovelace", "left out: unchanged");
        assert_eq!(name(json!({ "name": " " })).await["userErrors"][0]["field"], json!(["input", "name"]));
        assert_eq!(name(json!({ "name": "x".repeat(101) })).await["userErrors"][0]["code"], "INVALID_INPUT");
        assert_eq!(ada.operation("Viewer", json!({})).await["viewer"]["user"]["name"], "Ada Lovelace");
        assert_eq!(name(json!({ "name": null })).await["user"]["name"], Value::Null, "null clears");
    }

    async fn what_needs_somebody_is_refused_to_nobody(url: &str) {
        let server = Server::start(url).await;
        for name in ["UpdateViewer", "SignOut"] {
            let answer = server.anonymous().try_operation(name, json!({})).await;
            assert_eq!((answer.status, answer.codes()), (StatusCode::OK, vec!["UNAUTHENTICATED"]), "{name}");
        }
        let acme = Acme::workspace(&server).await;
        let (_, key) = acme.key("Key", &["MEMBERS_READ"]).await;
        for (name, variables) in [
            ("UpdateViewer", json!({ "name": "Key" })),
            ("SignOut", json!({})),
            ("EndSession", json!({ "id": "ses_0000000000000000000000" })),
        ] {
            assert_eq!(key.refusals(name, variables).await, ["USER_REQUIRED"], "{name}");
        }
    }
}
