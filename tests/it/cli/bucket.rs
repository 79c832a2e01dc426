//! Files in a bucket, where the program was built with buckets (`--features s3`): a server of one stands in this test,
//! and has as much of S3 as the program uses.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::processes::{Installation, until};
use crate::{graphql::data_exports::unpack, support::pictures::png};

/// What a bucket holds, and the parts of files that are on their way. Neither has the bucket's name in it.
#[derive(Default)]
struct Bucket {
    files: BTreeMap<String, Vec<u8>>,
    parts: HashMap<String, BTreeMap<usize, Vec<u8>>>,
}

type Shared = Arc<Mutex<Bucket>>;

fn xml(name: &str, content: &str) -> Response {
    format!("<{name}>{content}</{name}>").into_response()
}

/// Answers a request for `/bucket/key`.
async fn answer(
    State(bucket): State<Shared>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
    let key = uri.path().strip_prefix("/bucket").unwrap().trim_start_matches('/').to_owned();
    let tag = ("etag", "\"1\"");
    match method {
        Method::PUT => {
            let number = query.get("partNumber").map(|number| number.parse().unwrap());
            match number {
                Some(number) => drop(bucket.parts.get_mut(&key).unwrap().insert(number, body.to_vec())),
                None => drop(bucket.files.insert(key, body.to_vec())),
            }
            [tag].into_response()
        }
        Method::POST if query.contains_key("uploads") => {
            bucket.parts.insert(key, BTreeMap::new());
            xml("InitiateMultipartUploadResult", "<UploadId>1</UploadId>")
        }
        Method::POST if query.contains_key("uploadId") => {
            let parts = bucket.parts.remove(&key).unwrap();
            bucket.files.insert(key, parts.into_values().flatten().collect());
            xml("CompleteMultipartUploadResult", "<ETag>\"1\"</ETag>")
        }
        Method::POST => {
            let wanted = String::from_utf8(body.to_vec()).unwrap();
            let mut deleted = String::new();
            for key in wanted.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
                bucket.files.remove(key);
                deleted.push_str("<Deleted><Key>");
                deleted.push_str(key);
                deleted.push_str("</Key></Deleted>");
            }
            xml("DeleteResult", &deleted)
        }
        Method::GET if key.is_empty() => {
            let under = query.get("prefix").map_or("", String::as_str);
            let found = bucket.files.iter().filter(|(key, _)| key.starts_with(under)).map(|(key, bytes)| {
                let size = bytes.len();
                let date = "2026-01-01T00:00:00.000Z";
                format!("<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>{date}</LastModified></Contents>")
            });
            xml("ListBucketResult", &found.collect::<String>())
        }
        Method::GET => match bucket.files.get(&key) {
            Some(bytes) => ([tag, ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")], bytes.clone()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        other => panic!("{other} {uri}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logos_and_exports_stand_in_a_bucket_until_their_organization_ends() {
    let bucket = Shared::default();
    let service = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&bucket));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    let keys = || bucket.lock().unwrap().files.keys().cloned().collect::<Vec<_>>();
    let installation = Installation::embedded()
        .with("AWS_ENDPOINT", &endpoint)
        .with("AWS_ALLOW_HTTP", "true")
        .with("AWS_REGION", "eu-central-1")
        .with("AWS_ACCESS_KEY_ID", "test")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("ORGLEDGER_FILES_URL", "s3://bucket/some/place");
    let server = installation.serve().await;
    let ada = server.sign_in("ada@example.com").await;
    let acme = ada.create_organization("Acme").await;
    let of_acme = json!({ "organizationId": acme });
    let upload = ada.change("createLogoUpload", of_acme.clone(), "uploadUrl").await.done();
    let taken = ada.http.put(upload["uploadUrl"].as_str().unwrap()).body(png(1)).send().await.unwrap();
    assert_eq!(taken.status(), 200);
    let shown: Value = taken.json().await.unwrap();
    assert_eq!(ada.get(shown["logoUrl"].as_str().unwrap()).await.status(), 200);

    let asked = ada.change("requestDataExport", of_acme, "export { id }").await.done();
    let document =
        "query($id: ID!, $export: ID!) { organization(id: $id) { dataExport(id: $export) { state downloadUrl } } }";
    let ready = until("the export", async || {
        let variables = json!({ "id": acme, "export": asked["export"]["id"] });
        let export = ada.ask(document, variables).await["organization"]["dataExport"].take();
        Some(export).filter(|export| export["state"] == "READY")
    });
    let answer = ada.get(ready.await["downloadUrl"].as_str().unwrap()).await;
    let files = unpack(answer.bytes().await.unwrap().to_vec());
    assert!(files.keys().any(|name| name.starts_with("files/")), "{files:?}");
    let kept = keys();
    assert!(kept.len() == 2 && kept.iter().all(|key| key.starts_with("some/place/organizations/")), "{kept:?}");

    ada.change("deleteOrganization", json!({ "organizationId": acme, "confirmName": "Acme" }), "").await.done();
    // What has ended is looked for every minute, and by a server that starts.
    server.stop().await;
    let server = installation.serve().await;
    until("an empty bucket", async || keys().is_empty().then_some(())).await;
    server.stop().await;
}
