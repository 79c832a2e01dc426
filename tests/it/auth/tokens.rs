//! Which tokens are taken: every rule, each held by a token that breaks only it.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::provider::{AUDIENCE, Mode, Provider, Signer, encode, sign_by_secret, unsigned, with};
use crate::{
    graphql::{
        acme::{ADA, Acme},
        operations,
        server::{Server, list, text},
        socket::{Socket, events_until},
    },
    support::databases::{both_databases, on_sqlite},
};

async fn is_taken(server: &Server, token: &str) -> bool {
    server.with_key(token).is_let_in().await
}

/// A provider with one key, the service beside it, and the claims of a token that is taken.
async fn world(url: &str) -> (Signer, Provider, Server, Value) {
    let signer = Signer::new("one", "ES256");
    let provider = Provider::start(&[&signer]).await;
    let server = provider.server(url).await;
    let claims = provider.claims(&server, "ada", ADA);
    (signer, provider, server, claims)
}

both_databases! {
    async fn a_token_signs_in_the_person_of_its_verified_address(url: &str) {
        let (signer, _provider, server, claims) = world(url).await;
        let claims = with(claims, json!({ "name": " Ada Lovelace ", "auth_time": server.clock.now().timestamp() }));
        let ada = server.with_key(&signer.sign(&claims));
        let answer = ada.operation("Viewer", json!({})).await;
        assert_eq!(answer["viewer"]["user"]["email"], ADA);
        assert_eq!(answer["viewer"]["user"]["name"], "Ada Lovelace");
        assert_eq!(answer["viewer"]["user"]["lastLoginAt"], "2026-03-02T09:00:00+00:00");
        assert_eq!(answer["viewer"]["sessions"], json!([]), "a token is no session");
        assert_eq!(answer["viewer"]["organizations"]["edges"][0]["node"]["kind"], "PERSONAL", "made at the first sight");
        let acme = Acme::made_by(&server, ada, "TEAM").await;
        assert_eq!(acme.ada.refusals("UpdateOrganization", acme.with(json!({ "name": "Two" }))).await, [""; 0]);
    }

    async fn a_subscription_ends_with_its_token(url: &str) {
        let (signer, _provider, server, claims) = world(url).await;
        let acme = Acme::made_by(&server, server.with_key(&signer.sign(&claims)), "TEAM").await;
        let mut socket = Socket::open(&acme.ada).await;
        socket.subscribe("1", &operations::document("OrganizationEvents"), acme.with(json!({}))).await;
        events_until(&mut socket, "1", 2).await;
        server.wait(TimeDelta::seconds(3600 + 60));
        assert_eq!(socket.ends_with("1").await, "ACCESS_ENDED");
        socket.subscribe("2", "{ viewer { user { id } } }", json!({})).await;
        assert_eq!(socket.ends_with("2").await, "UNAUTHENTICATED");
    }

    async fn only_sessions_can_be_ended_here(url: &str) {
        let (signer, _provider, server, claims) = world(url).await;
        let by_link = server.person(ADA).await;
        let by_token = server.with_key(&signer.sign(&claims));
        assert_eq!(by_token.refusals("SignOut", json!({})).await, ["SESSION_REQUIRED"]);
        let answer = by_token.operation("Viewer", json!({})).await;
        let sessions = list(&answer, "/viewer/sessions");
        assert_eq!((sessions.len(), &sessions[0]["current"]), (1, &json!(false)));
        let id = text(&sessions[0], "/id");
        assert_eq!(by_token.refusals("EndSession", json!({ "id": id })).await, [""; 0]);
        assert!(!by_link.is_let_in().await && by_token.is_let_in().await);
        let (first, second) = (server.person(ADA).await, server.person(ADA).await);
        let answer = by_token.data("mutation { endOtherSessions { endedCount userErrors { code } } }", json!({})).await;
        assert_eq!(answer["endOtherSessions"], json!({ "endedCount": 2, "userErrors": [] }));
        assert!(!first.is_let_in().await && !second.is_let_in().await && by_token.is_let_in().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_algorithm_of_the_list_is_taken() {
    on_sqlite(async |url| {
        let names = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
        let signers = names.map(|name| Signer::new(name, name));
        let provider = Provider::start(&signers.each_ref()).await;
        let server = provider.server(url).await;
        let claims = provider.claims(&server, "ada", ADA);
        for (name, signer) in names.iter().zip(&signers) {
            let token = signer.sign(&claims);
            assert!(is_taken(&server, &token).await, "{name}");
            let (message, _) = token.rsplit_once('.').unwrap();
            let other = with(claims.clone(), json!({ "sub": "eve" }));
            let forged = format!("{message}.{}", signer.sign(&other).rsplit_once('.').unwrap().1);
            assert!(!is_taken(&server, &forged).await, "{name}, signature of another token");
            assert!(!is_taken(&server, &format!("{message}.")).await, "{name}, no signature");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_cannot_choose_how_it_is_verified() {
    on_sqlite(async |url| {
        let rsa = Signer::new("rsa", "RS256");
        let es256 = Signer::new("ec", "ES256");
        let provider = Provider::start(&[&rsa, &es256]).await;
        let server = provider.server(url).await;
        let claims = provider.claims(&server, "ada", ADA);
        assert!(is_taken(&server, &rsa.sign(&claims)).await);
        for none in ["none", "None", "NONE", ""] {
            let message = unsigned(&json!({ "alg": none, "kid": "rsa" }), &claims);
            assert!(!is_taken(&server, &format!("{message}.")).await, "{none}");
        }
        // The published key as the secret of an HMAC, in each form that a careless library might take it.
        let (rsa_key, ec_key) = (rsa.jwk(), es256.jwk());
        for (id, secret) in [
            ("rsa", rsa_key.to_string().into_bytes()),
            ("rsa", text(&rsa_key, "/n").as_bytes().to_vec()),
            ("ec", ec_key.to_string().into_bytes()),
            ("ec", text(&ec_key, "/x").as_bytes().to_vec()),
            ("rsa", Vec::new()),
        ] {
            assert!(!is_taken(&server, &sign_by_secret(&secret, id, &claims)).await);
        }
        // Another algorithm of the same kind than the one that the key is for, and a key of another kind.
        let header = |header: Value| rsa.sign_as(header, &claims);
        assert!(!is_taken(&server, &header(json!({ "alg": "RS512" }))).await);
        assert!(!is_taken(&server, &header(json!({ "alg": "PS256" }))).await);
        assert!(!is_taken(&server, &header(json!({ "kid": "ec" }))).await);
        // A key that the token brings along.
        let eve = Signer::new("eve", "ES256");
        let brought = json!({ "jwk": eve.jwk(), "jku": "http://127.0.0.1:1/keys" });
        assert!(!is_taken(&server, &eve.sign_as(brought.clone(), &claims)).await);
        assert!(!is_taken(&server, &eve.sign_as(with(brought, json!({ "kid": "ec" })), &claims)).await);
        assert!(!is_taken(&server, &header(json!({ "crit": ["b64"], "b64": false }))).await, "must be understood");
        for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWE"] {
            assert!(!is_taken(&server, &header(json!({ "typ": typ }))).await, "{typ}");
        }
        for typ in [json!(null), json!("jwt"), json!("at+jwt"), json!("application/at+jwt")] {
            assert!(is_taken(&server, &header(json!({ "typ": typ }))).await, "{typ}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_of_this_issuer_for_this_audience_and_about_a_person() {
    on_sqlite(async |url| {
        let (signer, provider, server, claims) = world(url).await;
        let taken = async |changes: Value| is_taken(&server, &signer.sign(&with(claims.clone(), changes))).await;
        assert!(taken(json!({})).await);
        let issuer = &provider.issuer;
        for issuer in
            [json!(null), json!(format!("{issuer}/")), json!(issuer.to_uppercase()), json!([issuer]), json!("")]
        {
            assert!(!taken(json!({ "iss": issuer })).await, "{issuer}");
        }
        for audience in
            [json!(null), json!(""), json!([]), json!("other"), json!(["other"]), json!("Orgledger"), json!(7)]
        {
            assert!(!taken(json!({ "aud": audience })).await, "{audience}");
        }
        assert!(taken(json!({ "aud": [AUDIENCE] })).await);
        let several = [AUDIENCE, "other"];
        assert!(!taken(json!({ "aud": several })).await, "nobody says who asked for it");
        assert!(!taken(json!({ "aud": several, "azp": "other" })).await);
        assert!(taken(json!({ "aud": several, "azp": AUDIENCE })).await);
        let access = with(claims.clone(), json!({ "aud": several, "azp": "some-app" }));
        assert!(is_taken(&server, &signer.sign_as(json!({ "typ": "at+jwt" }), &access)).await);
        for subject in [json!(null), json!(""), json!(7), json!("a\u{0}b"), json!("x".repeat(256))] {
            assert!(!taken(json!({ "sub": subject })).await, "{subject}");
        }
        let logout = json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
        assert!(!taken(logout).await, "a token about a sign-out");
        assert!(!taken(json!({ "cnf": { "jkt": "x" } })).await, "a token that needs a proof");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_its_time_by_the_services_clock() {
    on_sqlite(async |url| {
        let (signer, _provider, server, claims) = world(url).await;
        let now = server.clock.now().timestamp();
        let taken = async |changes: Value| is_taken(&server, &signer.sign(&with(claims.clone(), changes))).await;
        // A minute either way, because clocks differ.
        for (claim, good, bad) in
            [("exp", now - 59, now - 60), ("nbf", now + 60, now + 61), ("iat", now + 60, now + 61)]
        {
            assert!(taken(json!({ claim: good })).await, "{claim}");
            assert!(!taken(json!({ claim: bad })).await, "{claim}");
        }
        assert!(taken(json!({ "exp": 1_772_445_600.5 })).await, "parts of a second");
        for nonsense in [json!(null), json!("1772445600"), json!(true), json!(1e300), json!(-1.5), json!(i64::MAX)] {
            assert!(!taken(json!({ "exp": nonsense })).await, "{nonsense}");
        }
        assert!(!taken(json!({ "nbf": "soon" })).await);
        let ada = server.with_key(&signer.sign(&claims));
        server.wait(TimeDelta::seconds(3600 + 59));
        assert!(ada.is_let_in().await);
        server.wait(TimeDelta::seconds(1));
        assert!(!ada.is_let_in().await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_token_of_the_provider_costs_no_call() {
    on_sqlite(async |url| {
        let (signer, provider, server, claims) = world(url).await;
        provider.turn(Mode::Down);
        let good = signer.sign(&claims);
        let (header, rest) = good.split_once('.').unwrap();
        let (body, signature) = rest.split_once('.').unwrap();
        let of = |changes: Value| signer.sign(&with(claims.clone(), changes));
        let bad = [
            "x".to_owned(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            header.to_owned(),
            format!("{header}.{body}"),
            format!("{good}.{signature}"),
            format!("{good}=="),
            format!("{header}.{body}.+/+/"),
            format!("{}.{body}.{signature}", encode(b"[]")),
            format!("{header}.{}.{signature}", encode(b"{}")),
            format!("{header}.{}.{signature}", encode("[".repeat(4000).as_bytes())),
            of(json!({ "padding": "x".repeat(8 * 1024) })),
            of(json!({ "iss": "https://accounts.example.com" })),
            of(json!({ "aud": "other" })),
            of(json!({ "exp": 1 })),
            signer.sign_as(json!({ "alg": "none" }), &claims),
            signer.sign_as(json!({ "alg": "HS256" }), &claims),
        ];
        for token in bad {
            let answer = server.with_key(&token).run("{ viewer { user { id } } }", json!({})).await;
            assert_eq!((answer.status, answer.codes()), (StatusCode::UNAUTHORIZED, vec!["UNAUTHENTICATED"]), "{token}");
        }
        assert_eq!(provider.asked(), 0);
        assert_eq!(server.with_key(&good).run("{ viewer { user { id } } }", json!({})).await.status, 503);
        assert_eq!(provider.asked(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_provider_no_token_is_taken() {
    on_sqlite(async |url| {
        let signer = Signer::new("one", "ES256");
        let provider = Provider::start(&[&signer]).await;
        let server = Server::start(url).await;
        assert!(!provider.person(&server, &signer, "ada", ADA).is_let_in().await);
        assert_eq!(provider.asked(), 0);
    })
    .await;
}
