//! GraphQL over HTTP: methods, media types, sizes, and what is answered when a request is none.

use axum::http::{StatusCode, header};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    acme::ADA,
    operations,
    server::{Reply, Server, reply},
};
use crate::support::databases::on_sqlite;

/// Posts these bytes as that media type.
async fn post(server: &Server, media: Option<&str>, body: impl Into<reqwest::Body>) -> Reply {
    let mut request = server.anonymous().request(Method::POST, "/graphql").body(body.into());
    if let Some(media) = media {
        request = request.header(header::CONTENT_TYPE, media);
    }
    reply(request).await
}

async fn get(server: &Server, query: &[(&str, &str)]) -> Reply {
    reply(server.anonymous().request(Method::GET, "/graphql").query(query)).await
}

const VIEWER: &str = "{ viewer { user { id } } }";

#[tokio::test]
async fn a_post_is_json_or_415() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let body = json!({ "query": VIEWER }).to_string();
        for media in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
            let answer = post(&server, Some(media), body.clone()).await;
            assert_eq!(
                (answer.status, &answer.body),
                (StatusCode::OK, &json!({ "data": { "viewer": null }, "extensions": { "cost": { "units": 1 } } })),
                "{media}"
            );
        }
        // What a form on another site can send without being asked.
        for media in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/graphql"),
            Some(""),
        ] {
            let answer = post(&server, media, body.clone()).await;
            assert_eq!(
                (answer.status, answer.codes()),
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, vec!["BAD_USER_INPUT"]),
                "{media:?}"
            );
            assert!(answer.body.get("data").is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn a_get_is_for_queries_only() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let answer = get(&server, &[("query", VIEWER)]).await;
        assert_eq!((answer.status, &answer.body["data"]), (StatusCode::OK, &json!({ "viewer": null })));
        let document = "query A($id: ID!) { organization(id: $id) { id } } query B { viewer { user { id } } }";
        let named = [("query", document), ("operationName", "A"), ("variables", r#"{"id":"nothing"}"#)];
        assert_eq!(get(&server, &named).await.body["data"], json!({ "organization": null }));
        for mutation in
            [operations::document("RequestSignIn"), "mutation { signOut { userErrors { code } } }".to_owned()]
        {
            let answer = get(&server, &[("query", &mutation), ("variables", r#"{"email":"ada@example.com"}"#)]).await;
            assert_eq!((answer.status, answer.codes()), (StatusCode::METHOD_NOT_ALLOWED, vec!["BAD_USER_INPUT"]));
            assert_eq!(answer.headers[header::ALLOW], "POST");
        }
        let both = "query A { viewer { user { id } } } mutation B { signOut { userErrors { code } } }";
        let answer = get(&server, &[("query", both), ("operationName", "B")]).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert!(server.letters_to(ADA).await.is_empty(), "nothing was done");
        for wrong in [&[][..], &[("variables", "{}")], &[("query", VIEWER), ("variables", "nonsense")]] {
            assert_eq!(get(&server, wrong).await.status, StatusCode::BAD_REQUEST, "{wrong:?}");
        }
        for method in [Method::PUT, Method::DELETE, Method::PATCH] {
            let response = server.anonymous().request(method, "/graphql").send().await.unwrap();
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let body = |size: usize| json!({ "query": format!("{VIEWER} #{}", "x".repeat(size)) }).to_string();
        let answer = post(&server, Some("application/json"), body(256 * 1024)).await;
        assert_eq!((answer.status, answer.codes()), (StatusCode::PAYLOAD_TOO_LARGE, vec!["BAD_USER_INPUT"]));
        // One that only says so when it is there: no Content-Length.
        let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
        let head =
            "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("{:x}\r\n{}\r\n", 10_000, "x".repeat(10_000));
        for _ in 0..40 {
            // The server may have answered and closed by now.
            let _ = stream.write_all(chunk.as_bytes()).await;
        }
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 413");
        let answer = post(&server, Some("application/json"), body(50_000)).await;
        assert_eq!(answer.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_one_request_as_an_object_is_400() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let wrong = [
            String::new(),
            "nonsense".to_owned(),
            "null".to_owned(),
            "5".to_owned(),
            "\"query\"".to_owned(),
            json!([]).to_string(),
            json!([VIEWER]).to_string(),
            json!([{ "query": VIEWER }]).to_string(),
            json!([{ "query": VIEWER }, { "query": VIEWER }]).to_string(),
            json!({ "query": 5 }).to_string(),
            json!({ "query": VIEWER, "variables": [] }).to_string(),
            json!({ "query": VIEWER, "variables": "x" }).to_string(),
            json!({ "query": VIEWER, "operationName": {} }).to_string(),
            "{\"query\":\"\u{0}\"}".to_owned(),
            "[".repeat(100_000),
        ];
        for body in wrong {
            let shown: String = body.chars().take(80).collect();
            let answer = post(&server, Some("application/json"), body).await;
            assert_eq!((answer.status, answer.codes()), (StatusCode::BAD_REQUEST, vec!["BAD_USER_INPUT"]), "{shown}");
            assert!(answer.body.get("data").is_none(), "{shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_document_that_cannot_be_run_is_a_request_error_with_a_code_and_without_data() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let wrong = [
            "",
            "{",
            "nonsense",
            "{ shoeSize }",
            "{ viewer { shoeSize } }",
            "{ viewer }",
            "query A { viewer { user { id } } } query B { viewer { user { id } } }",
            "query ($id: Nonsense) { organization(id: $id) { id } }",
            "{ organization(id: 1, id: 2) { id } }",
            "{ ...Missing }",
            "{ ...A } fragment A on QueryRoot { ...A }",
            "{ viewer @nonsense { user { id } } }",
            "{ organization { id } }",
        ];
        for document in wrong {
            let request = server.anonymous().request(Method::POST, "/graphql").json(&json!({ "query": document }));
            let answer = reply(request.header(header::ACCEPT, "application/graphql-response+json")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{document}: {}", answer.body);
            assert!(
                answer.codes().iter().all(|code| *code != "(no code)") && !answer.codes().is_empty(),
                "{document}: {}",
                answer.body
            );
            assert!(answer.body.get("data").is_none(), "{document}");
            assert_eq!(answer.headers[header::CONTENT_TYPE], "application/graphql-response+json; charset=utf-8");
            let answer = server.anonymous().run(document, json!({})).await;
            assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json; charset=utf-8");
            assert!(answer.body.get("data").is_none(), "{document}");
        }
        let request = json!({ "query": "query A { viewer { user { id } } }", "operationName": "B" });
        let answer = reply(server.anonymous().request(Method::POST, "/graphql").json(&request)).await;
        assert!(!answer.codes().is_empty() && answer.body.get("data").is_none(), "{}", answer.body);
    })
    .await;
}

/// Ten fragments that each spread the next ten times are a thousand million fields, in a thousand bytes.
#[tokio::test]
async fn a_document_that_asks_for_too_much_is_refused_before_it_is_run() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        let mut deep = "id name".to_owned();
        for _ in 0..10 {
            deep = format!("organizations {{ nodes {{ viewerRole {{ {deep} }} }} }}");
        }
        let wide: String =
            (0..3000).map(|number| ["a", &number.to_string(), ": viewer { user { id } } "].concat()).collect();
        let mut bomb = "{ viewer { ...f0 } } fragment f9 on Viewer { __typename }".to_owned();
        for number in 0..9 {
            let spread = format!("...f{} ", number + 1).repeat(10);
            bomb = format!("{bomb} fragment f{number} on Viewer {{ {spread} }}");
        }
        let circle = "{ viewer { ...f } } fragment f on Viewer { ...f }".to_owned();
        let long = format!("{{ viewer {{ __typename }} }}{}", " ".repeat(64 * 1024));
        for document in [format!("{{ viewer {{ {deep} }} }}"), format!("{{ {wide} }}"), bomb, circle, long] {
            let answer = ada.run(&document, json!({})).await;
            let shown: String = document.chars().take(80).collect();
            assert_eq!(answer.codes(), ["QUERY_TOO_COMPLEX"], "{shown}");
            assert!(answer.body.get("data").is_none(), "{shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_answer_names_its_request_and_is_kept_by_no_cache() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let send = async |id: Option<&str>, credential: Option<&str>, document: &str| {
            let mut request = server.anonymous().request(Method::POST, "/graphql").json(&json!({ "query": document }));
            if let Some(id) = id {
                request = request.header("x-request-id", id);
            }
            if let Some(credential) = credential {
                request = request.bearer_auth(credential);
            }
            reply(request).await
        };
        let mut seen = Vec::new();
        for (document, credential) in [(VIEWER, None), ("{", None), (VIEWER, Some("ols_nonsense"))] {
            let answer = send(Some("my-request-1"), credential, document).await;
            assert_eq!(answer.headers["x-request-id"], "my-request-1");
            let [vary, cache] = [&answer.headers["vary"], &answer.headers["cache-control"]];
            assert_eq!((vary.as_bytes(), cache.as_bytes()), (&b"Accept"[..], &b"no-store"[..]), "{document}");
            assert_eq!(answer.headers["x-content-type-options"], "nosniff");
            let answer = send(None, credential, document).await;
            seen.push(answer.headers["x-request-id"].to_str().unwrap().to_owned());
            for malformed in ["x".repeat(65).as_str(), "two words", ""] {
                let answer = send(Some(malformed), credential, document).await;
                assert_ne!(answer.headers["x-request-id"], malformed);
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 3, "{seen:?}");
    })
    .await;
}

#[tokio::test]
async fn messages_never_quote_what_was_sent() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        for (document, variables) in [
            (
                "query ($id: ID!, $at: DateTime) { organization(id: $id) { members(asOf: $at) { totalCount } } }",
                json!({ "id": "x", "at": "hunter2" }),
            ),
            ("query ($id: ID!) { organization(id: $id) { name } }", json!({ "id": { "a": "hunter2" } })),
        ] {
            let answer = ada.run(document, variables).await;
            let errors = answer.body.get("errors").cloned().unwrap_or_default().to_string();
            assert!(!errors.contains("hunter2"), "{document}: {errors}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_older_protocol_of_sockets_is_not_spoken() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let request = server.anonymous().request(Method::GET, "/graphql");
        let upgrade = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")
            .header("sec-websocket-protocol", "graphql-ws");
        assert_eq!(reply(upgrade).await.status, StatusCode::BAD_REQUEST);
    })
    .await;
}
