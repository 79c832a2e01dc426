//! A rebuild: the rows are what they were, and what is not in the ledger is left alone.

use std::{collections::BTreeMap, time::Instant};

use chrono::TimeDelta;
use orgledger::domain::{
    DataExportId, Organization, OrganizationId,
    organization::{
        Action,
        notices::{Categories, Category},
    },
};
use orgledger::store::{
    Database, Error, api_keys,
    ledger::{Freshness, Request},
    notices::{self, Choice},
    outbox,
    rebuild::{Progress, Report, Which, rebuild},
    statement::{Statement, Value},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    kinds::Kinds,
    life::Life,
    long_ledger,
    world::{World, rename, role},
};
use crate::support::databases::{announce, both_databases};

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
        outbox::note(world.database(), vec![(letter.id, outbox::Outcome::Sent)]).await.unwrap();

        let before = dump(world.database()).await;
        let empty: Vec<_> = before.iter().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| table).collect();
        assert_eq!(empty, ["identities", "sessions", "sign_in_links", "snapshots"], "every other has something to lose");
        let report = rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
        let living = "SELECT COUNT(*) FROM events e JOIN streams s ON s.organization_id = e.organization_id \
             WHERE s.state = 'LIVING'";
        let events = Statement::new(living).count(world.database()).await.unwrap();
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
        rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
        assert_eq!(dump(world.database()).await, before);
    }

    /// Servers go on while it runs, and no row is from before or from nowhere.
    async fn commands_go_on_during_a_rebuild(url: &str) {
        let world = World::open(url).await;
        let other = world.beside(url).await;
        let Life { acme, ada, .. } = Life::live(&world).await;
        let rebuilding = async {
            for _ in 0..5 {
                rebuild(other.database(), Which::Every, |_| ()).await.unwrap();
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
        rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
        assert_eq!(dump(world.database()).await, live);
    }

    /// Custom roles that came and went, members that were moved, owners that handed over, certification, a person's own.
    async fn the_rows_of_every_kind_of_organization_are_the_same_before_and_after(url: &str) {
        let world = World::open(url).await;
        let Kinds { works, corp, personal, .. } = Kinds::live(&world).await;
        let before = dump(world.database()).await;
        let report = rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
        assert_eq!(report, Report { organizations: 3, events: before["events"].len() as u64 });
        assert_eq!(dump(world.database()).await, before);
        world.raw("UPDATE roles SET deleted = NOT deleted, level = 1, name = 'Evil', key = 'EVIL', version = 0").await;
        world.raw("UPDATE organizations SET certification = 'REQUESTED', default_role_id = organization_id").await;
        world.raw("UPDATE member_history SET role_id = user_id").await;
        world.raw("UPDATE invitations SET role_id = organization_id").await;
        rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
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

    /// What was finished stays finished, and the rest is done when it goes on behind the last one that was.
    async fn an_interrupted_rebuild_goes_on_behind_the_last_organization(url: &str) {
        let world = World::open(url).await;
        Kinds::live(&world).await;
        let before = dump(world.database()).await;
        let rows = "SELECT organization_id, version FROM streams ORDER BY organization_id";
        let heads: Vec<(Uuid, i64)> = Statement::new(rows).all(world.database()).await.unwrap();
        let [first, second, third] = heads.as_slice() else { panic!("{heads:?}") };
        let events = |heads: &[&(Uuid, i64)]| heads.iter().map(|(_, version)| version.cast_unsigned()).sum::<u64>();
        let move_head = async |by: &str| {
            let text = format!("UPDATE streams SET version = version {by} WHERE organization_id = $1");
            Statement::new(text).bind(second.0).run(world.database()).await.unwrap();
        };
        world.raw("UPDATE members SET status = 'NONE'").await;
        move_head("+ 1").await;
        let mut told = Vec::new();
        let stopped = rebuild(world.database(), Which::Every, |progress| told.push(*progress)).await;
        let Err(Error::Corrupt { organization, .. }) = stopped else { panic!("{stopped:?}") };
        assert_eq!(organization.0, second.0);
        let of = Report { organizations: 3, events: events(&[first, second, third]) + 1 };
        let done = Report { organizations: 1, events: events(&[first]) };
        let last = OrganizationId(first.0);
        let finished = told.iter().find(|progress| progress.last.is_some());
        assert_eq!(finished, Some(&Progress { done, of, last: Some(last) }));
        assert_eq!(told.last().unwrap().last, Some(last));

        move_head("- 1").await;
        let report = rebuild(world.database(), Which::After(last), |_| ()).await.unwrap();
        assert_eq!(report, Report { organizations: 2, events: events(&[second, third]) });
        assert_eq!(dump(world.database()).await, before);
        world.raw("UPDATE members SET status = 'NONE'").await;
        let report = rebuild(world.database(), Which::Only(last), |_| ()).await.unwrap();
        assert_eq!(report, done);
        let wrong = "SELECT COUNT(DISTINCT organization_id) FROM members WHERE status = 'NONE'";
        assert_eq!(Statement::new(wrong).count(world.database()).await.unwrap(), 2, "one was rebuilt, and no other");
    }

    /// Rows that lack an event would be served as if it had never been: whichever event is gone, the old rows stay.
    async fn events_are_counted_against_the_head(url: &str) {
        let world = World::open(url).await;
        Life::live(&world).await;
        let text = "SELECT organization_id, version FROM streams ORDER BY version DESC LIMIT 1";
        let (id, version): (Uuid, i64) = Statement::new(text).optional(world.database()).await.unwrap().unwrap();
        for gone in [1, version / 2, version] {
            let shift = async |from: i64, to: i64| {
                let text = "UPDATE events SET sequence = $3 WHERE organization_id = $1 AND sequence = $2";
                let moved = Statement::new(text).bind(id).bind(from).bind(to);
                assert_eq!(moved.run(world.database()).await.unwrap(), 1);
            };
            shift(gone, 1_000_000 + gone).await;
            let before = dump(world.database()).await;
            let found = rebuild(world.database(), Which::Only(OrganizationId(id)), |_| ()).await;
            assert!(matches!(found, Err(Error::Corrupt { .. })), "without {gone}: {found:?}");
            assert_eq!(dump(world.database()).await, before);
            shift(1_000_000 + gone, gone).await;
        }
        rebuild(world.database(), Which::Only(OrganizationId(id)), |_| ()).await.unwrap();
    }

    /// Many members whose roles change many times, so that a page has several events of each. `LONG_LEDGER=full` makes it
    /// a hundred thousand events, and says how long that took.
    async fn a_long_ledger_is_rebuilt_page_by_page(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let (members, rounds) = if long_ledger::is_full() { (10_000, 9) } else { (400, 9) };
        let people: Vec<_> = (0..members).map(|number| format!("m{number}@example.com")).collect();
        let mut sequence = world.holds().await.events.cast_signed();
        let mut ids = Vec::new();
        for some in people.chunks(100) {
            let emails: Vec<_> = some.iter().map(String::as_str).collect();
            ids.extend(world.people(&emails).await.into_iter().map(|person| person.id.0));
        }
        let [member, manager] = [role("MEMBER"), role("MANAGER")].map(|role| role.0);
        let metadata = json!({ "actorKind": "USER", "actorId": ada.id.0, "requestId": "r" });
        let mut transaction = world.database().begin().await.unwrap();
        for (round, some) in (0..=rounds).flat_map(|round| ids.chunks(1000).map(move |some| (round, some))) {
            let mut insert = Statement::new(
                "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
                 metadata, organization_id, recorded_at, prev_hash, hash) VALUES ",
            );
            for (number, id) in some.iter().enumerate() {
                sequence += 1;
                let [from, to] = if round % 2 == 1 { [member, manager] } else { [manager, member] };
                let (kind, payload) = match round {
                    0 => (
                        "member.joined",
                        json!({ "userId": id, "roleId": member, "emailCommitment": "c", "invitedBy": null, "invitationId": null }),
                    ),
                    _ => ("member.role_changed", json!({ "userId": id, "from": from, "to": to })),
                };
                insert.push(if number == 0 { "" } else { ", " }).push_list([
                    Value::from("organization"),
                    "x".into(),
                    sequence.into(),
                    kind.into(),
                    "1".into(),
                    payload.into(),
                    metadata.clone().into(),
                    acme.0.into(),
                    world.now().into(),
                    vec![0_u8; 32].into(),
                    vec![0_u8; 32].into(),
                ]);
            }
            insert.run_in(&mut transaction).await.unwrap();
        }
        transaction.commit().await.unwrap();
        let head = Statement::new("UPDATE streams SET version = $1 WHERE organization_id = $2");
        head.bind(sequence).bind(acme.0).run(world.database()).await.unwrap();
        let (begun, mut pages) = (Instant::now(), 0);
        let report = rebuild(world.database(), Which::Only(acme), |_| pages += 1).await.unwrap();
        assert_eq!(report, Report { organizations: 1, events: sequence.cast_unsigned() });
        assert_eq!(pages, sequence.cast_unsigned().div_ceil(1000) + 1, "it tells how far it is after each page");
        if long_ledger::is_full() {
            announce(&format!("{:?} for {sequence} events", begun.elapsed()));
        }
        let count = async |text: &str| Statement::new(text).count(world.database()).await.unwrap();
        assert_eq!(count("SELECT COUNT(*) FROM audit_entries").await, report.events);
        let periods = "SELECT COUNT(*) FROM member_history h WHERE EXISTS (SELECT 1 FROM member_history n \
             WHERE n.organization_id = h.organization_id AND n.user_id = h.user_id AND n.from_sequence = h.to_sequence)";
        assert_eq!(count(periods).await, members * rounds, "each period ends where the next begins");
        let open = "SELECT COUNT(*) FROM members m JOIN member_history h ON h.organization_id = m.organization_id \
             AND h.user_id = m.user_id AND h.role_id = m.role_id AND h.from_sequence = m.version \
             WHERE h.to_sequence = 9223372036854775807";
        assert_eq!(count(open).await, members + 1);
    }
}
