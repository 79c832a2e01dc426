//! What `verify` finds when somebody edits a table, and the place that it names.

use chrono::{DateTime, TimeDelta};
use orgledger::{
    domain::{
        OrganizationId, RoleId,
        organization::{Action, Kind, Permission, Permissions, api_keys::Grace},
    },
    store::{
        Error, api_keys, hot,
        rebuild::{Which, rebuild},
        statement::{Statement, Value},
        verify::verify,
    },
};
use serde_json::json;
use uuid::Uuid;

use super::{
    kinds::Kinds,
    life::Life,
    world::{Person, World, role},
};
use crate::support::databases::both_databases;

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

const TABLES: [&str; 7] = ["events", "streams", "members", "roles", "invitations", "api_keys", "api_key_secrets"];

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

        // Not under the hash, but what the stock repositories find it by.
        let aggregate = "UPDATE events SET aggregate_id = $2 WHERE organization_id = $1 AND sequence = 6";
        expect(&world, edit(aggregate, "another".into()), (acme, 6, "another aggregate")).await;
        let aggregate = "UPDATE events SET aggregate_type = $2 WHERE organization_id = $1 AND sequence = 7";
        expect(&world, edit(aggregate, "another".into()), (acme, 7, "another aggregate")).await;
    }

    /// A head that was moved, and events whose head is gone.
    async fn an_edited_head_is_found_and_named(url: &str) {
        let world = World::open(url).await;
        let Life { acme, gone, .. } = Life::live(&world).await;
        let last = hot::head(world.database(), acme).await.unwrap().unwrap().version;
        save(&world).await;
        let edit = |text, value: Value| vec![(text, vec![Value::from(acme.0), value])];
        let version = "UPDATE streams SET version = $2 WHERE organization_id = $1";
        expect(&world, edit(version, (last - 1).into()), (acme, last, "its head says")).await;
        expect(&world, edit(version, (last + 1).into()), (acme, last, "its head says")).await;
        let hash = "UPDATE streams SET head_hash = $2 WHERE organization_id = $1";
        expect(&world, edit(hash, vec![7_u8; 32].into()), (acme, last, "another hash")).await;
        let time = "UPDATE streams SET recorded_at = $2 WHERE organization_id = $1";
        expect(&world, edit(time, DateTime::UNIX_EPOCH.into()), (acme, last, "another time or state")).await;
        let state = "UPDATE streams SET state = $2 WHERE organization_id = $1";
        expect(&world, edit(state, "DELETED".into()), (acme, last, "another time or state")).await;
        let ended = hot::head(world.database(), gone).await.unwrap().unwrap().version;
        let alive = vec![(state, vec![gone.0.into(), "LIVING".into()])];
        expect(&world, alive, (gone, ended, "another time or state")).await;
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
        let member = format!("the row {} of members", ada.id);
        let text = "UPDATE members SET status = 'INACTIVE' WHERE organization_id = $1 AND user_id = $2";
        expect(&world, of(text, ada.id.0), (acme, last, &member)).await;
        let text = "UPDATE members SET role_id = $3 WHERE organization_id = $1 AND user_id = $2";
        let demoted = vec![(text, vec![acme.0.into(), ada.id.0.into(), role("MEMBER").0.into()])];
        expect(&world, demoted, (acme, last, &member)).await;
        let text = "UPDATE members SET version = version + 1 WHERE organization_id = $1 AND user_id = $2";
        expect(&world, of(text, ada.id.0), (acme, last, &member)).await;
        let text = "DELETE FROM members WHERE organization_id = $1 AND user_id = $2";
        expect(&world, of(text, ada.id.0), (acme, last, &format!("{member} is missing"))).await;
        let text = "INSERT INTO members SELECT organization_id, $2, role_id, status, joined_at, invited_by_kind, \
             invited_by_id, version, name_key, email_key, search_key, last_login_at FROM members \
             WHERE organization_id = $1 AND user_id = $3";
        let added = vec![(text, vec![acme.0.into(), Uuid::max().into(), ada.id.0.into()])];
        expect(&world, added, (acme, last, "the row ffffffff-ffff-ffff-ffff-ffffffffffff of members is not")).await;

        let text = "UPDATE api_keys SET status = 'REVOKED' WHERE organization_id = $1 AND api_key_id = $2";
        expect(&world, of(text, key.0), (acme, last, &format!("the row {key} of api_keys"))).await;
        let text = "DELETE FROM api_keys WHERE organization_id = $1 AND api_key_id = $2";
        expect(&world, of(text, key.0), (acme, last, &format!("the row {key} of api_keys is missing"))).await;
        let text = "UPDATE invitations SET state = $2 WHERE organization_id = $1 AND state = 'DECLINED'";
        let state = vec![(text, vec![acme.0.into(), "PENDING".into()])];
        expect(&world, state, (acme, last, "of invitations is not what the ledger says")).await;
    }
    /// A role or a key that allows more than the ledger says: one permission, one that nobody has, one rank.
    async fn a_permission_that_nobody_gave_is_found_and_named(url: &str) {
        let world = World::open(url).await;
        let Life { acme, key, .. } = Life::live(&world).await;
        let last = hot::head(world.database(), acme).await.unwrap().unwrap().version;
        save(&world).await;
        let of = |text, id: Uuid, bits: i64| vec![(text, vec![Value::from(acme.0), id.into(), bits.into()])];
        let member = role("MEMBER").0;
        let place = format!("the row {member} of roles is not what the ledger says");
        let delete = Permissions::of(&[Permission::OrganizationDelete]).bits();
        for bits in [delete, 1 << 40] {
            let text = "UPDATE roles SET permissions = permissions + $3 WHERE organization_id = $1 AND role_id = $2";
            expect(&world, of(text, member, bits), (acme, last, &place)).await;
        }
        let text = "UPDATE roles SET level = level + $3 WHERE organization_id = $1 AND role_id = $2";
        expect(&world, of(text, member, -1), (acme, last, &place)).await;
        let text = "DELETE FROM roles WHERE organization_id = $1 AND role_id = $2";
        let deed = vec![(text, vec![acme.0.into(), member.into()])];
        expect(&world, deed, (acme, last, &format!("the row {member} of roles is missing"))).await;

        let place = format!("the row {key} of api_keys is not what the ledger says");
        for bits in [delete, 1 << 40] {
            let text =
                "UPDATE api_keys SET permissions = permissions + $3 WHERE organization_id = $1 AND api_key_id = $2";
            expect(&world, of(text, key.0, bits), (acme, last, &place)).await;
        }
    }

    /// A door that opens to another secret than the ledger's, or to a secret that it never heard of.
    async fn a_secret_that_was_never_given_is_found_and_named(url: &str) {
        let world = World::open(url).await;
        let Life { acme, ada, key, .. } = Life::live(&world).await;
        let other = world.api_key(acme, &ada, "other").await;
        let last = hot::head(world.database(), acme).await.unwrap().unwrap().version;
        let row = api_keys::find(world.database(), acme, [key.0]).await.unwrap().remove(0);
        let place = format!("the row {} of api_key_secrets", row.public_id);
        save(&world).await;
        let edit = |text, value: Value| vec![(text, vec![Value::from(row.public_id.clone()), value])];
        let text = "UPDATE api_key_secrets SET hash = $2 WHERE public_id = $1";
        expect(&world, edit(text, vec![7_u8; 32].into()), (acme, last, &place)).await;
        let text = "UPDATE api_key_secrets SET api_key_id = $2 WHERE public_id = $1";
        expect(&world, edit(text, other.0.into()), (acme, last, &place)).await;
        let text = "UPDATE api_key_secrets SET public_id = $2 WHERE public_id = $1";
        expect(&world, edit(text, "intruder".into()), (acme, last, "the row intruder of api_key_secrets")).await;
        let text = "INSERT INTO api_key_secrets (public_id, organization_id, api_key_id, hash) VALUES ($1, $2, $3, $4)";
        let values = vec!["intruder".into(), acme.0.into(), key.0.into(), vec![7_u8; 32].into()];
        expect(&world, vec![(text, values)], (acme, last, "the row intruder of api_key_secrets")).await;
        assert_eq!(found(&world).await, None);
    }

    /// An entry that was taken out of the audit log, and a reason that nobody gave.
    async fn a_forged_audit_log_is_found_and_named(url: &str) {
        let world = World::open(url).await;
        let Life { acme, .. } = Life::live(&world).await;
        let reasons = "UPDATE event_context SET reason = reason || ' and more' WHERE organization_id = $1 AND reason IS NOT NULL";
        assert_eq!(found(&world).await, None);
        deed(&world, ("DELETE FROM audit_entries WHERE organization_id = $1 AND sequence = 5", vec![acme.0.into()])).await;
        let (organization, sequence, what) = found(&world).await.unwrap();
        assert_eq!((organization, sequence), (acme, 5), "{what}");
        rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
        assert_eq!(found(&world).await, None);
        deed(&world, (reasons, vec![acme.0.into()])).await;
        let (organization, _, what) = found(&world).await.unwrap();
        assert!(organization == acme && what.contains("the reason is not"), "{what}");
    }

    /// An end that was put off: of a key, of a secret in its grace, of a secret whose grace is over.
    async fn an_expiry_that_was_put_off_is_found_and_named(url: &str) {
        let world = World::open(url).await;
        let Life { acme, ada, key, .. } = Life::live(&world).await;
        let old = api_keys::find(world.database(), acme, [key.0]).await.unwrap().remove(0).public_id;
        let rotate = || Action::RotateApiKey {
            api_key: key,
            secret: world.secret(),
            grace: Grace::try_from(3600).unwrap(),
        };
        world.act(acme, &ada, rotate()).await;
        let last = hot::head(world.database(), acme).await.unwrap().unwrap().version;
        save(&world).await;
        let text = "UPDATE api_keys SET expires_at = $3 WHERE organization_id = $1 AND api_key_id = $2";
        let later = vec![acme.0.into(), key.0.into(), (world.now() + TimeDelta::days(900)).into()];
        expect(&world, vec![(text, later)], (acme, last, &format!("the row {key} of api_keys"))).await;
        let place = format!("the row {old} of api_key_secrets");
        let text = "UPDATE api_key_secrets SET expires_at = NULL WHERE public_id = $1";
        expect(&world, vec![(text, vec![old.clone().into()])], (acme, last, &place)).await;

        world.act(acme, &ada, rotate()).await;
        let put_back = "INSERT INTO api_key_secrets SELECT * FROM saved_api_key_secrets WHERE public_id = $1";
        deed(&world, (put_back, vec![old.into()])).await;
        let (organization, sequence, what) = found(&world).await.unwrap();
        assert_eq!((organization, sequence), (acme, last + 1));
        assert!(what.contains(&place), "{what}");
    }

    /// A custom role that allows or outranks more, one that is hidden while it is held, and one that is back from the
    /// dead.
    async fn an_edited_custom_role_is_found_and_named(url: &str) {
        let world = World::open(url).await;
        let Kinds { works, editor, reader, .. } = Kinds::live(&world).await;
        let last = hot::head(world.database(), works).await.unwrap().unwrap().version;
        save(&world).await;
        assert_eq!(found(&world).await, None);
        let of = |text, id: Uuid, value: Value| vec![(text, vec![Value::from(works.0), id.into(), value])];
        let place = format!("the row {editor} of roles is not what the ledger says");
        let text = "UPDATE roles SET level = $3 WHERE organization_id = $1 AND role_id = $2";
        for level in [1_i64, 3] {
            expect(&world, of(text, editor.0, level.into()), (works, last, &place)).await;
        }
        let text = "UPDATE roles SET permissions = permissions + $3 WHERE organization_id = $1 AND role_id = $2";
        let delete = Permissions::of(&[Permission::OrganizationDelete]).bits();
        for bits in [delete, -Permissions::of(&[Permission::RolesManage]).bits()] {
            expect(&world, of(text, editor.0, bits.into()), (works, last, &place)).await;
        }
        let text = "UPDATE roles SET deleted = $3 WHERE organization_id = $1 AND role_id = $2";
        let missing = format!("the row {editor} of roles is missing");
        expect(&world, of(text, editor.0, true.into()), (works, last, &missing)).await;
        let back = format!("the row {reader} of roles is not what the ledger says");
        expect(&world, of(text, reader.0, false.into()), (works, last, &back)).await;
        let text = "INSERT INTO roles (organization_id, role_id, key, name, level, permissions, owner, built_in, version) \
             SELECT organization_id, $2, 'EVIL', 'Evil', $3, permissions, owner, built_in, version FROM roles \
             WHERE organization_id = $1 AND key = 'ADMIN'";
        let intruder = "the row ffffffff-ffff-ffff-ffff-ffffffffffff of roles is not";
        expect(&world, of(text, Uuid::max(), 1_i64.into()), (works, last, intruder)).await;
    }

    /// An owner who handed over, and took the role back behind the ledger's back.
    async fn a_role_that_was_taken_back_after_a_transfer_is_found_and_named(url: &str) {
        let world = World::open(url).await;
        let Kinds { corp, ada, cy, .. } = Kinds::live(&world).await;
        let last = hot::head(world.database(), corp).await.unwrap().unwrap().version;
        save(&world).await;
        let owner = Kind::Enterprise.rules().owner_role().id;
        let text = "UPDATE members SET role_id = $3 WHERE organization_id = $1 AND user_id = $2";
        let give = |to: &Person, role: RoleId| vec![(text, vec![Value::from(corp.0), to.id.0.into(), role.0.into()])];
        let place = |of: &Person| format!("the row {} of members is not what the ledger says", of.id);
        expect(&world, give(&ada, owner), (corp, last, &place(&ada))).await;
        expect(&world, give(&cy, role("MEMBER")), (corp, last, &place(&cy))).await;
        let swapped = [give(&ada, owner), give(&cy, role("MEMBER"))].concat();
        expect(&world, swapped, (corp, last, " of members is not what the ledger says")).await;
        assert_eq!(found(&world).await, None);
    }
}
