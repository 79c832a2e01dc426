//! Wakes who waits for an organization's events. A wake-up is only a hint: catching up from the ledger is the only
//! path to an event, so a lost one costs a second and never an event.
//!
//! *Shape.* Who stands at the same place reads the same page: an event costs the same statements, however many follow it.
//! *Promises.* A page has everything up to the head that its reader knew of, or is full. Nothing is kept: a page goes with
//! the last one that reads it, and one that could not be read fails those that waited for it and nobody after them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{Semaphore, SetOnce, broadcast, watch};

use super::{
    Database, Error,
    aggregate::Recorded,
    history,
    names::{Names, Wanted},
    number,
    statement::Statement,
    transaction::undisturbed,
};
use crate::domain::OrganizationId;

/// How often the heads of all subscribed organizations are read, for what other processes wrote.
pub const POLL: Duration = Duration::from_secs(1);

/// How many events a page has at most.
const PAGE: u32 = 200;

/// How many pages are read at a time, half of what SQLite has readers. All others wait here, for as long as it takes and at
/// little cost; for a connection they would wait a few seconds at most, and everybody else behind them.
const READING: usize = 4;

/// How many commits are remembered until other servers are told of them.
const NEWS: usize = 4096;

/// An organization that somebody follows.
#[derive(Debug)]
struct Followed {
    head: watch::Sender<u64>,
    /// Those of its pages that somebody reads.
    pages: Vec<Weak<Page>>,
}

type Heads = HashMap<OrganizationId, Followed>;

/// The heads of the organizations that somebody waits for.
#[derive(Clone, Debug)]
pub struct Feed {
    heads: Arc<Mutex<Heads>>,
    turns: Arc<Semaphore>,
    news: broadcast::Sender<(OrganizationId, u64)>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { heads: Arc::default(), turns: Arc::new(Semaphore::new(READING)), news: broadcast::channel(NEWS).0 }
    }
}

impl Feed {
    fn with<T>(&self, act: impl FnOnce(&mut Heads) -> T) -> T {
        act(&mut self.heads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows the head of an organization.
    pub fn follow(&self, organization: OrganizationId) -> watch::Receiver<u64> {
        let followed = || Followed { head: watch::channel(0).0, pages: Vec::new() };
        self.with(|heads| heads.entry(organization).or_insert_with(followed).head.subscribe())
    }

    /// The events after a sequence, for somebody who knows of this head: the page of whoever stands there too and knows
    /// no less, or a new one. It is being read from now on.
    pub fn page(&self, database: &Database, organization: OrganizationId, after: u64, head: u64) -> Arc<Page> {
        let new = Arc::new(Page { after, head, read: SetOnce::new() });
        let found = self.with(|heads| {
            let Followed { pages, .. } = heads.get_mut(&organization)?;
            pages.retain(|page| page.strong_count() > 0);
            let knows = |page: &Arc<Page>| page.head >= head || page.is_full();
            let fits = |page: &Arc<Page>| page.after == after && knows(page) && !page.has_failed();
            let found = pages.iter().filter_map(Weak::upgrade).find(fits);
            if found.is_none() {
                pages.push(Arc::downgrade(&new));
            }
            found
        });
        if let Some(page) = found {
            return page;
        }
        let (page, reading) = (Arc::clone(&new), read(database.clone(), Arc::clone(&self.turns), organization, after));
        tokio::spawn(async move {
            let _ = page.read.set(undisturbed(reading).await.map_err(Arc::new));
        });
        new
    }

    /// What is committed here from now on.
    pub fn news(&self) -> broadcast::Receiver<(OrganizationId, u64)> {
        self.news.subscribe()
    }

    /// Tells everybody that an organization's head was moved to this version here.
    pub(super) fn announce(&self, organization: OrganizationId, version: u64) {
        self.publish(organization, version);
        // Without other servers nobody listens.
        let _ = self.news.send((organization, version));
    }

    /// Tells who waits here that an organization's head is at this version now.
    pub fn publish(&self, organization: OrganizationId, version: u64) {
        self.with(|heads| {
            if let Some(Followed { head, .. }) = heads.get(&organization) {
                head.send_if_modified(|known| {
                    let newer = version > *known;
                    *known = version.max(*known);
                    newer
                });
            }
        });
    }

    /// Reads the heads of all organizations that somebody follows, in one statement, and forgets those that nobody
    /// follows any more.
    pub async fn poll(&self, database: &Database) -> Result<(), Error> {
        let followed: Vec<_> = self.with(|heads| {
            heads.retain(|_, followed| followed.head.receiver_count() > 0);
            heads.keys().map(|organization| organization.0).collect()
        });
        for some in followed.chunks(1000) {
            let mut statement =
                Statement::new("SELECT organization_id, version FROM streams WHERE organization_id IN ");
            statement.push_list(some.iter().copied());
            let heads: Vec<(uuid::Uuid, i64)> = statement.all(database).await?;
            for (organization, version) in heads {
                self.publish(OrganizationId(organization), number(version));
            }
        }
        Ok(())
    }
}

/// Events, and today's names of who did them.
type Named = (Vec<Recorded>, Names);

/// A page of an organization's events, with today's names of who did them. A task of its own reads it: who waits for it may
/// be held up by a client that does not read, and holds up nobody then.
#[derive(Debug)]
pub struct Page {
    after: u64,
    /// The head that was known before it was read.
    head: u64,
    read: SetOnce<Result<Named, Arc<Error>>>,
}

impl Page {
    /// Waits until it is read.
    pub async fn wait(&self) -> Result<(), Error> {
        match self.read.wait().await {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Shared(Arc::clone(error))),
        }
    }

    fn found(&self) -> Option<&Named> {
        self.read.get().and_then(|read| read.as_ref().ok())
    }

    fn has_failed(&self) -> bool {
        self.read.get().is_some_and(Result::is_err)
    }

    /// The events, in order; none where there are none, or where they are not read.
    pub fn events(&self) -> &[Recorded] {
        self.found().map_or(&[], |(events, _)| events)
    }

    /// The same, each with the names of all who did something.
    pub fn named(&self) -> impl Iterator<Item = (&Recorded, &Names)> {
        self.found().into_iter().flat_map(|(events, names)| events.iter().map(move |recorded| (recorded, names)))
    }

    /// Whether there may be more events behind it that were there when it was read.
    pub fn is_full(&self) -> bool {
        self.events().len() == PAGE as usize
    }
}

/// Reads the events after a sequence, when it is their turn, and the names of who did them.
async fn read(
    database: Database,
    turns: Arc<Semaphore>,
    organization: OrganizationId,
    after: u64,
) -> Result<Named, Error> {
    let _turn = turns.acquire().await;
    let events = history::next(&database, organization, after, PAGE).await?;
    let mut wanted = Wanted::default();
    for actor in events.iter().filter_map(|recorded| recorded.metadata.actor()) {
        wanted.actor(actor);
    }
    let names = wanted.load(&database, organization).await?;
    Ok((events, names))
}
