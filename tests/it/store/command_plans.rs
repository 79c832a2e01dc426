//! The plans of what a command writes, of what its answer and its letter need, in a database that was just made: PostgreSQL
//! does not know yet what its tables hold. Rows are found by whole keys nevertheless, and letters in the order in which
//! they are due.

use std::collections::HashMap;

use orgledger::store::{Database, api_keys, invitations, news, outbox};
use sqlx::{PgPool, Row};

use super::world::{World, change_role};
use crate::support::databases::on_postgres;

/// What two commands, their answers and their letters ask of the database.
async fn live(world: &World) {
    let ada = world.person("ada@example.com").await;
    let acme = world.organization(&ada, "Acme").await;
    let bob = world.member(acme, &ada, "bob@example.com", "MEMBER").await;
    let guest = world.person("guest@example.com").await;
    let invitation = world.invite(acme, &ada, &guest, "MANAGER").await;
    invitations::find(world.database(), acme, [invitation.0]).await.unwrap();
    let key = world.api_key(acme, &ada, "a").await;
    api_keys::find(world.database(), acme, [key.0]).await.unwrap();
    let change = world.act(acme, &ada, change_role(&bob, "MANAGER")).await.version;
    news::find(world.database(), &[(acme, bob.id, change)]).await.unwrap();
    let taken = outbox::take(world.database(), world.now()).await.unwrap();
    assert_eq!(taken.len(), 3, "{taken:?}");
    let outcomes = taken.into_iter().map(|letter| (letter.id, outbox::Outcome::Sent));
    outbox::note(world.database(), outcomes.collect()).await.unwrap();
}

/// The last column of every primary key.
async fn last_columns(pool: &PgPool) -> HashMap<String, String> {
    let text = "SELECT c.relname::text, a.attname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indnatts \
         WHERE i.indisprimary AND c.relnamespace = CURRENT_SCHEMA()::regnamespace";
    sqlx::query_as(text).fetch_all(pool).await.unwrap().into_iter().collect()
}

/// What every connection of a pool has prepared, but for what a start reads, each with its plan for any values.
async fn plans(pool: &PgPool) -> Vec<(String, Vec<String>)> {
    let mut connections = Vec::new();
    // A connection goes back in a task of its own.
    while pool.num_idle() < pool.size() as usize {
        tokio::task::yield_now().await;
    }
    for _ in 0..pool.size() {
        connections.push(pool.acquire().await.unwrap());
    }
    let mut plans = Vec::new();
    for mut connection in connections {
        sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&mut *connection).await.unwrap();
        let prepared = "SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements \
             WHERE statement ~ '^(SELECT|WITH|UPDATE|INSERT)' AND statement !~ 'server_keys|_sqlx_migrations'";
        for row in sqlx::raw_sql(prepared).fetch_all(&mut *connection).await.unwrap() {
            let (name, text, parameters): (&str, String, i32) = (row.get(0), row.get(1), row.get(2));
            let values = vec!["NULL"; usize::try_from(parameters).unwrap()].join(", ");
            let explain = format!("EXPLAIN EXECUTE {name}({values})").replace("()", "");
            let lines = sqlx::raw_sql(&explain).fetch_all(&mut *connection).await.unwrap();
            plans.push((text, lines.iter().map(|line| line.get(0)).collect()));
        }
    }
    plans
}

/// Whether a line of a plan reads more than it should.
fn is_faulty(plan: &[String], at: usize, last_columns: &HashMap<String, String>) -> bool {
    let Some((_, index)) = plan[at].split_once(" using ") else { return plan[at].contains("Seq Scan") };
    let index = index.split(' ').next().unwrap();
    let condition = plan.get(at + 1).filter(|next| next.contains("Index Cond:"));
    if index.starts_with("outbox_pending") {
        return !plan[at - 1].contains("Limit");
    }
    // The roles of an organization are few.
    let last =
        if index == "roles_pkey" { Some("organization_id") } else { last_columns.get(index).map(String::as_str) };
    last.is_some_and(|last| !condition.is_some_and(|condition| condition.contains(last)))
}

#[tokio::test]
async fn rows_are_found_by_whole_keys_in_tables_that_nothing_is_known_of() {
    on_postgres("store::command_plans::rows_are_found_by_whole_keys_in_tables_that_nothing_is_known_of", async |url| {
        let world = World::open(url).await;
        let Database::Postgres { pool, appender, .. } = world.database() else { unreachable!() };
        live(&world).await;
        let last_columns = last_columns(pool).await;
        let plans = [plans(pool).await, plans(appender).await].concat();
        let is_faulty = |plan: &[String]| (0..plan.len()).any(|at| is_faulty(plan, at, &last_columns));
        let faulty = plans.iter().filter(|(_, plan)| is_faulty(plan));
        let faulty: Vec<_> = faulty.map(|(text, plan)| format!("{text}\n{}", plan.join("\n"))).collect();
        assert!(faulty.is_empty(), "{}", faulty.join("\n\n"));
        for what in [
            "UPDATE member_history",
            "UPDATE outbox AS t SET attempts",
            "AS organization_name",
            "FROM invitations i",
            "FROM api_keys k",
        ] {
            assert!(plans.iter().any(|(text, _)| text.contains(what)), "{what}");
        }
    })
    .await;
}
