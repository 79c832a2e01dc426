//! What an auditor asks: who tried what and was refused, what roles and members were at a moment, and what changed
//! between two.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    server::{Client, Server, list, text, texts},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";
const CY: &str = "cy@example.com";

const LOG: &str = "query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String, $filter: AuditFilter) {
  organization(id: $id) { auditLog(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id sequence type occurredAt outcome code moreRefused reason requestId hash
      actor { kind displayName } target { kind id displayName } changes { field } ip userAgent } } } } }";

const ROLES_AT: &str = "query ($id: ID!, $at: DateTime) { organization(id: $id) {
  roles(asOf: $at) { id key name level permissions memberCount pendingInvitationCount version } } }";

const MEMBERS_AT: &str = "query ($id: ID!, $at: DateTime, $filter: MemberFilter) { organization(id: $id) {
  members(asOf: $at, filter: $filter, orderBy: { field: EMAIL }) { totalCount nodes {
    id status version joinedAt permissions user { email } invitedBy { displayName } role { id key name level permissions } } } } }";

/// The type and the outcome's first letter of each entry, newest first.
fn told(log: &Value) -> Vec<String> {
    let line = |edge: &Value| {
        let outcome = text(edge, "/node/outcome").chars().next().unwrap();
        format!("{outcome} {}", text(edge, "/node/type"))
    };
    list(log, "/edges").iter().map(line).collect()
}

async fn log(who: &Client, acme: &Acme<'_>, variables: Value) -> Value {
    who.data(LOG, acme.with(variables)).await["organization"]["auditLog"].clone()
}

/// The role with this name, made now.
async fn make_role(acme: &Acme<'_>, name: &str, permissions: &[&str]) -> String {
    let role = acme.with(json!({ "name": name, "level": 4, "permissions": permissions }));
    text(&acme.ada.operation("CreateRole", role).await, "/createRole/role/id").to_owned()
}

both_databases! {
    async fn a_refused_command_is_in_the_audit_log_for_who_asks_for_it(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MANAGER").await;
        let (key_id, key) = acme.key("Key", &["MEMBERS_READ"]).await;
        let ada_id = acme.member(ADA).await;
        let promote = acme.with(json!({ "memberId": ada_id, "roleId": acme.role("MEMBER"), "reason": "Because" }));
        assert_eq!(bea.refusals("ChangeMemberRole", promote).await, ["PERMISSION_REQUIRED"]);
        let invite = acme.with(json!({ "email": "secret@example.com", "roleId": acme.role("ADMIN") }));
        assert_eq!(bea.refusals("InviteMember", invite).await, ["ROLE_NOT_ASSIGNABLE"]);
        let invite = acme.with(json!({ "email": "secret@example.com" }));
        assert_eq!(key.refusals("InviteMember", invite.clone()).await, ["PERMISSION_REQUIRED"]);
        assert_eq!(bea.refusals("InviteMember", acme.with(json!({ "email": "ok@example.com" }))).await, [""; 0]);
        assert_eq!(bea.refusals("CreateLogoUpload", acme.with(json!({}))).await, ["PERMISSION_REQUIRED"]);
        // Neither an outsider nor nobody leaves a trace, nor what is wrong by itself.
        let eve = server.person("eve@example.com").await;
        assert_eq!(eve.refusals("InviteMember", invite.clone()).await, ["NOT_FOUND"]);
        assert_eq!(server.anonymous().try_operation("InviteMember", invite).await.codes(), ["UNAUTHENTICATED"]);
        assert_eq!(bea.refusals("InviteMember", acme.with(json!({ "email": "no address" }))).await, ["INVALID_INPUT"]);

        let both = json!({ "outcomes": ["SUCCEEDED", "REFUSED"] });
        let all = log(&acme.ada, &acme, json!({ "filter": both })).await;
        let expected = [
            "R organization.set_logo",
            "S invitation.sent",
            "R invitation.send",
            "R invitation.send",
            "R member.change_role",
            "S api_key.created",
        ];
        assert_eq!(told(&all)[..6], expected);
        assert_eq!(all["totalCount"], 11);
        let refused = log(&acme.ada, &acme, json!({ "filter": { "outcomes": ["REFUSED"] } })).await;
        assert_eq!((refused["totalCount"].as_u64(), told(&refused).len()), (Some(4), 4));
        assert_eq!(log(&acme.ada, &acme, json!({})).await["totalCount"], 7, "what was done, unless more is asked for");
        assert_eq!(log(&acme.ada, &acme, json!({ "filter": { "outcomes": [] } })).await["totalCount"], 0);

        let entry = &list(&refused, "/edges")[3]["node"];
        assert!(text(entry, "/id").starts_with("ref_"));
        let null = Value::Null;
        assert_eq!((&entry["sequence"], &entry["hash"], &entry["reason"], &entry["changes"]), (&null, &null, &null, &json!([])));
        assert_eq!((text(entry, "/code"), text(entry, "/outcome"), text(entry, "/actor/displayName")), ("PERMISSION_REQUIRED", "REFUSED", BEA));
        assert_eq!(entry["target"], json!({ "kind": "MEMBER", "id": ada_id, "displayName": ADA }));
        assert_eq!((text(entry, "/ip"), text(entry, "/userAgent")), ("127.0.0.1", "tests"));
        assert!(!text(entry, "/requestId").is_empty() && entry["moreRefused"] == 0);
        assert!(!refused.to_string().contains("secret@"), "{refused:#}");
        assert_eq!(list(&refused, "/edges")[0]["node"]["target"]["kind"], "ORGANIZATION");

        let with = async |mut filter: Value| {
            filter["outcomes"] = json!(["REFUSED", "SUCCEEDED"]);
            told(&log(&acme.ada, &acme, json!({ "filter": filter })).await)
        };
        assert_eq!(with(json!({ "actorKinds": ["API_KEY"] })).await, ["R invitation.send"]);
        assert_eq!(with(json!({ "actorIds": [key_id] })).await, ["R invitation.send"]);
        assert_eq!(with(json!({ "actorKinds": ["SYSTEM", "OPERATOR"] })).await, [""; 0]);
        assert_eq!(with(json!({ "targetIds": [ada_id] })).await, ["R member.change_role", "S member.joined"]);
        assert_eq!(with(json!({ "types": ["member.*"] })).await, ["R member.change_role", "S member.joined", "S member.joined"]);
        assert_eq!(with(json!({ "fromSequence": 6, "toSequence": 7, "types": ["api_key.*", "member.*"] })).await,
            ["R member.change_role", "S api_key.created"]);
        assert_eq!(with(json!({ "fromSequence": -5, "toSequence": 0 })).await, [""; 0]);

        // Pages of one, from both ends, hang together.
        let all = told(&log(&acme.ada, &acme, json!({ "filter": both })).await);
        let (mut forwards, mut after) = (Vec::new(), null.clone());
        let (mut backwards, mut before) = (Vec::new(), null);
        for _ in 0..all.len() {
            let page = log(&acme.ada, &acme, json!({ "first": 1, "after": after, "filter": both })).await;
            forwards.extend(told(&page));
            after = page["pageInfo"]["endCursor"].clone();
            let page = log(&acme.ada, &acme, json!({ "last": 1, "before": before, "filter": both })).await;
            backwards.extend(told(&page));
            before = page["pageInfo"]["startCursor"].clone();
        }
        backwards.reverse();
        assert_eq!((&forwards, &backwards), (&all, &all));
        // A refused entry's place goes with every filter, and is no place of another list.
        let place = list(&refused, "/edges")[2]["cursor"].clone();
        let page = log(&acme.ada, &acme, json!({ "after": place })).await;
        assert_eq!(told(&page)[0], "S api_key.created");
        let other = acme.ada.try_operation("Events", acme.with(json!({ "after": place }))).await;
        assert_eq!(other.codes(), ["INVALID_CURSOR"]);
        let forbidden = bea.run(LOG, acme.with(json!({ "filter": both }))).await;
        assert_eq!(forbidden.codes(), ["PERMISSION_REQUIRED"]);
    }

    async fn roles_are_shown_as_they_were_at_a_moment_also_those_that_are_gone(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let bea_id = acme.member(BEA).await;
        let editor = make_role(&acme, "Editor", &["MEMBERS_READ", "AUDIT_READ"]).await;
        let change = acme.with(json!({ "memberId": bea_id, "roleId": editor }));
        acme.ada.operation("ChangeMemberRole", change).await;
        server.wait(TimeDelta::days(1));
        let first = server.clock.now().to_rfc3339();
        server.wait(TimeDelta::days(1));
        let edit = acme.with(json!({ "roleId": editor, "name": "Reader", "level": 6, "permissions": ["MEMBERS_READ"] }));
        acme.ada.operation("UpdateRole", edit).await;
        let second = server.clock.now().to_rfc3339();
        server.wait(TimeDelta::days(1));
        acme.ada.operation("RemoveMember", acme.with(json!({ "memberId": bea_id }))).await;
        acme.ada.operation("DeleteRole", acme.with(json!({ "roleId": editor }))).await;

        let role_at = async |at: Option<&str>| {
            let answer = acme.ada.data(ROLES_AT, acme.with(json!({ "at": at }))).await;
            let roles = list(&answer, "/organization/roles").to_vec();
            roles.into_iter().find(|role| role["key"] == "EDITOR")
        };
        let then = role_at(Some(&first)).await.unwrap();
        let id = format!("{editor}@7");
        let expected = json!({ "id": id, "key": "EDITOR", "name": "Editor", "level": 4,
            "permissions": ["MEMBERS_READ", "AUDIT_READ"], "memberCount": 1, "pendingInvitationCount": null, "version": 6 });
        assert_eq!(then, expected);
        let later = role_at(Some(&second)).await.unwrap();
        assert_eq!((text(&later, "/name"), later["level"].as_i64(), &later["permissions"]), ("Reader", Some(6), &json!(["MEMBERS_READ"])));
        assert_ne!(later["id"], then["id"]);
        assert_eq!(role_at(None).await, None);
        assert_eq!(role_at(Some("2030-01-01T00:00:00Z")).await, None, "a moment to come is now");
        assert_eq!(role_at(Some("2026-03-02T09:00:30Z")).await, None);
        let early = acme.ada.data(ROLES_AT, acme.with(json!({ "at": "2020-01-01T00:00:00Z" }))).await;
        assert_eq!(early["organization"]["roles"], json!([]), "before there was anything");

        let members = async |at: &str, filter: Value| {
            let answer = acme.ada.data(MEMBERS_AT, acme.with(json!({ "at": at, "filter": filter }))).await;
            list(&answer, "/organization/members/nodes").to_vec()
        };
        let found = members(&first, json!({ "roleIds": [editor] })).await;
        assert_eq!(found.len(), 1, "also by a role that is gone");
        assert_eq!((&found[0]["role"]["id"], &found[0]["role"]["name"]), (&then["id"], &json!("Editor")));
        assert_eq!(found[0]["permissions"], json!(["MEMBERS_READ", "AUDIT_READ"]), "what the role allowed then");
        assert_eq!(members(&first, json!({ "roleIds": [id] })).await, found, "a role of the past filters like today's");
        let former = members("2030-01-01T00:00:00Z", json!({ "statuses": ["FORMER"] })).await;
        assert_eq!((text(&former[0], "/status"), text(&former[0], "/role/name")), ("FORMER", "Reader"), "as it was at last");

        // An id of the past leads back to it.
        let node = "query ($id: ID!) { node(id: $id) { id ... on Role { name } ... on Member { status role { name } } } }";
        let again = acme.ada.data(node, json!({ "id": id })).await;
        assert_eq!(again["node"], json!({ "id": id, "name": "Editor" }));
        let past = found[0]["id"].clone();
        let again = acme.ada.data(node, json!({ "id": past })).await;
        assert_eq!(again["node"], json!({ "id": past, "status": "ACTIVE", "role": { "name": "Editor" } }));
        let profile = acme.ada.operation("MemberProfile", acme.with(json!({ "memberId": past }))).await;
        assert_eq!(profile["organization"]["member"]["role"]["name"], "Editor");
        for unknown in [format!("{editor}@99999"), format!("{bea_id}@99999"), format!("{editor}@1"), format!("{bea_id}@1")] {
            assert_eq!(acme.ada.data(node, json!({ "id": unknown })).await["node"], Value::Null, "{unknown}");
        }
        assert_eq!(bea.data(node, json!({ "id": past })).await["node"], Value::Null, "whoever is gone sees nothing");
        let act = acme.with(json!({ "memberId": past, "roleId": acme.role("MEMBER") }));
        assert_eq!(acme.ada.refusals("ChangeMemberRole", act).await, ["NOT_FOUND"], "nothing is done to the past");
    }

    async fn who_left_and_came_back_is_shown_with_each_period_and_who_made_it(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        let cy = acme.join(CY, "MEMBER").await;
        let cy_id = acme.member(CY).await;
        server.wait(TimeDelta::days(1));
        let first = server.clock.now().to_rfc3339();
        bea.operation("DeactivateMember", acme.with(json!({ "memberId": cy_id }))).await;
        acme.ada.operation("ReactivateMember", acme.with(json!({ "memberId": cy_id }))).await;
        server.wait(TimeDelta::days(1));
        cy.operation("LeaveOrganization", acme.with(json!({}))).await;
        let gone = server.clock.now().to_rfc3339();
        server.wait(TimeDelta::days(1));
        let invite = acme.with(json!({ "email": CY, "roleId": acme.role("MANAGER") }));
        bea.operation("InviteMember", invite).await;
        let token = server.invitation_token(CY).await;
        cy.operation("AcceptInvitation", json!({ "token": token })).await;

        let document = "query ($id: ID!, $memberId: ID!) { organization(id: $id) { member(id: $memberId) {
            history { status role { key } changedBy { displayName } from until } } } }";
        let answer = acme.ada.data(document, acme.with(json!({ "memberId": cy_id }))).await;
        let periods = list(&answer, "/organization/member/history");
        let line = |period: &Value| {
            let by = text(period, "/changedBy/displayName");
            format!("{} {} {by}", text(period, "/status"), text(period, "/role/key"))
        };
        let lines: Vec<_> = periods.iter().map(line).collect();
        let expected = [
            format!("ACTIVE MANAGER {CY}"),
            format!("FORMER MEMBER {CY}"),
            format!("ACTIVE MEMBER {ADA}"),
            format!("INACTIVE MEMBER {BEA}"),
            format!("ACTIVE MEMBER {CY}"),
        ];
        assert_eq!(lines, expected);
        for pair in periods.windows(2) {
            assert_eq!(pair[0]["from"], pair[1]["until"]);
        }
        let cy_at = async |at: &str| {
            let filter = json!({ "statuses": ["ACTIVE", "INACTIVE", "FORMER"] });
            let answer = acme.ada.data(MEMBERS_AT, acme.with(json!({ "at": at, "filter": filter }))).await;
            list(&answer, "/organization/members/nodes")[2].clone()
        };
        let then = cy_at(&first).await;
        assert_eq!(text(&then, "/invitedBy/displayName"), ADA, "who invited them the first time");
        assert_eq!(text(&cy_at("2030-01-01T00:00:00Z").await, "/invitedBy/displayName"), BEA);
        assert_ne!(text(&then, "/joinedAt"), text(&cy_at("2030-01-01T00:00:00Z").await, "/joinedAt"));
        assert_eq!(text(&cy_at(&gone).await, "/status"), "FORMER");
        let joined = log(&acme.ada, &acme, json!({ "first": 1 })).await;
        assert_eq!(told(&joined), ["S member.joined"]);
        let log = acme.ada.operation("AuditLog", acme.with(json!({ "filter": { "targetIds": [cy_id], "types": ["member.joined"] } }))).await;
        let before = |at: usize| log["organization"]["auditLog"]["edges"][at]["node"]["changes"][1]["from"].clone();
        assert_eq!((before(0), before(1)), (json!("FORMER"), Value::Null), "before they came back they were a former member");
    }

    async fn what_changed_between_two_moments_is_every_single_change(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join("before@example.com", "MEMBER").await;
        server.wait(TimeDelta::days(1));
        let from = server.clock.now().to_rfc3339();
        acme.join(BEA, "MEMBER").await;
        let cy = acme.join(CY, "MEMBER").await;
        let (bea_id, cy_id) = (acme.member(BEA).await, acme.member(CY).await);
        let editor = make_role(&acme, "Editor", &["MEMBERS_READ"]).await;
        acme.ada.operation("ChangeMemberRole", acme.with(json!({ "memberId": bea_id, "roleId": editor }))).await;
        let edit = acme.with(json!({ "roleId": editor, "permissions": ["MEMBERS_READ", "AUDIT_READ"] }));
        acme.ada.operation("UpdateRole", edit).await;
        acme.ada.operation("DeactivateMember", acme.with(json!({ "memberId": bea_id }))).await;
        cy.operation("LeaveOrganization", acme.with(json!({}))).await;
        let (key, _) = acme.key("Key", &["MEMBERS_READ"]).await;
        acme.ada.operation("UpdateApiKey", acme.with(json!({ "apiKeyId": key, "permissions": ["AUDIT_READ"] }))).await;
        acme.ada.operation("DisableApiKey", acme.with(json!({ "apiKeyId": key }))).await;
        acme.ada.operation("RevokeApiKey", acme.with(json!({ "apiKeyId": key }))).await;
        server.wait(TimeDelta::seconds(1));
        let to = server.clock.now().to_rfc3339();
        acme.ada.operation("RemoveMember", acme.with(json!({ "memberId": bea_id }))).await;
        acme.ada.operation("DeleteRole", acme.with(json!({ "roleId": editor }))).await;

        let answer = acme.ada.operation("AccessChanges", acme.with(json!({ "from": from, "to": to }))).await;
        assert_eq!(
            answer["organization"]["accessChanges"],
            json!({
                "joined": [
                    { "displayName": BEA, "role": { "key": "MEMBER" } }, { "displayName": CY, "role": { "key": "MEMBER" } },
                ],
                "left": [{ "displayName": CY, "role": { "key": "MEMBER" } }],
                "roleChanges": [{ "displayName": BEA, "from": { "key": "MEMBER" }, "to": { "key": "EDITOR" } }],
                "apiKeysCreated": [{ "name": "Key" }], "apiKeysRevoked": [{ "name": "Key" }],
            })
        );
        let more = "query ($id: ID!, $from: DateTime!, $to: DateTime!) { organization(id: $id) { name accessChanges(from: $from, to: $to) {
            left { memberId actor { displayName } }
            statusChanges { memberId from to actor { displayName } }
            rolesChanged { roleId name type changes { field from to } }
            apiKeysChanged { apiKeyId type changes { field from to } } roleChanges { to { name permissions } } } } }";
        let answer = acme.ada.data(more, acme.with(json!({ "from": from, "to": to }))).await;
        let changes = &answer["organization"]["accessChanges"];
        assert_eq!(changes["left"], json!([{ "memberId": cy_id, "actor": { "displayName": CY } }]));
        assert_eq!(changes["statusChanges"],
            json!([{ "memberId": bea_id, "from": "ACTIVE", "to": "INACTIVE", "actor": { "displayName": ADA } }]));
        assert_eq!(texts(changes, "/rolesChanged", "/type"), ["role.created", "role.updated"]);
        assert_eq!(changes["rolesChanged"][1]["changes"],
            json!([{ "field": "permissions", "from": "MEMBERS_READ", "to": "MEMBERS_READ AUDIT_READ" }]));
        assert_eq!(texts(changes, "/apiKeysChanged", "/type"), ["api_key.updated", "api_key.disabled"]);
        assert_eq!(changes["roleChanges"][0]["to"], json!({ "name": "Editor", "permissions": ["MEMBERS_READ", "AUDIT_READ"] }),
            "the role as it was at the end of the time");

        let none = acme.ada.operation("AccessChanges", acme.with(json!({ "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z" }))).await;
        assert_eq!(none["organization"]["accessChanges"]["joined"], json!([]));
        let wrong = acme.ada.run(more, acme.with(json!({ "from": to, "to": from }))).await;
        assert_eq!((wrong.codes(), wrong.body["data"]["organization"]["name"].as_str()), (vec!["BAD_USER_INPUT"], Some("Acme")));
        // A member of a workspace may not list members.
        let dee = acme.join("dee@example.com", "MEMBER").await;
        let forbidden = dee.run(more, acme.with(json!({ "from": from, "to": to }))).await;
        assert_eq!(forbidden.codes(), ["PERMISSION_REQUIRED"]);
    }

    async fn more_than_two_thousand_changes_are_an_error_and_not_a_silent_cut(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.key("Key", &["MEMBERS_READ"]).await;
        let many = "(WITH RECURSIVE n(i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM n WHERE i < 2001) SELECT i FROM n) AS n";
        let copy = async |number: i64| {
            orgledger::store::statement::Statement::new(format!(
                "INSERT INTO audit_entries SELECT a.organization_id, n.i, a.event_type, a.actor_id, a.target_id, a.actor_kind \
                 FROM audit_entries a, {many} WHERE a.event_type = 'api_key.created' AND n.i <= {number}"
            ))
            .run(&server.store.database).await.unwrap();
            orgledger::store::statement::Statement::new(format!(
                "INSERT INTO events SELECT e.aggregate_type, e.aggregate_id, n.i, e.event_type, e.event_version, e.payload, \
                 e.metadata, e.organization_id, e.recorded_at, e.prev_hash, e.hash FROM events e, {many} \
                 WHERE e.event_type = 'api_key.created' AND n.i <= {number}"
            ))
            .run(&server.store.database).await.unwrap();
        };
        let span = || acme.with(json!({ "from": "2020-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z" }));
        copy(2001).await;
        let answer = acme.ada.operation("AccessChanges", span()).await;
        let told = &answer["organization"]["accessChanges"];
        assert_eq!((list(told, "/joined").len(), list(told, "/apiKeysCreated").len()), (1, 1999));
        let next = "INSERT INTO audit_entries SELECT organization_id, 2002, event_type, actor_id, target_id, actor_kind \
            FROM audit_entries WHERE sequence = 2001";
        orgledger::store::statement::Statement::new(next).run(&server.store.database).await.unwrap();
        let next = "INSERT INTO events SELECT aggregate_type, aggregate_id, 2002, event_type, event_version, payload, metadata, \
            organization_id, recorded_at, prev_hash, hash FROM events WHERE sequence = 2001";
        orgledger::store::statement::Statement::new(next).run(&server.store.database).await.unwrap();
        let reply = acme.ada.try_operation("AccessChanges", span()).await;
        assert_eq!(reply.codes(), ["BAD_USER_INPUT"]);
    }
}
