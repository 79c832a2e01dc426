//! The download of an export. It asks for the caller's credential like everything else, and for the permission again:
//! what was taken away since the export was asked for is not given.

use axum::{
    Json,
    body::Body,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{Api, Client, cost, graphql};
use crate::{
    auth::Principal,
    commands::Caller,
    domain::{GlobalId, Refusal},
    store::{
        self,
        data_exports::{self, Owner, State as Progress},
    },
};

/// Why there is nothing to download.
fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
}

fn missing() -> Response {
    problem(StatusCode::NOT_FOUND, "NOT_FOUND", "There is no such export.")
}

/// Gives an export to who may have it.
pub(super) async fn download(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let origin = api.origin(&headers, client);
    let principal = match graphql::principal(&api, &headers, &origin).await {
        Ok(principal) => principal,
        Err(response) => return *response,
    };
    let Some(actor) = principal.actor() else { return graphql::unauthenticated() };
    if let Err(exceeded) = api.limits.admit(&principal, cost::LEAST, api.store().now()) {
        return graphql::too_many(&exceeded);
    }
    match find(&api, &principal, &Caller { actor, origin: origin.clone() }, &id).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(reference = origin.request_id, ?error, "an export could not be given");
            let message = format!("The service is not available now; the reference is {}.", origin.request_id);
            problem(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", &message)
        }
    }
}

async fn find(api: &Api, principal: &Principal, caller: &Caller, id: &str) -> Result<Response, store::Error> {
    let (owner, export) = match (id.parse(), principal.user()) {
        (Ok(GlobalId::DataExport(organization, export)), _) => (Owner::Organization(organization), export),
        (Ok(GlobalId::ViewerDataExport(export)), Some(user)) => (Owner::Person(user), export),
        _ => return Ok(missing()),
    };
    if let Owner::Organization(organization) = owner
        && let Err(refusal) = api.commands.may_export(caller, organization).await?
    {
        return Ok(match refusal {
            Refusal::NotFound { .. } => missing(),
            refusal => problem(StatusCode::FORBIDDEN, refusal.code(), &refusal.to_string()),
        });
    }
    let store = api.store();
    let Some(row) = data_exports::find(&store.database, owner, export).await? else { return Ok(missing()) };
    match row.state_at(store.now()) {
        Progress::Ready => {}
        Progress::Expired => return Ok(problem(StatusCode::GONE, "EXPIRED", "This export is gone: ask for another.")),
        Progress::Pending | Progress::Running | Progress::Failed => {
            return Ok(problem(StatusCode::CONFLICT, "NOT_READY", "This export is not ready."));
        }
    }
    let fence = u64::try_from(row.fence).unwrap_or_default();
    let Some((length, content)) = api.settings.files.read_export(owner, export, fence).await? else {
        tracing::error!(%export, "the file of an export is gone");
        return Ok(missing());
    };
    let shown = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.zip\"")),
    ];
    Ok((shown, Body::from_stream(content)).into_response())
}
