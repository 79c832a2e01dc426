//! The ledger: commands are decided on hot aggregates and appended in groups.
//!
//! *Shape.* An aggregate stays in memory behind its organization's lock, so that a command costs no reload and its
//! cost does not grow with the stream. A command takes the aggregate out, is decided, hands its events to a writer
//! task, and puts the aggregate back: the next is decided on what it will have done. The writer commits what all
//! commands that wait have decided in one transaction, in their order.
//!
//! *Promises.* The cache is a hint: an append states the version it was decided on, and the head check alone keeps
//! order, so several processes may share a database. What was decided on something that is not written is not written
//! either, but decided again. What is answered without an append (a refusal, nothing to change, "may I?") is answered
//! only after all before it was written and the version compared with the head. An aggregate that was changed and not
//! committed is never seen again.
//!
//! *Limits.* The cache holds [`CACHE_WEIGHT`] members, invitations and keys. A command gives up after [`DEADLINE`].

use std::{sync::Arc, time::Duration};

use cqrs_es::{AggregateError, CqrsFramework};
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder,
    sync::{Cache, DefaultLifecycle},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::NotesSlot,
    append::{self, Append, Held, Origin},
    commands::{self, Idempotency},
    execution::{Execution, Outcome},
    feed::Feed,
    hot::{self, Cached, Context, Hot, HotCache, Slot, Weight, head, head_in},
    in_time,
    invitations::InvitationDetails,
    snapshots,
    writers::Writers,
};
use crate::domain::{
    Organization, OrganizationId, Refusal,
    organization::{Command, Notes},
};

/// How much the cache of aggregates holds: about 100 bytes each, so some 200 MB at most.
pub const CACHE_WEIGHT: u64 = 2_000_000;
/// How long a command is tried while others keep changing the organization.
pub const DEADLINE: Duration = Duration::from_secs(8);
const CACHED_ORGANIZATIONS: usize = 10_000;
const CACHE_PARTS: usize = 4;
const DUE_SNAPSHOTS: usize = 16;

/// A command with what belongs to its events and is not decided.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose organization.
    pub organization: OrganizationId,
    /// What is asked.
    pub command: Command,
    /// Where it came from.
    pub origin: Origin,
    /// The addresses and names behind invitations.
    pub details: Vec<InvitationDetails>,
    /// What makes a repetition recognizable.
    pub idempotency: Option<Idempotency>,
}

/// What became of a command.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    /// The version of the organization after it: the ledger position to wait for.
    pub version: u64,
    /// Whether events were written.
    pub written: bool,
    /// Whether it had been done before, with the same idempotency key.
    pub replayed: bool,
    /// What it made or touched: invitations row by row, the new key or role, the keys of who lost access.
    pub objects: Vec<Uuid>,
    /// What the answer needs beside the events.
    pub notes: Notes,
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A rule said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] Error),
}

/// How sure a command wants to be of the state it is decided on; each step costs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// What was decided last will do, written or not: the head check of the append finds out.
    Decided,
    /// What is in memory and written.
    Cached,
    /// Compared with the head first.
    Compared,
    /// Under the lock of the head, so that nobody else can append.
    Locked,
}

/// How many refusals are kept at the same time. Each waits for a head, with a connection: somebody who holds one for long
/// shall not have all of them.
const REFUSALS_AT_ONCE: usize = 4;

/// The ledger of all organizations.
#[derive(Clone)]
pub struct Ledger {
    pub(super) database: Database,
    cache: Arc<HotCache>,
    writers: Writers,
    snapshots: mpsc::Sender<OrganizationId>,
    /// Places for those who keep a refusal.
    pub(super) keeping: Arc<Semaphore>,
    pub(super) feed: Feed,
}

/// An empty cache. It has few parts, however many processors there are: each has its share of the weight, and would never
/// hold an organization that is heavier.
fn cache() -> HotCache {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(CACHED_ORGANIZATIONS)
        .weight_capacity(CACHE_WEIGHT)
        .shards(CACHE_PARTS)
        .build();
    let lifecycle = DefaultLifecycle::default();
    match options {
        Ok(options) => Cache::with_options(options, Weight, DefaultHashBuilder::default(), lifecycle),
        Err(_) => Cache::with_weighter(CACHED_ORGANIZATIONS, CACHE_WEIGHT, Weight),
    }
}

impl Ledger {
    /// Opens the ledger and starts its writers, and who takes its snapshots.
    pub fn open(database: Database, feed: Feed) -> Self {
        let writers = Writers::start(&database);
        let (snapshots, due) = mpsc::channel(DUE_SNAPSHOTS);
        tokio::spawn(snapshots::take(database.clone(), due));
        let keeping = Arc::new(Semaphore::new(REFUSALS_AT_ONCE));
        Self { database, cache: Arc::new(cache()), writers, snapshots, keeping, feed }
    }

    /// How much is in memory: members, invitations and keys of all organizations that are.
    pub fn weight(&self) -> u64 {
        self.cache.weight()
    }

    /// Decides a command and appends what happens.
    ///
    /// It runs in a task of its own: a caller that goes away neither cancels nor half-finishes it. Whoever is told that
    /// the store is unavailable does not know whether it was done, or will be.
    pub async fn execute(&self, request: Request) -> Result<Receipt, Failure> {
        let ledger = self.clone();
        let task = tokio::spawn(async move { ledger.decide_until_sure(&request).await });
        in_time(async { task.await.map_err(|_| Error::Stopped) }).await?
    }

    /// Looks at an organization's state: compared with the head of this moment, or as it is in memory for somebody who
    /// has just had it compared.
    pub async fn view<T>(
        &self,
        organization: OrganizationId,
        freshness: Freshness,
        look: impl FnOnce(&Organization) -> T,
    ) -> Result<T, Error> {
        let context = self.take(organization, freshness).await?;
        Ok(look(&context.hot.aggregate))
    }

    async fn decide_until_sure(&self, request: &Request) -> Result<Receipt, Failure> {
        let deadline = Instant::now() + DEADLINE;
        let mut freshness = Freshness::Decided;
        let mut after_conflict = Freshness::Decided;
        loop {
            if let Some(receipt) = self.done_before(request).await? {
                return Ok(receipt);
            }
            let (result, Outcome { receipt, fresh, belongs }) = self.attempt(request, freshness).await;
            // The same command may have been done between the look and the decision: that is its answer then.
            if !receipt.written
                && fresh
                && let Some(receipt) = self.done_before(request).await?
            {
                return Ok(receipt);
            }
            match result {
                Ok(()) if receipt.written || fresh => {
                    self.keep_rows(request, &receipt).await;
                    return Ok(receipt);
                }
                Err(AggregateError::UserError(refusal)) if fresh => {
                    if belongs {
                        self.keep_refusal(receipt.version, &request.attempt(), &refusal).await;
                    }
                    return Err(refusal.into());
                }
                Ok(()) | Err(AggregateError::UserError(_)) => freshness = Freshness::Compared,
                // The first may be that of a command before it, and all that were decided after that one have it at once:
                // whoever comes first reads the organization anew, and they are decided after each other again.
                Err(AggregateError::AggregateConflict) if Instant::now() < deadline => {
                    freshness = std::mem::replace(&mut after_conflict, Freshness::Locked);
                }
                Err(AggregateError::AggregateConflict) => return Err(Refusal::Conflict.into()),
                Err(
                    AggregateError::DatabaseConnectionError(error)
                    | AggregateError::DeserializationError(error)
                    | AggregateError::UnexpectedError(error),
                ) => return Err(Failure::Store(error.downcast().map_or(Error::Stopped, |error| *error))),
            }
        }
    }

    /// The answer to a command that was done before with the same idempotency key.
    async fn done_before(&self, request: &Request) -> Result<Option<Receipt>, Failure> {
        let Some(idempotency) = &request.idempotency else { return Ok(None) };
        let Command { actor, now, .. } = request.command;
        match commands::find(&self.database, request.organization, actor, &idempotency.key, now).await? {
            None => Ok(None),
            Some(done) if done.fingerprint == idempotency.fingerprint => {
                Ok(Some(Receipt { version: done.version, replayed: true, objects: done.objects, ..Receipt::default() }))
            }
            Some(_) => Err(Refusal::IdempotencyMismatch.into()),
        }
    }

    /// One attempt through cqrs-es.
    async fn attempt(&self, request: &Request, freshness: Freshness) -> (Result<(), AggregateError<Refusal>>, Outcome) {
        let notes = NotesSlot::default();
        let outcome = Arc::new(std::sync::Mutex::new(Outcome::default()));
        let execution = Execution {
            ledger: self.clone(),
            request: request.clone(),
            freshness,
            notes: Arc::clone(&notes),
            outcome: Arc::clone(&outcome),
        };
        let framework = CqrsFramework::new(execution, Vec::new(), Arc::clone(&notes));
        let id = request.organization.to_string();
        let result = framework.execute(&id, request.command.clone()).await;
        let mut outcome = std::mem::take(&mut *locked(&outcome));
        outcome.receipt.notes = std::mem::take(&mut *locked(&notes));
        (result, outcome)
    }

    /// Takes an aggregate out of the cache, behind its organization's lock.
    pub(super) async fn take(&self, organization: OrganizationId, freshness: Freshness) -> Result<Context, Error> {
        let fresh_slot = || Ok::<_, Error>(Cached { slot: Slot::default(), weight: 1 });
        let cached = self.cache.get_or_insert_with(&organization, fresh_slot)?;
        let mut slot = cached.slot.lock_owned().await;
        if let Some(hot) = slot.as_mut() {
            // What is lost is waited for with the rest: whoever comes then finds nothing of it before them.
            let will_do = freshness == Freshness::Decided && !hot.is_lost();
            if !will_do && !hot.is_written().await {
                *slot = None;
            }
        }
        let mut transaction = None;
        let (hot, fresh) = match slot.take() {
            Some(hot) if matches!(freshness, Freshness::Decided | Freshness::Cached) => (hot, false),
            hot => {
                let head = if freshness == Freshness::Locked {
                    let locking = transaction.insert(self.database.begin().await?);
                    head_in(locking, organization).await?
                } else {
                    head(&self.database, organization).await?
                };
                let mut hot = hot::catch_up(&self.database, organization, hot, head, transaction.as_mut()).await?;
                if let Some(place) = self.snapshot_if_due(&mut hot) {
                    place.send(organization);
                }
                (hot, true)
            }
        };
        let mut context = Context {
            organization,
            hot,
            slot,
            transaction,
            fresh,
            cache: Arc::clone(&self.cache),
            weight: cached.weight,
        };
        if fresh {
            context.weigh();
        }
        Ok(context)
    }

    /// A place among the snapshots that are to be taken, if one is due. If too many are, a later command asks again.
    pub(super) fn snapshot_if_due(&self, hot: &mut Hot) -> Option<mpsc::OwnedPermit<OrganizationId>> {
        if !snapshots::is_due(&hot.aggregate, hot.snapshot) {
            return None;
        }
        let place = self.snapshots.clone().try_reserve_owned().ok()?;
        hot.snapshot = hot.aggregate.version();
        Some(place)
    }

    /// Has it written, in the transaction that holds the lock, or by the writer. Once the writer has it, the next command
    /// may have the aggregate.
    pub(super) async fn append(&self, append: Append, mut context: Context) -> Result<(), Error> {
        let (organization, head) = (append.organization, append.head.clone());
        let due = if let Some(mut transaction) = context.transaction.take() {
            if append::run(&mut transaction, &[&append], Held::Awaited).await? != [true] {
                return Err(Error::Conflict);
            }
            transaction.commit().await?;
            context.moved_to(head, self)
        } else {
            let result = self.writers.give(append).await?;
            let written = context.hot.writes();
            let due = context.moved_to(head, self);
            let result = result.await.unwrap_or(Err(Error::Stopped));
            written.tell(result.is_ok());
            result?;
            due
        };
        if let Some(place) = due {
            place.send(organization);
        }
        Ok(())
    }
}

pub(super) fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
