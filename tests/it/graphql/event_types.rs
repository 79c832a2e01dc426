//! The catalogue of events: it has every type, and its schemas are what they were when they were first published.

use std::{collections::BTreeSet, env, fs, path::Path};

use serde_json::{Value, json};

use super::server::Server;
use crate::support::databases::on_sqlite;

/// The schemas as they were published: a file each, never changed.
const PUBLISHED: &str = "tests/fixtures/event_schemas";

fn json_of(path: &Path) -> Option<Value> {
    Some(serde_json::from_str(&fs::read_to_string(path).ok()?).unwrap())
}

/// The schema without its sentences, which may get better.
fn shape(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            members.retain(|name, member| name != "description" || !member.is_string());
            members.values_mut().for_each(|member| *member = shape(member.take()));
        }
        Value::Array(members) => members.iter_mut().for_each(|member| *member = shape(member.take())),
        _ => {}
    }
    schema
}

async fn catalogue(url: &str) -> Vec<Value> {
    let server = Server::start(url).await;
    let answer = server.anonymous().operation("EventTypes", json!({})).await;
    answer["eventTypes"].as_array().unwrap().clone()
}

/// Somebody has programs that read these events. Another shape is another version, beside the one that was published;
/// the run with `UPDATE_GOLDEN=1` adds the schemas of new ones and changes none.
#[tokio::test(flavor = "multi_thread")]
async fn a_shape_that_was_published_stays() {
    on_sqlite(async |url| {
        let mut published = BTreeSet::new();
        for entry in catalogue(url).await {
            let name = format!("{}.v{}.json", entry["type"].as_str().unwrap(), entry["version"]);
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PUBLISHED).join(&name);
            let schema = shape(entry["schema"].clone());
            if env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
                fs::write(&path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
            }
            let known = json_of(&path).unwrap_or_else(|| panic!("{name} is new: run with UPDATE_GOLDEN=1"));
            assert_eq!(schema, known, "{name} has another shape than was published: it needs another version");
            assert!(entry["description"].as_str().unwrap().ends_with('.'), "{name} says what happened");
            published.insert(name);
        }
        let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(PUBLISHED)).unwrap();
        let files: BTreeSet<_> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(files, published, "what was published stays in the catalogue");
        let samples = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events")).unwrap();
        let samples: BTreeSet<_> = samples.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(samples, published, "each has its sample");
    })
    .await;
}
