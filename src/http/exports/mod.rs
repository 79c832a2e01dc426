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
    http::{HeaderMap, Method, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;

use file::{Broken, Export};
use part::Part;

use super::{Api, Client, graphql, problem::Problem};
use crate::{
    auth::limits::Standing,
    commands::{Caller, Terms},
    domain::{
        GlobalId, Refusal,
        organization::{Action, Ask, OrganizationAction, audit::ExportFormat},
    },
    store::{append::Origin, ledger::Freshness},
};

/// What an export costs a key, in units: what a key for agents may spend at once.
const COST: u32 = 10;

/// Answers with the file of that name.
pub(super) async fn show(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    (method, version): (Method, Version),
    Path((id, file)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let origin = api.origin(&headers, client);
    let asked = Asked { id, file, query, method, version };
    answer(&api, &headers, &origin, asked).await.unwrap_or_else(IntoResponse::into_response)
}

/// What was asked for, as it came.
struct Asked {
    id: String,
    file: String,
    query: Option<String>,
    method: Method,
    version: Version,
}

fn bad(status: StatusCode, sentence: impl Into<String>) -> Problem {
    Problem::new(status, "BAD_USER_INPUT", sentence)
}

async fn answer(api: &Api, headers: &HeaderMap, origin: &Origin, asked: Asked) -> Result<Response, Problem> {
    let Asked { id, file, query, method, version } = asked;
    let format = match file.as_str() {
        "audit.jsonl" => ExportFormat::Jsonl,
        "audit.csv" => ExportFormat::Csv,
        _ => return Err(Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is no such file.")),
    };
    let (principal, actor) = api.caller(headers, origin).await?;
    let standing = api.admit(&principal, COST)?;
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
    let media = match format {
        ExportFormat::Jsonl => "application/jsonl",
        ExportFormat::Csv => "text/csv; charset=utf-8; header=present",
    };
    let file = format!("attachment; filename=\"{id}-{file}\"");
    let headers =
        [(header::CONTENT_TYPE, media), (header::CONTENT_DISPOSITION, &file), (header::CACHE_CONTROL, "no-store")];
    Ok(graphql::with_numbers((headers, body).into_response(), standing.iter().flat_map(Standing::headers)))
}
