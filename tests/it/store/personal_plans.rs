//! The plans of erasing somebody and of exporting data: what is read is an index of one organization or of one person.
//! The organizations are those of [`plans`], and everybody has something of everything beside.

use orgledger::{
    domain::{Actor, ApiKeyId, SessionId, Timestamp, UserId},
    secrets::SecretHash,
    store::{
        Database,
        data_exports::{Owner, page_statements},
        database::Pooling,
        erasure,
        standing::{Credential, standings},
        statement::Statement,
    },
};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use super::{
    faults::explained,
    plans::{self, BIG, analyze, id},
    world::{World, beginning},
};
use crate::support::databases::on_postgres;

/// A member of the seventh organization.
const PERSON: UserId = UserId(Uuid::from_u128(700_005));

/// How everybody signs in, and what was exported.
async fn fill(database: &Database) {
    plans::fill(database).await;
    let (user, thing) = (id(database, "o * 100000 + i"), id(database, "o * 1000000 + i"));
    let nobody = id(database, "o * 100000 + p * 2000 + i");
    let (token, salt) = match database {
        Database::Postgres { .. } => (format!("uuid_send({thing})"), "''::bytea"),
        Database::Sqlite { .. } => (thing.clone(), "x''"),
    };
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000), \
         r(o) AS (SELECT 1 UNION ALL SELECT o + 1 FROM r WHERE o < 20) ";
    for text in [
        // Most people are nowhere here.
        format!(
            "INSERT INTO users SELECT {nobody}, 'E', 'n' || o || '.' || i || '.' || p, TRUE, NULL, 'name' || i, NULL, \
             {salt}, $1, $1, NULL, NULL FROM n, r, (SELECT 1 AS p UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION \
             SELECT 5) q"
        ),
        format!("INSERT INTO identities SELECT 'https://id.example.com', o || '.' || i, {user}, $1 FROM n, r"),
        format!("INSERT INTO sessions SELECT {thing}, {token}, {user}, $1, $1, $1, NULL, NULL FROM n, r"),
        format!(
            "INSERT INTO sign_in_links SELECT {thing}, 'E', 'e' || o || '.' || i, '192.0.2.1', $1, $1, NULL FROM n, r"
        ),
        format!("INSERT INTO outbox SELECT {thing}, 'SIGN_IN', NULL, {thing}, 1, 'SENT', 1, NULL, $1, $1 FROM n, r"),
        format!("INSERT INTO data_exports SELECT {thing}, NULL, {user}, 'READY', 100, 1, $1, $1, $1, 1 FROM n, r"),
    ] {
        Statement::new(format!("{numbers}{text}")).bind(beginning()).run(database).await.unwrap();
    }
    let of = id(database, "i * 150");
    let exported = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) \
         INSERT INTO data_exports SELECT {}, {of}, NULL, 'READY', 100, 1, $1, $1, $1, 1 FROM n",
        id(database, "i")
    );
    Statement::new(exported).bind(beginning()).run(database).await.unwrap();
    analyze(database).await;
}

/// Everything that an erasure does, the first page of each table of an export, and what many may do at a moment.
async fn live(database: &Database) {
    let (now, ids) = (beginning(), (700_000_u128..700_003).map(Uuid::from_u128));
    let credentials: [fn(Uuid) -> Credential; 3] = [
        |id| Credential::Session(SessionId(id)),
        |id| Credential::ApiKey { api_key: ApiKeyId(id), secret: SecretHash::from_column(vec![0; 32]).unwrap() },
        |id| Credential::Token { user: UserId(id), expires_at: Timestamp::MAX_UTC },
    ];
    for credential in credentials {
        let asked: Vec<_> = ids.clone().map(|id| (credential(id), BIG)).collect();
        standings(database, &asked, now).await.unwrap();
    }
    for owner in [Owner::Organization(BIG), Owner::Person(PERSON)] {
        for (_, statement) in page_statements(owner) {
            statement.run(database).await.unwrap();
        }
    }
    erasure::mark(database, PERSON, Actor::Operator).await.unwrap();
    assert_eq!(erasure::unfinished(database, None).await.unwrap().len(), 1);
    erasure::organizations(database, PERSON).await.unwrap();
    erasure::letters(database, PERSON).await.unwrap();
    assert!(erasure::blank(database, PERSON, beginning()).await.unwrap());
    erasure::finish(database, PERSON).await.unwrap();
    erasure::unmark(database, PERSON).await.unwrap();
}

/// The first pages, which are planned with their values each time, and the faults in their plans.
async fn pages(database: &Database) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for owner in [Owner::Organization(BIG), Owner::Person(PERSON)] {
        for (_, statement) in page_statements(owner) {
            pages.push(explained(database, statement).await);
        }
    }
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_beyond_one_organization_or_one_person() {
    on_postgres("store::personal_plans::nothing_is_read_beyond_one_organization_or_one_person", async |url| {
        drop(World::open(url).await);
        // One connection, so that what is prepared is seen.
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        let pool = PgPoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options.statement_cache_capacity(1000)).await.unwrap();
        let postgres = Database::Postgres { pool: pool.clone(), appender: pool.clone(), pooling: Pooling::Session };
        fill(&postgres).await;
        let pages = pages(&postgres).await;
        live(&postgres).await;
        sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&pool).await.unwrap();
        let plans = [plans::prepared_plans(&pool, &["SELECT", "UPDATE", "DELETE"]).await, pages].concat();
        assert!(plans.len() > 35, "{} statements", plans.len());
        plans::hold(&plans, fill).await;
    })
    .await;
}
