//! What SQLite says by itself: of a disk that is full, of a table that is not there, of a commit that it does not do.

use orgledger::store::{Database, verify};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};

use super::trial::{Answer, is_unavailable};
use crate::{
    graphql::{
        acme::Acme,
        operations,
        server::{Reply, Server},
    },
    support::databases::on_sqlite,
};

async fn rename(acme: &Acme<'_>, name: &str) -> Reply {
    // A thousand characters, so that the file has to grow.
    let edit = json!({ "name": name, "description": name.repeat(1000 / name.len()) });
    acme.ada.try_operation("UpdateOrganization", acme.with(edit)).await
}

/// The request was answered with nothing but the one sentence.
fn failed(reply: &Reply) -> bool {
    let errors = reply.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    for error in errors {
        is_unavailable(error, "a rename");
    }
    !errors.is_empty()
}

/// The connection that writes, and one beside the service.
async fn connections(server: &Server, url: &str) -> (SqlitePool, SqlitePool) {
    let Database::Sqlite { writer, .. } = &server.store.database else { panic!("not SQLite") };
    // One connection, because others would remember tables as they were.
    (writer.clone(), SqlitePoolOptions::new().max_connections(1).connect(url).await.unwrap())
}

/// SQLite rolls the transaction back by itself then, and whoever writes next finds none to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_what_writes_until_there_is_room() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (writer, _) = connections(&server, url).await;
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&writer).await.unwrap();
        sqlx::raw_sql(&format!("PRAGMA max_page_count = {pages}")).execute(&writer).await.unwrap();
        let mut written = 0;
        while !failed(&rename(&acme, &format!("Name {written}")).await) {
            written += 1;
            assert!(written < 1000, "the file does not grow");
        }
        assert!(failed(&rename(&acme, "Too much").await) || written > 0);
        let read = acme.ada.operation("Overview", acme.with(json!({}))).await;
        assert_ne!(read["organization"]["name"], "Too much", "what could be read before can be read now");
        verify::verify(&server.store.database).await.unwrap();
        sqlx::raw_sql("PRAGMA max_page_count = 1000000").execute(&writer).await.unwrap();
        assert!(!failed(&rename(&acme, "Room again").await));
        verify::verify(&server.store.database).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_sqlite_refuses_has_written_nothing() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (writer, _) = connections(&server, url).await;
        writer.acquire().await.unwrap().lock_handle().await.unwrap().set_commit_hook(|| false);
        assert!(failed(&rename(&acme, "Refused").await));
        let read = acme.ada.operation("Overview", acme.with(json!({}))).await;
        assert_eq!(read["organization"]["name"], "Acme");
        verify::verify(&server.store.database).await.unwrap();
        writer.acquire().await.unwrap().lock_handle().await.unwrap().remove_commit_hook();
        assert!(!failed(&rename(&acme, "Done").await));
        verify::verify(&server.store.database).await.unwrap();
    })
    .await;
}

/// SQLite names the table that it misses, and the statement with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_named_to_nobody() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let token = server.sign_in_token("bea@example.com").await;
        let (_, beside) = connections(&server, url).await;
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> '_sqlx_migrations'";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&beside).await.unwrap();
        let question = |name: &str, variables: &Value| {
            let body = json!({ "query": operations::document(name), "variables": variables });
            acme.ada.request(Method::POST, "/graphql").json(&body)
        };
        let mut met = Vec::new();
        for table in &tables {
            let away = format!("ALTER TABLE {table} RENAME TO secret_database_text");
            sqlx::raw_sql(&away).execute(&beside).await.unwrap();
            let mut failures = 0;
            for name in ["Viewer", "Overview", "Members", "Invitations", "Roles", "ApiKeys", "AuditLog", "Events"] {
                let answer = Answer::of(question(name, &acme.with(json!({})))).await;
                failures += usize::from(answer.is_a_failure(name));
            }
            let edit = acme.with(json!({ "name": format!("Without {table}") }));
            let answer = Answer::of(question("UpdateOrganization", &edit)).await;
            failures += usize::from(answer.is_a_failure("UpdateOrganization"));
            let page = Answer::of(server.anonymous().request(Method::GET, &format!("/sign-in?token={token}"))).await;
            failures += usize::from(page.is_a_failure("the page of a link"));
            if failures > 0 {
                met.push(table);
            }
            let back = format!("ALTER TABLE secret_database_text RENAME TO {table}");
            sqlx::raw_sql(&back).execute(&beside).await.unwrap();
            assert!(!failed(&rename(&acme, table).await), "{table} is back");
        }
        assert!(met.len() >= 15, "only {met:?} of {tables:?}");
        verify::verify(&server.store.database).await.unwrap();
    })
    .await;
}
