//! An export on its way: page after page, as fast as the client takes them, for as long as it may.

use axum::body::Bytes;
use futures_util::Stream;
use tokio::sync::watch::Receiver;

use super::{csv, part::Part};
use crate::{
    auth::{
        Principal,
        watch::{credential, standing},
    },
    commands::Caller,
    domain::{
        Actor, OrganizationId, Refusal,
        organization::{Permission, Permissions, audit::ExportFormat},
    },
    http::{Api, Stopping, problem::Problem},
    store::{
        self,
        export::{self, Exported, PAGE},
        history::Filter,
        standing::Credential,
    },
};

/// How much is handed over at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Why an export ended before its end. Whoever reads it sees a connection that broke.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the service stops")]
    Stopped,
    #[error("the access has ended")]
    AccessEnded,
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// An export that has begun.
pub(super) struct Export {
    api: Api,
    actor: Actor,
    credential: Credential,
    organization: OrganizationId,
    format: ExportFormat,
    filter: Filter,
    /// What was sent, and how far it goes.
    after: u64,
    until: u64,
    /// What the organization is called, where names are written.
    name: String,
    reference: String,
    watched: Receiver<Option<Permissions>>,
    stopping: Stopping,
}

impl Export {
    /// Begins it, for who may: the event that tells of it is written and is the last one that is sent.
    pub(super) async fn begin(
        api: &Api,
        caller: &Caller,
        principal: &Principal,
        (organization, format): (OrganizationId, ExportFormat),
        part: Part,
        end: u64,
    ) -> Result<Self, Problem> {
        let not_found = || Refusal::NotFound { field: "id" };
        let credential = credential(principal).ok_or_else(not_found)?;
        let row = api.store().lookups.organizations.find((organization, None)).await?;
        let now = standing(api.store(), credential, organization).await?.ok_or_else(not_found)?;
        Ok(Self {
            api: api.clone(),
            actor: caller.actor,
            credential,
            organization,
            format,
            after: part.0.from_sequence.map_or(0, |from| from.saturating_sub(1)),
            // The filter names the first sequence that is not meant.
            until: part.0.to_sequence.map_or(end, |to| end.min(to.saturating_sub(1))),
            filter: part.0,
            name: row.ok_or_else(not_found)?.name,
            reference: caller.origin.request_id.clone(),
            watched: api.watch.follow(credential, organization, now),
            stopping: api.stopping(),
        })
    }

    /// The file, in pieces as the client takes them.
    pub(super) fn stream(mut self) -> impl Stream<Item = Result<Bytes, Broken>> {
        async_stream::stream! {
            if self.format == ExportFormat::Csv {
                yield csv::head().map_err(|error| self.told(error.into()));
            }
            while self.after < self.until {
                let mut page = match self.next().await {
                    Ok(page) => page,
                    Err(broken) => {
                        yield Err(self.told(broken));
                        return;
                    }
                };
                while !page.is_empty() {
                    if let Err(broken) = self.goes_on() {
                        yield Err(self.told(broken));
                        return;
                    }
                    yield Ok(page.split_to(page.len().min(CHUNK)));
                }
            }
        }
    }

    /// Whether anything ended it since its page was read: a client may take its time for one.
    fn goes_on(&self) -> Result<(), Broken> {
        match *self.watched.borrow() {
            _ if self.stopping.has_begun() => Err(Broken::Stopped),
            access if !may_read(access) => Err(Broken::AccessEnded),
            _ => Ok(()),
        }
    }

    /// The next page, if whoever asked may still read it.
    async fn next(&mut self) -> Result<Bytes, Broken> {
        let mut stopping = self.stopping.clone();
        stopping.unless(self.page()).await.unwrap_or(Err(Broken::Stopped))
    }

    async fn page(&mut self) -> Result<Bytes, Broken> {
        let Self { organization, .. } = *self;
        let store = self.api.store();
        if !may_read(standing(store, self.credential, organization).await?) {
            return Err(Broken::AccessEnded);
        }
        let page = export::page(&store.database, organization, &self.filter, self.after, self.until).await?;
        let full = page.len() == PAGE as usize;
        let last = page.last().map(Exported::sequence).filter(|_| full);
        let bytes = match self.format {
            ExportFormat::Jsonl => {
                let mut lines = Vec::with_capacity(page.len() * 512);
                page.iter().try_for_each(|exported| exported.write_line(&mut lines))?;
                lines.into()
            }
            ExportFormat::Csv => {
                let entries = page.into_iter().map(Exported::decode).collect::<Result<Vec<_>, _>>()?;
                let names = csv::wanted(&entries).load(&store.database, organization).await?;
                csv::body(&entries, &self.name, &names)?
            }
        };
        // A page that is not full is the last one.
        self.after = last.unwrap_or(self.until);
        Ok(bytes)
    }

    /// Says in the log why the connection breaks.
    fn told(&self, broken: Broken) -> Broken {
        let Self { reference, organization, actor, .. } = self;
        if let Broken::Store(error) = &broken {
            tracing::error!(reference, ?error, "an export was broken off");
        } else {
            tracing::info!(reference, %organization, ?actor, %broken, "an export was broken off");
        }
        broken
    }
}

/// Whether this access is one that reads exports.
fn may_read(access: Option<Permissions>) -> bool {
    access.is_some_and(|permissions| permissions.has(Permission::AuditExport))
}
