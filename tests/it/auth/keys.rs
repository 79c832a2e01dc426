//! The provider's keys: when they are asked for, how long they are used, and what becomes of requests while the
//! provider is down, slow or out of its mind. Time is the service's clock, so nothing here waits, but for the answer
//! that never comes.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::json;

use super::provider::{Mode, Provider, Signer, with};
use crate::{
    graphql::{
        acme::ADA,
        server::{Client, Server},
    },
    support::databases::on_sqlite,
};

async fn status(client: &Client) -> u16 {
    let answer = client.run("{ viewer { user { id } } }", json!({})).await;
    match answer.status {
        StatusCode::SERVICE_UNAVAILABLE => {
            assert_eq!(answer.codes(), ["UNAVAILABLE"]);
            let message = answer.body["errors"][0]["message"].as_str().unwrap();
            let reference = answer.headers["x-request-id"].to_str().unwrap();
            assert_eq!(message, format!("The service is not available now; the reference is {reference}."));
        }
        StatusCode::UNAUTHORIZED => assert_eq!(answer.codes(), ["UNAUTHENTICATED"]),
        status => assert_eq!(status, StatusCode::OK),
    }
    answer.status.as_u16()
}

/// A day of tokens: good for longer than the provider's keys.
fn long(provider: &Provider, server: &Server, signer: &Signer) -> Client {
    let claims = provider.claims(server, "ada", ADA);
    let exp = server.clock.now().timestamp() + 7 * 86_400;
    server.with_key(&signer.sign(&with(claims, json!({ "exp": exp }))))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_found_and_an_old_one_forgotten() {
    on_sqlite(async |url| {
        let (one, two) = (Signer::new("one", "ES256"), Signer::new("two", "EdDSA"));
        let provider = Provider::start(&[&one]).await;
        let server = provider.server(url).await;
        let (by_one, by_two) = (long(&provider, &server, &one), long(&provider, &server, &two));
        assert_eq!((status(&by_one).await, provider.asked()), (200, 1));
        assert_eq!((status(&by_one).await, provider.asked()), (200, 1));
        // Not known, and asked for a moment ago.
        assert_eq!((status(&by_two).await, provider.asked()), (401, 1));
        provider.publish(vec![two.jwk()]);
        assert_eq!((status(&by_two).await, provider.asked()), (401, 1));
        server.wait(TimeDelta::seconds(10));
        assert_eq!((status(&by_two).await, provider.asked()), (200, 2));
        assert_eq!((status(&by_one).await, provider.asked()), (401, 2), "it is not published any more");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_grow_old_and_are_asked_for_again() {
    on_sqlite(async |url| {
        let (one, two) = (Signer::new("one", "ES256"), Signer::new("two", "ES256"));
        let provider = Provider::start(&[&one, &two]).await;
        let server = provider.server(url).await;
        let by_one = long(&provider, &server, &one);
        assert_eq!((status(&by_one).await, provider.asked()), (200, 1));
        provider.publish(vec![two.jwk()]);
        server.wait(TimeDelta::hours(1) - TimeDelta::seconds(1));
        assert_eq!((status(&by_one).await, provider.asked()), (200, 1));
        server.wait(TimeDelta::seconds(1));
        assert_eq!(
            (status(&by_one).await, provider.asked()),
            (401, 2),
            "a key that was taken back is good for an hour"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_with_invented_keys_do_not_make_the_provider_busy() {
    on_sqlite(async |url| {
        let (one, eve) = (Signer::new("one", "ES256"), Signer::new("eve", "ES256"));
        let provider = Provider::start(&[&one]).await;
        let server = provider.server(url).await;
        let claims = provider.claims(&server, "ada", ADA);
        let invented = |number: usize| server.with_key(&eve.sign_as(json!({ "kid": format!("k{number}") }), &claims));
        let clients: Vec<_> = (0..50).map(invented).collect();
        let all = futures_util::future::join_all(clients.iter().map(status)).await;
        assert!(all.iter().all(|status| *status == 401), "{all:?}");
        assert_eq!(provider.asked(), 1);
        server.wait(TimeDelta::seconds(11));
        futures_util::future::join_all(clients.iter().map(status)).await;
        assert_eq!(provider.asked(), 2);
        assert_eq!(status(&long(&provider, &server, &one)).await, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_from_the_beginning_makes_the_service_unavailable() {
    on_sqlite(async |url| {
        let one = Signer::new("one", "ES256");
        let provider = Provider::start(&[&one]).await;
        let server = provider.server(url).await;
        let ada = long(&provider, &server, &one);
        let modes = [Mode::Down, Mode::Huge, Mode::OtherIssuer, Mode::ForeignKeys, Mode::Nonsense, Mode::Redirects];
        for (number, mode) in (1..).zip(modes) {
            provider.turn(mode);
            assert_eq!((status(&ada).await, provider.asked()), (503, number), "{mode:?}");
            assert_eq!((status(&ada).await, provider.asked()), (503, number), "{mode:?}: one call in ten seconds");
            assert_eq!(status(&server.anonymous()).await, 200, "others are served");
            server.wait(TimeDelta::seconds(10));
        }
        provider.turn(Mode::Up);
        assert_eq!(status(&ada).await, 200);
    })
    .await;
}

/// The one test that waits: for as long as the service waits for its provider.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_never_answers_is_given_up() {
    on_sqlite(async |url| {
        let one = Signer::new("one", "ES256");
        let provider = Provider::start(&[&one]).await;
        let server = provider.server(url).await;
        let ada = long(&provider, &server, &one);
        provider.turn(Mode::Slow);
        // Who hangs up does not keep the others from an answer.
        let hasty = tokio::time::timeout(std::time::Duration::from_millis(300), status(&ada)).await;
        assert!(hasty.is_err());
        let (first, second) = tokio::join!(status(&ada), status(&ada));
        assert_eq!((first, second, provider.asked()), (503, 503, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_known_are_used_for_a_day_while_the_provider_is_down() {
    on_sqlite(async |url| {
        let (one, two) = (Signer::new("one", "ES256"), Signer::new("two", "ES256"));
        let provider = Provider::start(&[&one]).await;
        let server = provider.server(url).await;
        let (by_one, by_two) = (long(&provider, &server, &one), long(&provider, &server, &two));
        assert_eq!(status(&by_one).await, 200);
        provider.turn(Mode::Down);
        server.wait(TimeDelta::hours(1));
        assert_eq!((status(&by_one).await, provider.asked()), (200, 2));
        assert_eq!((status(&by_one).await, provider.asked()), (200, 2), "asked for a moment ago");
        assert_eq!(status(&by_two).await, 503, "whether it is a new key, only the provider knows");
        server.wait(TimeDelta::hours(23) - TimeDelta::seconds(1));
        assert_eq!(status(&by_one).await, 200);
        server.wait(TimeDelta::seconds(1));
        assert_eq!(status(&by_one).await, 503);
        provider.turn(Mode::Up);
        server.wait(TimeDelta::seconds(10));
        assert_eq!(status(&by_one).await, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_keys_for_signatures_are_used_and_strange_ones_are_passed_over() {
    on_sqlite(async |url| {
        let one = Signer::new("one", "RS256");
        let provider = Provider::start(&[]).await;
        let server = provider.server(url).await;
        let ada = long(&provider, &server, &one);
        for wrong in [
            json!({ "use": "enc" }),
            json!({ "use": null, "key_ops": ["encrypt"] }),
            json!({ "alg": "RS512" }),
            json!({ "alg": "RSA-OAEP" }),
            json!({ "kty": "oct", "k": "c2VjcmV0" }),
            json!({ "kid": "other" }),
            json!({ "n": "AQAB" }),
            json!({ "n": null }),
        ] {
            provider.publish(vec![with(one.jwk(), wrong.clone())]);
            assert_eq!(status(&ada).await, 401, "{wrong}");
            server.wait(TimeDelta::hours(1));
        }
        let strange = [json!({}), json!(7), json!({ "kty": "EC", "crv": "secp256k1", "x": "", "y": "", "kid": "one" })];
        let good = with(one.jwk(), json!({ "use": null, "alg": null, "key_ops": ["verify"], "x5c": ["x"] }));
        provider.publish(strange.into_iter().chain([good]).collect());
        assert_eq!(status(&ada).await, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_leave_out_its_key_where_there_is_no_choice() {
    on_sqlite(async |url| {
        let (one, other, ec) = (Signer::new("one", "RS256"), Signer::other_rsa("other"), Signer::new("ec", "ES256"));
        let provider = Provider::start(&[&one, &ec]).await;
        let server = provider.server(url).await;
        let claims =
            with(provider.claims(&server, "ada", ADA), json!({ "exp": server.clock.now().timestamp() + 9000 }));
        let ada = server.with_key(&one.sign_as(json!({ "kid": null }), &claims));
        assert_eq!(status(&ada).await, 200);
        provider.publish(vec![one.jwk(), other.jwk()]);
        server.wait(TimeDelta::hours(1));
        assert_eq!(status(&ada).await, 401);
        assert_eq!(status(&server.with_key(&other.sign(&claims))).await, 200);
    })
    .await;
}
