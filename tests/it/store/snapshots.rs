//! Snapshots: a long stream is folded from one, and whatever is wrong with one costs nothing but time.

use std::{env, fs, path::Path, time::Duration};

use orgledger::{
    domain::{
        Organization, OrganizationId,
        organization::{Action, Event},
    },
    store::{
        snapshots::{AT_LEAST, STATE_VERSION},
        statement::Statement,
    },
};
use serde_json::Value;
use tokio::{task::yield_now, time::timeout};

use super::{
    events::events,
    world::{Person, World, rename},
};
use crate::support::databases::both_databases;

/// An organization whose last event was the one that made a snapshot due.
async fn long_stream(world: &World) -> (OrganizationId, Person) {
    let ada = world.person("ada@example.com").await;
    let acme = world.organization(&ada, "Acme").await;
    for number in 2..=AT_LEAST {
        world.act(acme, &ada, rename(&format!("Acme {number}"))).await;
    }
    let taken = async {
        while count(world).await == 0 {
            yield_now().await;
        }
    };
    timeout(Duration::from_mins(1), taken).await.expect("a snapshot is taken");
    (acme, ada)
}

async fn count(world: &World) -> u64 {
    Statement::new("SELECT COUNT(*) FROM snapshots").count(world.database()).await.unwrap()
}

/// Puts another name into the state of the snapshot, to see who believes it.
async fn retell(world: &World, name: &str) {
    let row: Option<(Vec<u8>,)> =
        Statement::new("SELECT state FROM snapshots").optional(world.database()).await.unwrap();
    let mut state: Value = serde_json::from_slice(&row.unwrap().0).unwrap();
    state["name"] = name.into();
    let write = Statement::new("UPDATE snapshots SET state = $1").bind(serde_json::to_vec(&state).unwrap());
    assert_eq!(write.run(world.database()).await.unwrap(), 1);
}

both_databases! {
    async fn a_cold_server_folds_a_long_stream_from_its_snapshot(url: &str) {
        let world = World::open(url).await;
        let (acme, ada) = long_stream(&world).await;
        world.holds().await;
        retell(&world, "Zenith").await;
        assert!(!world.cold().act(acme, &ada, rename("Zenith")).await.written, "the snapshot says so");
        assert!(world.act(acme, &ada, rename("Zenith")).await.written, "memory is not read from it");
    }

    async fn a_snapshot_that_is_no_good_is_passed_over(url: &str) {
        let world = World::open(url).await;
        let (acme, ada) = long_stream(&world).await;
        retell(&world, "Zenith").await;
        let spoilt = [
            "UPDATE snapshots SET state_version = state_version + 1",
            "UPDATE snapshots SET state_version = state_version - 1, head_hash = state",
            "UPDATE snapshots SET state = head_hash",
        ];
        for (number, text) in spoilt.into_iter().enumerate() {
            assert_eq!(world.raw(text).await, 1);
            let name = if number % 2 == 0 { "Zenith" } else { "Acme" };
            assert!(world.cold().act(acme, &ada, rename(name)).await.written, "{text}");
        }
        world.holds().await;
    }

    async fn a_snapshot_ends_with_its_organization(url: &str) {
        let world = World::open(url).await;
        let (acme, ada) = long_stream(&world).await;
        let delete = Action::DeleteOrganization { confirm_name: format!("Acme {AT_LEAST}") };
        world.act(acme, &ada, delete).await;
        assert_eq!(count(&world).await, 0);
        world.holds().await;
    }
}

/// A snapshot is read by other versions of the program. Whoever changes the form of the state gives it another number,
/// and with it another file.
#[test]
fn the_form_of_the_state_is_that_of_its_version() {
    let mut state = Organization::default();
    for event in events().iter().filter(|event| !matches!(event, Event::OrganizationDeleted {})) {
        state.evolve(event);
    }
    let form: Value = serde_json::to_value(&state).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/state.v{STATE_VERSION}.json"));
    // The file of a new number is written; one that is there never changes.
    if env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
        fs::write(&path, serde_json::to_string_pretty(&form).unwrap() + "\n").unwrap();
    }
    let known: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(form, known, "the state has another form: it needs another STATE_VERSION");
    assert_eq!(serde_json::from_value::<Organization>(form).unwrap(), state);
}
