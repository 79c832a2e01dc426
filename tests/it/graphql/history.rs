//! What was changed, by whom and when: the audit log, the events, and the organization as it was.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    server::{Server, list, text, texts},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";

/// The types of the entries that a filter finds, newest first, and how many there are by count.
async fn log(acme: &Acme<'_>, filter: Value) -> (Vec<String>, u64) {
    let answer = acme.ada.operation("AuditLog", acme.with(json!({ "filter": filter }))).await;
    let log = &answer["organization"]["auditLog"];
    let types = texts(log, "/edges", "/node/type").into_iter().map(str::to_owned).collect();
    (types, log["totalCount"].as_u64().unwrap())
}

both_databases! {
    async fn the_audit_log_is_filtered_by_type_actor_target_time_outcome_and_words(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        let (bea_id, ada_id) = (acme.member(BEA).await, acme.member(ADA).await);
        let (key_id, key) = acme.key("Key", &["MEMBERS_INVITE", "APPS_READ"]).await;
        server.wait(TimeDelta::hours(1));
        let invite = json!({ "email": "x@example.com" });
        let sent = key.operation("InviteMember", acme.with(invite)).await;
        let invitation = text(&sent, "/inviteMember/invitation/id");
        server.wait(TimeDelta::hours(1));
        let demote =
            acme.with(json!({ "memberId": bea_id, "roleId": acme.role("MANAGER"), "reason": "Moved to 100% Sales" }));
        acme.ada.operation("ChangeMemberRole", demote).await;
        bea.operation("LeaveOrganization", acme.with(json!({}))).await;
        let user = text(&bea.operation("Viewer", json!({})).await, "/viewer/user/id").to_owned();

        let (all, count) = log(&acme, json!({})).await;
        let told = [
            "member.left",
            "member.role_changed",
            "invitation.sent",
            "api_key.created",
            "member.joined",
            "invitation.accepted",
            "invitation.sent",
            "member.joined",
            "organization.created",
        ];
        assert_eq!((all.iter().map(String::as_str).collect::<Vec<_>>(), count), (told.to_vec(), 9));
        let is = async |filter: Value, wanted: &[&str]| {
            let (found, count) = log(&acme, filter.clone()).await;
            assert_eq!(
                (found.iter().map(String::as_str).collect::<Vec<_>>(), count),
                (wanted.to_vec(), wanted.len() as u64),
                "{filter}"
            );
        };
        is(json!({ "types": ["invitation.sent"] }), &["invitation.sent", "invitation.sent"]).await;
        is(json!({ "types": ["api_key.*", "organization.*"] }), &["api_key.created", "organization.created"]).await;
        is(json!({ "types": ["member"] }), &[]).await;
        is(json!({ "types": ["member%"] }), &[]).await;
        is(json!({ "types": [] }), &told).await;
        is(json!({ "actorIds": [key_id] }), &["invitation.sent"]).await;
        is(json!({ "actorIds": [bea_id] }), &["member.left", "member.joined", "invitation.accepted"]).await;
        is(
            json!({ "actorIds": [user, key_id] }),
            &["member.left", "invitation.sent", "member.joined", "invitation.accepted"],
        )
        .await;
        is(json!({ "actorIds": ["nonsense"] }), &[]).await;
        is(json!({ "targetIds": [bea_id] }), &["member.left", "member.role_changed", "member.joined"]).await;
        is(json!({ "targetIds": [ada_id] }), &["member.joined"]).await;
        is(json!({ "targetIds": [invitation, key_id] }), &["invitation.sent", "api_key.created"]).await;
        is(json!({ "targetIds": [acme.id] }), &["organization.created"]).await;
        is(json!({ "from": "2026-03-02T09:30:00Z", "to": "2026-03-02T10:30:00Z" }), &["invitation.sent"]).await;
        is(json!({ "search": "100% sales" }), &["member.role_changed"]).await;
        is(json!({ "search": "JOINED" }), &["member.joined", "member.joined"]).await;
        is(json!({ "search": "_" }), &["member.role_changed", "api_key.created"]).await;
        is(json!({ "outcomes": ["SUCCEEDED"], "search": "left" }), &["member.left"]).await;
        is(
            json!({ "types": ["member.*"], "actorIds": [bea_id], "targetIds": [bea_id] }),
            &["member.left", "member.joined"],
        )
        .await;
    }

    async fn an_entry_tells_who_what_why_and_from_where(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "MEMBER").await;
        let member = acme.member(BEA).await;
        let change =
            acme.with(json!({ "memberId": member, "roleId": acme.role("MANAGER"), "reason": " She leads now. " }));
        let request = acme.ada.request(reqwest::Method::POST, "/graphql").header("x-request-id", "request-7");
        let body = json!({ "query": super::operations::document("ChangeMemberRole"), "variables": change });
        let reply = super::server::reply(request.json(&body)).await;
        assert_eq!(reply.headers["x-request-id"], "request-7");
        let answer = acme.ada.operation("AuditLog", acme.with(json!({ "first": 1 }))).await;
        let mut entry = answer["organization"]["auditLog"]["edges"][0]["node"].clone();
        let user = acme.ada.operation("Viewer", json!({})).await["viewer"]["user"]["id"].clone();
        assert_eq!(text(&entry, "/hash").len(), 64);
        assert!(text(&entry, "/id").starts_with("evt_"));
        entry["hash"] = Value::Null;
        entry["id"] = Value::Null;
        let expected = json!({ "id": null, "sequence": 6, "type": "member.role_changed", "occurredAt": "2026-03-02T09:02:00+00:00",
            "outcome": "SUCCEEDED", "reason": "She leads now.", "requestId": "request-7", "hash": null,
            "actor": { "kind": "USER", "id": user, "displayName": ADA },
            "target": { "kind": "MEMBER", "id": member, "displayName": BEA },
            "changes": [{ "field": "role", "from": "MEMBER", "to": "MANAGER" }], "ip": "127.0.0.1", "userAgent": "tests" });
        assert_eq!(entry, expected);
    }

    async fn events_come_in_pages_oldest_first_with_ids_of_the_api_and_no_names_of_people(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        bea.operation("UpdateViewer", json!({ "name": "Beatrix" })).await;
        acme.key("Key", &["MEMBERS_READ"]).await;
        let mut after = Value::Null;
        let mut events = Vec::new();
        loop {
            let answer = acme.ada.operation("Events", acme.with(json!({ "first": 2, "after": after }))).await;
            let page = &answer["organization"]["events"];
            events.extend(list(page, "/edges").iter().cloned());
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        let types: Vec<_> = events.iter().map(|edge| text(edge, "/node/type")).collect();
        let told = [
            "organization.created",
            "member.joined",
            "invitation.sent",
            "invitation.accepted",
            "member.joined",
            "api_key.created",
        ];
        assert_eq!(types, told);
        let sequences: Vec<_> = events.iter().map(|edge| edge["node"]["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
        let data: Vec<_> = events.iter().map(|edge| edge["node"]["data"].clone()).collect();
        let text_of_all = json!(data).to_string();
        assert!(!text_of_all.contains("example.com") && !text_of_all.contains("Beatrix"), "{text_of_all}");
        assert_eq!(data[0], json!({ "kind": "WORKSPACE", "name": "Acme", "description": null }));
        assert_eq!(data[4]["roleId"], acme.role("MEMBER"));
        assert_eq!(data[5]["permissions"], json!(["MEMBERS_READ"]));
        assert!(data[5]["secret"].get("hash").is_none(), "nothing that proves a secret");
        assert_eq!(events[4]["node"]["actor"]["displayName"], "Beatrix", "the name is today's");
    }

    async fn members_are_listed_as_of_any_moment_with_ids_of_that_moment_and_todays_names(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        server.wait(TimeDelta::days(1));
        let member = acme.member(BEA).await;
        let promote = acme.with(json!({ "memberId": member, "roleId": acme.role("MANAGER") }));
        acme.ada.operation("ChangeMemberRole", promote).await;
        server.wait(TimeDelta::days(1));
        acme.ada.operation("RemoveMember", acme.with(json!({ "memberId": member }))).await;
        bea.operation("UpdateViewer", json!({ "name": "Beatrix" })).await;
        server.wait(TimeDelta::days(1));
        let as_of = async |at: &str| {
            let answer =
                acme.ada.operation("Members", acme.with(json!({ "asOf": at, "orderBy": { "field": "EMAIL" } }))).await;
            let members = answer["organization"]["members"].clone();
            let line = |edge: &Value| {
                let node = &edge["node"];
                let name = node["user"]["name"].as_str().unwrap_or("?");
                format!("{} {name} {} {}", text(node, "/user/email"), text(node, "/role/key"), text(node, "/status"))
            };
            let lines: Vec<_> = list(&members, "/edges").iter().map(line).collect();
            assert_eq!(members["totalCount"], lines.len());
            (lines, members)
        };
        assert_eq!(as_of("2026-03-02T09:00:00Z").await.0, [""; 0], "before there was anything");
        let ada = format!("{ADA} ? ADMIN ACTIVE");
        assert_eq!(as_of("2026-03-02T09:01:30Z").await.0, std::slice::from_ref(&ada));
        let (lines, members) = as_of("2026-03-02T12:00:00Z").await;
        assert_eq!(lines, [ada.clone(), format!("{BEA} Beatrix MEMBER ACTIVE")]);
        let past = text(&members, "/edges/1/node/id");
        assert_eq!(past.split_once('@').map(|(id, _)| id), Some(member.as_str()), "{past}");
        assert_eq!(as_of("2026-03-03T12:00:00+00:00").await.0, [ada.clone(), format!("{BEA} Beatrix MANAGER ACTIVE")]);
        assert_eq!(as_of("2026-03-04T12:00:00Z").await.0, std::slice::from_ref(&ada));
        assert_eq!(as_of("2030-01-01T00:00:00Z").await.0, [ada]);
    }

    async fn pages_as_of_a_moment_hang_together(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for number in 0..5 {
            acme.join(&format!("member{number}@example.com"), "MEMBER").await;
        }
        let at = server.clock.now().to_rfc3339();
        server.wait(TimeDelta::hours(1));
        let gone = acme.with(json!({ "memberId": acme.member("member2@example.com").await }));
        acme.ada.operation("RemoveMember", gone).await;
        let mut emails = Vec::new();
        let mut after = Value::Null;
        for _ in 0..3 {
            let variables =
                acme.with(json!({ "first": 2, "after": after, "asOf": at, "orderBy": { "field": "JOINED_AT" } }));
            let answer = acme.ada.operation("Members", variables).await;
            let page = &answer["organization"]["members"];
            assert_eq!(page["totalCount"], 6);
            emails.extend(texts(page, "/edges", "/node/user/email").into_iter().map(str::to_owned));
            after = page["pageInfo"]["endCursor"].clone();
        }
        let members: Vec<_> = (0..5).map(|number| format!("member{number}@example.com")).collect();
        assert_eq!(emails[0], ADA);
        assert_eq!(emails[1..], members);
    }

    async fn ones_own_activity_is_there_for_everybody_and_others_for_who_reads_the_audit_log(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let bea = acme.join(BEA, "MEMBER").await;
        let auditor = acme.join("audit@example.com", "AUDITOR").await;
        let document = "query ($id: ID!, $memberId: ID!) { organization(id: $id) { member(id: $memberId) { activity { totalCount nodes { type } } } } }";
        let of = |member: &str| acme.with(json!({ "memberId": member }));
        let (ada_id, bea_id) = (acme.member(ADA).await, acme.member(BEA).await);
        let own = bea.data(document, of(&bea_id)).await;
        assert_eq!(
            texts(&own, "/organization/member/activity/nodes", "/type"),
            ["member.joined", "invitation.accepted"]
        );
        assert_eq!(own["organization"]["member"]["activity"]["totalCount"], 2);
        let reply = bea.run(document, of(&ada_id)).await;
        assert_eq!(
            (reply.codes(), &reply.body["data"]["organization"]["member"]),
            (vec!["PERMISSION_REQUIRED"], &json!({ "activity": null }))
        );
        let others = auditor.data(document, of(&ada_id)).await;
        assert_eq!(others["organization"]["member"]["activity"]["totalCount"], 4);
    }
}
