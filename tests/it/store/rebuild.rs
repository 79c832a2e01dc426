//! A rebuild: the rows are what they were, and what is not in the ledger is left alone.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use orgledger::domain::{
    DataExportId, Organization,
    organization::{
        Action,
        notices::{Categories, Category},
    },
};
use orgledger::store::{
    Database, api_keys,
    ledger::{Freshness, Request},
    notices::{self, Choice},
    outbox,
    rebuild::{Report, rebuild},
    statement::Statement,
};

use super::{
    kinds::Kinds,
    life::Life,
    world::{World, rename},
};
use crate::support::databases::both_databases;

/// Every table there is, but those of the migrations.
async fn tables(database: &Database) -> Vec<String> {
    let text = match database {
        Database::Postgres { .. } => {
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema() \
             AND table_name NOT LIKE '\\_%' ORDER BY 1"
        }
        Database::Sqlite { .. } => {
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' \
             AND name NOT LIKE 'sqlite%' ORDER BY 1"
        }
    };
    let rows: Vec<(String,)> = Statement::new(text).all(database).await.unwrap();
    rows.into_iter().map(|(name,)| name).collect()
}

/// Every row of every table, as text, in order.
pub async fn dump(database: &Database) -> BTreeMap<String, Vec<String>> {
    let mut dump = BTreeMap::new();
    for table in tables(database).await {
        let text = match database {
            Database::Postgres { .. } => format!("SELECT t::text FROM {table} t"),
            Database::Sqlite { .. } => {
                let columns = format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')");
                let columns: Vec<(String,)> = Statement::new(columns).all(database).await.unwrap();
                let columns: Vec<_> = columns.into_iter().map(|(column,)| column).collect();
                format!("SELECT {} FROM {table}", columns.join(" || ',' || "))
            }
        };
        let rows: Vec<(String,)> = Statement::new(text).all(database).await.unwrap();
        let mut rows: Vec<_> = rows.into_iter().map(|(row,)| row).collect();
        rows.sort_unstable();
        dump.insert(table, rows);
    }
    dump
}

both_databases! {
    /// The rows after a rebuild are those that the commands left, byte for byte, facts included.
    async fn the_rows_are_the_same_before_and_after(url: &str) {
        let world = World::open(url).await;
        let Life { acme, ada, key, .. } = Life::live(&world).await;
        let keyed = world.request(acme, &ada, rename("Once"));
        let keyed = Request { idempotency: Some(world.idempotency("k", "once")), ..keyed };
        world.store.ledger.execute(keyed).await.unwrap();
        let export = DataExportId(world.store.entropy.uuid());
        world.act(acme, &ada, Action::RequestDataExport { export, outlived: None }).await;
        world.pass(TimeDelta::seconds(1));
        api_keys::note_usage(world.database(), vec![(acme, key, world.now())]).await.unwrap();
        let choice = Choice { muted: Categories::of(&[Category::Roles]), ..Choice::default() };
        notices::choose(world.database(), acme, ada.id, choice).await.unwrap().unwrap();
        let letter = outbox::take(world.database(), world.now()).await.unwrap().remove(0);
        outbox::note(world.database(), letter.id, outbox::Outcome::Sent).await.unwrap();

        let before = dump(world.database()).await;
        let empty: Vec<_> = before.iter().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| table).collect();
        assert_eq!(empty, ["identities", "sessions", "sign_in_links", "snapshots"], "every other has something to lose");
        let report = rebuild(world.database()).await.unwrap();
        let events = before["events"].len() as u64;
        assert_eq!(report, Report { organizations: 2, events });
        assert_eq!(dump(world.database()).await, before);
        world.holds().await;
    }

    /// Rows that were lost or falsified come back.
    async fn falsified_rows_come_back(url: &str) {
        let world = World::open(url).await;
        Life::live(&world).await;
        let before = dump(world.database()).await;
        world.raw("DELETE FROM member_history").await;
        world.raw("DELETE FROM api_key_secrets").await;
        world.raw("UPDATE members SET role_id = user_id, status = 'NONE', joined_at = last_login_at").await;
        world.raw("UPDATE organizations SET name = 'Evil'").await;
        world.raw("UPDATE roles SET permissions = 0").await;
        rebuild(world.database()).await.unwrap();
        assert_eq!(dump(world.database()).await, before);
    }

    /// Servers go on while it runs, and no row is from before or from nowhere.
    async fn commands_go_on_during_a_rebuild(url: &str) {
        let world = World::open(url).await;
        let other = world.beside(url).await;
        let Life { acme, ada, .. } = Life::live(&world).await;
        let rebuilding = async {
            for _ in 0..5 {
                rebuild(other.database()).await.unwrap();
            }
        };
        let commanding = async {
            for number in 0..20 {
                world.act(acme, &ada, rename(&format!("Acme {number}"))).await;
                world.member(acme, &ada, &format!("new{number}@example.com"), "MEMBER").await;
            }
        };
        tokio::join!(rebuilding, commanding);
        world.holds().await;
        let live = dump(world.database()).await;
        rebuild(world.database()).await.unwrap();
        assert_eq!(dump(world.database()).await, live);
    }

    /// Custom roles that came and went, members that were moved, owners that handed over, certification, a person's own.
    async fn the_rows_of_every_kind_of_organization_are_the_same_before_and_after(url: &str) {
        let world = World::open(url).await;
        let Kinds { works, corp, personal, .. } = Kinds::live(&world).await;
        let before = dump(world.database()).await;
        let report = rebuild(world.database()).await.unwrap();
        assert_eq!(report, Report { organizations: 3, events: before["events"].len() as u64 });
        assert_eq!(dump(world.database()).await, before);
        world.raw("UPDATE roles SET deleted = NOT deleted, level = 1, name = 'Evil', key = 'EVIL', version = 0").await;
        world.raw("UPDATE organizations SET certification = 'REQUESTED', default_role_id = organization_id").await;
        world.raw("UPDATE member_history SET role_id = user_id").await;
        world.raw("UPDATE invitations SET role_id = organization_id").await;
        rebuild(world.database()).await.unwrap();
        assert_eq!(dump(world.database()).await, before);
        world.holds().await;
        // What a server remembers is what one that starts now folds from the ledger.
        for organization in [works, corp, personal] {
            let state = async |world: &World| {
                let view = world.store.ledger.view(organization, Freshness::Compared, Organization::clone);
                view.await.unwrap()
            };
            assert_eq!(state(&world).await, state(&world.cold()).await);
        }
    }
}
