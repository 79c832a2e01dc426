//! Wakes who waits for an organization's events. A wake-up is only a hint: catching up from the ledger is the only
//! path to an event, so a lost one costs a second and never an event.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

use super::{Database, Error, number, statement::Statement};
use crate::domain::OrganizationId;

/// How often the heads of all subscribed organizations are read, for what other processes wrote.
pub const POLL: Duration = Duration::from_secs(1);

/// How many of those who were woken read at a time, half of what SQLite has readers. All others wait here, for as long as
/// it takes and at little cost; for a connection they would wait a few seconds at most, and everybody else behind them.
const READING: usize = 4;

/// How many commits are remembered until other servers are told of them.
const NEWS: usize = 4096;

/// The right to read what one was woken for. It should not be kept while something is sent.
pub struct Turn(#[expect(dead_code, reason = "it is held, not read")] Option<OwnedSemaphorePermit>);

type Heads = HashMap<OrganizationId, watch::Sender<u64>>;

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
        self.with(|heads| heads.entry(organization).or_insert_with(|| watch::channel(0).0).subscribe())
    }

    /// Waits for a turn to read, which lasts until it is dropped.
    pub async fn turn(&self) -> Turn {
        Turn(Arc::clone(&self.turns).acquire_owned().await.ok())
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
            if let Some(head) = heads.get(&organization) {
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
            heads.retain(|_, head| head.receiver_count() > 0);
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
