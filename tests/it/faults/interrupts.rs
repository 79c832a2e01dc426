//! Statements of SQLite that are interrupted: after so many steps of its machine, whichever connection runs them. SQLite has no server to put something in front of, but tells how far it is.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use orgledger::store::Database;
use sqlx::{SqliteConnection, SqlitePool};

/// How many instructions a statement has before it can be interrupted, and between two places where it can. BEGIN and
/// COMMIT have fewer: SQLite would be in a transaction, and sqlx told that there is none.
const INSTRUCTIONS: i32 = 8;
/// How far each interruption is from the one before it. The fewer, the more statements are met, and the longer it takes.
const STEP: i64 = 5;
/// What is never counted down to nothing.
const NEVER: i64 = i64::MAX / 2;

/// See the module.
pub struct Interrupts {
    database: Database,
    left: Arc<AtomicI64>,
}

impl Interrupts {
    /// On the connections of this database.
    pub fn of(database: &Database) -> Self {
        Self { database: database.clone(), left: Arc::new(AtomicI64::new(NEVER)) }
    }

    /// From now on, statements are interrupted, after so many steps.
    pub async fn arm(&self, steps: usize) {
        let Database::Sqlite { readers, writer } = &self.database else { panic!("not SQLite") };
        self.left.store(NEVER, Ordering::SeqCst);
        // A connection that broke was replaced by one that knows nothing of this.
        for pool in [readers, writer] {
            self.watch(pool).await;
        }
        self.left.store(1 + i64::try_from(steps).unwrap() * STEP, Ordering::SeqCst);
    }

    async fn watch(&self, pool: &SqlitePool) {
        let mut held = Vec::new();
        for _ in 0..pool.options().get_max_connections() {
            held.push(pool.acquire().await.unwrap());
        }
        for connection in &mut held {
            let connection: &mut SqliteConnection = connection;
            let left = Arc::clone(&self.left);
            let mut handle = connection.lock_handle().await.unwrap();
            handle.set_progress_handler(INSTRUCTIONS, move || left.fetch_sub(1, Ordering::SeqCst) > 1);
        }
    }

    /// Nothing is interrupted any more; tells whether something was.
    pub fn disarm(&self) -> bool {
        self.left.swap(NEVER, Ordering::SeqCst) <= 0
    }
}
