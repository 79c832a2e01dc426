//! A database of an older version, brought to this one: its rows get what the migrations make of them.

use std::path::Path;

use orgledger::store::{
    Database,
    rebuild::{Which, rebuild},
    statement::Statement,
};
use sqlx::migrate::Migrator;

use super::{kinds::Kinds, life::Life, rebuild::dump, world::World};
use crate::support::{
    databases::both_databases,
    postgres::{drop_schema, fresh_schema},
};

/// The last version that kept no refused attempts and no periods of roles.
const BEFORE: i64 = 7;

/// What is made from the ledger alone.
const MADE: [&str; 11] = [
    "api_key_secrets",
    "api_keys",
    "audit_entries",
    "invitations",
    "member_history",
    "members",
    "organizations",
    "role_history",
    "roles",
    "user_invitations",
    "user_organizations",
];

/// An empty database of the version before.
async fn before(url: &str) -> Database {
    let database = Database::connect(url).await.unwrap();
    let name = if url.starts_with("sqlite:") { "sqlite" } else { "postgres" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(name);
    let mut migrator = Migrator::new(folder).await.unwrap();
    migrator.migrations.to_mut().retain(|migration| migration.version <= BEFORE);
    match &database {
        Database::Postgres { pool, .. } => migrator.run(pool).await.unwrap(),
        Database::Sqlite { writer, .. } => migrator.run(writer).await.unwrap(),
    }
    database
}

/// The columns of a table.
async fn columns(database: &Database, table: &str) -> String {
    let text = match database {
        Database::Postgres { .. } => {
            "SELECT column_name::text FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1"
        }
        Database::Sqlite { .. } => "SELECT name FROM pragma_table_info($1)",
    };
    let names: Vec<(String,)> = Statement::new(text).bind(table).all(database).await.unwrap();
    names.into_iter().map(|(name,)| name).collect::<Vec<_>>().join(", ")
}

/// Copies the rows of a database of this version into one of the version before, as far as it has tables and columns.
async fn copy(from: &Database, url: &str, to: &Database) {
    let lived = match (from, to) {
        (Database::Postgres { .. }, _) => {
            let schema: Option<(String,)> =
                Statement::new("SELECT current_schema()::text").optional(from).await.unwrap();
            schema.unwrap().0
        }
        (_, Database::Sqlite { writer, .. }) => {
            let attach = format!("ATTACH '{}' AS lived", url.strip_prefix("sqlite://").unwrap());
            sqlx::raw_sql(&attach).execute(writer).await.unwrap();
            "lived".to_owned()
        }
        _ => panic!("two kinds of databases"),
    };
    for table in dump(to).await.into_keys() {
        let columns = columns(to, &table).await;
        // An invitation that had ended stood in the registry no more.
        let rows = if table == "user_invitations" { " WHERE open" } else { "" };
        let text = format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {lived}.{table}{rows}");
        match to {
            Database::Postgres { pool, .. } => drop(sqlx::raw_sql(&text).execute(pool).await.unwrap()),
            Database::Sqlite { writer, .. } => drop(sqlx::raw_sql(&text).execute(writer).await.unwrap()),
        }
    }
}

both_databases! {
    /// All that a rebuild makes, but for what the migration says: the periods of roles that were edited.
    async fn an_old_database_has_what_a_rebuild_makes(url: &str) {
        let world = World::open(url).await;
        Life::live(&world).await;
        Kinds::live(&world).await;
        let old = match url.strip_suffix("orgledger.db") {
            Some(folder) => format!("{folder}old.db"),
            None => fresh_schema().await.unwrap(),
        };
        let database = before(&old).await;
        copy(world.database(), url, &database).await;
        database.migrate().await.unwrap();
        let migrated = dump(&database).await;
        rebuild(&database, Which::Every, |_| ()).await.unwrap();
        let rebuilt = dump(&database).await;
        for (table, rows) in &migrated {
            if table != "role_history" {
                assert_eq!(rows, &rebuilt[table], "{table}");
            }
        }
        let edited = Statement::new(
            "SELECT COUNT(*) FROM role_history h JOIN roles r \
             ON r.organization_id = h.organization_id AND r.role_id = h.role_id \
             JOIN audit_entries a ON a.organization_id = r.organization_id AND a.sequence = r.version \
             WHERE NOT r.built_in AND a.event_type <> 'role.created'",
        );
        let edited = edited.count(&database).await.unwrap();
        let (kept, made) = (&migrated["role_history"], &rebuilt["role_history"]);
        assert!(kept.iter().all(|row| made.contains(row)), "{kept:#?}\n{made:#?}");
        assert!(edited > 0 && (made.len() - kept.len()) as u64 == edited, "{kept:#?}\n{made:#?}");
        let lived = dump(world.database()).await;
        for table in MADE {
            assert!(rebuilt[table] == lived[table] && !lived[table].is_empty(), "{table}");
        }
        if !old.starts_with("sqlite:") {
            drop_schema(&old).await;
        }
    }
}
