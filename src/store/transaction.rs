//! A transaction of either database: what is run in it, what it locks, and how it ends.

use sqlx::Sqlite;

use super::{Error, append::Held, connection::Connection, database::Pooling};

/// A transaction of either database. Dropped without a commit, it is rolled back.
pub enum Transaction {
    /// Of PostgreSQL.
    Postgres(Connection, Pooling),
    /// Of SQLite, begun with the write lock.
    Sqlite(sqlx::Transaction<'static, Sqlite>),
}

/// Runs a statement, which is a future, inside a transaction of either database.
macro_rules! within {
    ($transaction:expr, |$connection:ident| $body:expr) => {
        match $transaction {
            $crate::store::transaction::Transaction::Postgres(transaction, _) => {
                let patience = transaction.patience();
                let $connection = &mut **transaction;
                $crate::store::connection::heard(patience, $body).await
            }
            $crate::store::transaction::Transaction::Sqlite(transaction) => {
                let $connection = &mut **transaction;
                $body.await
            }
        }
    };
}
pub(crate) use within;

impl Transaction {
    /// Whether its connection keeps prepared statements: a pooler's has those of others, by the same names.
    pub(super) const fn keeps_statements(&self) -> bool {
        !matches!(self, Self::Postgres(_, Pooling::Transaction))
    }

    /// What locks the rows that a SELECT reads: a clause in PostgreSQL; SQLite's writer has the whole database.
    pub(super) const fn row_lock(&self) -> &'static str {
        match self {
            Self::Postgres(..) => " FOR UPDATE",
            Self::Sqlite(_) => "",
        }
    }

    /// The same for rows of `s`; those that somebody else has locked are not found, or waited for.
    pub(super) const fn lock_of_rows(&self, held: Held) -> &'static str {
        match (self, held) {
            (Self::Postgres(..), Held::PassedOver) => " FOR UPDATE OF s SKIP LOCKED",
            (Self::Postgres(..), Held::Awaited) => " FOR UPDATE OF s",
            (Self::Sqlite(_), _) => "",
        }
    }

    /// The same for rows that are only read: they do not change until the transaction ends.
    pub(super) const fn share_lock(&self) -> &'static str {
        match self {
            Self::Postgres(..) => " FOR SHARE",
            Self::Sqlite(_) => "",
        }
    }

    /// Makes what was written last.
    pub async fn commit(self) -> Result<(), Error> {
        undisturbed(async move {
            match self {
                Self::Postgres(connection, _) => connection.commit().await?,
                Self::Sqlite(transaction) => transaction.commit().await?,
            }
            Ok(())
        })
        .await
    }
}

/// Lets the work come to its end though whoever waits for it goes away, and is an error where it panics. sqlx forgets a
/// BEGIN or a COMMIT of SQLite that is dropped half-way, and gives the connection, which is inside a transaction then, to the
/// next one.
pub(super) async fn undisturbed<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or(Err(Error::Stopped))
}
