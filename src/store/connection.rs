//! A connection to PostgreSQL, while somebody has it.
//!
//! *Promises.* What was begun on it and not ended is rolled back, wherever whoever had it went away. Then it has to say soon
//! that it lives, and is closed where it does not: a network that has forgotten a connection tells nobody. sqlx by itself
//! would wait without a limit, on one of the pool's places, and would forget a BEGIN that is dropped half-way.

use std::{
    io::ErrorKind,
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres, TransactionManager, pool::PoolConnection,
    postgres::PgTransactionManager,
};
use tokio::time::timeout;

/// How long a statement of a transaction is waited for: longer than any takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// The same for statements that may read everything there is.
const LONG_PATIENCE: Duration = Duration::from_hours(1);

/// See the module.
pub struct Connection {
    lent: PoolConnection<Postgres>,
    /// Whether a BEGIN is on its way.
    beginning: bool,
    patience: Duration,
    ping_timeout: Duration,
}

impl Connection {
    /// Takes one from a pool.
    pub async fn of(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let lent = pool.acquire().await?;
        let ping_timeout = ping_timeout(pool.options().get_acquire_timeout());
        Ok(Self { lent, beginning: false, patience: PATIENCE, ping_timeout })
    }

    /// Takes one and begins a transaction.
    pub async fn begin(pool: &PgPool, words: String) -> Result<Self, sqlx::Error> {
        let mut connection = Self::of(pool).await?;
        connection.beginning = true;
        heard(PATIENCE, PgTransactionManager::begin(&mut connection.lent, Some(words.into()))).await?;
        connection.beginning = false;
        Ok(connection)
    }

    /// The same for statements that may read everything there is.
    #[must_use]
    pub const fn patient(mut self) -> Self {
        self.patience = LONG_PATIENCE;
        self
    }

    /// Ends the transaction, and keeps what was written.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        heard(self.patience, PgTransactionManager::commit(&mut self.lent)).await
    }

    /// How long a statement of its transaction is waited for.
    pub const fn patience(&self) -> Duration {
        self.patience
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.lent
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.lent
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        PgTransactionManager::start_rollback(&mut self.lent);
        // It is asked whether it lives. Where this ends before there is an answer, it is closed.
        let returned = self.lent.return_to_pool();
        if !self.beginning {
            tokio::spawn(timeout(self.ping_timeout, returned));
        }
    }
}

/// How long a connection has to say that it lives: whoever wants one has time to try some.
pub fn ping_timeout(acquire_timeout: Duration) -> Duration {
    acquire_timeout / 4
}

/// Whether a connection lives.
pub async fn lives(connection: &mut PgConnection, patience: Duration) -> Result<bool, sqlx::Error> {
    heard(patience, connection.ping()).await.map(|()| true)
}

/// What PostgreSQL answers in time; a connection that says nothing is lost.
pub async fn heard<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
}
