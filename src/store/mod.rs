//! The store: the ledger of events, the rows that queries read, and the directory of people. All SQL is here.
//!
//! *Shape.* A noun is one file: it turns its events into rows (`project`) and its rows into views. `ledger` decides
//! and appends; `projection` hands events to the nouns; `feed` wakes who waits for events.
//!
//! *Promises.* An append writes the head, the events, the rows and the letters in one transaction, or nothing.
//! Every statement is one text for both databases. What a caller may see is not decided here.
//!
//! *How to add a table.* One file per database in `migrations/`, of one name, with the same tables and columns;
//! the organization first in every key of a tenant's table; then a file here, named after the noun.

pub mod aggregate;
pub mod api_keys;
pub mod append;
pub mod audit;
pub mod chain;
pub mod commands;
mod connection;
pub mod csv;
pub mod data_exports;
pub mod database;
pub mod erasure;
mod execution;
pub mod export;
pub mod feed;
pub mod files;
pub mod history;
pub mod hot;
pub mod identities;
pub mod invitations;
pub mod ledger;
pub mod lookups;
pub mod members;
pub mod names;
pub mod news;
pub mod note;
pub mod notices;
pub mod outbox;
pub mod page;
pub mod profile;
pub mod projection;
pub mod proof;
pub mod purge;
pub mod rebuild;
pub mod refusals;
pub mod retention;
pub mod roles;
pub mod server_keys;
pub mod sessions;
pub mod snapshots;
pub mod standby;
pub mod standing;
pub mod statement;
pub mod transaction;
pub mod users;
pub mod verify;
pub mod wakeups;
mod write;
mod writers;

pub use database::Database;
pub use ledger::Ledger;

use std::{io::ErrorKind, sync::Arc, time::Duration};

use tokio::time::timeout;

use server_keys::{Keys, OperatorSecret};

use crate::{
    clock::Clock,
    domain::{OrganizationId, Timestamp},
    entropy::Entropy,
    secrets::ServerKey,
};

/// An open store, with the clock and the chance that its users share.
#[derive(Clone)]
pub struct Store {
    /// The database.
    pub database: Database,
    /// Where pages of queries may be read, too.
    pub standby: Option<Arc<standby::Standby>>,
    /// The ledger of all organizations.
    pub ledger: Ledger,
    /// What every request looks up first.
    pub lookups: lookups::Lookups,
    /// Who waits for events.
    pub feed: feed::Feed,
    /// What links and fingerprints are derived from.
    pub server_key: Arc<ServerKey>,
    /// What signs where a chain ends.
    pub signer: Arc<note::Signer>,
    /// The time.
    pub clock: Clock,
    /// Ids and secrets.
    pub entropy: Entropy,
}

impl Store {
    /// Brings the database to this version and opens it. It must be called inside a runtime: the writer task begins
    /// here, and ends with the last clone.
    pub async fn open(database: Database, clock: Clock, entropy: Entropy) -> Result<Self, Error> {
        Self::open_with(database, clock, entropy, None).await
    }

    /// The same where the server's keys are wrapped with a secret of the operator, or are to be from now on.
    ///
    /// # Errors
    /// [`Error::Locked`], if the keys are wrapped and the secret is none or another one.
    pub async fn open_with(
        database: Database,
        clock: Clock,
        entropy: Entropy,
        secret: Option<&OperatorSecret>,
    ) -> Result<Self, Error> {
        database.migrate().await?;
        let Keys { links: server_key, signer } = server_keys::open(&database, &entropy, secret).await?;
        let feed = feed::Feed::default();
        let ledger = Ledger::open(database.clone(), feed.clone());
        let lookups = lookups::Lookups::start(&database, &clock);
        Ok(Self { database, standby: None, ledger, lookups, feed, server_key, signer, clock, entropy })
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Why the store could not answer. None of it is for a client: who asked gets one sentence and a reference.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream moved on since the command was decided.
    #[error("the stream has moved on")]
    Conflict,
    /// The database did not do what it was asked.
    #[error("the database failed")]
    Unavailable(#[source] sqlx::Error),
    /// The tables could not be brought to this version.
    #[error("the migration failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// What is stored is not what was written.
    #[error("organization {organization}, sequence {sequence}: {what}")]
    Corrupt {
        /// Where.
        organization: OrganizationId,
        /// At which event.
        sequence: u64,
        /// What is wrong.
        what: String,
    },
    /// The service is stopping, and its connections are closed.
    #[error("the store is closed")]
    Closed,
    /// The files of organizations could not be read or written.
    #[error("the files failed")]
    Files(#[from] object_store::Error),
    /// A file could not be written or deleted.
    #[error("a file could not be written or deleted")]
    Io(#[source] std::io::Error),
    /// What several waited for has failed.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// The server's keys cannot be used.
    #[error(transparent)]
    Locked(#[from] server_keys::Locked),
    /// A task of the store has ended.
    #[error("the store has stopped")]
    Stopped,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // Waited too long for a lock, met a deadlock, or lost a race of serializable transactions: try again.
        let lost = |code: std::borrow::Cow<'_, str>| matches!(&*code, "55P03" | "40P01" | "40001");
        if error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(lost) {
            return Self::Conflict;
        }
        // What is still under way when the service stops finds its connections gone.
        if matches!(error, sqlx::Error::PoolClosed) {
            return Self::Closed;
        }
        Self::Unavailable(error)
    }
}

impl Error {
    /// What happened, whoever else it happened to.
    pub fn root(&self) -> &Self {
        match self {
            Self::Shared(error) => error.root(),
            error => error,
        }
    }

    fn corrupt(organization: OrganizationId, sequence: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { organization, sequence, what: what.into() }
    }
}

/// How long a request waits for one thing of the store: longer than for a connection or a lock, and shorter than an
/// operation may take. A database that is stopped in the middle of a statement says nothing at all.
const PATIENCE: Duration = Duration::from_secs(9);

/// What is there in time; the store is not available where it is not.
async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::Unavailable(sqlx::Error::Io(ErrorKind::TimedOut.into()));
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(late()))
}

/// A count or sequence as a column holds it.
pub(crate) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count or sequence from a column.
pub(crate) fn number(column: i64) -> u64 {
    u64::try_from(column).unwrap_or_default()
}

/// What stands for "never" in a column that order needs to be filled: the beginning of 1970.
pub const NEVER: Timestamp = chrono::DateTime::UNIX_EPOCH;
