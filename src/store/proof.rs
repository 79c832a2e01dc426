//! Checks an exported ledger and its note, without a database: what was changed, dropped, moved or cut off is named.
//!
//! *Promises.* It reads line by line and keeps nothing but the last hash. A line has one text, so nothing that a
//! reader might take for a part of the event stands outside its hash. Whoever rewrites everything behind a change makes
//! another chain that holds; only a note from before tells it from the one that was there.

use std::io::{BufRead, Read};

use serde::Deserialize;
use serde_json::Value;

use super::{
    chain::{self, Hash},
    export::BEGIN,
    note::Checkpoint,
};
use crate::{domain::OrganizationId, secrets::hex};

/// The longest line, in bytes. The longest event has a tenth of it.
const LONGEST_LINE: u64 = 256 * 1024;

/// What a file was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Whose ledger it is.
    pub organization: OrganizationId,
    /// How many events it has, from the first one on.
    pub events: u64,
    /// The hash of the last one.
    pub head: Hash,
}

/// The first place where a file is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Fault {
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong there.
    pub what: String,
}

/// A line. There is no other field: nothing stands beside what is hashed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    hash: String,
    organization: String,
    sequence: u64,
    #[serde(rename = "type")]
    _type: String,
    #[serde(rename = "version")]
    _version: u32,
    #[serde(rename = "payload")]
    _payload: Value,
    #[serde(rename = "metadata")]
    _metadata: Value,
    #[serde(rename = "recordedAt")]
    _recorded_at: String,
}

/// Checks a file, and that the chain of a checkpoint is its beginning or the whole of it.
///
/// # Errors
/// The first place where something is wrong.
pub fn prove(mut file: impl BufRead, checkpoint: Option<&Checkpoint>) -> Result<Proof, Fault> {
    let mut found: Option<Proof> = None;
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        number += 1;
        let fault = |what: String| Fault { line: number, what };
        line.clear();
        let length = file.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut line);
        match (length, &*line) {
            (Err(error), _) => return Err(fault(format!("the file cannot be read: {error}"))),
            (Ok(0), _) => break,
            (Ok(_), [line @ .., b'\n']) => {
                let proof = next(found, line, checkpoint.map(|checkpoint| checkpoint.organization)).map_err(fault)?;
                if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.size == proof.events)
                    && checkpoint.hash != proof.head
                {
                    let what = "the note has another hash for it: it, or an event before it, was rewritten";
                    return Err(fault(format!("sequence {}: {what}", proof.events)));
                }
                found = Some(proof);
            }
            (Ok(length), _) if length as u64 > LONGEST_LINE => {
                return Err(fault(format!("it is longer than {} KiB, and no event is", LONGEST_LINE / 1024)));
            }
            _ => return Err(fault("the file is cut off inside it".to_owned())),
        }
    }
    let fault = |what: String| Fault { line: number, what };
    let proof = found.ok_or_else(|| fault("the file has no event".to_owned()))?;
    match checkpoint.filter(|checkpoint| checkpoint.size > proof.events) {
        None => Ok(proof),
        Some(Checkpoint { size, .. }) => {
            let Proof { events, .. } = proof;
            Err(fault(format!("sequence {} is missing: the file ends with {events}, the note has {size}", events + 1)))
        }
    }
}

/// Takes the next line.
fn next(before: Option<Proof>, line: &[u8], noted: Option<OrganizationId>) -> Result<Proof, String> {
    let parsed: Line = serde_json::from_slice(line).map_err(|error| format!("it is no event of a ledger: {error}"))?;
    let Line { hash, organization: id, sequence, .. } = parsed;
    let organization = id.parse().map(OrganizationId).ok().filter(|organization| organization.to_string() == id);
    let organization = organization.ok_or("it is no event of a ledger: its organization is no id")?;
    let before = before.unwrap_or_else(|| Proof { organization, events: 0, head: chain::genesis(organization) });
    if organization != before.organization {
        return Err(format!("sequence {sequence}: it is of another organization than the lines before it"));
    }
    if noted.is_some_and(|noted| noted != organization) {
        return Err(format!("sequence {sequence}: it is of another organization than the note"));
    }
    let expected = before.events + 1;
    match sequence {
        _ if sequence == expected => {}
        _ if sequence > expected && expected == 1 => {
            return Err(format!(
                "sequence 1 is missing, {sequence} stands first; a part of a ledger cannot be checked"
            ));
        }
        _ if sequence > expected => return Err(format!("sequence {expected} is missing, {sequence} follows")),
        _ => return Err(format!("sequence {sequence} stands where {expected} has to follow")),
    }
    let edited = |what: &str| Err(format!("sequence {sequence}: the event was changed: {what}"));
    let Some(canonical) = without_hash(line, &hash) else { return edited("it does not begin with its hash") };
    let value: Value = serde_json::from_slice(&canonical).map_err(|error| error.to_string())?;
    if serde_json_canonicalizer::to_vec(&value).map_err(|error| error.to_string())? != canonical {
        return edited("it is not in the canonical form");
    }
    let head = chain::hash(&before.head, &canonical);
    if hex(&head) != hash {
        return edited("its hash is another one");
    }
    Ok(Proof { organization, events: sequence, head })
}

/// What the hash of a line covers.
fn without_hash(line: &[u8], hash: &str) -> Option<Vec<u8>> {
    let rest = line.strip_prefix(BEGIN)?.strip_prefix(hash.as_bytes())?.strip_prefix(b"\",")?;
    Some([b"{", rest].concat())
}
