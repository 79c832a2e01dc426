//! Exports of data: asked for, made by one server or another, downloaded by who may, and gone in the end.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
};

use chrono::TimeDelta;
use orgledger::store::{
    data_exports::{ATTEMPTS, LEASE, finish, renew, run_one, sweep, take},
    verify::verify,
};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    acme::Acme,
    server::{Client, Server, text},
    traces::files,
};
use crate::support::{databases::both_databases, pictures::png};

/// Asks for an organization's; the export.
async fn ask(client: &Client, acme: &Acme<'_>) -> Value {
    let answer = client.operation("RequestDataExport", acme.with(json!({}))).await;
    assert_eq!(answer["requestDataExport"]["userErrors"], json!([]));
    answer["requestDataExport"]["export"].clone()
}

async fn make(server: &Server) -> bool {
    run_one(&server.store.database, &server.files, &server.clock).await.unwrap()
}

/// The export as it is now.
async fn look(client: &Client, acme: &Acme<'_>, export: &Value) -> Value {
    let answer = client.operation("DataExport", acme.with(json!({ "exportId": export["id"] }))).await;
    answer["organization"]["dataExport"].clone()
}

/// The status and the bytes of a download.
async fn download(client: &Client, url: &str) -> (u16, Vec<u8>) {
    let path = url.strip_prefix(&client.url).unwrap();
    let response = client.request(Method::GET, path).send().await.unwrap();
    (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
}

/// The files in an archive, each as the manifest says it is.
pub fn unpack(archive: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut files = BTreeMap::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let name = file.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        files.insert(name, bytes);
    }
    let manifest: Value = serde_json::from_slice(&files.remove("manifest.json").unwrap()).unwrap();
    let listed = manifest["files"].as_array().unwrap();
    assert_eq!(listed.len(), files.len());
    for entry in listed {
        let (name, bytes) = (text(entry, "/name"), &files[text(entry, "/name")]);
        let hash = orgledger::secrets::hex(&Sha256::digest(bytes));
        assert_eq!((entry["sha256"].as_str(), entry["bytes"].as_u64()), (Some(&*hash), Some(bytes.len() as u64)));
        if let Some(rows) = entry["rows"].as_u64() {
            let counted = match name.rsplit_once('.').unwrap().1 {
                "json" => serde_json::from_slice::<Vec<Value>>(bytes).unwrap().len(),
                _ => csv::Reader::from_reader(&bytes[..]).records().map(Result::unwrap).count(),
            };
            assert_eq!(counted as u64, rows, "{name}");
        }
    }
    files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
    files
}

fn rows(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Vec<Value> {
    serde_json::from_slice(&files[name]).unwrap()
}

both_databases! {
    async fn an_organizations_data_is_asked_for_made_and_downloaded(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join("bob@example.com", "MEMBER").await;
        acme.ada.operation("UpdateViewer", json!({ "name": "=1+1" })).await;
        acme.key("script", &["MEMBERS_READ"]).await;
        let bob = server.person("bob@example.com").await;
        assert_eq!(bob.refusals("UpdateOrganization", acme.with(json!({ "name": "Bob's" }))).await, ["PERMISSION_REQUIRED"]);
        let upload = acme.ada.operation("CreateLogoUpload", acme.with(json!({}))).await;
        reqwest::Client::new().put(text(&upload, "/createLogoUpload/uploadUrl")).body(png(1)).send().await.unwrap();
        let version = "query A($id: ID!) { organization(id: $id) { version } }";
        let before = acme.ada.data(version, acme.with(json!({}))).await;
        let export = ask(&acme.ada, &acme).await;
        assert_eq!(acme.ada.data(version, acme.with(json!({}))).await, before, "nothing of the profile has changed");
        let pending = json!({ "id": export["id"], "state": "PENDING", "progress": 0, "downloadUrl": null, "expiresAt": null });
        assert_eq!(export, pending);
        assert_eq!(ask(&acme.ada, &acme).await, pending, "one at a time");
        assert!(make(&server).await && !make(&server).await);
        let ready = look(&acme.ada, &acme, &export).await;
        assert_eq!((&ready["state"], &ready["progress"]), (&json!("READY"), &json!(100)));
        let (status, archive) = download(&acme.ada, text(&ready, "/downloadUrl")).await;
        assert_eq!(status, 200);
        let files = unpack(archive);
        let emails: Vec<_> = rows(&files, "members.json").iter().map(|row| row["email"].clone()).collect();
        assert!(emails.contains(&json!("ada@example.com")) && emails.contains(&json!("bob@example.com")));
        let table = String::from_utf8(files["members.csv"].clone()).unwrap();
        assert!(table.starts_with("userId,name,email,") && table.contains(",'=1+1,"), "a name is no formula: {table}");
        assert!(rows(&files, "members.json").iter().any(|row| row["name"] == "=1+1"));
        let events = rows(&files, "events.json");
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(manifest["asOfSequence"].as_u64(), Some(events.len() as u64));
        assert_eq!(events.last().unwrap()["type"], "organization.data_export_requested");
        let created = events.iter().find(|event| event["type"] == "api_key.created").unwrap();
        assert!(created["data"]["secret"]["hash"].is_null() && !created["data"]["secret"]["publicId"].is_null());
        assert_eq!(rows(&files, "api_keys.json")[0]["permissions"], json!(["MEMBERS_READ"]));
        assert_eq!(rows(&files, "invitations.json")[0]["email"], "bob@example.com");
        assert_eq!(rows(&files, "refused_attempts.json")[0]["code"], "PERMISSION_REQUIRED");
        assert!(rows(&files, "audit_log.json").iter().any(|row| row["userAgent"] == "tests"));
        assert_eq!(files.keys().filter(|name| name.starts_with("files/")).count(), 1, "the logo");

        server.wait(TimeDelta::minutes(59));
        assert_eq!(ask(&acme.ada, &acme).await["id"], export["id"], "still fresh");
        server.wait(TimeDelta::minutes(2));
        let next = ask(&acme.ada, &acme).await;
        assert_ne!(next["id"], export["id"]);
        assert_eq!(look(&acme.ada, &acme, &export).await["state"], "READY", "the one before can be had still");
        verify(&server.store.database).await.unwrap();
    }

    async fn ones_own_data_is_for_oneself(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bob = acme.join("bob@example.com", "MEMBER").await;
        assert_eq!(bob.refusals("UpdateOrganization", acme.with(json!({ "name": "Bob's" }))).await, ["PERMISSION_REQUIRED"]);
        let mute = json!({ "preferences": [{ "category": "API_KEYS", "email": false }] });
        assert_eq!(bob.refusals("UpdateNotificationPreferences", acme.with(mute)).await, [""; 0]);
        let answer = bob.operation("RequestViewerDataExport", json!({})).await;
        let id = answer["requestViewerDataExport"]["export"]["id"].clone();
        assert!(make(&server).await);
        let find = async |client: &Client| client.operation("ViewerDataExport", json!({ "exportId": id })).await;
        let ready = find(&bob).await["viewer"]["dataExport"].clone();
        assert_eq!(ready["state"], "READY");
        assert_eq!(find(&acme.ada).await["viewer"]["dataExport"], Value::Null);
        let address = text(&ready, "/downloadUrl");
        assert_eq!(download(&acme.ada, address).await.0, 404);
        assert_eq!(download(&server.anonymous(), address).await.0, 401);
        let (status, archive) = download(&bob, address).await;
        assert_eq!(status, 200);
        let files = unpack(archive);
        assert_eq!(rows(&files, "person.json")[0]["email"], "bob@example.com");
        assert_eq!(rows(&files, "sessions.json").len(), 1);
        let kinds: Vec<_> = rows(&files, "memberships.json").iter().map(|row| row["roleKey"].clone()).collect();
        assert!(kinds.contains(&json!("OWNER")) && kinds.contains(&json!("MEMBER")));
        assert_eq!(rows(&files, "invitations.json")[0]["state"], "ACCEPTED");
        let refused = &rows(&files, "refused_attempts.json")[0];
        assert_eq!((&refused["action"], &refused["code"]), (&json!("organization.update"), &json!("PERMISSION_REQUIRED")));
        assert_eq!((&refused["ip"], &refused["userAgent"]), (&json!("127.0.0.1"), &json!("tests")));
        assert_eq!(rows(&files, "notification_preferences.json")[0]["muted"], json!(["API_KEYS"]));
        let did = rows(&files, "events_by_the_person.json");
        assert!(did.iter().any(|row| row["type"] == "invitation.accepted" && row["ip"] == "127.0.0.1"));
        let about = rows(&files, "events_about_the_person.json");
        assert!(about.iter().any(|row| row["type"] == "invitation.sent" && row.get("ip").is_none()));
        assert!(!String::from_utf8(files["events_about_the_person.json"].clone()).unwrap().contains("ada@"));
        assert!(bob.operation("RequestViewerDataExport", json!({})).await["requestViewerDataExport"]["export"]["id"] == id);
    }

    async fn a_download_asks_for_the_permission_again(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bob = acme.join("bob@example.com", "CO_ADMIN").await;
        let (_, key) = acme.key("backup", &["DATA_EXPORT"]).await;
        let (_, other) = acme.key("other", &["MEMBERS_READ"]).await;
        let export = ask(&key, &acme).await;
        let early = format!("{}/data-exports/{}", server.url, text(&export, "/id"));
        assert_eq!(download(&bob, &early).await.0, 409, "it is not made yet");
        assert!(make(&server).await);
        let address = text(&look(&bob, &acme, &export).await, "/downloadUrl").to_owned();
        assert_eq!(address, early);
        for client in [&acme.ada, &bob, &key] {
            assert_eq!(download(client, &address).await.0, 200);
        }
        assert_eq!(download(&other, &address).await.0, 403);
        assert_eq!(download(&server.anonymous(), &address).await.0, 401);
        assert_eq!(download(&server.with_key("ols_nonsense"), &address).await.0, 401);
        assert_eq!(download(&server.person("eve@example.com").await, &address).await.0, 404);
        for path in ["nonsense", "exp_", "org_0000000000000000000000", "%00"] {
            assert_eq!(download(&acme.ada, &format!("{}/data-exports/{path}", server.url)).await.0, 404, "{path}");
        }
        let demoted = json!({ "memberId": acme.member("bob@example.com").await, "roleId": acme.role("MEMBER") });
        acme.ada.operation("ChangeMemberRole", acme.with(demoted)).await;
        assert_eq!(download(&bob, &address).await.0, 403);
        assert_eq!(bob.refusals("RequestDataExport", acme.with(json!({}))).await, ["PERMISSION_REQUIRED"]);
        let reply = bob.try_operation("DataExport", acme.with(json!({ "exportId": export["id"] }))).await;
        assert_eq!(reply.codes(), ["PERMISSION_REQUIRED"]);

        server.wait(TimeDelta::days(7));
        let ada = server.person("ada@example.com").await;
        assert_eq!(look(&ada, &acme, &export).await["state"], "EXPIRED");
        assert_eq!(download(&ada, &address).await.0, 410);
        assert_eq!(sweep(&server.store.database, &server.files, server.store.now()).await.unwrap(), 1);
        assert_eq!(files(server.folder()), [""; 0]);
        assert_eq!(look(&ada, &acme, &export).await, Value::Null);
        assert_ne!(ask(&ada, &acme).await["id"], export["id"], "another one can be had");
    }

    /// Who was killed in the middle, or was too slow, changes nothing any more; the next one begins anew.
    async fn a_lease_that_runs_out_is_taken_by_another_server(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let export = ask(&acme.ada, &acme).await;
        let database = &server.store.database;
        let slow = take(database, server.store.now()).await.unwrap().unwrap();
        assert!(renew(database, &slow, 40, server.store.now()).await.unwrap());
        assert_eq!(look(&acme.ada, &acme, &export).await["state"], "RUNNING");
        assert_eq!(look(&acme.ada, &acme, &export).await["progress"], 40);
        assert!(take(database, server.store.now()).await.unwrap().is_none(), "it is taken");
        server.wait(LEASE + TimeDelta::seconds(1));
        assert!(make(&server).await);
        assert!(!renew(database, &slow, 90, server.store.now()).await.unwrap());
        assert!(!finish(database, &slow, server.store.now()).await.unwrap());
        let ready = look(&acme.ada, &acme, &export).await;
        assert_eq!(ready["state"], "READY");
        assert_eq!(download(&acme.ada, text(&ready, "/downloadUrl")).await.0, 200);
        assert_eq!(files(server.folder()).len(), 1);

        server.wait(TimeDelta::hours(2));
        let doomed = ask(&acme.ada, &acme).await;
        for _ in 0..ATTEMPTS {
            assert!(take(database, server.store.now()).await.unwrap().is_some());
            server.wait(LEASE + TimeDelta::seconds(1));
        }
        assert!(take(database, server.store.now()).await.unwrap().is_none());
        assert_eq!(look(&acme.ada, &acme, &doomed).await["state"], "FAILED");
        assert_ne!(ask(&acme.ada, &acme).await["id"], doomed["id"]);
    }

    async fn many_who_ask_at_once_get_one(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let asked = futures_util::future::join_all((0..8).map(|_| ask(&acme.ada, &acme))).await;
        assert!(asked.iter().all(|export| export["id"] == asked[0]["id"]), "{asked:?}");
        let own = async || acme.ada.operation("RequestViewerDataExport", json!({})).await;
        let own = futures_util::future::join_all((0..8).map(|_| own())).await;
        assert!(own.iter().all(|answer| answer == &own[0]), "{own:?}");
    }
}
