//! The logo: an address that takes one picture once, an address that shows it, and nothing left of it in the end.

use std::{fs, path::Path};

use axum::http::StatusCode;
use chrono::TimeDelta;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    acme::Acme,
    server::{Client, Server, text},
};
use crate::support::{
    databases::both_databases,
    pictures::{PNG_SIGNATURE, PRIVATE, bomb, claims, encoded, jpeg, jpeg_with_exif, picture, png},
};
use orgledger::{
    domain::{Timestamp, organization::OrganizationAction},
    store::{
        purge::purge,
        rebuild::{Which, rebuild},
        verify::verify,
    },
};

const BEA: &str = "bea@example.com";

/// The address of an upload.
async fn address(client: &Client, organization: &str) -> String {
    let answer = client.operation("CreateLogoUpload", json!({ "id": organization })).await;
    assert_eq!(answer["createLogoUpload"]["userErrors"], json!([]));
    text(&answer, "/createLogoUpload/uploadUrl").to_owned()
}

/// Sends a file to an address, as somebody without a credential.
async fn put(address: &str, file: Vec<u8>) -> (StatusCode, Value) {
    let response = reqwest::Client::new().put(address).body(file).send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}

/// The status and the code of what went wrong.
async fn refused(address: &str, file: Vec<u8>) -> (u16, String) {
    let (status, body) = put(address, file).await;
    assert!(text(&body, "/error/message").ends_with('.'), "{body}");
    (status.as_u16(), text(&body, "/error/code").to_owned())
}

/// Sends a file that must become the logo; tells where it is shown.
async fn upload(client: &Client, organization: &str, file: Vec<u8>) -> String {
    let (status, body) = put(&address(client, organization).await, file).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    text(&body, "/logoUrl").to_owned()
}

async fn logo_url(client: &Client, organization: &str) -> Value {
    let document = "query A($id: ID!) { organization(id: $id) { logoUrl version } }";
    client.data(document, json!({ "id": organization })).await["organization"]["logoUrl"].clone()
}

async fn version(client: &Client, organization: &str) -> i64 {
    let document = "query A($id: ID!) { organization(id: $id) { version } }";
    client.data(document, json!({ "id": organization })).await["organization"]["version"].as_i64().unwrap()
}

async fn get(url: &str) -> Response {
    reqwest::get(url).await.unwrap()
}

async fn status(url: &str) -> u16 {
    get(url).await.status().as_u16()
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

/// Later than any file can have been written.
fn later() -> Timestamp {
    "2100-01-01T00:00:00Z".parse().unwrap()
}

/// Sends a file in pieces, without saying how long it is; tells the status line.
async fn put_in_pieces(server: &Server, address: &str, file: &[u8]) -> String {
    let host = server.url.strip_prefix("http://").unwrap();
    let path = address.strip_prefix(&server.url).unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head =
        format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in file.chunks(60_000) {
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await.unwrap();
        stream.write_all(piece).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

both_databases! {
    async fn a_logo_is_uploaded_and_shown_to_everybody(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        assert_eq!(logo_url(&acme.ada, &acme.id).await, Value::Null);
        let address = address(&acme.ada, &acme.id).await;
        assert!(address.starts_with(&format!("{}/logo-uploads/", server.url)));
        let mut changes = acme.changes(&acme.ada).await;
        let (status, body) = put(&address, png(0)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let shown = text(&body, "/logoUrl").to_owned();
        assert!(shown.starts_with(&format!("{}/logos/{}/", server.url, acme.id)), "{shown}");
        assert_eq!(logo_url(&acme.ada, &acme.id).await, shown);
        assert_eq!(changes.answer("changes").await["areas"], json!(["PROFILE"]));

        let hash = shown.rsplit_once('/').unwrap().1;
        let response = get(&shown).await;
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(response.status(), StatusCode::OK);
        for (name, value) in [
            ("content-type", "image/png"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("content-security-policy", "default-src 'none'"),
            ("content-disposition", "inline"),
            ("etag", &format!("\"{hash}\"")),
        ] {
            assert_eq!(header(name).as_deref(), Some(value), "{name}");
        }
        let length = header("content-length");
        assert_eq!(image::guess_format(&response.bytes().await.unwrap()).unwrap(), image::ImageFormat::Png);
        let http = reqwest::Client::new();
        let head = http.head(&shown).send().await.unwrap();
        assert_eq!((head.status(), head.headers()["content-type"].to_str().unwrap()), (StatusCode::OK, "image/png"));
        assert_eq!(head.headers().get("content-length").map(|value| value.to_str().unwrap().to_owned()), length);
        for (tag, wanted) in [(format!("\"{hash}\""), 304), (format!("W/\"x\", W/\"{hash}\""), 304), ("\"x\"".into(), 200)] {
            let known = http.get(&shown).header("if-none-match", &tag).send().await.unwrap();
            assert_eq!(known.status().as_u16(), wanted, "{tag}");
            assert!(known.headers().contains_key("etag"));
        }
        let document = "query A($id: ID!) { organization(id: $id) { auditLog(first: 1) { nodes { type actor { kind }
            changes { field from to } } } } }";
        let log = acme.ada.data(document, acme.with(json!({}))).await;
        let change = json!({ "field": "logo", "from": null, "to": format!("{hash}.png") });
        let entry = json!({ "type": "organization.logo_changed", "actor": { "kind": "USER" }, "changes": [change] });
        assert_eq!(log["organization"]["auditLog"]["nodes"], json!([entry]));
        changes.close().await;
    }

    async fn a_photograph_stays_one_and_forgets_where_it_was_taken(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let webp = encoded(&picture(60, 40, 9), image::ImageFormat::WebP);
        for (file, kept) in [(jpeg_with_exif(), "image/jpeg"), (jpeg(), "image/jpeg"), (webp, "image/png")] {
            let response = get(&upload(&acme.ada, &acme.id, file).await).await;
            assert_eq!(response.headers()["content-type"].to_str().unwrap(), kept);
            let bytes = response.bytes().await.unwrap();
            assert!(!bytes.windows(PRIVATE.len()).any(|part| part == PRIVATE));
        }
        // A header says nothing.
        let address = address(&acme.ada, &acme.id).await;
        let request = reqwest::Client::new().put(&address).header("content-type", "image/svg+xml").body(png(1));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }

    async fn replaced_and_removed_logos_are_gone(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let first = upload(&acme.ada, &acme.id, png(1)).await;
        let second = upload(&acme.ada, &acme.id, png(2)).await;
        assert_ne!(first, second);
        assert_eq!((status(&first).await, status(&second).await), (404, 200));
        assert_eq!(server.files.sweep(&server.store.database, server.store.now()).await.unwrap(), 0, "too young");
        assert_eq!(server.files.sweep(&server.store.database, later()).await.unwrap(), 1);
        assert_eq!((files(server.folder()).len(), status(&second).await), (1, 200));

        let before = version(&acme.ada, &acme.id).await;
        let answer = acme.ada.operation("RemoveLogo", acme.with(json!({}))).await;
        let organization = json!({ "id": acme.id, "logoUrl": null });
        assert_eq!(answer["removeLogo"], json!({ "organization": organization, "userErrors": [] }));
        assert_eq!(status(&second).await, 404);
        assert_eq!(version(&acme.ada, &acme.id).await, before + 1);
        acme.ada.operation("RemoveLogo", acme.with(json!({}))).await;
        assert_eq!(version(&acme.ada, &acme.id).await, before + 1, "there was nothing to remove");
        assert_eq!(server.files.sweep(&server.store.database, later()).await.unwrap(), 1);
        assert_eq!(files(server.folder()), [""; 0]);

        // The first one comes back at its old address; sending it again writes no event, and uses the address up.
        assert_eq!(upload(&acme.ada, &acme.id, png(1)).await, first);
        assert_eq!(status(&first).await, 200);
        let before = version(&acme.ada, &acme.id).await;
        let again = address(&acme.ada, &acme.id).await;
        assert_eq!(put(&again, png(1)).await.0, StatusCode::OK);
        assert_eq!(version(&acme.ada, &acme.id).await, before);
        assert_eq!(refused(&again, png(2)).await, (410, "UPLOAD_CLOSED".to_owned()));
        verify(&server.store.database).await.unwrap();
    }

    async fn nothing_but_the_logo_is_shown(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let shown = upload(&acme.ada, &acme.id, png(1)).await;
        let hash = shown.rsplit_once('/').unwrap().1;
        let other = Acme::made_by(&server, acme.ada.clone(), "TEAM").await;
        for path in [
            format!("/logos/{}/{hash}", other.id),
            format!("/logos/{}/{hash}.png", acme.id),
            format!("/logos/{}/{}", acme.id, hash.to_uppercase()),
            format!("/logos/{}/{}", acme.id, "0".repeat(64)),
            format!("/logos/{}/..%2F..%2Forgledger.db", acme.id),
            format!("/logos/..%2f{}/{hash}", acme.id),
            format!("/logos/nobody/{hash}"),
            format!("/logos/{}", acme.id),
        ] {
            let response = get(&format!("{}{path}", server.url)).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(response.headers()["cache-control"].to_str().unwrap(), "no-store");
        }
        // A file that was lost is not found either.
        for file in files(server.folder()) {
            fs::remove_file(file).unwrap();
        }
        assert_eq!(status(&shown).await, 404);
        assert_eq!(upload(&acme.ada, &acme.id, png(1)).await, shown);
        assert_eq!(status(&shown).await, 200, "sending it again brings it back");
    }

    async fn an_address_takes_one_picture_and_for_ten_minutes(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let good = address(&acme.ada, &acme.id).await;
        let (base, token) = good.rsplit_once('/').unwrap();
        let mut changed = token.to_owned();
        changed.replace_range(70..71, if &token[70..71] == "0" { "1" } else { "0" });
        for wrong in ["x", &token[1..], &format!("{token}0"), &changed, "%00"] {
            assert_eq!(refused(&format!("{base}/{wrong}"), png(1)).await, (404, "NOT_FOUND".to_owned()), "{wrong}");
        }
        // What is no logo does not use the address up.
        assert_eq!(refused(&good, b"GIF89a".to_vec()).await, (415, "UNSUPPORTED_TYPE".to_owned()));
        assert_eq!(put(&good, png(1)).await.0, StatusCode::OK);
        for file in [png(1), png(2)] {
            assert_eq!(refused(&good, file).await, (410, "UPLOAD_CLOSED".to_owned()));
        }
        let document = "mutation A($id: ID!) { createLogoUpload(input: { organizationId: $id }) { uploadUrl expiresAt } }";
        let answer = acme.ada.data(document, acme.with(json!({}))).await;
        let until: Timestamp = text(&answer, "/createLogoUpload/expiresAt").parse().unwrap();
        assert_eq!(until, server.store.now() + TimeDelta::minutes(10));
        server.wait(TimeDelta::minutes(10) - TimeDelta::seconds(1));
        let late = text(&answer, "/createLogoUpload/uploadUrl");
        assert_eq!(refused(late, b"GIF89a".to_vec()).await.0, 415, "still good");
        server.wait(TimeDelta::seconds(1));
        assert_eq!(refused(late, png(2)).await, (410, "UPLOAD_CLOSED".to_owned()));
        let get = acme.ada.request(Method::GET, late.strip_prefix(&server.url).unwrap()).send().await.unwrap();
        assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    async fn what_is_no_logo_is_refused_and_leaves_nothing(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let address = address(&acme.ada, &acme.id).await;
        let other = (415, "UNSUPPORTED_TYPE");
        let (large, broken) = ((422, "TOO_MANY_PIXELS"), (422, "BROKEN_PICTURE"));
        let whole = png(1);
        for (file, wanted) in [
            (Vec::new(), other),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), other),
            (b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), other),
            (b"plain text".to_vec(), other),
            ([PNG_SIGNATURE, b"<html><script>alert(1)</script>"].concat(), broken),
            (whole[..whole.len() / 2].to_vec(), broken),
            (jpeg()[..400].to_vec(), broken),
            (claims(60_000, 60_000), large),
            (bomb(20_000, 20_000), large),
            ([png(1), vec![0; 1024 * 1024]].concat(), (413, "TOO_LARGE")),
            (vec![0; 9 * 1024 * 1024 / 2], (413, "TOO_LARGE")),
        ] {
            let length = file.len();
            let (status, code) = refused(&address, file).await;
            assert_eq!((status, code.as_str()), wanted, "{length} bytes");
        }
        let endless = [png(1), vec![0; 1024 * 1024]].concat();
        assert_eq!(put_in_pieces(&server, &address, &endless).await, "HTTP/1.1 413 Payload Too Large");
        assert_eq!((files(server.folder()), logo_url(&acme.ada, &acme.id).await), (Vec::new(), Value::Null));
        let padded = [png(1), vec![0; 1024 * 1024 - png(1).len()]].concat();
        assert_eq!(padded.len(), 1024 * 1024);
        assert_eq!(put_in_pieces(&server, &address, &padded).await, "HTTP/1.1 200 OK", "a whole MiB is allowed");
    }

    async fn the_permission_is_asked_again_when_the_picture_comes(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        let member = acme.member(BEA).await;
        let promised = address(&bea, &acme.id).await;
        let to_member = json!({ "memberId": member, "roleId": acme.role("MEMBER") });
        acme.ada.operation("ChangeMemberRole", acme.with(to_member)).await;
        assert_eq!(refused(&promised, png(1)).await, (403, "PERMISSION_REQUIRED".to_owned()));
        for operation in ["CreateLogoUpload", "RemoveLogo"] {
            assert_eq!(bea.refusals(operation, acme.with(json!({}))).await, ["PERMISSION_REQUIRED"]);
            assert_eq!(bea.refusals(operation, json!({ "id": "org_x" })).await, ["NOT_FOUND"]);
        }
        for action in ["CREATE_LOGO_UPLOAD", "REMOVE_LOGO"] {
            for (client, allowed) in [(&acme.ada, true), (&bea, false)] {
                let answer = client.operation("MayI", acme.with(json!({ "action": action }))).await;
                assert_eq!(answer["organization"]["viewerCan"]["allowed"], allowed, "{action}");
            }
        }
        acme.ada.operation("RemoveMember", acme.with(json!({ "memberId": member }))).await;
        assert_eq!(refused(&promised, png(1)).await, (404, "NOT_FOUND".to_owned()));
        let anonymous = server.anonymous().try_operation("CreateLogoUpload", acme.with(json!({}))).await;
        assert_eq!(anonymous.codes(), ["UNAUTHENTICATED"]);

        let (id, key) = acme.key("ci", &["ORGANIZATION_UPDATE"]).await;
        upload(&key, &acme.id, png(1)).await;
        let promised = address(&key, &acme.id).await;
        acme.ada.operation("RevokeApiKey", acme.with(json!({ "apiKeyId": id }))).await;
        assert_eq!(refused(&promised, png(2)).await, (404, "NOT_FOUND".to_owned()));
        assert_eq!(files(server.folder()).len(), 1);
        assert_eq!(OrganizationAction::ALL.len(), 25);
    }

    async fn of_two_uploads_at_once_to_one_address_one_wins(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let one = address(&acme.ada, &acme.id).await;
        let (first, second) = tokio::join!(put(&one, png(1)), put(&one, png(2)));
        let mut statuses = [first.0.as_u16(), second.0.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 410]);
        let (one, other) = (address(&acme.ada, &acme.id).await, address(&acme.ada, &acme.id).await);
        let (first, second) = tokio::join!(put(&one, png(3)), put(&other, png(4)));
        assert_eq!((first.0, second.0), (StatusCode::OK, StatusCode::OK));
        let shown = logo_url(&acme.ada, &acme.id).await;
        assert!([&first.1["logoUrl"], &second.1["logoUrl"]].contains(&&shown));
        assert_eq!(status(shown.as_str().unwrap()).await, 200);
        verify(&server.store.database).await.unwrap();
    }

    async fn a_rebuild_keeps_the_logo_and_a_deletion_leaves_no_file(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let personal = "{ viewer { organizations(first: 5) { nodes { id kind } } } }";
        let answer = acme.ada.data(personal, json!({})).await;
        let own = answer["viewer"]["organizations"]["nodes"].as_array().unwrap().iter();
        let own = own.clone().find(|node| node["kind"] == "PERSONAL").unwrap();
        let own = upload(&acme.ada, text(own, "/id"), png(5)).await;
        let shown = upload(&acme.ada, &acme.id, png(1)).await;
        upload(&acme.ada, &acme.id, png(2)).await;
        assert_eq!(upload(&acme.ada, &acme.id, png(1)).await, shown);
        rebuild(&server.store.database, Which::Every, |_| ()).await.unwrap();
        verify(&server.store.database).await.unwrap();
        assert_eq!((status(&shown).await, status(&own).await), (200, 200));

        let promised = address(&acme.ada, &acme.id).await;
        acme.ada.operation("DeleteOrganization", acme.with(json!({ "confirmName": "Acme" }))).await;
        assert_eq!(status(&shown).await, 404);
        assert_eq!(refused(&promised, png(1)).await, (404, "NOT_FOUND".to_owned()));
        assert_eq!(files(server.folder()).len(), 3);
        assert!(purge(&server.store.database, &server.files).await.unwrap() > 0);
        assert_eq!(files(server.folder()).len(), 1, "the personal one stays");
        assert_eq!(status(&own).await, 200);
        verify(&server.store.database).await.unwrap();
    }
}
