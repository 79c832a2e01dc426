//! The two databases behind one text of SQL.
//!
//! A statement is written once, in the SQL that both speak, inside [`on!`] or [`within!`]; the compiler types it
//! twice. What the two do not share (connecting, pragmas, locks) stands in this file and nowhere else.

use std::{path::Path, str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgPool, Postgres, Sqlite, SqlitePool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::Error;

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);
const READERS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 16;
const APPENDERS: u32 = 2;
/// How long a statement waits for a lock in PostgreSQL: no longer than its request lives.
const LOCK_TIMEOUT: &str = "8s";
const APPEND_LOCK_TIMEOUT: &str = "100ms";

/// What servers tell each other by: one name a schema, since others may stand in the same database. Names have a limit.
const CHANNEL: &str = "'orgledger_' || MD5(CURRENT_SCHEMA())";

static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// A database: many instances on PostgreSQL, or one file of SQLite with one writer and many readers.
#[derive(Clone, Debug)]
pub enum Database {
    /// PostgreSQL 15 or newer.
    Postgres {
        /// Connections for everything.
        pool: PgPool,
        /// Connections of the appending task, which waits for a lock only a moment: a longer wait for one organization
        /// would hold up all others. Whoever meets such a lock waits for it in a transaction of its own.
        appender: PgPool,
    },
    /// SQLite in WAL mode.
    Sqlite {
        /// Connections that only read.
        readers: SqlitePool,
        /// The one connection that writes, so that writers queue here and not in busy loops.
        writer: SqlitePool,
    },
}

/// Runs a reading statement on either database.
macro_rules! on {
    ($database:expr, |$pool:ident| $body:expr) => {
        match $database {
            $crate::store::database::Database::Postgres { pool: $pool, .. } => $body,
            $crate::store::database::Database::Sqlite { readers: $pool, .. } => $body,
        }
    };
}
pub(crate) use on;

/// A transaction of either database. Dropped without a commit, it is rolled back.
pub enum Transaction {
    /// Of PostgreSQL.
    Postgres(sqlx::Transaction<'static, Postgres>),
    /// Of SQLite, begun with the write lock.
    Sqlite(sqlx::Transaction<'static, Sqlite>),
}

/// Runs a statement inside a transaction of either database.
macro_rules! within {
    ($transaction:expr, |$connection:ident| $body:expr) => {
        match $transaction {
            $crate::store::database::Transaction::Postgres(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
            $crate::store::database::Transaction::Sqlite(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
        }
    };
}
pub(crate) use within;

impl Database {
    /// Connects to `postgres://…` or `sqlite://…`; a SQLite file is made if it is not there.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(5))
                .pragma("secure_delete", "ON")
                .disable_statement_logging();
            let pool = |size| {
                // SQLite ends a transaction by itself where a COMMIT fails or the disk is full. sqlx does not hear of it,
                // and would begin none on that connection any more.
                let options = SqlitePoolOptions::new().max_connections(size).acquire_timeout(ACQUIRE_TIMEOUT);
                options.before_acquire(|connection, _| {
                    let fit = !connection.is_in_transaction();
                    Box::pin(async move { Ok(fit) })
                })
            };
            // The writer connects first: it makes the file, and readers of a WAL database need it to exist.
            let writer = pool(1).connect_with(options.clone()).await?;
            let readers = pool(READERS).connect_with(options).await?;
            return Ok(Self::Sqlite { readers, writer });
        }
        if !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
            let sentence = "the database URL begins with neither postgres: nor sqlite:";
            return Err(sqlx::Error::Configuration(sentence.into()).into());
        }
        let options = PgConnectOptions::from_str(url)?.application_name("orgledger").disable_statement_logging();
        // The first connection tells at once whether there is a database, and if not, why: a pool would only wait.
        options.connect().await?.close().await?;
        let pool = |size, lock_timeout| {
            let options = options.clone().options([("lock_timeout", lock_timeout)]);
            PgPoolOptions::new().max_connections(size).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(options)
        };
        let (pool, appender) = (pool(POSTGRES_CONNECTIONS, LOCK_TIMEOUT), pool(APPENDERS, APPEND_LOCK_TIMEOUT));
        Ok(Self::Postgres { pool, appender })
    }

    /// The URL of the embedded default in a data directory.
    pub fn embedded_url(data_dir: &Path) -> String {
        format!("sqlite://{}", data_dir.join("orgledger.db").display())
    }

    /// Brings the tables to what this version needs.
    pub async fn migrate(&self) -> Result<(), Error> {
        match self {
            Self::Postgres { pool, .. } => POSTGRES_MIGRATIONS.run(pool).await?,
            Self::Sqlite { writer, .. } => SQLITE_MIGRATIONS.run(writer).await?,
        }
        Ok(())
    }

    /// Begins a transaction that writes.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let database = self.clone();
        undisturbed(async move {
            Ok(match database {
                Self::Postgres { pool, .. } => Transaction::Postgres(pool.begin().await?),
                Self::Sqlite { writer, .. } => Transaction::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            })
        })
        .await
    }

    /// Begins a transaction of the appending task.
    pub(super) async fn begin_append(&self) -> Result<Transaction, Error> {
        match self {
            Self::Postgres { appender, .. } => Ok(Transaction::Postgres(appender.begin().await?)),
            Self::Sqlite { .. } => self.begin().await,
        }
    }

    /// Begins a transaction that reads one state of everything.
    pub async fn snapshot(&self) -> Result<Transaction, Error> {
        Ok(match self {
            Self::Postgres { pool, .. } => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Transaction::Postgres(pool.begin_with(begin).await?)
            }
            Self::Sqlite { readers, .. } => Transaction::Sqlite(readers.begin().await?),
        })
    }

    /// Takes what was overwritten out of the database's own files, as far as they are ours: SQLite keeps it in its log
    /// until that is cut. False where somebody still reads an older state, so that it cannot be cut yet. What PostgreSQL
    /// keeps in its files and backups is its operator's.
    pub async fn forget(&self) -> Result<bool, Error> {
        let Self::Sqlite { writer, .. } = self else { return Ok(true) };
        let (busy, ..): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(writer).await?;
        Ok(busy == 0)
    }

    /// Tells all servers on this database something, outside of every transaction.
    pub(super) async fn notify(&self, payload: &str) -> Result<(), Error> {
        let Self::Postgres { pool, .. } = self else { return Ok(()) };
        sqlx::query(&format!("SELECT pg_notify({CHANNEL}, $1)")).bind(payload).execute(pool).await?;
        Ok(())
    }

    /// A connection that hears what servers tell each other; none on SQLite.
    pub(super) async fn listener(&self) -> Result<Option<PgListener>, Error> {
        let Self::Postgres { pool, .. } = self else { return Ok(None) };
        let (channel,): (String,) = sqlx::query_as(&format!("SELECT {CHANNEL}")).fetch_one(pool).await?;
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(&channel).await?;
        Ok(Some(listener))
    }

    /// Closes every connection, once what runs has ended.
    pub async fn close(&self) {
        match self {
            Self::Postgres { pool, appender } => {
                pool.close().await;
                appender.close().await;
            }
            Self::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

impl Transaction {
    /// What locks the rows that a SELECT reads: a clause in PostgreSQL; SQLite's writer has the whole database.
    pub(super) const fn row_lock(&self) -> &'static str {
        match self {
            Self::Postgres(_) => " FOR UPDATE",
            Self::Sqlite(_) => "",
        }
    }

    /// The same for rows of `s`; those that somebody else has locked are not found.
    pub(super) const fn rows_unless_locked(&self) -> &'static str {
        match self {
            Self::Postgres(_) => " FOR UPDATE OF s SKIP LOCKED",
            Self::Sqlite(_) => "",
        }
    }

    /// The same for rows that are only read: they do not change until the transaction ends.
    pub(super) const fn share_lock(&self) -> &'static str {
        match self {
            Self::Postgres(_) => " FOR SHARE",
            Self::Sqlite(_) => "",
        }
    }

    /// Makes what was written last.
    pub async fn commit(self) -> Result<(), Error> {
        undisturbed(async move {
            match self {
                Self::Postgres(transaction) => transaction.commit().await?,
                Self::Sqlite(transaction) => transaction.commit().await?,
            }
            Ok(())
        })
        .await
    }
}

/// Lets the work come to its end though whoever waits for it goes away. sqlx forgets a BEGIN or a COMMIT that is dropped
/// half-way, and gives the connection, which is inside a transaction then, to the next one.
async fn undisturbed<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or(Err(Error::Stopped))
}

/// A substring as a pattern of `LIKE … ESCAPE '\'`, in the normalized form of the searched columns.
pub(super) fn like_pattern(search: &str) -> String {
    let mut pattern = String::from("%");
    for character in crate::domain::values::normalize(search).chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
