//! A server that reads from a standby, which is behind for as long as a test wants it to be.

use orgledger::store::{Database, statement::Statement};
use serde_json::{Value, json};

use super::{
    callers::{Caller, text},
    processes::{Installation, Server, until},
};
use crate::support::{databases::announce, postgres};

/// Everybody's roles, as they are now, or at a moment to come.
async fn roles(caller: &Caller, organization: &str, min_cursor: Option<&str>) -> Vec<String> {
    let document = "query($id: ID!, $cursor: String) { organization(id: $id, minCursor: $cursor) { \
         members(orderBy: { field: JOINED_AT }) { nodes { role { key } } } \
         then: members(asOf: \"2999-01-01T00:00:00Z\", orderBy: { field: JOINED_AT }) { nodes { role { key } } } } }";
    let data = caller.ask(document, json!({ "id": organization, "cursor": min_cursor })).await;
    let keys = |list: &str| -> Vec<_> {
        let nodes = data["organization"][list]["nodes"].as_array().unwrap();
        nodes.iter().map(|member| text(&member["role"]["key"])).collect()
    };
    assert_eq!(keys("members"), keys("then"), "a moment and its page are of one state");
    keys("members")
}

/// How far all streams are; none, where there are no tables yet.
async fn events(database: &Database) -> Option<u64> {
    Statement::new("SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM streams").count(database).await.ok()
}

/// Halts or resumes what the standby learns.
async fn replay(standby: &Database, what: &str, state: &str) {
    Statement::new(format!("SELECT CAST(pg_wal_replay_{what}() AS TEXT)")).all::<(String,)>(standby).await.unwrap();
    let reached = &format!("SELECT COUNT(*) FROM pg_get_wal_replay_pause_state() AS state WHERE state = '{state}'");
    until(state, async || (Statement::new(reached).count(standby).await.unwrap() == 1).then_some(())).await;
}

/// A server between a primary and its standby.
struct Pair {
    primary: postgres::Server,
    standby: postgres::Server,
    installation: Installation,
    server: Server,
}

impl Pair {
    async fn start(name: &str) -> Option<Self> {
        let Some(primary) = postgres::cluster_of_its_own() else {
            announce(&format!("skipped: {}::{name}", module_path!()));
            return None;
        };
        let standby = primary.standby();
        let installation = Installation::on(&primary.url).with("DATABASE_READ_URL", &standby.url);
        let server = installation.serve().await;
        Some(Self { primary, standby, installation, server })
    }

    /// Has the standby learn everything up to now, and nothing more. What it gives lets it go on.
    async fn hold(&self) -> Database {
        let there = Database::connect(&self.primary.url).await.unwrap();
        let behind = Database::connect(&self.standby.url).await.unwrap();
        let now = events(&there).await;
        until("the standby", async || (events(&behind).await == now).then_some(())).await;
        replay(&behind, "pause", "paused").await;
        there.close().await;
        behind
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_reads_the_standby_and_a_cursor_reads_what_it_was_given_for() {
    let name = "a_query_reads_the_standby_and_a_cursor_reads_what_it_was_given_for";
    let Some(pair) = Pair::start(name).await else { return };
    let ann = pair.server.sign_in("ann@example.com").await;
    let sam = pair.server.sign_in("sam@example.com").await;
    let acme = &ann.create_organization("Acme").await;
    let member = &ann.admit(acme, &sam, "sam@example.com", "MANAGER").await;
    let auditor = ann.role(acme, "AUDITOR").await;
    let behind = pair.hold().await;

    let changed = ann.change_role(acme, member, &auditor).await.done();
    assert_eq!(changed["member"]["role"]["key"], "AUDITOR", "a mutation reads what it wrote");
    assert_eq!(roles(&ann, acme, None).await, ["ADMIN", "MANAGER"]);
    assert_eq!(roles(&ann, acme, changed["cursor"].as_str()).await, ["ADMIN", "AUDITOR"]);

    let document = "query($id: ID!) { organization(id: $id) { members { pageInfo { endCursor } } } }";
    let page = ann.ask(document, json!({ "id": acme })).await;
    for cursor in ["", "rubbish", page["organization"]["members"]["pageInfo"]["endCursor"].as_str().unwrap()] {
        let document = "query($id: ID!, $cursor: String) { organization(id: $id, minCursor: $cursor) { id } }";
        let (_, body) = ann.send(document, json!({ "id": acme, "cursor": cursor })).await.unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], "INVALID_CURSOR", "{cursor}");
        assert_eq!(body["errors"][0]["message"], "This cursor is not one of the ledger.", "{cursor}");
    }

    // An organization that the standby has never heard of is there at once.
    let apex = &ann.create_organization("Apex").await;
    assert_eq!(roles(&ann, apex, None).await, ["ADMIN"]);

    replay(&behind, "resume", "not paused").await;
    until("the standby", async || (roles(&ann, acme, None).await == ["ADMIN", "AUDITOR"]).then_some(())).await;
    assert!(!pair.server.log().contains("standby"), "{}", pair.server.log());

    behind.close().await;
    pair.server.stop().await;
    pair.standby.stop();
    pair.primary.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_come_in_is_asked_of_the_primary() {
    let Some(pair) = Pair::start("who_may_come_in_is_asked_of_the_primary").await else { return };
    let ann = pair.server.sign_in("ann@example.com").await;
    let sam = pair.server.sign_in("sam@example.com").await;
    let acme = &ann.create_organization("Acme").await;
    let member = &ann.admit(acme, &sam, "sam@example.com", "MANAGER").await;
    let plain = ann.role(acme, "MEMBER").await;
    let input = json!({ "organizationId": acme, "name": "Key", "permissions": ["MEMBERS_READ"] });
    let made = ann.change("createApiKey", input, "secret apiKey { id }").await.done();
    let key = pair.server.bearer(made["secret"].as_str().unwrap());
    let behind = pair.hold().await;
    assert_eq!(roles(&key, acme, None).await, ["ADMIN", "MANAGER"]);

    let document = "query($id: ID!) { organization(id: $id) \
         { viewerRole { key } viewerCan(action: INVITE_MEMBER) { allowed } invitations { nodes { id } } } }";
    let of_manager = sam.ask(document, json!({ "id": acme })).await;
    assert_eq!(of_manager["organization"]["viewerCan"]["allowed"], true);
    ann.change_role(acme, member, &plain).await.done();
    let (_, body) = sam.send(document, json!({ "id": acme })).await.unwrap();
    assert_eq!(body["errors"][0]["extensions"]["code"], "PERMISSION_REQUIRED", "{body}");
    let of_member =
        json!({ "viewerRole": { "key": "MEMBER" }, "viewerCan": { "allowed": false }, "invitations": null });
    assert_eq!(body["data"]["organization"], of_member);

    let input = json!({ "organizationId": acme, "apiKeyId": made["apiKey"]["id"] });
    ann.change("revokeApiKey", input, "cursor").await.done();
    assert_eq!(key.send("{ viewer { apiKey { id } } }", json!({})).await.unwrap().0, 401);
    let removed = json!({ "organizationId": acme, "memberId": member });
    ann.change("removeMember", removed, "cursor").await.done();
    assert_eq!(sam.ask(document, json!({ "id": acme })).await["organization"], Value::Null);
    assert_eq!(roles(&ann, acme, None).await, ["ADMIN", "MANAGER"], "and the standby knows nothing of it");

    behind.close().await;
    pair.server.stop().await;
    pair.standby.stop();
    pair.primary.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_standby_a_server_goes_on_and_says_so_once() {
    let Some(pair) = Pair::start("without_its_standby_a_server_goes_on_and_says_so_once").await else { return };
    let ann = pair.server.sign_in("ann@example.com").await;
    let acme = &ann.create_organization("Acme").await;
    pair.hold().await.close().await;
    let before = roles(&ann, acme, None).await;
    pair.standby.stop();
    for number in 0..3 {
        assert_eq!(roles(&ann, acme, None).await, before);
        ann.invite(acme, &format!("person-{number}@example.com")).await.done();
    }
    let log = pair.server.log();
    assert_eq!(log.matches("the standby does not answer").count(), 1, "{log}");

    // It need not be there when a server starts.
    let late = pair.installation.serve().await;
    until("the log", async || late.log().contains("the standby does not answer").then_some(())).await;
    assert_eq!(roles(&late.same(&ann), acme, None).await, before);
    late.stop().await;
    pair.server.stop().await;
    pair.primary.stop();
}
