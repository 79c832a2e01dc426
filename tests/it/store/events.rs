//! Events at rest: read by the stock repositories, in an order that time cannot upset, and readable for ever.

use std::{collections::BTreeSet, fs, path::Path};

use chrono::TimeDelta;
use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use orgledger::{
    domain::{Organization, OrganizationId},
    store::{
        Database, Error,
        aggregate::{decode, encode},
        history, hot,
        ledger::Freshness,
        statement::Statement,
    },
};
use postgres_es::PostgresEventRepository;
use serde_json::{Value, json};
use sqlite_es::SqliteEventRepository;

use super::{
    kinds::Kinds,
    life::Life,
    world::{World, rename},
};
use crate::support::databases::both_databases;

/// The samples: the permanent name, the version and the fields of every event that was ever written.
fn samples() -> Vec<(String, String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events");
    let sample = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (event_type, version) = name.rsplit_once(".v").unwrap();
        let fields = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        (event_type.to_owned(), version.to_owned(), fields)
    };
    fs::read_dir(folder).unwrap().map(sample).collect()
}

/// The permanent names in the source, where every variant has one.
fn names() -> BTreeSet<String> {
    let source = include_str!("../../../src/domain/organization/event.rs");
    let name = |line: &str| line.trim().strip_prefix("#[serde(rename = \"")?.strip_suffix("\")]").map(str::to_owned);
    source.lines().filter_map(name).collect()
}

fn decoded((event_type, version, fields): &(String, String, Value)) -> orgledger::domain::organization::Event {
    decode(OrganizationId(uuid::Uuid::nil()), 1, event_type, version, fields).unwrap()
}

/// Every event of the samples.
pub fn events() -> Vec<orgledger::domain::organization::Event> {
    samples().iter().map(decoded).collect()
}

/// What is in somebody's ledger is read by every later version, and hashed to the same.
#[test]
fn every_sample_decodes_and_comes_out_as_it_went_in() {
    for sample in samples() {
        let event = decoded(&sample);
        assert_eq!(event.name(), sample.0);
        assert_eq!(encode(&event).unwrap(), sample.2, "{}", sample.0);
    }
}

/// A new type of event brings its sample, and no sample ever goes.
#[test]
fn every_type_of_event_has_a_sample() {
    let sampled: BTreeSet<_> = samples().into_iter().map(|(event_type, ..)| event_type).collect();
    assert_eq!(names(), sampled);
    assert_eq!(names().len(), 33);
}

/// What nobody has written is an error, not a gap: an aggregate that skips an event is a wrong aggregate.
#[test]
fn an_unknown_event_is_an_error() {
    let organization = OrganizationId(uuid::Uuid::nil());
    let fields = json!({ "userId": uuid::Uuid::nil() });
    assert!(decode(organization, 7, "member.deactivated", "1", &fields).is_ok());
    for (event_type, version, fields) in [
        ("member.deactivated", "2", &fields),
        ("member.deactivated", "01", &fields),
        ("member.banished", "1", &fields),
        ("member.deactivated", "1", &json!({})),
        ("member.deactivated", "1", &json!({ "userId": "ada" })),
    ] {
        let error = decode(organization, 7, event_type, version, fields).unwrap_err();
        assert!(matches!(error, Error::Corrupt { sequence: 7, .. }), "{event_type} {version}: {error:?}");
    }
}

async fn stock(database: &Database, organization: OrganizationId, after: Option<usize>) -> Vec<SerializedEvent> {
    async fn read(repository: impl PersistedEventRepository, id: &str, after: Option<usize>) -> Vec<SerializedEvent> {
        let events = match after {
            None => repository.get_events::<Organization>(id).await,
            Some(sequence) => repository.get_last_events::<Organization>(id, sequence).await,
        };
        events.unwrap()
    }
    let id = organization.to_string();
    match database {
        Database::Postgres { pool, .. } => read(PostgresEventRepository::new(pool.clone()), &id, after).await,
        Database::Sqlite { readers, .. } => read(SqliteEventRepository::new(readers.clone()), &id, after).await,
    }
}

both_databases! {
    /// The ledger is a table that cqrs-es knows, with nothing hidden beside it.
    async fn the_stock_repositories_read_what_was_written(url: &str) {
        let world = World::open(url).await;
        let Life { acme, gone, .. } = Life::live(&world).await;
        let Kinds { works, corp, personal, .. } = Kinds::live(&world).await;
        let mut seen = BTreeSet::new();
        for organization in [acme, gone, works, corp, personal] {
            let ours = history::after(world.database(), organization, 0, u64::MAX).await.unwrap();
            let theirs = stock(world.database(), organization, None).await;
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(theirs.aggregate_id, organization.to_string());
                assert_eq!((theirs.aggregate_type.as_str(), theirs.event_version.as_str()), ("organization", "1"));
                assert_eq!((theirs.sequence as u64, theirs.event_type.as_str()), (ours.sequence, ours.event.name()));
                assert_eq!(theirs.payload, ours.payload);
                assert_eq!(theirs.metadata, serde_json::to_value(&ours.metadata).unwrap());
                seen.insert(theirs.event_type.clone());
            }
            let last = stock(world.database(), organization, Some(3)).await;
            assert_eq!(last, theirs[3..]);
        }
        assert_eq!(seen, names(), "together they have every type of event");
    }

    /// A clock that is set back, or a second server whose clock is behind, does not upset the order of time.
    async fn the_time_of_an_event_is_never_before_its_predecessors(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let latest = world.now();
        for (number, step) in [TimeDelta::hours(-5), TimeDelta::microseconds(1), TimeDelta::hours(6)].iter().enumerate()
        {
            world.pass(*step);
            world.act(acme, &ada, rename(&format!("Acme {number}"))).await;
        }
        let events = history::after(world.database(), acme, 0, u64::MAX).await.unwrap();
        assert!(events.is_sorted_by_key(|event| event.recorded_at));
        assert_eq!(events[3].recorded_at, latest, "while the clock is behind, time stands");
        assert_eq!(events[4].recorded_at, world.now());
        let head = hot::head(world.database(), acme).await.unwrap().unwrap();
        assert_eq!((head.recorded_at, head.version), (world.now(), 5));
        world.holds().await;
    }

    /// A server that meets an event of a newer one refuses to serve the organization.
    async fn an_event_of_a_newer_server_stops_the_organization(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        for text in [
            "UPDATE events SET event_version = '2' WHERE organization_id = $1 AND sequence = 2",
            "UPDATE events SET event_version = '1', event_type = 'member.banished' \
             WHERE organization_id = $1 AND sequence = 2",
        ] {
            Statement::new(text).bind(acme.0).run(world.database()).await.unwrap();
            let viewed = world.cold().store.ledger.view(acme, Freshness::Compared, |_| ()).await;
            assert!(matches!(viewed, Err(Error::Corrupt { sequence: 2, .. })), "{viewed:?}");
            let read = history::after(world.database(), acme, 0, 2).await;
            assert!(matches!(read, Err(Error::Corrupt { sequence: 2, .. })));
        }
    }
}
