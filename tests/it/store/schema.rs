//! The shape of the tables: the same on both databases, ordered by bytes, and cut along organizations.

use std::collections::{BTreeMap, BTreeSet};

use orgledger::store::{Database, statement::Statement};

use super::world::World;
use crate::support::databases::{both_databases, on_postgres, on_sqlite};

/// Tables that find an organization, so they cannot be cut along it: what is unique over all, who belongs where, and
/// letters, some of which belong to none.
const REGISTRIES: [&str; 5] = ["api_key_secrets", "data_exports", "outbox", "user_invitations", "user_organizations"];

/// Keys and indexes of tenant tables that do not begin with the organization: the stock key of cqrs-es.
const STOCK_KEY: (&str, [&str; 3]) = ("events", ["aggregate_type", "aggregate_id", "sequence"]);

/// A column: its table, its name, its family of types, whether it may be empty.
type Column = (String, String, String, bool);

/// What a type of PostgreSQL is in SQLite.
fn family(data_type: &str) -> &str {
    match data_type {
        "uuid" | "bytea" => "BLOB",
        "text" | "timestamp with time zone" | "jsonb" => "TEXT",
        "bigint" => "INTEGER",
        "boolean" => "BOOLEAN",
        other => other,
    }
}

async fn columns(database: &Database) -> Vec<Column> {
    let text = match database {
        Database::Postgres { .. } => {
            "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' \
             FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, 2"
        }
        Database::Sqlite { .. } => {
            "SELECT t.name, c.name, c.type, NOT c.\"notnull\" FROM sqlite_schema t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' ORDER BY 1, 2"
        }
    };
    let mut columns: Vec<Column> = Statement::new(text).all(database).await.unwrap();
    columns.retain(|(table, ..)| !table.starts_with('_') && !table.starts_with("sqlite_"));
    for column in &mut columns {
        column.2 = family(&column.2).to_owned();
    }
    columns.sort();
    columns
}

/// Every key and index: its table and columns, in the order of the index, a primary key's name first.
async fn indexes(database: &Database) -> BTreeMap<(String, String), Vec<String>> {
    let text = match database {
        Database::Postgres { .. } => {
            "SELECT t.relname::text, i.relname::text, a.attname::text FROM pg_index x \
             JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid \
             JOIN pg_attribute a ON a.attrelid = i.oid \
             WHERE t.relnamespace = current_schema()::regnamespace ORDER BY t.relname, i.relname, a.attnum"
        }
        Database::Sqlite { .. } => {
            "SELECT t.name, i.name, c.name FROM sqlite_schema t, pragma_index_list(t.name) i, \
             pragma_index_info(i.name) c WHERE t.type = 'table' ORDER BY t.name, i.name, c.seqno"
        }
    };
    let mut indexes = BTreeMap::<_, Vec<_>>::new();
    for (table, index, column) in Statement::new(text).all::<(String, String, String)>(database).await.unwrap() {
        if !table.starts_with('_') {
            indexes.entry((table, index)).or_default().push(column);
        }
    }
    indexes
}

/// Both folders of migrations make the same tables, columns, keys and indexes.
#[tokio::test(flavor = "multi_thread")]
async fn both_databases_have_the_same_tables_columns_and_keys() {
    on_postgres("store::schema::both_databases_have_the_same_tables_columns_and_keys", async |postgres| {
        on_sqlite(async |sqlite| {
            let (postgres, sqlite) = (World::open(postgres).await, World::open(sqlite).await);
            assert_eq!(columns(postgres.database()).await, columns(sqlite.database()).await);
            let keys = async |world: &World| {
                let indexes = indexes(world.database()).await;
                indexes.into_iter().map(|((table, _), columns)| (table, columns)).collect::<BTreeSet<_>>()
            };
            assert_eq!(keys(&postgres).await, keys(&sqlite).await);
        })
        .await;
    })
    .await;
}

/// Text is compared by its bytes, as SQLite does, whatever the order of the database is.
#[tokio::test(flavor = "multi_thread")]
async fn text_is_ordered_by_bytes_in_postgres() {
    on_postgres("store::schema::text_is_ordered_by_bytes_in_postgres", async |url| {
        let world = World::open(url).await;
        let text = "SELECT table_name::text, column_name::text, COALESCE(collation_name::text, 'of the database') \
             FROM information_schema.columns WHERE table_schema = current_schema() AND data_type = 'text' \
             AND table_name NOT LIKE '\\_%'";
        let columns: Vec<(String, String, String)> = Statement::new(text).all(world.database()).await.unwrap();
        let others: Vec<_> = columns.iter().filter(|(.., collation)| collation != "C").collect();
        assert!(columns.len() > 40 && others.is_empty(), "{others:?}");
        let text = "SELECT DISTINCT data_type::text FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_%' ORDER BY 1";
        let types: Vec<(String,)> = Statement::new(text).all(world.database()).await.unwrap();
        let types: Vec<_> = types.iter().map(|(name,)| name.as_str()).collect();
        assert_eq!(types, ["bigint", "boolean", "bytea", "jsonb", "text", "timestamp with time zone", "uuid"]);
    })
    .await;
}

both_databases! {
    /// No key and no index of a tenant's table spans organizations, so the tables can be cut along them.
    async fn the_organization_comes_first_in_every_key_of_a_tenants_table(url: &str) {
        let world = World::open(url).await;
        let columns = columns(world.database()).await;
        let of_tenants = |table: &String| {
            let has = columns.iter().any(|(of, name, ..)| of == table && name == "organization_id");
            has && !REGISTRIES.contains(&table.as_str())
        };
        let indexes = indexes(world.database()).await;
        let tables: BTreeSet<_> = indexes.keys().map(|(table, _)| table).filter(|table| of_tenants(table)).collect();
        assert_eq!(tables.len(), 17, "{tables:?}");
        let mut wrong: Vec<_> = indexes
            .iter()
            .filter(|((table, _), columns)| of_tenants(table) && columns[0] != "organization_id")
            .map(|((table, _), columns)| (table.as_str(), columns.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        wrong.retain(|(table, columns)| (*table, columns.as_slice()) != (STOCK_KEY.0, &STOCK_KEY.1));
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    /// A tenant's table cannot hold a row without its organization.
    async fn the_organization_is_never_empty(url: &str) {
        let world = World::open(url).await;
        let columns = columns(world.database()).await;
        let empty = columns.iter().filter(|(_, name, _, nullable)| name == "organization_id" && *nullable);
        assert_eq!(empty.map(|(table, ..)| table.as_str()).collect::<Vec<_>>(), ["data_exports", "outbox"], "a sign-in has none, nor has a person");
    }
}
