//! GraphQL over HTTP: queries and mutations by POST, queries by GET, subscriptions as server-sent events by either,
//! everything by WebSocket.

use std::time::Duration;

use async_graphql::{Response as Answer, parser::types::OperationType, value};
use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequest, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    Api, Client, RETRY_AFTER,
    answer::{not_run, says},
    cost, events,
    media::{Media, negotiate},
    operation::Operation,
    params::Params,
    socket,
};
use crate::{
    auth::{
        self, Principal, authenticate,
        limits::{Exceeded, Standing},
    },
    graphql::context::{RequestContext, Transport},
    store::append::Origin,
};

/// How long a client may take to send a body.
const BODY_TIME_LIMIT: Duration = Duration::from_secs(10);

/// The credential in a request's headers: the text after `Bearer`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<Result<String, ()>> {
    let value = headers.get(header::AUTHORIZATION)?;
    let text = value.to_str().map_err(|_| ());
    Some(text.and_then(|text| read_bearer(text).ok_or(())))
}

/// The text after `Bearer`, whatever the case of that word.
pub(super) fn read_bearer(text: &str) -> Option<String> {
    let (scheme, credential) = text.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim().to_owned())
}

/// An answer that is not one of the schema: one error with a code.
pub(super) fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({ "errors": [{ "message": message, "extensions": { "code": code } }] });
    (status, [(header::VARY, "Accept")], axum::Json(body)).into_response()
}

fn bad(status: StatusCode, message: &str) -> Response {
    problem(status, "BAD_USER_INPUT", message)
}

fn unauthenticated() -> Response {
    let mut response = problem(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "The credential is not valid.");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn unavailable(origin: &Origin, error: &auth::Error) -> Response {
    tracing::error!(reference = origin.request_id, ?error, "a credential could not be checked");
    let message = format!("The service is not available now; the reference is {}.", origin.request_id);
    problem(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", &message)
}

/// POST: any operation.
pub(super) async fn post(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let origin = api.origin(&headers, client);
    match read(&headers, request).await {
        Ok(body) => match Params::from_json(&body) {
            Some(params) => respond(&api, &headers, origin, params, Transport::Post).await,
            None => bad(StatusCode::BAD_REQUEST, "Send one GraphQL request as a JSON object."),
        },
        Err(response) => *response,
    }
}

/// The body, if it is JSON in UTF-8 and comes in time.
async fn read(headers: &HeaderMap, request: Request) -> Result<Bytes, Box<Response>> {
    let refuse = |status, message| Err(Box::new(bad(status, message)));
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = media.split(';').map(str::trim);
    let json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let charset = parts.find_map(|part| part.to_ascii_lowercase().strip_prefix("charset=").map(str::to_owned));
    if !json || charset.is_some_and(|charset| charset.trim_matches('"') != "utf-8") {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send application/json, in UTF-8.");
    }
    match tokio::time::timeout(BODY_TIME_LIMIT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            refuse(StatusCode::PAYLOAD_TOO_LARGE, "A request has at most 256 KiB.")
        }
        Ok(Err(_)) => refuse(StatusCode::BAD_REQUEST, "The body did not come as its head says."),
        Err(_) => refuse(StatusCode::REQUEST_TIMEOUT, "The request did not come in time."),
    }
}

/// GET: a WebSocket, a query, or a subscription as server-sent events.
pub(super) async fn get(State(api): State<Api>, ConnectInfo(client): Client, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let origin = api.origin(&parts.headers, client);
    let upgrade =
        parts.headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if upgrade {
        return socket::serve(api, parts, origin).await;
    }
    match Params::from_query(parts.uri.query().unwrap_or_default()) {
        Some(params) => respond(&api, &parts.headers, origin, params, Transport::Get).await,
        None => bad(StatusCode::BAD_REQUEST, "The parameters variables and extensions are JSON objects."),
    }
}

async fn respond(api: &Api, headers: &HeaderMap, origin: Origin, params: Params, transport: Transport) -> Response {
    if !params.names_document() {
        return bad(StatusCode::BAD_REQUEST, "Send a document in query.");
    }
    let principal = match principal(api, headers, &origin).await {
        Ok(principal) => principal,
        Err(response) => return *response,
    };
    let operation = Operation::prepare(api, params);
    let units = operation.as_ref().map_or(cost::LEAST, |operation| operation.units);
    let standing = match api.limits.admit(&principal, units, api.store().now()) {
        Ok(standing) => standing,
        Err(exceeded) => return too_many(&exceeded),
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let response = match operation {
        Ok(operation) => admitted(api, headers, (principal, origin, transport), operation).await,
        Err(answer) => {
            let media = match negotiate(accept, OperationType::Query) {
                // Nothing is streamed: who waits for events has to see by the status that there will be none.
                Some(Media::EventStream) => Media::GraphqlResponse,
                media => media.unwrap_or(Media::Json),
            };
            encode(media, &answer.extension("cost", value!({ "units": units })))
        }
    };
    with_numbers(response, standing.iter().flat_map(Standing::headers))
}

/// The refusal of a request that costs more than its caller has left.
fn too_many(exceeded: &Exceeded) -> Response {
    let extensions = json!({ "code": "RATE_LIMITED", "retryAfter": exceeded.retry_after });
    let error = json!({ "message": exceeded.to_string(), "extensions": extensions });
    let body = json!({ "errors": [error], "extensions": { "cost": { "units": exceeded.cost } } });
    let response = (StatusCode::TOO_MANY_REQUESTS, [(header::VARY, "Accept")], axum::Json(body)).into_response();
    with_numbers(response, exceeded.headers())
}

pub(super) fn with_numbers(mut response: Response, headers: impl Iterator<Item = (&'static str, u64)>) -> Response {
    let headers = headers.map(|(name, number)| (HeaderName::from_static(name), HeaderValue::from(number)));
    response.headers_mut().extend(headers);
    response
}

/// Answers an operation of a known caller whose limit lets it pass.
async fn admitted(
    api: &Api,
    headers: &HeaderMap,
    (principal, origin, transport): (Principal, Origin, Transport),
    operation: Operation,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let Some(media) = negotiate(accept, operation.ty) else {
        let message = match operation.ty {
            OperationType::Subscription => "A subscription is answered as text/event-stream, or over a WebSocket.",
            _ => "Accept application/graphql-response+json or application/json.",
        };
        return bad(StatusCode::NOT_ACCEPTABLE, message);
    };
    if transport == Transport::Get && operation.ty == OperationType::Mutation {
        let mut response = bad(StatusCode::METHOD_NOT_ALLOWED, "GET is not for mutations.");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let context = RequestContext {
        idempotency_key: text("idempotency-key"),
        last_event_id: text("last-event-id").filter(|id| !id.is_empty()),
        ..RequestContext::new(principal, origin, transport)
    };
    let cost = value!({ "units": operation.units });
    if media == Media::EventStream {
        return match events::respond(operation.stream(api, context), api.stopping()).await {
            Ok(response) => response,
            Err(answer) => encode(Media::GraphqlResponse, &answer.extension("cost", cost)),
        };
    }
    encode(media, &operation.run(api, context).await.extension("cost", cost))
}

async fn principal(api: &Api, headers: &HeaderMap, origin: &Origin) -> Result<Principal, Box<Response>> {
    let credential = match bearer(headers) {
        None => None,
        Some(Ok(credential)) => Some(credential),
        Some(Err(())) => return Err(Box::new(unauthenticated())),
    };
    match authenticate(api.store(), &api.usage, api.settings.oidc.as_ref(), credential.as_deref(), origin).await {
        Ok(principal) => Ok(principal),
        Err(auth::Error::Invalid) => Err(Box::new(unauthenticated())),
        Err(error) => Err(Box::new(unavailable(origin, &error))),
    }
}

/// Writes an answer in the media type that was asked for. A document that could not be run at all has no `data`, and
/// with the media type of GraphQL it is a bad request.
fn encode(media: Media, answer: &Answer) -> Response {
    let not_run = not_run(answer);
    let body = if not_run {
        serde_json::to_vec(&json!({ "errors": answer.errors, "extensions": answer.extensions }))
    } else {
        serde_json::to_vec(answer)
    };
    let Ok(body) = body else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "The answer could not be written.");
    };
    let status = if not_run && media == Media::GraphqlResponse { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let headers = [(header::CONTENT_TYPE, media.content_type()), (header::VARY, "Accept")];
    let mut response = (status, headers, body).into_response();
    if says(answer, "UNAVAILABLE") {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}
