//! The chain: its format, pinned by bytes written out by hand, and what `verify` finds when somebody edits a table.

use chrono::DateTime;
use orgledger::{
    domain::OrganizationId,
    secrets::hex,
    store::{
        Error, chain, hot,
        statement::{Statement, Value},
        verify::verify,
    },
};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    life::Life,
    world::{World, beginning, role},
};
use crate::support::databases::both_databases;

const ORGANIZATION: &str = "00112233-4455-4677-8899-aabbccddeeff";
const GENESIS: &str = "d0452640603690ec97ee3eebb3b7636cd0dbd718c1040ff99f0b7f343dfcaaef";
const RENAMED: &str = "4a53e2a5c09c1977c60e0ab83b0dc77910754cb3f71a7c9bce095beb302c1216";
/// The head of [`Life`], the same on every database and machine, for ever.
const LIFE: &str = "ad0d9dfe713af08ecfb0d0b6e426e7418d1ffd145f6c4e0986902cc401eb3382";

/// SHA-256 over each part behind its length as eight bytes, the largest first.
fn framed(parts: &[&[u8]]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        let length = u32::try_from(part.len()).unwrap().to_be_bytes();
        bytes.extend([&[0; 4][..], &length, part].concat());
    }
    hex(&Sha256::digest(bytes))
}

fn organization() -> OrganizationId {
    OrganizationId(ORGANIZATION.parse().unwrap())
}

/// An export that somebody keeps for ten years has to verify in ten years.
#[test]
fn the_hash_is_of_these_bytes_and_no_others() {
    let genesis = chain::genesis(organization());
    assert_eq!(framed(&[b"orgledger/chain/v1", ORGANIZATION.as_bytes()]), GENESIS);
    assert_eq!(hex(&genesis), GENESIS);

    let canonical = concat!(
        r#"{"metadata":{"actorId":"11111111-2222-4333-8444-555555555555","actorKind":"USER","requestId":"r-1"},"#,
        r#""organization":"00112233-4455-4677-8899-aabbccddeeff","payload":{"from":"Acme","to":"Acmé \"𝄞\""},"#,
        r#""recordedAt":"2026-01-02T03:04:05.000600Z","sequence":1,"type":"organization.renamed","version":1}"#,
    );
    assert_eq!(framed(&[b"orgledger/event/v1", &genesis, canonical.as_bytes()]), RENAMED);
    let link = chain::Link {
        organization: organization(),
        sequence: 1,
        event_type: "organization.renamed",
        version: 1,
        payload: &json!({ "to": "Acmé \"𝄞\"", "from": "Acme" }),
        metadata: &json!({
            "requestId": "r-1",
            "actorKind": "USER",
            "actorId": "11111111-2222-4333-8444-555555555555",
        }),
        recorded_at: DateTime::parse_from_rfc3339("2026-01-02T04:04:05.0006+01:00").unwrap().to_utc(),
    };
    assert_eq!(hex(&link.hash(&genesis).unwrap()), RENAMED);
}

/// Every field that is hashed changes the hash.
#[test]
fn nothing_of_an_event_is_left_out_of_its_hash() {
    let (payload, metadata) = (json!({ "name": "Acme" }), json!({ "requestId": "1" }));
    let other = json!({});
    let link = || chain::Link {
        organization: organization(),
        sequence: 1,
        event_type: "a.b",
        version: 1,
        payload: &payload,
        metadata: &metadata,
        recorded_at: beginning(),
    };
    let changed = [
        chain::Link { organization: OrganizationId(Uuid::nil()), ..link() },
        chain::Link { sequence: 2, ..link() },
        chain::Link { event_type: "a.c", ..link() },
        chain::Link { version: 2, ..link() },
        chain::Link { payload: &other, ..link() },
        chain::Link { metadata: &other, ..link() },
        chain::Link { recorded_at: beginning() + chrono::TimeDelta::microseconds(1), ..link() },
    ];
    let mut hashes: Vec<_> = changed.iter().map(|link| link.hash(&[1; 32]).unwrap()).collect();
    hashes.extend([link().hash(&[1; 32]).unwrap(), link().hash(&[2; 32]).unwrap()]);
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 9);
}

/// Where `verify` stops, and what it says there.
async fn found(world: &World) -> Option<(OrganizationId, u64, String)> {
    match verify(world.database()).await {
        Ok(_) => None,
        Err(Error::Corrupt { organization, sequence, what }) => Some((organization, sequence, what)),
        Err(other) => panic!("{other:?}"),
    }
}

/// Something that a person with access to the database may do: a statement with its values.
type Deed = (&'static str, Vec<Value>);

async fn deed(world: &World, (text, values): Deed) {
    let statement = values.into_iter().fold(Statement::new(text), Statement::bind);
    assert_ne!(statement.run(world.database()).await.unwrap(), 0, "{text}");
}

const TABLES: [&str; 5] = ["events", "streams", "members", "invitations", "api_keys"];

async fn save(world: &World) {
    for table in TABLES {
        world.raw(&format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}")).await;
    }
}

async fn restore(world: &World) {
    for table in TABLES {
        world.raw(&format!("DELETE FROM {table}")).await;
        world.raw(&format!("INSERT INTO {table} SELECT * FROM saved_{table}")).await;
    }
}

/// Does it, and holds what `verify` says against the place; afterwards nothing was done.
async fn expect(world: &World, deeds: Vec<Deed>, place: (OrganizationId, u64, &str)) {
    let texts: Vec<_> = deeds.iter().map(|(text, _)| *text).collect();
    for one in deeds {
        deed(world, one).await;
    }
    let (organization, sequence, what) = found(world).await.unwrap_or_else(|| panic!("{texts:?} is not found"));
    assert_eq!((organization, sequence), (place.0, place.1), "{texts:?}: {what}");
    assert!(what.contains(place.2), "{texts:?}: {what}");
    restore(world).await;
}

both_databases! {
    /// The same commands give the same hashes, wherever they are kept.
    async fn the_same_history_has_the_same_head_everywhere(url: &str) {
        let world = World::open(url).await;
        let life = Life::live(&world).await;
        let head = hot::head(world.database(), life.acme).await.unwrap().unwrap();
        assert_eq!(hex(&head.hash), LIFE);
    }

    /// Whatever is done to an event, its own place is named.
    async fn an_edited_event_is_found_and_named(url: &str) {
        let world = World::open(url).await;
        let Life { acme, .. } = Life::live(&world).await;
        let last = hot::head(world.database(), acme).await.unwrap().unwrap().version;
        save(&world).await;
        assert_eq!(found(&world).await, None);
        let id = || Value::from(acme.0);
        let edit = |text, value: Value| vec![(text, vec![id(), value])];
        let rewritten = "is not what was written";

        let payload = "UPDATE events SET payload = $2 WHERE organization_id = $1 AND sequence = 4";
        let lie = json!({ "from": "Acme", "to": "Evil" });
        expect(&world, edit(payload, lie.into()), (acme, 4, rewritten)).await;
        let metadata = "UPDATE events SET metadata = $2 WHERE organization_id = $1 AND sequence = 5";
        let lie = json!({ "actorKind": "USER", "actorId": acme, "requestId": "" });
        expect(&world, edit(metadata, lie.into()), (acme, 5, rewritten)).await;
        let time = "UPDATE events SET recorded_at = $2 WHERE organization_id = $1 AND sequence = 1";
        expect(&world, edit(time, DateTime::UNIX_EPOCH.into()), (acme, 1, rewritten)).await;
        let event_type = "UPDATE events SET event_type = $2 WHERE organization_id = $1 AND sequence = 9";
        expect(&world, edit(event_type, "member.left".into()), (acme, 9, rewritten)).await;
        let version = "UPDATE events SET event_version = $2 WHERE organization_id = $1 AND sequence = 9";
        expect(&world, edit(version, "2".into()), (acme, 9, rewritten)).await;
        let hash = "UPDATE events SET hash = $2 WHERE organization_id = $1 AND sequence = 6";
        expect(&world, edit(hash, vec![7_u8; 32].into()), (acme, 6, rewritten)).await;
        let previous = "UPDATE events SET prev_hash = $2 WHERE organization_id = $1 AND sequence = 6";
        expect(&world, edit(previous, vec![7_u8; 32].into()), (acme, 6, "predecessor")).await;

        let dropped = "DELETE FROM events WHERE organization_id = $1 AND sequence = $2";
        expect(&world, edit(dropped, 5_u64.into()), (acme, 5, "missing, 6 follows")).await;
        expect(&world, edit(dropped, last.into()), (acme, last - 1, "its head says")).await;
        let moved = |from: u64, to: u64| {
            let text = "UPDATE events SET sequence = $3 WHERE organization_id = $1 AND sequence = $2";
            (text, vec![id(), from.into(), to.into()])
        };
        let reordered = vec![moved(5, 1000), moved(6, 5), moved(1000, 6)];
        expect(&world, reordered, (acme, 5, "predecessor")).await;
    }

    /// A head that was moved, and events whose head is gone.
    async fn an_edited_head_is_found_and_named(url: &str) {
        let world = World::open(url).await;
        let Life { acme, .. } = Life::live(&world).await;
        let last = hot::head(world.database(), acme).await.unwrap().unwrap().version;
        save(&world).await;
        let edit = |text, value: Value| vec![(text, vec![Value::from(acme.0), value])];
        let version = "UPDATE streams SET version = $2 WHERE organization_id = $1";
        expect(&world, edit(version, (last - 1).into()), (acme, last, "its head says")).await;
        expect(&world, edit(version, (last + 1).into()), (acme, last, "its head says")).await;
        let hash = "UPDATE streams SET head_hash = $2 WHERE organization_id = $1";
        expect(&world, edit(hash, vec![7_u8; 32].into()), (acme, last, "another hash")).await;
        deed(&world, ("DELETE FROM streams WHERE organization_id = $1", vec![acme.0.into()])).await;
        let (organization, _, what) = found(&world).await.unwrap();
        assert!(organization == acme && what.contains("no head"), "{what}");
    }

    /// Who edits what queries read, instead of the ledger, is found as well.
    async fn an_edited_row_is_found_and_named(url: &str) {
        let world = World::open(url).await;
        let Life { acme, ada, key, .. } = Life::live(&world).await;
        let last = hot::head(world.database(), acme).await.unwrap().unwrap().version;
        save(&world).await;
        let of = |text, id: Uuid| vec![(text, vec![Value::from(acme.0), id.into()])];
        let member = format!("the row of member {}", ada.id);
        let text = "UPDATE members SET status = 'INACTIVE' WHERE organization_id = $1 AND user_id = $2";
        expect(&world, of(text, ada.id.0), (acme, last, &member)).await;
        let text = "UPDATE members SET role_id = $3 WHERE organization_id = $1 AND user_id = $2";
        let demoted = vec![(text, vec![acme.0.into(), ada.id.0.into(), role("MEMBER").0.into()])];
        expect(&world, demoted, (acme, last, &member)).await;
        let text = "DELETE FROM members WHERE organization_id = $1 AND user_id = $2";
        expect(&world, of(text, ada.id.0), (acme, last, &format!("{member} is missing"))).await;
        let text = "INSERT INTO members SELECT organization_id, $2, role_id, status, joined_at, invited_by_kind, \
             invited_by_id, version, name_key, email_key, search_key, last_login_at FROM members \
             WHERE organization_id = $1 AND user_id = $3";
        let added = vec![(text, vec![acme.0.into(), Uuid::max().into(), ada.id.0.into()])];
        expect(&world, added, (acme, last, "the row of member ffffffff")).await;

        let text = "UPDATE api_keys SET status = 'REVOKED' WHERE organization_id = $1 AND api_key_id = $2";
        expect(&world, of(text, key.0), (acme, last, &format!("the row {key} of api_keys"))).await;
        let text = "DELETE FROM api_keys WHERE organization_id = $1 AND api_key_id = $2";
        expect(&world, of(text, key.0), (acme, last, &format!("the row {key} of api_keys is missing"))).await;
        let text = "UPDATE invitations SET state = $2 WHERE organization_id = $1 AND state = 'DECLINED'";
        let state = vec![(text, vec![acme.0.into(), "PENDING".into()])];
        expect(&world, state, (acme, last, "of invitations is not what the ledger says")).await;
    }
}
