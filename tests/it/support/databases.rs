//! One test body, run on SQLite and on PostgreSQL, each time on a database of its own.
//!
//! ```ignore
//! both_databases! {
//!     /// Why this must hold.
//!     async fn a_removed_member_loses_access(url: &str) {
//!         let database = Database::connect(url).await.unwrap();
//!     }
//! }
//! ```
//! makes the tests `a_removed_member_loses_access::on_sqlite` and `::on_postgres`. Where the machine has no
//! PostgreSQL the second one says so by its name and passes; with `CI=true` it fails.

use std::io::{Write, stderr};

use super::postgres;

/// Makes the tests `name::on_sqlite` and `name::on_postgres` of each function in it, which gets the database's URL. What
/// stands before the function, comments and attributes, is said of both.
macro_rules! both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($url:ident: &str) $body:block)+) => {$(
        $(#[$meta])*
        async fn $name($url: &str) $body

        mod $name {
            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                $crate::support::databases::on_sqlite(super::$name).await;
            }

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                $crate::support::databases::on_postgres(concat!(module_path!(), "::on_postgres"), super::$name).await;
            }
        }
    )+};
}
pub(crate) use both_databases;

/// Runs `body` on a file that does not exist yet, in a directory that is removed afterwards.
pub async fn on_sqlite(body: impl AsyncFnOnce(&str)) {
    let directory = tempfile::Builder::new().prefix("orgledger-sqlite-").tempdir().unwrap();
    body(&format!("sqlite://{}/orgledger.db", directory.path().display())).await;
}

/// Runs `body` on an empty schema, or says that the test of this `name` is skipped. For what only PostgreSQL has, such
/// as two servers on one database, a test may call it directly.
pub async fn on_postgres(name: &str, body: impl AsyncFnOnce(&str)) {
    let Some(url) = postgres::fresh_schema().await else {
        return announce(&format!("skipped: {name}"));
    };
    body(&url).await;
    postgres::drop_schema(&url).await;
}

/// Says a line that is seen: written to the stream itself, because what a passing test prints is not shown.
pub fn announce(line: &str) {
    stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

crate::support::databases::both_databases! {
    /// The empty database is one that can be written, and no other test has put anything into it.
    async fn every_test_has_a_database_of_its_own(url: &str) {
        if url.starts_with("sqlite:") {
            let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
            let pool = sqlx::SqlitePool::connect_with(options.create_if_missing(true)).await.unwrap();
            sqlx::raw_sql("create table members (id integer)").execute(&pool).await.unwrap();
            pool.close().await;
        } else {
            let pool = sqlx::PgPool::connect(url).await.unwrap();
            sqlx::raw_sql("create table members (id integer)").execute(&pool).await.unwrap();
            pool.close().await;
        }
    }
}
