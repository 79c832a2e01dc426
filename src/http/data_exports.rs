//! The download of an export. It asks for the caller's credential like everything else, and for the permission again:
//! what was taken away since the export was asked for is not given.

use super::{Api, Client, cost, problem::Problem};
use crate::{
    commands::Caller,
    domain::GlobalId,
    store::data_exports::{self, Owner, State as Progress},
};
use axum::{
    body::Body,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

fn missing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is no such export.")
}

/// Gives an export to who may have it.
pub(super) async fn download(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let origin = api.origin(&headers, client);
    let (principal, actor) = api.caller(&headers, &origin).await?;
    api.admit(&principal, cost::LEAST)?;
    let (owner, export) = match (id.parse(), principal.user()) {
        (Ok(GlobalId::DataExport(organization, export)), _) => (Owner::Organization(organization), export),
        (Ok(GlobalId::ViewerDataExport(export)), Some(user)) => (Owner::Person(user), export),
        _ => return Err(missing()),
    };
    if let Owner::Organization(organization) = owner {
        api.commands.may_export(&Caller { actor, origin }, organization).await??;
    }
    let store = api.store();
    let row = data_exports::find(&store.database, owner, export).await?.ok_or_else(missing)?;
    match row.state_at(store.now()) {
        Progress::Ready => {}
        Progress::Expired => {
            return Err(Problem::new(StatusCode::GONE, "EXPIRED", "This export is gone: ask for another."));
        }
        Progress::Pending | Progress::Running | Progress::Failed => {
            return Err(Problem::new(StatusCode::CONFLICT, "NOT_READY", "This export is not ready."));
        }
    }
    let fence = u64::try_from(row.fence).unwrap_or_default();
    let Some((length, content)) = api.settings.files.read_export(owner, export, fence).await? else {
        tracing::error!(%export, "the file of an export is gone");
        return Err(missing());
    };
    let shown = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.zip\"")),
    ];
    Ok((shown, Body::from_stream(content)).into_response())
}
