//! Which media type an answer has, by what the client accepts and what the operation is.

use async_graphql::parser::types::OperationType::{self, Mutation, Query, Subscription};
use axum::http::{StatusCode, header};
use orgledger::http::media::{
    Media::{self, EventStream, GraphqlResponse, Json},
    negotiate,
};
use reqwest::Method;
use serde_json::json;

use super::{
    acme::Acme,
    operations,
    server::{Server, reply},
};
use crate::support::databases::on_sqlite;

/// What one client sends with everything it asks.
const URQL: &str =
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed";

#[test]
fn the_media_type_is_what_the_client_prefers_among_what_fits() {
    let table: &[(Option<&str>, Option<Media>, Option<Media>)] = &[
        // Accept; for queries and mutations; for subscriptions.
        (None, Some(Json), None),
        (Some(""), Some(Json), None),
        (Some("*/*"), Some(Json), None),
        (Some("application/*"), Some(Json), None),
        (Some("application/json"), Some(Json), None),
        (Some("Application/JSON; charset=utf-8"), Some(Json), None),
        (Some("application/graphql-response+json"), Some(GraphqlResponse), None),
        (Some("text/event-stream"), Some(EventStream), Some(EventStream)),
        (Some("text/*"), Some(EventStream), Some(EventStream)),
        (Some(URQL), Some(GraphqlResponse), Some(EventStream)),
        (Some("text/event-stream, application/json"), Some(Json), Some(EventStream)),
        (Some("text/event-stream, */*"), Some(Json), Some(EventStream)),
        // The first among equals, and the best among others.
        (Some("application/json, application/graphql-response+json"), Some(Json), None),
        (Some("application/json;q=0.8, application/graphql-response+json"), Some(GraphqlResponse), None),
        (Some("application/json;q=0.8, application/graphql-response+json;q=0.9"), Some(GraphqlResponse), None),
        (Some("application/graphql-response+json;q=0.5, */*;q=0.1"), Some(GraphqlResponse), None),
        (Some("application/json;q=0.2, text/event-stream;q=0.9"), Some(EventStream), Some(EventStream)),
        // Nothing that is not wanted.
        (Some("application/json;q=0"), None, None),
        (Some("application/json;q=0, application/graphql-response+json;q=0.1"), Some(GraphqlResponse), None),
        (Some("text/event-stream;q=0, */*"), Some(Json), None),
        (Some("application/json;q=nonsense"), None, None),
        (Some("text/html"), None, None),
        (Some("image/*, text/html"), None, None),
        (Some("nonsense"), None, None),
        (Some(",;,"), None, None),
    ];
    for &(accept, of_query, of_subscription) in table {
        let found = |operation: OperationType| negotiate(accept, operation);
        assert_eq!(
            [found(Query), found(Mutation), found(Subscription)],
            [of_query, of_query, of_subscription],
            "{accept:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_answered_as_the_client_accepts_is_406() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let events = operations::document("OrganizationEvents");
        let viewer = "{ viewer { user { id } } }".to_owned();
        for (document, accept) in [
            (&events, Some("application/json")),
            (&events, Some("application/graphql-response+json, application/json")),
            (&events, None),
            (&viewer, Some("text/html")),
            (&viewer, Some("application/json;q=0")),
        ] {
            let body = json!({ "query": document, "variables": acme.with(json!({})) });
            let mut request = acme.ada.request(Method::POST, "/graphql").json(&body);
            if let Some(accept) = accept {
                request = request.header(header::ACCEPT, accept);
            }
            let answer = reply(request).await;
            assert_eq!(
                (answer.status, answer.codes()),
                (StatusCode::NOT_ACCEPTABLE, vec!["BAD_USER_INPUT"]),
                "{accept:?}"
            );
            assert!(answer.body.get("data").is_none(), "{accept:?}");
        }
    })
    .await;
}
