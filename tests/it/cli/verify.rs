//! Whoever rewrites the ledger by hand is found, and what queries read is made anew from it.

use orgledger::{
    domain::GlobalId,
    store::{Database, statement::Statement},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    callers::Caller,
    processes::{Ended, Installation},
};
use crate::support::databases::both_databases;

/// What is done to one organization by hand, and the sequence that is named for it.
const FORGERIES: &[(&str, u64)] = &[
    ("UPDATE events SET payload = $2 WHERE organization_id = $1 AND sequence = 2", 2),
    ("UPDATE events SET metadata = $2 WHERE organization_id = $1 AND sequence = 3", 3),
    ("UPDATE events SET event_type = 'member.left' WHERE organization_id = $1 AND sequence = 2 AND $2 IS NOT NULL", 2),
    ("UPDATE events SET event_version = '2' WHERE organization_id = $1 AND sequence = 2 AND $2 IS NOT NULL", 2),
    (
        "UPDATE events SET recorded_at = (SELECT created_at FROM organizations o WHERE o.organization_id = $1) \
         WHERE organization_id = $1 AND sequence = 5 AND $2 IS NOT NULL",
        5,
    ),
    ("UPDATE events SET hash = prev_hash WHERE organization_id = $1 AND sequence = 4 AND $2 IS NOT NULL", 4),
    ("UPDATE events SET prev_hash = hash WHERE organization_id = $1 AND sequence = 4 AND $2 IS NOT NULL", 4),
    ("DELETE FROM events WHERE organization_id = $1 AND sequence = 1 AND $2 IS NOT NULL", 1),
    ("DELETE FROM events WHERE organization_id = $1 AND sequence = 3 AND $2 IS NOT NULL", 3),
    ("DELETE FROM events WHERE organization_id = $1 AND sequence = 5 AND $2 IS NOT NULL", 4),
    (
        "UPDATE streams SET head_hash = (SELECT hash FROM events e WHERE e.organization_id = $1 AND e.sequence = 4) \
         WHERE organization_id = $1 AND $2 IS NOT NULL",
        5,
    ),
    ("UPDATE streams SET version = 4 WHERE organization_id = $1 AND $2 IS NOT NULL", 5),
    ("DELETE FROM streams WHERE organization_id = $1 AND $2 IS NOT NULL", 1),
    ("DELETE FROM members WHERE organization_id = $1 AND $2 IS NOT NULL", 5),
    ("UPDATE members SET status = 'INACTIVE' WHERE organization_id = $1 AND $2 IS NOT NULL", 5),
    ("UPDATE invitations SET state = 'ACCEPTED' WHERE organization_id = $1 AND $2 IS NOT NULL", 5),
    ("DELETE FROM invitations WHERE organization_id = $1 AND $2 IS NOT NULL", 5),
    ("UPDATE api_keys SET status = 'REVOKED' WHERE organization_id = $1 AND $2 IS NOT NULL", 5),
];

/// An organization of five events: made with its first member, an invitation, a key, another name.
async fn organization(caller: &Caller, name: &str) -> String {
    let organization = caller.create_organization(name).await;
    caller.invite(&organization, "sam@example.com").await.done();
    let key = json!({ "organizationId": organization, "name": "Reader", "permissions": ["MEMBERS_READ"] });
    caller.change("createApiKey", key, "apiKey { id }").await.done();
    let renamed = json!({ "organizationId": organization, "name": format!("{name} Ltd") });
    let answer = caller.change("updateOrganization", renamed, "organization { version }").await.done();
    assert_eq!(answer["organization"]["version"], 5);
    organization
}

fn uuid(organization: &str) -> Uuid {
    match organization.parse().unwrap() {
        GlobalId::Organization(organization) => organization.0,
        other => panic!("{other:?}"),
    }
}

fn held(ended: &Ended) {
    assert!(ended.status.success() && ended.out.starts_with("The chain holds: "), "{ended:?}");
}

/// Everything that a client reads of an organization.
async fn seen(caller: &Caller, organization: &str) -> Value {
    let document = "query($id: ID!) { organization(id: $id) { \
         name description version createdAt viewerRole { key } viewerPermissions defaultInvitationRole { key } \
         roles { id key name level permissions memberCount } \
         members(filter: { statuses: [ACTIVE, INACTIVE, FORMER] }) { totalCount nodes { id status joinedAt version \
             user { name email } role { key } invitedBy { displayName } history { status role { key } from until } } } \
         invitations { totalCount nodes { id email name state role { key } createdAt expiresAt invitedBy { displayName } } } \
         apiKeys { totalCount nodes { id name prefix status permissions createdAt createdBy { displayName } } } \
         auditLog { totalCount nodes { sequence type hash reason actor { displayName } target { displayName } \
             changes { field from to } } } } }";
    caller.ask(document, json!({ "id": organization })).await
}

both_databases! {
    async fn a_row_edited_by_hand_is_named_by_organization_and_sequence(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let mut organizations = Vec::new();
        for _ in FORGERIES {
            organizations.push(organization(&zoe, "Acme").await);
        }
        let ended = installation.run(&["verify"]).await;
        held(&ended);
        // And the personal organization, with its two events.
        let (count, events) = (FORGERIES.len() + 1, FORGERIES.len() * 5 + 2);
        assert_eq!(ended.out, format!("The chain holds: {count} organizations, {events} events.\n"));

        // The check goes by ids, which go by time: each forgery is found before those that were made earlier.
        let database = Database::connect(url).await.unwrap();
        let mut headless = None;
        for ((forgery, sequence), organization) in FORGERIES.iter().zip(&organizations).rev() {
            let forged = Statement::new(*forgery).bind(uuid(organization)).bind(json!({ "forged": true }));
            assert!(forged.run(&database).await.unwrap() > 0, "{forgery}");
            if forgery.starts_with("DELETE FROM streams") {
                headless = Some(organization);
                continue;
            }
            let ended = installation.run(&["verify"]).await;
            assert_eq!((ended.status.code(), &*ended.out), (Some(1), ""), "{forgery}: {ended:?}");
            let place = format!("orgledger: organization {}, sequence {sequence}: ", uuid(organization));
            let said = ended.err.lines().filter(|line| line.starts_with("orgledger: ")).collect::<Vec<_>>();
            assert!(matches!(said[..], [line] if line.starts_with(&place)), "{forgery}: {ended:?}");
        }
        // Events without a head are looked for last, so the others go.
        for organization in organizations.iter().filter(|organization| Some(*organization) != headless) {
            for table in ["streams", "events"] {
                let delete = format!("DELETE FROM {table} WHERE organization_id = $1");
                Statement::new(delete).bind(uuid(organization)).run(&database).await.unwrap();
            }
        }
        let ended = installation.run(&["verify"]).await;
        let place = format!("organization {}, sequence ", uuid(headless.unwrap()));
        assert!(ended.status.code() == Some(1) && ended.err.contains(&place), "{ended:?}");
        database.close().await;
    }

    async fn a_rebuild_mends_what_queries_read_while_a_server_runs(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let sam = server.sign_in("sam@example.com").await;
        let organization = organization(&zoe, "Acme").await;
        let member = zoe.admit(&organization, &sam, "sam@example.com", "MEMBER").await;
        let reason = json!({ "organizationId": organization, "memberId": member, "reason": "On leave" });
        zoe.change("deactivateMember", reason, "").await.done();
        let before = seen(&zoe, &organization).await;

        let database = Database::connect(url).await.unwrap();
        for table in ["members", "member_history", "invitations", "api_keys", "roles", "audit_entries", "organizations"] {
            let delete = format!("DELETE FROM {table} WHERE organization_id = $1");
            assert!(Statement::new(delete).bind(uuid(&organization)).run(&database).await.unwrap() > 0, "{table}");
        }
        assert_eq!(installation.run(&["verify"]).await.status.code(), Some(1));
        let ended = installation.run(&["rebuild"]).await;
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(ended.out, "Rebuilt 3 organizations from 12 events.\n");
        let ended = installation.run(&["rebuild", "--organization", &organization]).await;
        assert!(ended.out.starts_with("Rebuilt 1 organizations from "), "{ended:?}");
        let nowhere = "org_0352mPaCeodKQazbIunkpE";
        let ended = installation.run(&["rebuild", "--organization", nowhere]).await;
        assert_eq!((ended.err.as_str(), ended.status.success()), ("orgledger: there is no such organization\n", false));
        held(&installation.run(&["verify"]).await);
        assert_eq!(seen(&zoe, &organization).await, before);

        let reactivated = json!({ "organizationId": organization, "memberId": member });
        zoe.change("reactivateMember", reactivated, "member { status }").await.done();
        held(&installation.run(&["verify"]).await);
        database.close().await;
        server.stop().await;
    }

    async fn rebuilds_and_checks_go_on_beside_commands(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let organization = organization(&zoe, "Acme").await;
        let mut sent = 0;
        let commands = async {
            loop {
                zoe.invite(&organization, &format!("person-{sent}@example.com")).await.done();
                sent += 1;
            }
        };
        let tools = async {
            for _ in 0..3 {
                assert!(installation.run(&["rebuild"]).await.status.success());
                held(&installation.run(&["verify"]).await);
            }
        };
        tokio::select! {
            () = tools => {}
            () = commands => {}
        }
        assert!(sent > 0);
        held(&installation.run(&["verify"]).await);
        server.stop().await;
    }

    /// A rebuild that stops says behind which organization it is to go on.
    async fn a_rebuild_that_stops_says_where_to_go_on(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        organization(&zoe, "Acme").await;
        let database = Database::connect(url).await.unwrap();
        let ids: Vec<(Uuid,)> = Statement::new("SELECT organization_id FROM streams ORDER BY organization_id")
            .all(&database).await.unwrap();
        let [(first,), (last,)] = ids.as_slice() else { panic!("{ids:?}") };
        let move_head = async |by: &str| {
            let text = format!("UPDATE streams SET version = version {by} WHERE organization_id = $1");
            Statement::new(text).bind(*last).run(&database).await.unwrap();
        };
        move_head("+ 1").await;
        let ended = installation.run(&["rebuild"]).await;
        let go_on = ended.err.lines().find_map(|line| line.split_once("; go on with --after "));
        let (so_far, place) = go_on.unwrap_or_else(|| panic!("{ended:?}"));
        assert!(ended.status.code() == Some(1) && so_far.starts_with("Rebuilding: 1 of 2 organizations, "), "{ended:?}");
        assert_eq!(uuid(place), *first);
        move_head("- 1").await;
        let ended = installation.run(&["rebuild", "--after", place]).await;
        assert!(ended.out.starts_with("Rebuilt 1 organizations from "), "{ended:?}");
        held(&installation.run(&["verify"]).await);
        database.close().await;
        server.stop().await;
    }
}
