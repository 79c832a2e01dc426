//! Hot aggregates: an organization in memory with the head it was folded to, how it gets there, and how it is taken out
//! and put back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use cqrs_es::AggregateContext;
use futures_util::FutureExt;
use quick_cache::{Weighter, sync::Cache};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, watch};

use super::{
    Database, Error, chain, history, ledger::Ledger, number, snapshots, statement::Statement, transaction::Transaction,
};
use crate::domain::{Organization, OrganizationId, Timestamp};

/// How many events are in memory while a stream is folded.
const PAGE: u64 = 1000;

/// Where a stream ends.
#[derive(Clone, Debug)]
pub struct Head {
    /// The sequence of the last event; 0 for none.
    pub version: u64,
    /// Its hash.
    pub hash: Vec<u8>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Whether it is the end of a deleted organization, of which there may be nothing left to fold.
    pub deleted: bool,
}

impl Head {
    pub(super) fn genesis(organization: OrganizationId) -> Self {
        Self { version: 0, hash: chain::genesis(organization).to_vec(), recorded_at: super::NEVER, deleted: false }
    }
}

/// An aggregate and the head it was folded to.
pub(super) struct Hot {
    pub(super) aggregate: Organization,
    pub(super) head: Head,
    /// Where the last snapshot that is known was taken; 0 for none.
    pub(super) snapshot: u64,
    /// What becomes of the commands that were decided on it, while that is not known.
    pub(super) writing: Option<Writing>,
}

/// Whether what was decided on an aggregate is written.
pub(super) struct Writing {
    /// Turns true when the last command is, and with it all before. It is given up where that one is not, or nobody knows.
    last: watch::Receiver<bool>,
    /// Whether one of them is not, so that the last one will not be.
    is_lost: Arc<AtomicBool>,
}

/// Who knows what becomes of a command that was decided on an aggregate.
pub(super) struct Written {
    command: watch::Sender<bool>,
    is_lost: Arc<AtomicBool>,
}

impl Written {
    /// Tells whoever waits for it.
    pub(super) fn tell(self, is_written: bool) {
        if is_written {
            self.command.send_replace(true);
        } else {
            self.is_lost.store(true, Ordering::Relaxed);
        }
    }
}

impl Hot {
    /// An aggregate as the ledger has it.
    pub(super) const fn written(aggregate: Organization, head: Head, snapshot: u64) -> Self {
        Self { aggregate, head, snapshot, writing: None }
    }

    fn genesis(organization: OrganizationId) -> Self {
        Self::written(Organization::default(), Head::genesis(organization), 0)
    }

    /// Waits until all that it was folded from is written; false where that will not be.
    pub(super) async fn is_written(&mut self) -> bool {
        if let Some(Writing { last, .. }) = &mut self.writing
            && last.wait_for(|written| *written).await.is_err()
        {
            return false;
        }
        self.writing = None;
        true
    }

    /// Whether some of it will not be written, as far as is known.
    pub(super) fn is_lost(&mut self) -> bool {
        let is_lost = self.writing.as_ref().is_some_and(|writing| writing.is_lost.load(Ordering::Relaxed));
        is_lost || self.is_written().now_or_never() == Some(false)
    }

    /// Notes that a command is being written.
    pub(super) fn writes(&mut self) -> Written {
        let (command, last) = watch::channel(false);
        let is_lost = self.writing.take().map(|writing| writing.is_lost).unwrap_or_default();
        self.writing = Some(Writing { last, is_lost: Arc::clone(&is_lost) });
        Written { command, is_lost }
    }
}

pub(super) type Slot = Arc<Mutex<Option<Hot>>>;

/// A slot with the weight it was put into the cache with.
#[derive(Clone)]
pub(super) struct Cached {
    pub(super) slot: Slot,
    pub(super) weight: u64,
}

/// Weighs an aggregate by what it held when it was put into the cache.
#[derive(Clone)]
pub(super) struct Weight;

/// The aggregates that are hot.
pub(super) type HotCache = Cache<OrganizationId, Cached, Weight>;

impl Weighter<OrganizationId, Cached> for Weight {
    fn weight(&self, _: &OrganizationId, cached: &Cached) -> u64 {
        cached.weight
    }
}

const HEAD: &str = "SELECT version, head_hash, recorded_at, state FROM streams WHERE organization_id = $1";
type HeadRow = (i64, Vec<u8>, Timestamp, String);

fn to_head((version, hash, recorded_at, state): HeadRow) -> Head {
    Head { version: number(version), hash, recorded_at, deleted: state != "LIVING" }
}

/// Where a stream ends; `None` where there is none.
pub async fn head(database: &Database, organization: OrganizationId) -> Result<Option<Head>, Error> {
    let row: Option<HeadRow> = Statement::new(HEAD).bind(organization.0).optional(database).await?;
    Ok(row.map(to_head))
}

/// The same inside a transaction; if it writes, nobody else appends until it ends.
pub(super) async fn head_in(
    transaction: &mut Transaction,
    organization: OrganizationId,
) -> Result<Option<Head>, Error> {
    let text = format!("{HEAD}{}", transaction.row_lock());
    let row: Option<HeadRow> = Statement::new(text).bind(organization.0).optional_in(transaction).await?;
    Ok(row.map(to_head))
}

/// Folds what an aggregate lacks up to the head; all of it, from a snapshot where there is one, if it was not in memory.
/// Inside a transaction everything is read there: a command that holds one connection and waits for another could wait
/// for itself.
pub(super) async fn catch_up(
    database: &Database,
    organization: OrganizationId,
    hot: Option<Hot>,
    head: Option<Head>,
    mut transaction: Option<&mut Transaction>,
) -> Result<Hot, Error> {
    let head = head.unwrap_or_else(|| Head::genesis(organization));
    match hot {
        Some(hot) if hot.head.hash == head.hash => return Ok(hot),
        _ if head.deleted => {
            return Ok(Hot::written(Organization::tombstone(head.version), head, u64::MAX));
        }
        Some(hot) if hot.head.version < head.version => {
            return fold(database, organization, hot, head, transaction).await;
        }
        // A head that went back, or sideways, is another history: nothing of the old one is kept.
        _ => {}
    }
    if head.version > snapshots::AT_LEAST
        && let Some(snapshot) = snapshots::find(database, organization, &head, transaction.as_deref_mut()).await?
    {
        match fold(database, organization, snapshot, head.clone(), transaction.as_deref_mut()).await {
            Err(Error::Corrupt { .. }) => tracing::warn!(%organization, "a snapshot does not fit its stream"),
            done => return done,
        }
    }
    fold(database, organization, Hot::genesis(organization), head, transaction).await
}

/// Folds a stream from one place to another, page by page.
async fn fold(
    database: &Database,
    organization: OrganizationId,
    from: Hot,
    head: Head,
    mut transaction: Option<&mut Transaction>,
) -> Result<Hot, Error> {
    let Hot { mut aggregate, head: Head { mut hash, mut version, .. }, snapshot, .. } = from;
    while version < head.version {
        let until = head.version.min(version + PAGE);
        let page = match transaction.as_deref_mut() {
            Some(transaction) => history::after_in(transaction, organization, version, until).await?,
            None => history::after(database, organization, version, until).await?,
        };
        if page.first().is_none_or(|first| first.prev_hash != hash) {
            let what = "the stream does not continue what was read before";
            return Err(Error::corrupt(organization, version, what));
        }
        for recorded in page {
            aggregate.evolve(&recorded.event);
            (version, hash) = (recorded.sequence, recorded.hash);
        }
    }
    if aggregate.version() != head.version || hash != head.hash {
        let what = format!("the stream ends at {}, its head says {}", aggregate.version(), head.version);
        return Err(Error::corrupt(organization, head.version, what));
    }
    Ok(Hot::written(aggregate, head, snapshot))
}

/// A taken aggregate. Dropped unchanged it goes back to the cache; dropped changed and with nobody writing it, it is gone.
pub(super) struct Context {
    pub(super) organization: OrganizationId,
    pub(super) hot: Hot,
    pub(super) slot: OwnedMutexGuard<Option<Hot>>,
    /// The transaction that holds the lock of the head, where there is one.
    pub(super) transaction: Option<Transaction>,
    /// Whether the aggregate was compared with the head when it was taken.
    pub(super) fresh: bool,
    pub(super) cache: Arc<HotCache>,
    pub(super) weight: u64,
}

impl Context {
    /// Puts the aggregate at its new head, which is written or is being written, so that it goes back to the cache. The
    /// place of its snapshot, if one is due once it is written.
    pub(super) fn moved_to(mut self, head: Head, ledger: &Ledger) -> Option<mpsc::OwnedPermit<OrganizationId>> {
        self.hot.head = head;
        self.weigh();
        ledger.snapshot_if_due(&mut self.hot)
    }

    /// Tells the cache what the aggregate weighs, where that is more than it knows.
    pub(super) fn weigh(&mut self) {
        let weight = self.hot.aggregate.weight();
        if weight > self.weight + self.weight / 8 {
            self.weight = weight;
            let slot = Arc::clone(OwnedMutexGuard::mutex(&self.slot));
            self.cache.insert(self.organization, Cached { slot, weight });
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let clean = self.hot.aggregate.version() == self.hot.head.version;
        if clean && self.hot.head.version > 0 {
            let Hot { aggregate, head, writing, .. } = &mut self.hot;
            let (aggregate, writing) = (std::mem::take(aggregate), writing.take());
            *self.slot = Some(Hot { aggregate, head: head.clone(), snapshot: self.hot.snapshot, writing });
        }
    }
}

impl AggregateContext<Organization> for Context {
    fn aggregate(&mut self) -> &mut Organization {
        &mut self.hot.aggregate
    }
}
