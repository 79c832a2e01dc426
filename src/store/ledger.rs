//! The ledger: commands are decided on hot aggregates and appended by one writer.
//!
//! *Shape.* An aggregate stays in memory behind its organization's lock, so that a command costs no reload and its
//! cost does not grow with the stream. A command takes the aggregate out, is decided, and hands its events to the
//! writer task, which commits them; then the aggregate goes back.
//!
//! *Promises.* The cache is a hint: an append states the version it was decided on, and the head check alone keeps
//! order, so several processes may share a database. What is answered without an append (a refusal, nothing to
//! change, "may I?") is answered only after the cached version was compared with the head. An aggregate that was
//! changed and not committed is never seen again.
//!
//! *Limits.* The cache holds [`CACHE_WEIGHT`] members, invitations and keys. A command gives up after [`DEADLINE`].

use std::{collections::HashMap, sync::Arc, time::Duration};

use cqrs_es::{
    AggregateContext, AggregateError, CqrsFramework, EventEnvelope, EventStore,
    persist::{PersistedEventRepository, PersistenceError, SerializedEvent},
};
use postgres_es::PostgresEventRepository;
use quick_cache::{Weighter, sync::Cache};
use sqlite_es::SqliteEventRepository;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, mpsc, oneshot},
    time::Instant,
};
use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::{self, Metadata, NotesSlot, Recorded},
    append::{Append, Origin},
    chain,
    commands::{self, Idempotency},
    database::Transaction,
    feed::Feed,
    history,
    invitations::InvitationDetails,
    number,
    statement::Statement,
};
use crate::domain::{
    Organization, OrganizationId, Refusal, Timestamp,
    organization::{Command, Event, Notes},
};

/// How much the cache of aggregates holds: about 100 bytes each, so some 200 MB at most.
pub const CACHE_WEIGHT: u64 = 2_000_000;
/// How long a command is tried while others keep changing the organization.
pub const DEADLINE: Duration = Duration::from_secs(8);
const CACHED_ORGANIZATIONS: usize = 10_000;
const WAITING_APPENDS: usize = 1024;

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
    /// What it made or touched: invitations row by row, the new key, the keys of who lost access.
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

/// Where a stream ends.
#[derive(Clone, Debug)]
pub struct Head {
    /// The sequence of the last event; 0 for none.
    pub version: u64,
    /// Its hash.
    pub hash: Vec<u8>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

impl Head {
    fn genesis(organization: OrganizationId) -> Self {
        Self { version: 0, hash: chain::genesis(organization).to_vec(), recorded_at: super::NEVER }
    }
}

/// An aggregate and the head it was folded to.
struct Hot {
    aggregate: Organization,
    head: Head,
}

type Slot = Arc<Mutex<Option<Hot>>>;

/// A slot with the weight it was put into the cache with.
#[derive(Clone)]
struct Cached {
    slot: Slot,
    weight: u64,
}

#[derive(Clone)]
struct Weight;

impl Weighter<OrganizationId, Cached> for Weight {
    fn weight(&self, _: &OrganizationId, cached: &Cached) -> u64 {
        cached.weight
    }
}

/// How sure a command wants to be of the state it is decided on; each step costs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    /// What is in memory will do: the head check of the append finds out.
    Cached,
    /// Compared with the head first.
    Compared,
    /// Under the lock of the head, so that nobody else can append.
    Locked,
}

/// The ledger of all organizations.
#[derive(Clone)]
pub struct Ledger {
    database: Database,
    cache: Arc<Cache<OrganizationId, Cached, Weight>>,
    writer: mpsc::Sender<Job>,
    feed: Feed,
}

/// An append that waits for the writer.
struct Job {
    append: Append,
    done: oneshot::Sender<Result<(), Error>>,
}

/// The one task that appends. It ends when the last ledger is dropped.
async fn write(database: Database, mut jobs: mpsc::Receiver<Job>) {
    while let Some(Job { append, done }) = jobs.recv().await {
        let result = async {
            let mut transaction = database.begin().await?;
            append.run(&mut transaction).await?;
            transaction.commit().await
        };
        // Whoever asked may have given up; what was committed stays committed.
        let _ = done.send(result.await);
    }
}

impl Ledger {
    /// Opens the ledger and starts its writer.
    pub fn open(database: Database, feed: Feed) -> Self {
        let (writer, jobs) = mpsc::channel(WAITING_APPENDS);
        tokio::spawn(write(database.clone(), jobs));
        let cache = Cache::with_weighter(CACHED_ORGANIZATIONS, CACHE_WEIGHT, Weight);
        Self { database, cache: Arc::new(cache), writer, feed }
    }

    /// Decides a command and appends what happens.
    ///
    /// It runs in a task of its own: a caller that goes away neither cancels nor half-finishes it.
    pub async fn execute(&self, request: Request) -> Result<Receipt, Failure> {
        let ledger = self.clone();
        let task = tokio::spawn(async move { ledger.decide_until_sure(&request).await });
        task.await.unwrap_or(Err(Failure::Store(Error::Stopped)))
    }

    /// Looks at an organization's state, as of the head of this moment.
    pub async fn view<T>(
        &self,
        organization: OrganizationId,
        look: impl FnOnce(&Organization) -> T,
    ) -> Result<T, Error> {
        let context = self.take(organization, Freshness::Compared).await?;
        Ok(look(&context.hot.aggregate))
    }

    async fn decide_until_sure(&self, request: &Request) -> Result<Receipt, Failure> {
        let deadline = Instant::now() + DEADLINE;
        let mut freshness = Freshness::Cached;
        loop {
            if let Some(receipt) = self.done_before(request).await? {
                return Ok(receipt);
            }
            let (result, receipt, fresh) = self.attempt(request, freshness).await;
            match result {
                Ok(()) if receipt.written || fresh => return Ok(receipt),
                Err(AggregateError::UserError(refusal)) if fresh => return Err(refusal.into()),
                Ok(()) | Err(AggregateError::UserError(_)) => freshness = Freshness::Compared,
                Err(AggregateError::AggregateConflict) if Instant::now() < deadline => freshness = Freshness::Locked,
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

    /// One attempt through cqrs-es; also whether it was decided on a state that was sure to be the newest.
    async fn attempt(
        &self,
        request: &Request,
        freshness: Freshness,
    ) -> (Result<(), AggregateError<Refusal>>, Receipt, bool) {
        let notes = NotesSlot::default();
        let outcome = Arc::new(std::sync::Mutex::new((Receipt::default(), false)));
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
        let (mut receipt, fresh) = std::mem::take(&mut *locked(&outcome));
        receipt.notes = std::mem::take(&mut *locked(&notes));
        (result, receipt, fresh)
    }

    /// Takes an aggregate out of the cache, behind its organization's lock.
    async fn take(&self, organization: OrganizationId, freshness: Freshness) -> Result<Context, Error> {
        let fresh_slot = || Ok::<_, Error>(Cached { slot: Slot::default(), weight: 1 });
        let cached = self.cache.get_or_insert_with(&organization, fresh_slot)?;
        let mut slot = cached.slot.lock_owned().await;
        let hot = slot.take();
        let mut transaction = None;
        let (hot, fresh) = match hot {
            Some(hot) if freshness == Freshness::Cached => (hot, false),
            hot => {
                let head = if freshness == Freshness::Locked {
                    let locking = transaction.insert(self.database.begin().await?);
                    head_in(locking, organization).await?
                } else {
                    head(&self.database, organization).await?
                };
                (self.catch_up(organization, hot, head).await?, true)
            }
        };
        let context = Context {
            organization,
            hot,
            slot,
            transaction,
            fresh,
            cache: Arc::clone(&self.cache),
            weight: cached.weight,
        };
        Ok(context)
    }

    /// Folds what an aggregate lacks up to the head.
    async fn catch_up(&self, organization: OrganizationId, hot: Option<Hot>, head: Option<Head>) -> Result<Hot, Error> {
        let head = head.unwrap_or_else(|| Head::genesis(organization));
        let mut aggregate = match hot {
            Some(hot) if hot.head.version == head.version => return Ok(hot),
            Some(hot) if hot.head.version < head.version => {
                let mut aggregate = hot.aggregate;
                let tail = history::after(&self.database, organization, hot.head.version, head.version).await?;
                tail.iter().for_each(|recorded| aggregate.evolve(&recorded.event));
                aggregate
            }
            _ => self.load(organization, head.version).await?,
        };
        if aggregate.version() != head.version {
            let what = format!("the stream ends at {}, its head says {}", aggregate.version(), head.version);
            return Err(Error::corrupt(organization, head.version, what));
        }
        if head.version == 0 {
            aggregate = Organization::default();
        }
        Ok(Hot { aggregate, head })
    }

    /// Folds a whole stream, read through the stock repositories.
    async fn load(&self, organization: OrganizationId, version: u64) -> Result<Organization, Error> {
        let id = organization.to_string();
        let events = match &self.database {
            Database::Postgres(pool) => {
                PostgresEventRepository::new(pool.clone()).get_events::<Organization>(&id).await
            }
            Database::Sqlite { readers, .. } => {
                SqliteEventRepository::new(readers.clone()).get_events::<Organization>(&id).await
            }
        };
        let events = events.map_err(unavailable)?;
        let mut aggregate = Organization::default();
        for SerializedEvent { sequence, event_type, event_version, payload, .. } in events {
            let sequence = sequence as u64;
            // The stream may have grown since the head was read.
            if sequence <= version {
                aggregate.evolve(&aggregate::decode(organization, sequence, &event_type, &event_version, payload)?);
            }
        }
        Ok(aggregate)
    }

    async fn append(&self, append: Append, transaction: Option<Transaction>) -> Result<(), Error> {
        match transaction {
            Some(mut transaction) => {
                append.run(&mut transaction).await?;
                transaction.commit().await
            }
            None => {
                let (done, result) = oneshot::channel();
                self.writer.send(Job { append, done }).await.map_err(|_| Error::Stopped)?;
                result.await.unwrap_or(Err(Error::Stopped))
            }
        }
    }
}

fn unavailable(error: PersistenceError) -> Error {
    let error = match error {
        PersistenceError::ConnectionError(error)
        | PersistenceError::DeserializationError(error)
        | PersistenceError::UnknownError(error) => error,
        PersistenceError::OptimisticLockError => return Error::Conflict,
    };
    Error::Unavailable(error.downcast().map_or(sqlx::Error::WorkerCrashed, |error| *error))
}

fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

const HEAD: &str = "SELECT version, head_hash, recorded_at FROM streams WHERE organization_id = $1";
type HeadRow = (i64, Vec<u8>, Timestamp);

fn to_head((version, hash, recorded_at): HeadRow) -> Head {
    Head { version: number(version), hash, recorded_at }
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
struct Context {
    organization: OrganizationId,
    hot: Hot,
    slot: OwnedMutexGuard<Option<Hot>>,
    transaction: Option<Transaction>,
    fresh: bool,
    cache: Arc<Cache<OrganizationId, Cached, Weight>>,
    weight: u64,
}

impl Context {
    /// Puts the aggregate at its new head, so that it goes back to the cache.
    fn moved_to(mut self, head: Head) {
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

/// One attempt at one command, as the event store that cqrs-es asks for.
struct Execution {
    ledger: Ledger,
    request: Request,
    freshness: Freshness,
    notes: NotesSlot,
    outcome: Arc<std::sync::Mutex<(Receipt, bool)>>,
}

impl Execution {
    /// Turns decided events into what the ledger keeps, chained behind the head.
    fn record(&self, events: Vec<Event>, head: &Head) -> Result<Vec<Recorded>, Error> {
        let Request { organization, ref command, ref origin, .. } = self.request;
        let metadata = Metadata {
            actor_kind: command.actor.kind().to_owned(),
            actor_id: command.actor.id(),
            request_id: origin.request_id.clone(),
            reason_commitment: origin.reason.as_ref().map(|reason| reason.commitment()),
        };
        let recorded_at = command.now.max(head.recorded_at);
        let corrupt = |sequence, error: serde_json::Error| Error::corrupt(organization, sequence, error.to_string());
        let mut prev_hash = head.hash.clone();
        let mut recorded = Vec::with_capacity(events.len());
        for (sequence, event) in (head.version + 1..).zip(events) {
            let payload = aggregate::encode(&event).map_err(|error| corrupt(sequence, error))?;
            let metadata_value = serde_json::to_value(&metadata).map_err(|error| corrupt(sequence, error))?;
            let link = chain::Link {
                organization,
                sequence,
                event_type: event.name(),
                version: Event::VERSION,
                payload: &payload,
                metadata: &metadata_value,
                recorded_at,
            };
            let hash = link.hash(&prev_hash)?.to_vec();
            let metadata = metadata.clone();
            let link_hash = hash.clone();
            recorded.push(Recorded { organization, sequence, event, payload, metadata, recorded_at, prev_hash, hash });
            prev_hash = link_hash;
        }
        Ok(recorded)
    }

    /// What the command made or touched, in the order of its answer.
    fn objects(&self, events: &[Recorded]) -> Vec<Uuid> {
        let notes = locked(&self.notes);
        let invited = notes.invited.iter().map(|row| row.as_ref().map_or(Uuid::nil(), |row| row.invitation.0));
        let created = events.iter().filter_map(|recorded| match &recorded.event {
            Event::ApiKeyCreated { api_key_id, .. } => Some(api_key_id.0),
            _ => None,
        });
        invited.chain(notes.created_keys.iter().map(|key| key.0)).chain(created).collect()
    }
}

fn failed(error: Error) -> AggregateError<Refusal> {
    match error {
        Error::Conflict => AggregateError::AggregateConflict,
        error => AggregateError::UnexpectedError(Box::new(error)),
    }
}

impl EventStore<Organization> for Execution {
    type AC = Context;

    async fn load_events(&self, _: &str) -> Result<Vec<EventEnvelope<Organization>>, AggregateError<Refusal>> {
        let events = history::after(&self.ledger.database, self.request.organization, 0, u64::MAX).await;
        let envelope = |recorded: Recorded| EventEnvelope {
            aggregate_id: recorded.organization.to_string(),
            sequence: usize::try_from(recorded.sequence).unwrap_or(usize::MAX),
            payload: recorded.event,
            metadata: HashMap::new(),
        };
        Ok(events.map_err(failed)?.into_iter().map(envelope).collect())
    }

    async fn load_aggregate(&self, _: &str) -> Result<Context, AggregateError<Refusal>> {
        let context = self.ledger.take(self.request.organization, self.freshness).await.map_err(failed)?;
        locked(&self.outcome).1 = context.fresh;
        Ok(context)
    }

    async fn commit(
        &self,
        events: Vec<Event>,
        mut context: Context,
        _: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Organization>>, AggregateError<Refusal>> {
        if events.is_empty() {
            locked(&self.outcome).0 =
                Receipt { version: context.hot.head.version, objects: self.objects(&[]), ..Receipt::default() };
            return Ok(Vec::new());
        }
        let before = context.hot.head.version;
        let events = self.record(events, &context.hot.head).map_err(failed)?;
        let objects = self.objects(&events);
        let Some(last) = events.last() else { return Ok(Vec::new()) };
        let head = Head { version: last.sequence, hash: last.hash.clone(), recorded_at: last.recorded_at };
        let append = Append {
            organization: self.request.organization,
            before,
            head: head.clone(),
            events,
            actor: self.request.command.actor,
            now: self.request.command.now,
            origin: self.request.origin.clone(),
            details: self.request.details.clone(),
            idempotency: self.request.idempotency.clone(),
            objects: objects.clone(),
        };
        self.ledger.append(append, context.transaction.take()).await.map_err(failed)?;
        let version = head.version;
        context.moved_to(head);
        self.ledger.feed.publish(self.request.organization, version);
        locked(&self.outcome).0 = Receipt { version, written: true, objects, ..Receipt::default() };
        Ok(Vec::new())
    }
}
