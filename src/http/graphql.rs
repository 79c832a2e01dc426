//! GraphQL over HTTP: queries and mutations by POST, queries by GET, everything by WebSocket.

use std::{net::SocketAddr, time::Duration};

use async_graphql::{
    Request, Response as Answer, ServerError, Value, Variables,
    parser::types::{DocumentOperations, OperationType},
    value,
};
use axum::{
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{Api, BODY_LIMIT, Client, REQUEST_ID, cost, document, socket};
use crate::{
    auth::{
        self, Principal, authenticate,
        limits::{Exceeded, Standing},
    },
    graphql::context::{RequestContext, Transport},
    store::append::Origin,
};

/// How long a request may take.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The media type of GraphQL over HTTP.
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

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

/// POST: queries and mutations.
pub(super) async fn post(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Response {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let message = "Send application/json.";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "BAD_USER_INPUT", message);
    }
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        let message = "A request has at most 256 KiB.";
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "BAD_USER_INPUT", message);
    };
    if let Some(request) = parse(&body) {
        respond(&api, client, (Transport::Post, &headers), request).await
    } else {
        let message = "Send one GraphQL request as a JSON object.";
        problem(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", message)
    }
}

/// The request of a body. It has to be an object: the parser would take a list of fields for one too.
fn parse(body: &Bytes) -> Option<Request> {
    body.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(body).ok()).flatten()
}

/// A request in the query of a GET.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetRequest {
    query: String,
    operation_name: Option<String>,
    variables: Option<String>,
}

/// GET: a WebSocket, or a query.
pub(super) async fn get(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    request: axum::extract::Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let upgrade =
        parts.headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if upgrade {
        let origin = api.origin(&parts.headers, client);
        return socket::serve(api, parts, origin).await;
    }
    let Ok(Query(query)) = Query::<GetRequest>::try_from_uri(&parts.uri) else {
        let message = "Send a query in the parameter query.";
        return problem(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", message);
    };
    let variables = match query.variables.as_deref().filter(|text| !text.is_empty()).map(serde_json::from_str) {
        None => Variables::default(),
        Some(Ok(variables)) => Variables::from_json(variables),
        Some(Err(_)) => {
            return problem(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The parameter variables is not JSON.");
        }
    };
    let mut request = Request::new(query.query).variables(variables);
    request.operation_name = query.operation_name;
    if !only_queries(&mut request) {
        let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "BAD_USER_INPUT", "GET is for queries only.");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    respond(&api, client, (Transport::Get, &parts.headers), request).await
}

/// Whether a document has nothing but queries. One that cannot be parsed is answered like every other.
fn only_queries(request: &mut Request) -> bool {
    let query = OperationType::Query;
    match request.parsed_query().map(|document| &document.operations) {
        Err(_) => true,
        Ok(DocumentOperations::Single(operation)) => operation.node.ty == query,
        Ok(DocumentOperations::Multiple(operations)) => operations.values().all(|operation| operation.node.ty == query),
    }
}

async fn respond(
    api: &Api,
    client: SocketAddr,
    (transport, headers): (Transport, &HeaderMap),
    request: Request,
) -> Response {
    let origin = api.origin(headers, client);
    let request_id = origin.request_id.clone();
    let mut response = match principal(api, headers, &origin).await {
        Ok(principal) => {
            let mut context = RequestContext::new(principal, origin, transport);
            context.idempotency_key =
                headers.get("idempotency-key").and_then(|value| value.to_str().ok()).map(str::to_owned);
            admitted(api, headers, context, request).await
        }
        Err(response) => *response,
    };
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Answers a request of a known caller, if the caller's limit lets it pass.
async fn admitted(api: &Api, headers: &HeaderMap, context: RequestContext, request: Request) -> Response {
    let (units, request) = weighed(request);
    let standing = match api.limits.admit(&context.principal, units, api.store().now()) {
        Ok(standing) => standing,
        Err(exceeded) => return too_many(&exceeded),
    };
    let answer = match request.map(|request| request.data(context)) {
        Err(refusal) => *refusal,
        Ok(request) => match tokio::time::timeout(TIME_LIMIT, api.schema.execute(request)).await {
            Ok(answer) => answer,
            Err(_) => refused("TIMEOUT", "This took too long and was given up."),
        },
    };
    let answer = answer.extension("cost", value!({ "units": units }));
    with_numbers(encode(headers, &with_codes(answer)), standing.iter().flat_map(Standing::headers))
}

/// The refusal of a request that costs more than its caller has left.
fn too_many(exceeded: &Exceeded) -> Response {
    let extensions = json!({ "code": "RATE_LIMITED", "retryAfter": exceeded.retry_after });
    let error = json!({ "message": exceeded.to_string(), "extensions": extensions });
    let body = json!({ "errors": [error], "extensions": { "cost": { "units": exceeded.cost } } });
    let response = (StatusCode::TOO_MANY_REQUESTS, [(header::VARY, "Accept")], axum::Json(body)).into_response();
    with_numbers(response, exceeded.headers())
}

fn with_numbers(mut response: Response, headers: impl Iterator<Item = (&'static str, u64)>) -> Response {
    let headers = headers.map(|(name, number)| (HeaderName::from_static(name), HeaderValue::from(number)));
    response.headers_mut().extend(headers);
    response
}

async fn principal(api: &Api, headers: &HeaderMap, origin: &Origin) -> Result<Principal, Box<Response>> {
    let credential = match bearer(headers) {
        None => None,
        Some(Ok(credential)) => Some(credential),
        Some(Err(())) => return Err(Box::new(unauthenticated())),
    };
    match authenticate(api.store(), &api.usage, api.oidc.as_ref(), credential.as_deref(), origin).await {
        Ok(principal) => Ok(principal),
        Err(auth::Error::Invalid) => Err(Box::new(unauthenticated())),
        Err(error) => Err(Box::new(unavailable(origin, &error))),
    }
}

/// An answer of the schema's form with nothing but one error.
pub(super) fn refused(code: &str, message: impl Into<String>) -> Answer {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code);
    Answer::from_errors(vec![error])
}

/// The request, if its document is within its bounds. One that cannot be parsed is left to the engine, which says where.
fn within_bounds(mut request: Request) -> Result<Request, Box<Answer>> {
    let too_complex = |message: String| Box::new(refused("QUERY_TOO_COMPLEX", message));
    if request.query.len() > document::BYTES {
        return Err(too_complex(format!("A document has at most {} bytes.", document::BYTES)));
    }
    match request.parsed_query().map(document::check) {
        Ok(Err(message)) => Err(too_complex(message)),
        Ok(Ok(())) | Err(_) => Ok(request),
    }
}

/// What a request costs, and the request if its document is within its bounds. One that is not costs the least.
pub(super) fn weighed(request: Request) -> (u32, Result<Request, Box<Answer>>) {
    match within_bounds(request) {
        Err(refusal) => (cost::LEAST, Err(refusal)),
        Ok(mut request) => {
            let variables = std::mem::take(&mut request.variables);
            let operation = request.operation_name.take();
            let units = request
                .parsed_query()
                .map_or(cost::LEAST, |document| cost::of(document, operation.as_deref(), &variables));
            request.operation_name = operation;
            (units, Ok(request.variables(variables)))
        }
    }
}

/// Writes an answer in the media type that was asked for. A document that could not be run at all has no `data`, and
/// with the media type of GraphQL it is a bad request.
fn encode(headers: &HeaderMap, answer: &Answer) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let graphql = accept.contains(GRAPHQL_RESPONSE);
    let not_run = answer.data == Value::Null && answer.errors.iter().all(|error| error.path.is_empty());
    let body = if not_run && !answer.errors.is_empty() {
        serde_json::to_vec(&json!({ "errors": answer.errors, "extensions": answer.extensions }))
    } else {
        serde_json::to_vec(answer)
    };
    let Ok(body) = body else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "The answer could not be written.");
    };
    let status = if graphql && not_run && !answer.errors.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let media = if graphql { GRAPHQL_RESPONSE } else { "application/json" };
    let headers = [(header::CONTENT_TYPE, format!("{media}; charset=utf-8")), (header::VARY, "Accept".to_owned())];
    (status, headers, body).into_response()
}

/// The answer with a code on every error, whoever made it: the engine's own have none, and mean a bad document. What the
/// engine says of one that cannot be parsed quotes it; the place is enough.
pub(super) fn with_codes(mut answer: Answer) -> Answer {
    for error in &mut answer.errors {
        if error.message.starts_with(" --> ") {
            let place =
                error.locations.first().map(|place| format!(" at line {}, column {}", place.line, place.column));
            error.message = format!("The document cannot be parsed{}.", place.unwrap_or_default());
        }
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", "BAD_USER_INPUT");
        }
    }
    answer
}
