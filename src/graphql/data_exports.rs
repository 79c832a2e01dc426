//! Exports of data: how far one is, and where it can be had.

use async_graphql::{Context, Enum, ID, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    context::{services, store},
    errors::OrInternal,
};
use crate::{
    domain::{DataExportId, GlobalId},
    store::data_exports::{self, DataExportRow, Owner, State},
};

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "State")]
pub enum DataExportState {
    /// It waits to be made.
    Pending,
    /// It is being made.
    Running,
    /// It can be downloaded.
    Ready,
    /// It could not be made; ask for another one.
    Failed,
    /// It is gone: its week is over, or somebody in it was erased.
    Expired,
}

/// A copy of everything that is kept about an organization or a person: a ZIP archive of JSON and CSV files.
#[derive(Clone, Debug, SimpleObject)]
pub struct DataExport {
    /// Its id.
    id: ID,
    /// How far it is.
    state: DataExportState,
    /// The same in percent.
    progress: i32,
    /// Where to GET it, with the `Authorization` of who may have it; null, unless it is ready.
    download_url: Option<String>,
    /// Until when; null, unless it is ready.
    expires_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    requested_at: DateTime<Utc>,
}

impl DataExport {
    /// The export of a row, as it is now.
    pub fn of(ctx: &Context<'_>, row: &DataExportRow) -> Result<Self> {
        let state = row.state_at(store(ctx)?.now());
        let id = match row.owner() {
            Owner::Organization(organization) => GlobalId::DataExport(organization, row.id()),
            Owner::Person(_) => GlobalId::ViewerDataExport(row.id()),
        };
        let ready = state == State::Ready;
        let public_url = &services(ctx)?.public_url;
        Ok(Self {
            id: id.to_string().into(),
            state: state.into(),
            progress: i32::try_from(row.progress).unwrap_or_default(),
            download_url: ready.then(|| format!("{public_url}/data-exports/{id}")),
            expires_at: row.expires_at.filter(|_| ready),
            requested_at: row.requested_at,
        })
    }

    /// An export of an owner; null, where there is none with this id.
    pub async fn find(ctx: &Context<'_>, owner: Owner, export: DataExportId) -> Result<Option<Self>> {
        let row = data_exports::find(&store(ctx)?.database, owner, export).await.or_internal(ctx)?;
        row.map(|row| Self::of(ctx, &row)).transpose()
    }
}
