//! What was asked and answered, with everything that differs from run to run replaced by a name that stays: the
//! first organization is `<org:1>` wherever it is met, the second time that is seen `<time:2>`.

use std::{collections::HashMap, fs, path::Path};

use chrono::DateTime;
use serde_json::{Map, Value};

/// The environment variable that has golden files written instead of compared.
const UPDATE: &str = "UPDATE_GOLDEN";

/// Names for what differs from run to run.
#[derive(Default)]
pub struct Names {
    known: HashMap<String, String>,
    counts: HashMap<&'static str, usize>,
}

/// What is replaced by the name of its field.
const FIELDS: &[(&str, &str)] = &[
    ("cursor", "cursor"),
    ("startCursor", "cursor"),
    ("endCursor", "cursor"),
    ("after", "cursor"),
    ("before", "cursor"),
    ("requestId", "request"),
    ("token", "token"),
    ("prefix", "prefix"),
    ("publicId", "prefix"),
    ("hash", "hash"),
    ("emailCommitment", "commitment"),
];

/// What is replaced by how it begins.
const PREFIXES: &[(&str, &str)] = &[
    ("org_", "org"),
    ("usr_", "usr"),
    ("mem_", "mem"),
    ("rol_", "rol"),
    ("inv_", "inv"),
    ("key_", "key"),
    ("evt_", "evt"),
    ("ses_", "ses"),
    ("ols_", "session"),
    ("olk_", "secret"),
];

impl Names {
    /// A value with names in it.
    pub fn named(&mut self, value: &Value) -> Value {
        self.inside("", value)
    }

    fn inside(&mut self, field: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(field, text).into(),
            Value::Array(list) => list.iter().map(|value| self.inside(field, value)).collect(),
            Value::Object(object) => {
                let named = |(name, value): (&String, &Value)| (name.clone(), self.inside(name, value));
                Value::Object(object.iter().map(named).collect::<Map<_, _>>())
            }
            plain => plain.clone(),
        }
    }

    fn text(&mut self, field: &str, text: &str) -> String {
        let by_field = FIELDS.iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind);
        let by_prefix = || PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)).map(|(_, kind)| *kind);
        let known_by_text = by_field.or_else(by_prefix).map(|kind| (kind, text.to_owned()));
        // One moment has many texts.
        let moment = || DateTime::parse_from_rfc3339(text).ok().map(|at| ("time", at.timestamp_micros().to_string()));
        match known_by_text.or_else(moment) {
            None => text.to_owned(),
            Some((kind, text)) => {
                let (known, counts) = (&mut self.known, &mut self.counts);
                let name = known.entry(format!("{kind} {text}")).or_insert_with(|| {
                    let count = counts.entry(kind).or_default();
                    *count += 1;
                    format!("<{kind}:{count}>")
                });
                name.clone()
            }
        }
    }
}

/// Holds a text against a file of the repository. With `UPDATE_GOLDEN=1` the file is written instead.
pub fn hold(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var(UPDATE).is_ok_and(|value| value == "1") {
        // By renaming, because the test of the other database may be reading it.
        let fresh = file.with_extension(format!("{:?}", std::thread::current().id()).replace(['(', ')'], ""));
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, file).unwrap();
        return;
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let at = kept.lines().zip(text.lines()).position(|(kept, text)| kept != text);
    let line = at.unwrap_or_else(|| kept.lines().count().min(text.lines().count()));
    let around = |text: &str| text.lines().skip(line.saturating_sub(3)).take(8).collect::<Vec<_>>().join("\n");
    assert!(
        kept == text,
        "{path} differs from line {} on; if that is meant, write it anew with {UPDATE}=1.\nIt holds\n{}\nbut now there is\n{}",
        line + 1,
        around(&kept),
        around(text)
    );
}
