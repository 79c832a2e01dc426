//! The audit log as a file: for whom, which part, whole or visibly broken, and told in the ledger; and the head, signed.

use axum::http::{HeaderMap, StatusCode, header};
use chrono::TimeDelta;
use orgledger::store::{Database, note::VerifierKey, proof::prove, statement::Statement};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use super::{
    acme::Acme,
    server::{Client, Server, list, text},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";

async fn send(client: &Client, method: Method, path: &str) -> Response {
    client.request(method, path).send().await.unwrap()
}

/// The address of an export.
fn path(acme: &Acme<'_>, file: &str) -> String {
    format!("/organizations/{}/audit.{file}", acme.id)
}

/// An export that has to come whole.
async fn export(client: &Client, acme: &Acme<'_>, file: &str) -> String {
    let response = send(client, Method::GET, &path(acme, file)).await;
    assert_eq!(response.status(), StatusCode::OK, "{file}");
    response.text().await.unwrap()
}

/// The types of the events in an export, without the export's own.
async fn types(acme: &Acme<'_>, filter: &str) -> Vec<String> {
    let export = export(&acme.ada, acme, &format!("jsonl?{filter}")).await;
    let events = export.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.map(|event| text(&event, "/type").to_owned()).filter(|name| name != "audit.exported").collect()
}

/// The status and the code of what was not given.
async fn refused(client: &Client, method: Method, path: &str) -> (u16, String) {
    let response = send(client, method, path).await;
    let status = response.status().as_u16();
    assert!(response.headers().contains_key("x-request-id"));
    let body: Value = response.json().await.unwrap();
    assert!(text(&body, "/error/message").ends_with('.'), "{body}");
    (status, text(&body, "/error/code").to_owned())
}

/// The newest entries of the log.
async fn newest(acme: &Acme<'_>) -> Value {
    acme.ada.operation("AuditLog", acme.with(json!({ "first": 1 }))).await["organization"]["auditLog"].clone()
}

fn header_of(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers[name].to_str().unwrap()
}

/// Makes an organization that has two events one of so many, each with a text of that length. Each names the hash of the
/// one before it, but the hashes are those of nothing.
pub async fn swell(database: &Database, organization: Uuid, events: u64, length: usize) {
    let payload = json!({ "from": "x".repeat(length), "to": "y" });
    let insert = "WITH RECURSIVE n(i) AS (SELECT CAST(3 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2) \
         INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, \
         organization_id, recorded_at, prev_hash, hash) \
         SELECT e.aggregate_type, e.aggregate_id, n.i, 'organization.renamed', '1', $3, e.metadata, e.organization_id, \
         e.recorded_at, CASE WHEN n.i = 3 THEN e.hash ELSE e.prev_hash END, e.prev_hash \
         FROM n CROSS JOIN events e WHERE e.organization_id = $1 AND e.sequence = 2";
    let insert = Statement::new(insert).bind(organization).bind(events).bind(payload);
    assert_eq!(insert.run(database).await.unwrap(), events - 2);
    for text in [
        "INSERT INTO audit_entries (organization_id, sequence, event_type, actor_id, target_id) \
         SELECT e.organization_id, e.sequence, e.event_type, a.actor_id, a.target_id FROM events e \
         JOIN audit_entries a ON a.organization_id = e.organization_id AND a.sequence = 1 \
         WHERE e.organization_id = $1 AND e.sequence > 2 AND $2 > 2",
        "UPDATE streams SET version = $2, head_hash = (SELECT e.hash FROM events e WHERE e.organization_id = $1 \
         AND e.sequence = $2) WHERE organization_id = $1",
    ] {
        assert!(Statement::new(text).bind(organization).bind(events).run(database).await.unwrap() > 0);
    }
}

/// The bare id of an organization.
pub fn bare(id: &str) -> Uuid {
    match id.parse() {
        Ok(orgledger::domain::GlobalId::Organization(organization)) => organization.0,
        other => panic!("{other:?}"),
    }
}

/// Reads until the connection breaks; tells how much came.
pub async fn read_until_it_breaks(mut response: Response) -> usize {
    let mut read = 0;
    loop {
        match response.chunk().await {
            Ok(Some(part)) => read += part.len(),
            Ok(None) => panic!("it looks whole, after {read} bytes"),
            Err(_) => return read,
        }
    }
}

both_databases! {
    async fn an_export_is_the_whole_ledger_up_to_the_event_that_tells_of_it(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "AUDITOR").await;
        let before = newest(&acme).await;
        let response = send(&bea, Method::GET, &path(&acme, "jsonl")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers().clone();
        assert_eq!(header_of(&headers, header::CONTENT_TYPE), "application/jsonl");
        assert_eq!(header_of(&headers, header::CACHE_CONTROL), "no-store");
        let disposition = format!("attachment; filename=\"{}-audit.jsonl\"", acme.id);
        assert_eq!(header_of(&headers, header::CONTENT_DISPOSITION), disposition);
        let file = response.text().await.unwrap();

        let told = newest(&acme).await;
        assert_eq!(told["totalCount"], before["totalCount"].as_u64().unwrap() + 1);
        let entry = &told["edges"][0]["node"];
        assert_eq!((text(entry, "/type"), text(entry, "/target/kind")), ("audit.exported", "ORGANIZATION"));
        assert_eq!(text(entry, "/requestId"), headers["x-request-id"].to_str().unwrap());
        assert_eq!(entry["changes"], json!([
            { "field": "format", "from": null, "to": "JSONL" }, { "field": "part", "from": null, "to": "WHOLE" }
        ]));

        // The note that is asked for afterwards fits to the line.
        let answer = bea.operation("LedgerHead", acme.with(json!({}))).await;
        let head = &answer["organization"]["ledgerHead"];
        let key: VerifierKey = server.store.signer.verifier_key().to_string().parse().unwrap();
        let checkpoint = key.open(text(head, "/signedNote")).unwrap();
        let proof = prove(file.as_bytes(), Some(&checkpoint)).unwrap();
        assert_eq!((proof.organization.0, proof.events), (bare(&acme.id), checkpoint.size));
        assert_eq!((&head["sequence"], text(head, "/hash")), (&entry["sequence"], text(entry, "/hash")));
        assert!(file.lines().next_back().unwrap().contains(text(head, "/hash")));
        // A later one goes on from it.
        let later = export(&acme.ada, &acme, "jsonl").await;
        assert!(later.starts_with(&file) && later.lines().count() == file.lines().count() + 1);
        assert_eq!(prove(later.as_bytes(), Some(&checkpoint)).unwrap().events, checkpoint.size + 1);
    }

    async fn an_export_is_filtered_like_the_audit_log(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        let (key_id, key) = acme.key("Key", &["MEMBERS_INVITE", "APPS_READ"]).await;
        server.wait(TimeDelta::hours(1));
        key.operation("InviteMember", acme.with(json!({ "email": "x@example.com" }))).await;
        server.wait(TimeDelta::hours(1));
        let member = acme.member(BEA).await;
        let demote = json!({ "memberId": member, "roleId": acme.role("MANAGER"), "reason": "Moved to 100% Sales" });
        acme.ada.operation("ChangeMemberRole", acme.with(demote)).await;
        bea.operation("LeaveOrganization", acme.with(json!({}))).await;

        let all = [
            "organization.created", "member.joined", "invitation.sent", "invitation.accepted", "member.joined",
            "api_key.created", "invitation.sent", "member.role_changed", "member.left",
        ];
        let is = async |filter: &str, wanted: &[&str]| assert_eq!(types(&acme, filter).await, wanted, "{filter}");
        is("", &all).await;
        is("types=invitation.sent", &["invitation.sent", "invitation.sent"]).await;
        is("types=api_key.*,organization.created", &["organization.created", "api_key.created"]).await;
        is("types=api_key.*&types=organization.*", &["organization.created", "api_key.created"]).await;
        is("types=&search=&from=", &all).await;
        is(&format!("actorIds={key_id}"), &["invitation.sent"]).await;
        is("actorIds=nonsense", &[]).await;
        is(&format!("targetIds={member},{key_id}"), &["member.joined", "api_key.created", "member.role_changed", "member.left"]).await;
        is("from=2026-03-02T09:30:00Z&to=2026-03-02T10:30:00Z", &["invitation.sent"]).await;
        is("from=2026-03-02T10:30:00%2B01:00&to=2026-03-02T10:30:00Z", &["invitation.sent"]).await;
        is("search=100%25+sales", &["member.role_changed"]).await;
        is("fromSequence=2&toSequence=5", &all[1..4]).await;
        is("fromSequence=4&toSequence=3", &[]).await;
        is("fromSequence=18446744073709551615", &[]).await;
        is("toSequence=18446744073709551615", &all).await;
        is("types=member.*&fromSequence=6", &["member.role_changed", "member.left"]).await;
        let told = newest(&acme).await;
        assert_eq!(text(&told, "/edges/0/node/changes/1/to"), "FILTERED");

        let many = "x,".repeat(101);
        let long = "x".repeat(201);
        for wrong in [
            "type=x", "outcomes=REFUSED", "from=yesterday", "to=2026-03-02", "fromSequence=0", "toSequence=-1",
            "fromSequence=x", "toSequence=1.5", "fromSequence=1&fromSequence=2", "search=a&search=b", "search=%00",
            "types=%00", "fromSequence=18446744073709551616", &format!("types={many}"), &format!("actorIds={many}"),
            &format!("search={long}"), &format!("types={long}"),
        ] {
            let file = path(&acme, &format!("csv?{wrong}"));
            assert_eq!(refused(&acme.ada, Method::GET, &file).await, (400, "BAD_USER_INPUT".to_owned()), "{wrong}");
        }
        assert_eq!(newest(&acme).await["totalCount"], told["totalCount"], "a refusal is no export");
    }

    async fn who_may_not_export_hears_which_rule_says_no(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let manager = acme.join("max@example.com", "MANAGER").await;
        let bea = acme.join(BEA, "AUDITOR").await;
        let stranger = server.person("eve@example.com").await;
        let (_, key) = acme.key("Reader", &["AUDIT_READ"]).await;
        let deactivate = json!({ "memberId": acme.member(BEA).await });
        acme.ada.operation("DeactivateMember", acme.with(deactivate)).await;
        let count = newest(&acme).await["totalCount"].clone();
        for file in ["jsonl", "csv"] {
            let file = path(&acme, file);
            for method in [Method::GET, Method::HEAD] {
                let status = async |client: &Client, path: &str| {
                    send(client, method.clone(), path).await.status().as_u16()
                };
                assert_eq!(status(&manager, &file).await, 403);
                assert_eq!(status(&stranger, &file).await, 404);
                assert_eq!(status(&server.anonymous(), &file).await, 401);
            }
            let said = async |client: &Client| refused(client, Method::GET, &file).await;
            assert_eq!(said(&manager).await, (403, "PERMISSION_REQUIRED".to_owned()));
            assert_eq!(said(&key).await, (403, "PERMISSION_REQUIRED".to_owned()));
            assert_eq!(said(&bea).await, (403, "MEMBER_INACTIVE".to_owned()));
            assert_eq!(said(&stranger).await, (404, "NOT_FOUND".to_owned()));
            assert_eq!(said(&server.anonymous()).await, (401, "UNAUTHENTICATED".to_owned()));
            assert_eq!(said(&server.with_key("ols_nonsense")).await, (401, "UNAUTHENTICATED".to_owned()));
            for method in [Method::POST, Method::PUT, Method::DELETE] {
                let response = send(&acme.ada, method, &file).await;
                assert_eq!((response.status().as_u16(), header_of(response.headers(), header::ALLOW)), (405, "GET,HEAD"));
            }
        }
        for id in ["org_0000000000000000000000", "nonsense", "%00", "mem_", &"x".repeat(1000)] {
            let path = format!("/organizations/{id}/audit.jsonl");
            assert_eq!(refused(&acme.ada, Method::GET, &path).await, (404, "NOT_FOUND".to_owned()), "{id:.30}");
        }
        for file in ["audit", "audit.xml", "members.csv", "..%2faudit.csv"] {
            let path = format!("/organizations/{}/{file}", acme.id);
            assert_eq!(refused(&acme.ada, Method::GET, &path).await, (404, "NOT_FOUND".to_owned()), "{file}");
        }
        let foretold = "query A($id: ID!) { organization(id: $id) { viewerCan(action: EXPORT_AUDIT_LOG) { code } } }";
        let ask = async |client: &Client| client.data(foretold, acme.with(json!({}))).await["organization"].clone();
        assert_eq!(ask(&manager).await["viewerCan"]["code"], "PERMISSION_REQUIRED");
        assert_eq!(ask(&acme.ada).await["viewerCan"]["code"], Value::Null);
        let head = manager.try_operation("LedgerHead", acme.with(json!({}))).await;
        assert_eq!((head.codes(), &head.body["data"]["organization"]), (vec!["PERMISSION_REQUIRED"], &json!({ "ledgerHead": null })));
        assert_eq!(newest(&acme).await["totalCount"], count, "nobody has read anything");
    }

    async fn asking_for_the_head_of_an_answer_is_no_export(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let before = newest(&acme).await;
        let response = send(&acme.ada, Method::HEAD, &path(&acme, "csv")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header_of(response.headers(), header::CONTENT_TYPE), "text/csv; charset=utf-8; header=present");
        assert!(response.text().await.unwrap().is_empty());
        assert_eq!(newest(&acme).await, before);
    }

    async fn a_spreadsheet_gets_names_and_no_formulas(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (key_id, key) = acme.key("=HYPERLINK(\"http://x\")", &["AUDIT_EXPORT"]).await;
        acme.join(BEA, "MEMBER").await;
        let reason = "Moved, \"for good\"\nto Sales";
        let member = acme.member(BEA).await;
        let change = json!({ "memberId": member, "roleId": acme.role("MANAGER"), "reason": reason });
        acme.ada.operation("ChangeMemberRole", acme.with(change)).await;
        let file = export(&key, &acme, "csv").await;
        let rows: Vec<_> = file.split_terminator("\r\n").collect();
        assert_eq!(rows[0], "sequence,time,type,actorKind,actorId,actorName,targetKind,targetId,targetName,reason,requestId,ip,userAgent,hash");
        assert!(rows[1].starts_with("1,2026-03-02T09:01:00.000000Z,organization.created,USER,usr_"), "{}", rows[1]);
        assert!(rows[1].contains(&format!(",ORGANIZATION,{},Acme,,", acme.id)), "{}", rows[1]);
        let made = rows.iter().find(|row| row.contains("api_key.created")).unwrap();
        assert!(made.contains(&format!(",API_KEY,{key_id},\"'=HYPERLINK(\"\"http://x\"\")\",")), "{made}");
        let changed = rows.iter().find(|row| row.contains("member.role_changed")).unwrap();
        assert!(changed.contains(&format!(",MEMBER,{member},{BEA},\"Moved, \"\"for good\"\"\nto Sales\",")), "{changed}");
        assert!(changed.contains(",127.0.0.1,tests,"), "{changed}");
        let last = rows.last().unwrap();
        assert!(last.contains(&format!(",audit.exported,API_KEY,{key_id},\"'=HYPERLINK")), "{last}");
        assert_eq!(rows.len() as u64 - 1, newest(&acme).await["totalCount"].as_u64().unwrap());
        let hashes = export(&key, &acme, "jsonl").await;
        for (row, line) in rows[1..].iter().zip(hashes.lines()) {
            assert!(line.starts_with(&format!("{{\"hash\":\"{}\"", row.rsplit_once(',').unwrap().1)));
        }
    }

    async fn an_export_costs_a_key_ten_units(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let limit = json!({ "unitsPerMinute": 60, "burst": 10 });
        let key = json!({ "name": "Auditor", "permissions": ["AUDIT_EXPORT"], "rateLimit": limit });
        let answer = acme.ada.operation("CreateApiKey", acme.with(key)).await;
        let key = server.with_key(text(&answer, "/createApiKey/secret"));
        let file = path(&acme, "jsonl");
        let response = send(&key, Method::GET, &file).await;
        assert_eq!((response.status(), &response.headers()["ratelimit-remaining"]), (StatusCode::OK, &"0".parse().unwrap()));
        let response = send(&key, Method::GET, &file).await;
        assert_eq!((response.status(), &response.headers()["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"10".parse().unwrap()));
        assert_eq!(refused(&key, Method::GET, &file).await.1, "RATE_LIMITED");
        server.wait(TimeDelta::seconds(10));
        assert_eq!(send(&key, Method::GET, &file).await.status(), StatusCode::OK);
    }

    async fn a_long_ledger_comes_whole_page_by_page(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for events in [999, 1999] {
            let fresh = Acme::made_by(&server, acme.ada.clone(), "TEAM").await;
            swell(&server.store.database, bare(&fresh.id), events, 10).await;
            // With its own event a page is full to the last row.
            for file in ["jsonl", "csv?fromSequence=1"] {
                let whole = export(&fresh.ada, &fresh, file).await;
                let head = usize::from(file.starts_with("csv"));
                let count = newest(&fresh).await["totalCount"].as_u64().unwrap();
                assert_eq!(whole.lines().count() as u64, count + head as u64, "{events} {file}");
            }
            assert_eq!(types(&fresh, "fromSequence=998&toSequence=1002").await.len(), if events < 1000 { 2 } else { 4 });
        }
    }

    /// So much does not fit between the two ends: the server is in the middle of a page when the key ends.
    async fn an_export_breaks_when_its_access_ends(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (id, key) = acme.key("Auditor", &["AUDIT_EXPORT"]).await;
        for number in 0..3 {
            acme.ada.operation("UpdateOrganization", acme.with(json!({ "name": format!("Acme {number}") }))).await;
        }
        let long = json!({ "from": "x".repeat(8_000_000), "to": "y" });
        let lengthen = "UPDATE events SET payload = $2 WHERE organization_id = $1 AND event_type = 'organization.renamed'";
        let lengthen = Statement::new(lengthen).bind(bare(&acme.id)).bind(long);
        assert_eq!(lengthen.run(&server.store.database).await.unwrap(), 3);
        let mut response = send(&key, Method::GET, &path(&acme, "jsonl")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let first = response.chunk().await.unwrap().unwrap();
        acme.ada.operation("RevokeApiKey", acme.with(json!({ "apiKeyId": id }))).await;
        server.look_at_access().await;
        let read = first.len() + read_until_it_breaks(response).await;
        assert!(read < 24_000_000, "{read}");
    }

    async fn a_client_that_could_not_see_a_break_is_sent_nothing(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let before = newest(&acme).await;
        let host = server.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        let credential = acme.ada.credential.as_ref().unwrap();
        let head = format!("GET {} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {credential}\r\n\r\n", path(&acme, "csv"));
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 505 ") && answer.contains("proxy_http_version"), "{answer}");
        assert_eq!(list(&newest(&acme).await, "/edges"), list(&before, "/edges"));
    }
}
