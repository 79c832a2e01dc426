//! The chain: its format, pinned by bytes written out by hand.

use chrono::DateTime;
use orgledger::{
    domain::OrganizationId,
    secrets::hex,
    store::{chain, hot},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    life::Life,
    world::{World, beginning},
};
use crate::support::databases::both_databases;

const ORGANIZATION: &str = "00112233-4455-4677-8899-aabbccddeeff";
const GENESIS: &str = "d0452640603690ec97ee3eebb3b7636cd0dbd718c1040ff99f0b7f343dfcaaef";
const RENAMED: &str = "4a53e2a5c09c1977c60e0ab83b0dc77910754cb3f71a7c9bce095beb302c1216";
/// The head of [`Life`], the same on every database and machine, for ever.
const LIFE: &str = "e255d17465a3d76b6467989c6dd12674176ee2f109004b190566a0c4d816abee";

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

both_databases! {
    /// The same commands give the same hashes, wherever they are kept.
    async fn the_same_history_has_the_same_head_everywhere(url: &str) {
        let world = World::open(url).await;
        let life = Life::live(&world).await;
        let head = hot::head(world.database(), life.acme).await.unwrap().unwrap();
        assert_eq!(hex(&head.hash), LIFE);
    }
}
