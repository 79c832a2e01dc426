//! The two databases behind one text of SQL.
//!
//! A statement is written once, in the SQL that both speak, inside [`on!`] or [`within!`](super::transaction); the compiler types it
//! twice. What the two do not share (connecting, pragmas, locks) stands in this file and nowhere else.

use std::{path::Path, str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection as _, PgPool, SqlitePool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    Error,
    connection::{Connection, lives, ping_timeout},
    transaction::{Transaction, undisturbed},
};

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);
const READERS: u32 = 8;
/// How many rows SQLite reads before whoever asked has taken them: a page, so that reading ends without waiting.
const ROW_BUFFER: usize = 256;
const POSTGRES_CONNECTIONS: u32 = 16;
const APPENDERS: u32 = 2;
/// Their connections: the network may go silent while one is in use, which keeps its place until it is given up for lost.
const APPENDER_CONNECTIONS: u32 = 2 * APPENDERS;
/// How long a connection is idle before it is asked whether it lives. One that was used a moment ago is not: no database
/// ends and comes back in that time.
const UNTESTED: Duration = Duration::from_millis(100);
/// How long a statement waits for a lock in PostgreSQL: no longer than its request lives.
const LOCK_TIMEOUT: &str = "8s";
const APPEND_LOCK_TIMEOUT: &str = "100ms";
/// How long a transaction may do nothing before PostgreSQL ends it: less than others wait for its locks. A server that froze,
/// or whose machine is gone, lets nothing go by itself.
const IDLE_TIMEOUT: &str = "5s";
/// How often PostgreSQL looks whether whoever asked is still there: it would end what nobody waits for any more, and beside
/// it what was asked in its place.
const CHECK_INTERVAL: &str = "1s";
/// Every statement has an index to find its rows by, and joins from few rows to those that they name. PostgreSQL would read
/// a table whole that was small when it last looked, and is not any more; nor does it read a whole index and keep it, to look
/// there. Nothing is asked for so long that compiling it
/// were worth it.
const BY_INDEX: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("jit", "off"),
];

/// What servers tell each other by: one name a schema, since others may stand in the same database. Names have a limit.
const CHANNEL: &str = "'orgledger_' || MD5(CURRENT_SCHEMA())";

static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Whose the connections to PostgreSQL are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Ours for as long as they are open.
    #[default]
    Session,
    /// Those of a pooler, such as pgbouncer, which may give every transaction another one: nothing of a connection outlives
    /// a transaction, and every statement needs one. sqlx sends a statement in two steps.
    Transaction,
}

/// A database: many instances on PostgreSQL, or one file of SQLite with one writer and many readers.
#[derive(Clone, Debug)]
pub enum Database {
    /// PostgreSQL 15 or newer.
    Postgres {
        /// Connections for everything.
        pool: PgPool,
        /// Connections of the appending tasks, which wait for a lock only a moment: a longer wait for one organization
        /// would hold up all others. Whoever meets such a lock waits for it in a transaction of its own.
        appender: PgPool,
        /// Whose they are.
        pooling: Pooling,
    },
    /// SQLite in WAL mode.
    Sqlite {
        /// Connections that only read.
        readers: SqlitePool,
        /// The one connection that writes, so that writers queue here and not in busy loops.
        writer: SqlitePool,
    },
}

/// Runs a reading statement on either database, in an async block of sqlx's errors.
macro_rules! on {
    ($database:expr, |$executor:ident| $body:expr) => {
        match $database {
            $crate::store::database::Database::Postgres { pool, .. } => {
                let mut connection = $crate::store::connection::Connection::of(pool).await?;
                let $executor = &mut *connection;
                $body.await
            }
            $crate::store::database::Database::Sqlite { readers: $executor, .. } => $body.await,
        }
    };
}
pub(crate) use on;

/// Does what may be done twice, and does it again where the connection was not alive: one that was used a moment ago is not
/// asked, and may have been ended since.
macro_rules! twice_if_lost {
    ($work:expr) => {
        match $work.await {
            Err(error) if $crate::store::database::is_lost(&error) => $work.await,
            done => done,
        }
    };
}
pub(crate) use twice_if_lost;

/// Whether a connection has ended: was ended by the database (class 57P), or by a pooler that has lost the database (class 08).
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(error, sqlx::Error::Io(_)) || code.is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
}

impl Database {
    /// Connects to `postgres://…` or `sqlite://…`; a SQLite file is made if it is not there.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::connect_through(url, Pooling::Session).await
    }

    /// The same where a pooler may stand before PostgreSQL.
    pub async fn connect_through(url: &str, pooling: Pooling) -> Result<Self, Error> {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(5))
                .pragma("secure_delete", "ON")
                .row_buffer_size(ROW_BUFFER)
                .disable_statement_logging();
            let pool = |size| {
                // SQLite ends a transaction by itself where a COMMIT fails or the disk is full. sqlx does not hear of it,
                // and would begin none on that connection any more.
                let options = SqlitePoolOptions::new().max_connections(size).acquire_timeout(ACQUIRE_TIMEOUT);
                options.test_before_acquire(false).before_acquire(|connection, _| {
                    let fit = !connection.is_in_transaction();
                    Box::pin(async move { Ok(fit) })
                })
            };
            // The writer connects first: it makes the file, and readers of a WAL database need it to exist.
            let writer = pool(1).connect_with(options.clone()).await?;
            let readers = pool(READERS).connect_with(options).await?;
            return Ok(Self::Sqlite { readers, writer });
        }
        let options = postgres_options(url, pooling)?;
        // The first connection tells at once whether there is a database, and if not, why: a pool would only wait.
        options.connect().await?.close().await?;
        Ok(Self::postgres(&options, pooling, ACQUIRE_TIMEOUT))
    }

    /// A standby, which need not be there yet: who waits for a connection to it has so much patience.
    pub(super) fn standby(url: &str, pooling: Pooling, patience: Duration) -> Result<Self, Error> {
        Ok(Self::postgres(&postgres_options(url, pooling)?, pooling, patience))
    }

    fn postgres(options: &PgConnectOptions, pooling: Pooling, patience: Duration) -> Self {
        let pool = |size, settings: &[(&str, &str)]| {
            let options = match pooling {
                Pooling::Session => {
                    let options = options.clone().options(BY_INDEX).options(settings.iter().copied());
                    options.options([
                        ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
                        ("client_connection_check_interval", CHECK_INTERVAL),
                    ])
                }
                Pooling::Transaction => options.clone(),
            };
            let pool = PgPoolOptions::new().max_connections(size).acquire_timeout(patience).test_before_acquire(false);
            let patience = ping_timeout(patience);
            let tested = pool.before_acquire(move |connection, of| {
                Box::pin(
                    async move { if of.idle_for > UNTESTED { lives(connection, patience).await } else { Ok(true) } },
                )
            });
            tested.connect_lazy_with(options)
        };
        // What appends finds its rows by their keys, whatever the values: a plan is made once.
        let appending = [("lock_timeout", APPEND_LOCK_TIMEOUT), ("plan_cache_mode", "force_generic_plan")];
        Self::Postgres {
            pool: pool(POSTGRES_CONNECTIONS, &[("lock_timeout", LOCK_TIMEOUT)]),
            appender: pool(APPENDER_CONNECTIONS, &appending),
            pooling,
        }
    }

    /// The URL of the embedded default in a data directory.
    pub fn embedded_url(data_dir: &Path) -> String {
        format!("sqlite://{}", data_dir.join("orgledger.db").display())
    }

    /// Where it is, for people: without whoever connects and their password.
    pub fn place(&self) -> String {
        match self {
            Self::Postgres { pool, .. } => {
                let options = pool.connect_options();
                let database = options.get_database().unwrap_or(options.get_username());
                match options.get_socket() {
                    Some(folder) => format!("the database {database} of PostgreSQL in {}", folder.display()),
                    None => {
                        format!(
                            "the database {database} of PostgreSQL at {}:{}",
                            options.get_host(),
                            options.get_port()
                        )
                    }
                }
            }
            Self::Sqlite { writer, .. } => writer.connect_options().get_filename().display().to_string(),
        }
    }

    /// Brings the tables to what this version needs.
    pub async fn migrate(&self) -> Result<(), Error> {
        match self {
            Self::Postgres { pool, pooling: Pooling::Session, .. } => {
                // Another server may be at it for as long as it takes.
                let mut connection = pool.acquire().await?;
                sqlx::raw_sql("SET lock_timeout = 0").execute(&mut *connection).await?;
                POSTGRES_MIGRATIONS.run(&mut *connection).await?;
                connection.close().await?;
            }
            Self::Postgres { pool, pooling: Pooling::Transaction, .. } => migrate_at_once(pool).await?,
            Self::Sqlite { writer, .. } => SQLITE_MIGRATIONS.run(writer).await?,
        }
        Ok(())
    }

    /// Begins a transaction that writes.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let database = self.clone();
        undisturbed(async move {
            Ok(match database {
                Self::Postgres { pool, pooling, .. } => begin_on(&pool, pooling, LOCK_TIMEOUT).await?,
                Self::Sqlite { writer, .. } => Transaction::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            })
        })
        .await
    }

    /// How many tasks append. In PostgreSQL several can: each leaves alone what another holds.
    pub(super) const fn appenders(&self) -> u32 {
        match self {
            Self::Postgres { .. } => APPENDERS,
            Self::Sqlite { .. } => 1,
        }
    }

    /// Begins a transaction of an appending task.
    pub(super) async fn begin_append(&self) -> Result<Transaction, Error> {
        match self {
            Self::Postgres { appender, pooling, .. } => Ok(begin_on(appender, *pooling, APPEND_LOCK_TIMEOUT).await?),
            Self::Sqlite { .. } => self.begin().await,
        }
    }

    /// Begins a transaction that reads one state of everything, however long whoever reads it takes between two pages:
    /// nobody waits for it.
    pub async fn snapshot(&self) -> Result<Transaction, Error> {
        Ok(match self {
            Self::Postgres { pool, pooling, .. } => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                     SET LOCAL idle_in_transaction_session_timeout = 0";
                let connection = twice_if_lost!(Connection::begin(pool, begin.to_owned()))?;
                Transaction::Postgres(connection.patient(), *pooling)
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

    /// Whether every statement needs a transaction.
    pub(super) const fn needs_transactions(&self) -> bool {
        matches!(self, Self::Postgres { pooling: Pooling::Transaction, .. })
    }

    /// Tells all servers on this database something, outside of every transaction; nothing behind a pooler, where nobody
    /// could listen.
    pub(super) async fn notify(&self, payload: &str) -> Result<(), Error> {
        let Self::Postgres { pool, pooling: Pooling::Session, .. } = self else { return Ok(()) };
        // Nobody waits for the disk for what is only a hint.
        let text = format!("SELECT set_config('synchronous_commit', 'off', TRUE), pg_notify({CHANNEL}, $1)");
        let mut connection = Connection::of(pool).await?;
        sqlx::query(&text).bind(payload).execute(&mut *connection).await?;
        Ok(())
    }

    /// A connection that hears what servers tell each other; none on SQLite and behind a pooler. It is none of the others':
    /// it is given up without an end where the network has forgotten it.
    pub(super) async fn listener(&self) -> Result<Option<PgListener>, Error> {
        let Self::Postgres { pool, pooling: Pooling::Session, .. } = self else { return Ok(None) };
        let options = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = options.connect_lazy_with(pool.connect_options().as_ref().clone());
        let (channel,): (String,) = sqlx::query_as(&format!("SELECT {CHANNEL}")).fetch_one(&pool).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(&channel).await?;
        Ok(Some(listener))
    }

    /// Closes every connection, once what runs has ended.
    pub async fn close(&self) {
        match self {
            Self::Postgres { pool, appender, .. } => {
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

fn postgres_options(url: &str, pooling: Pooling) -> Result<PgConnectOptions, Error> {
    if !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
        let sentence = "the database URL begins with neither postgres: nor sqlite:";
        return Err(sqlx::Error::Configuration(sentence.into()).into());
    }
    let options = PgConnectOptions::from_str(url)?.application_name("orgledger").disable_statement_logging();
    Ok(match pooling {
        Pooling::Session => options,
        // A pooler refuses what would be a connection's for good.
        Pooling::Transaction => options.extra_float_digits(None),
    })
}

async fn begin_on(pool: &PgPool, pooling: Pooling, lock_timeout: &str) -> Result<Transaction, sqlx::Error> {
    let begin = match pooling {
        Pooling::Session => "BEGIN".to_owned(),
        Pooling::Transaction => format!(
            "BEGIN; SET LOCAL lock_timeout = '{lock_timeout}'; \
             SET LOCAL idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}'"
        ),
    };
    Ok(Transaction::Postgres(twice_if_lost!(Connection::begin(pool, begin.clone()))?, pooling))
}

/// Migrates in one transaction, behind a lock that ends with it. The migrator names its statements, and the connection may
/// have some of those names from an earlier one.
async fn migrate_at_once(pool: &PgPool) -> Result<(), Error> {
    let mut transaction = pool.begin().await?;
    let alone = "DEALLOCATE ALL; SELECT PG_ADVISORY_XACT_LOCK(HASHTEXT('orgledger migrations'))";
    sqlx::raw_sql(alone).execute(&mut *transaction).await?;
    let mut migrator = Migrator { migrations: POSTGRES_MIGRATIONS.migrations.clone(), ..Migrator::DEFAULT };
    migrator.set_locking(false).run(&mut *transaction).await?;
    sqlx::raw_sql("DEALLOCATE ALL").execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}
