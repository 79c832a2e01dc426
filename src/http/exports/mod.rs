//! The audit log as a file: `GET /organizations/{id}/audit.jsonl` and `audit.csv`.
//!
//! *Shape.* The credential, the limit, the filter and the permission are looked at in this order; then the export is
//! written into the ledger as an event, and what is sent ends with that event. Pages are read as the client takes them.
//!
//! *Promises.* Memory does not grow with the log. A file that is not whole never looks whole: whatever ends it early
//! (lost access, a stop, a failure of the store) breaks the connection off without its last chunk.
//!
//! *Limits.* An export costs a key [`COST`] units, whatever its length. It is no snapshot: names are those of the moment
//! their page is read.

mod csv;
mod file;
mod part;

use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, Path, RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;

use file::{Broken, Export};
use part::Part;

use super::{Api, Client, graphql, problem::Problem};
use crate::{
    auth::{self, Principal, authenticate, limits::Standing},
    commands::{Caller, Terms},
    domain::{
        Actor, GlobalId, Refusal,
        organization::{Action, Ask, OrganizationAction, audit::ExportFormat},
    },
    store::{append::Origin, ledger::Freshness},
};

/// What an export costs a key, in units: what a key for agents may spend at once.
const COST: u32 = 10;

/// Answers with lines of JSON.
pub(super) async fn lines(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    (method, version): (Method, Version),
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let origin = api.origin(&headers, client);
    let asked = Asked { id, query, method, version, format: ExportFormat::Jsonl };
    answer(&api, &headers, &origin, asked).await.unwrap_or_else(IntoResponse::into_response)
}

/// Answers with comma-separated values.
pub(super) async fn comma_separated(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    (method, version): (Method, Version),
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let origin = api.origin(&headers, client);
    let asked = Asked { id, query, method, version, format: ExportFormat::Csv };
    answer(&api, &headers, &origin, asked).await.unwrap_or_else(IntoResponse::into_response)
}

/// What was asked for, as it came.
struct Asked {
    id: String,
    query: Option<String>,
    method: Method,
    version: Version,
    format: ExportFormat,
}

fn bad(status: StatusCode, sentence: impl Into<String>) -> Problem {
    Problem::new(status, "BAD_USER_INPUT", sentence)
}

async fn answer(api: &Api, headers: &HeaderMap, origin: &Origin, asked: Asked) -> Result<Response, Problem> {
    let Asked { id, query, method, version, format } = asked;
    let (principal, actor) = principal(api, headers, origin).await?;
    let admitted = api.limits.admit(&principal, COST, api.store().now());
    let standing = admitted.map_err(|exceeded| {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", exceeded.to_string());
        let name = HeaderName::from_static;
        exceeded.headers().fold(problem, |problem, (header, number)| problem.with(name(header), number))
    })?;
    if version < Version::HTTP_11 {
        // There a body that is not whole cannot be told from one that is.
        let sentence = "Ask by HTTP/1.1 or newer; behind nginx, set proxy_http_version to 1.1.";
        return Err(bad(StatusCode::HTTP_VERSION_NOT_SUPPORTED, sentence));
    }
    let Ok(GlobalId::Organization(organization)) = id.parse() else {
        return Err(Refusal::NotFound { field: "id" }.into());
    };
    let part = Part::parse(organization, query.as_deref().unwrap_or_default());
    let part = part.map_err(|sentence| bad(StatusCode::BAD_REQUEST, sentence))?;
    let caller = Caller { actor, origin: origin.clone() };
    let body = if method == Method::HEAD {
        let ask = Ask::about(OrganizationAction::ExportAuditLog);
        let answers = api.commands.may(actor, organization, &[ask], Freshness::Compared).await?;
        answers.into_iter().try_for_each(|answer| answer.map_err(Problem::from))?;
        Body::from_stream(stream::empty::<Result<Bytes, Broken>>())
    } else {
        let action = Action::ExportAuditLog { format, filtered: part.is_filtered() };
        let end = api.commands.execute(&caller, organization, action, Terms::default()).await?.version;
        Body::from_stream(Export::begin(api, &caller, &principal, (organization, format), part, end).await?.stream())
    };
    let (media, extension) = match format {
        ExportFormat::Jsonl => ("application/jsonl", "jsonl"),
        ExportFormat::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
    };
    let file = format!("attachment; filename=\"{id}-audit.{extension}\"");
    let headers =
        [(header::CONTENT_TYPE, media), (header::CONTENT_DISPOSITION, &file), (header::CACHE_CONTROL, "no-store")];
    Ok(graphql::with_numbers((headers, body).into_response(), standing.iter().flat_map(Standing::headers)))
}

/// Who asks; somebody has to.
async fn principal(api: &Api, headers: &HeaderMap, origin: &Origin) -> Result<(Principal, Actor), Problem> {
    let unauthenticated = || {
        let sentence = "Send a valid credential: Authorization: Bearer and a session token or an API key.";
        Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", sentence)
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    };
    let Some(Ok(credential)) = graphql::bearer(headers) else { return Err(unauthenticated()) };
    let authenticated =
        authenticate(api.store(), &api.usage, api.settings.oidc.as_ref(), Some(&credential), origin).await;
    match authenticated {
        Ok(principal) => principal.actor().map(|actor| (principal, actor)).ok_or_else(unauthenticated),
        Err(auth::Error::Invalid) => Err(unauthenticated()),
        Err(auth::Error::Store(error)) => Err(error.into()),
        Err(auth::Error::Provider) => Err(Problem::unavailable()),
    }
}
