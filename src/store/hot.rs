//! Hot aggregates: an organization in memory with the head it was folded to, and how it is taken out and put back.

use std::sync::Arc;

use cqrs_es::AggregateContext;
use quick_cache::{Weighter, sync::Cache};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Database, Error, chain, database::Transaction, number, statement::Statement};
use crate::domain::{Organization, OrganizationId, Timestamp};

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

/// A taken aggregate. Dropped unchanged it goes back to the cache; dropped changed and not committed it is gone.
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
    /// Puts the aggregate at its new head, so that it goes back to the cache.
    pub(super) fn moved_to(mut self, head: Head) {
        self.hot.head = head;
        let weight = self.hot.aggregate.weight();
        if weight > self.weight + self.weight / 8 {
            let slot = Arc::clone(OwnedMutexGuard::mutex(&self.slot));
            self.cache.insert(self.organization, Cached { slot, weight });
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let clean = self.hot.aggregate.version() == self.hot.head.version;
        if clean && self.hot.head.version > 0 {
            let aggregate = std::mem::take(&mut self.hot.aggregate);
            *self.slot = Some(Hot { aggregate, head: self.hot.head.clone() });
        }
    }
}

impl AggregateContext<Organization> for Context {
    fn aggregate(&mut self) -> &mut Organization {
        &mut self.hot.aggregate
    }
}
