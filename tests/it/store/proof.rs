//! An exported ledger that somebody has changed is found out without the database, by our program and by
//! `tests/verify.py`, which was written from the description of the format.

use std::{fs, path::Path, process::Command};

use orgledger::{
    domain::OrganizationId,
    secrets::hex,
    store::{
        export::{self, PAGE},
        history::Filter,
        hot,
        note::{Checkpoint, Signer, VerifierKey},
        proof::{Fault, Proof, prove},
    },
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{life::Life, world::World};
use crate::support::databases::{announce, both_databases, on_sqlite};

/// The export of [`Life`], the same on every database and machine, for ever.
const LIFE: &str = "8701bb1553d5c86a6c69c788ae33e2c60cd2c36ccf8fd6cfb349b0733cabdd4e";

/// The lines of an organization's ledger.
async fn lines(world: &World, organization: OrganizationId) -> Vec<String> {
    let mut bytes = Vec::new();
    let page = export::page(world.database(), organization, &Filter::default(), 0, u64::MAX).await.unwrap();
    assert!(page.len() < PAGE as usize);
    for exported in &page {
        exported.write_line(&mut bytes).unwrap();
    }
    let text = String::from_utf8(bytes).unwrap();
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// What the other verifier says; nothing where there is no Python.
fn python(file: &str, note: Option<(&VerifierKey, &str)>) -> Option<Result<(), String>> {
    let folder = tempfile::Builder::new().prefix("orgledger-proof-").tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(write("export.jsonl", file));
    if let Some((key, note)) = note {
        command.arg(key.to_string()).arg(write("note.txt", note));
    }
    let Ok(done) = command.output() else {
        assert!(std::env::var_os("CI").is_none(), "python3 is missing, and the second verifier needs it");
        announce("not held against tests/verify.py: python3 is missing");
        return None;
    };
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!said.contains("Traceback"), "{said}");
    Some(if done.status.success() { Ok(()) } else { Err(said) })
}

/// What both verifiers say; they have to agree.
fn check(file: &str, note: Option<(&VerifierKey, &str)>) -> Result<Proof, Fault> {
    let checkpoint = note.map(|(key, note)| key.open(note).unwrap());
    let ours = prove(file.as_bytes(), checkpoint.as_ref());
    if let Some(theirs) = python(file, note) {
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?}, {theirs:?}");
    }
    ours
}

fn said(file: &[String], note: Option<(&VerifierKey, &str)>) -> String {
    check(&file.concat(), note).map_or_else(|fault| fault.to_string(), |proof| format!("{} hold", proof.events))
}

/// Hashes every line anew, as somebody does who rewrites all of it.
fn rehashed(lines: &[String], organization: &str) -> Vec<String> {
    let framed = |parts: &[&[u8]]| {
        let framed = parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], part].concat());
        Sha256::digest(framed.collect::<Vec<_>>())
    };
    let mut head = framed(&[b"orgledger/chain/v1", organization.as_bytes()]);
    let rehash = |line: &String| {
        let content = format!("{{{}", line.trim_end().split_once(',').unwrap().1);
        head = framed(&[b"orgledger/event/v1", &head, content.as_bytes()]);
        format!("{{\"hash\":\"{}\",{}\n", hex(&head), &content[1..])
    };
    lines.iter().map(rehash).collect()
}

both_databases! {
    /// The bytes are those of the history, not of a database.
    async fn the_same_history_gives_the_same_export_everywhere(url: &str) {
        let world = World::open(url).await;
        let life = Life::live(&world).await;
        let lines = lines(&world, life.acme).await;
        assert_eq!(hex(&Sha256::digest(lines.concat())), LIFE);
        let head = hot::head(world.database(), life.acme).await.unwrap().unwrap();
        let checkpoint =
            Checkpoint { organization: life.acme, size: head.version, hash: head.hash.clone().try_into().unwrap() };
        let note = world.store.signer.sign(&checkpoint);
        let proof = check(&lines.concat(), Some((world.store.signer.verifier_key(), &note))).unwrap();
        assert_eq!(proof, Proof { organization: life.acme, events: head.version, head: checkpoint.hash });
        assert_eq!(lines.len() as u64, head.version);
        let names = ["hash", "metadata", "organization", "payload", "recordedAt", "sequence", "type", "version"];
        for line in &lines {
            let event: Value = serde_json::from_str(line).unwrap();
            assert!(event.as_object().unwrap().keys().eq(names), "{line}");
            assert!(!line.contains("example.com") && !line.contains("A new brand"), "nothing of a person: {line}");
        }
    }

    /// What was changed in the database is what is exported, and does not verify.
    async fn an_edited_row_is_found_in_the_export(url: &str) {
        let world = World::open(url).await;
        let life = Life::live(&world).await;
        world.raw("UPDATE events SET event_type = 'member.left' WHERE sequence = 2").await;
        let said = said(&lines(&world, life.acme).await, None);
        assert_eq!(said, "line 2: sequence 2: the event was changed: its hash is another one");
    }
}

/// Everything that somebody can do to a file, and the place that is named.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_to_an_export_is_found_and_named() {
    on_sqlite(async |url| {
        let world = World::open(url).await;
        let life = Life::live(&world).await;
        let good = lines(&world, life.acme).await;
        let last = good.len();
        let other = lines(&world, world.organization(&life.ada, "Other").await).await;
        let told = |change: &dyn Fn(&mut Vec<String>)| {
            let mut file = good.clone();
            change(&mut file);
            said(&file, None)
        };
        let edited = |line: usize, what: &str| format!("line {line}: sequence {line}: the event was changed: {what}");
        assert_eq!(told(&|_| ()), format!("{last} hold"));

        let another = "its hash is another one";
        for (from, to) in [
            ("\"type\":\"", "\"type\":\"x"),
            ("\"requestId\":\"", "\"requestId\":\"x"),
            ("\"recordedAt\":\"2", "\"recordedAt\":\"3"),
        ] {
            assert_eq!(told(&|file| file[4] = file[4].replacen(from, to, 1)), edited(5, another), "{from}");
        }
        assert_eq!(told(&|file| file[4] = file[4].replace("\"version\":1", "\"version\":2")), edited(5, another));
        assert_eq!(told(&|file| drop(file.remove(4))), "line 5: sequence 5 is missing, 6 follows");
        assert_eq!(told(&|file| file.swap(4, 5)), "line 5: sequence 5 is missing, 6 follows");
        assert_eq!(told(&|file| file.insert(5, file[4].clone())), "line 6: sequence 5 stands where 6 has to follow");
        let first = "line 1: sequence 1 is missing, 2 stands first; a part of a ledger cannot be checked";
        assert_eq!(told(&|file| drop(file.remove(0))), first);
        assert_eq!(told(&|file| drop(file.pop())), format!("{} hold", last - 1), "only a note tells");
        let cut = format!("line {last}: the file is cut off inside it");
        assert_eq!(told(&|file| _ = file[last - 1].pop()), cut);
        assert_eq!(told(&|file| file[last - 1].truncate(40)), cut);
        assert_eq!(
            told(&|file| file[2] = other[0].clone()),
            "line 3: sequence 1: it is of another organization than the lines before it"
        );
        assert_eq!(told(&Vec::clear), "line 1: the file has no event");

        // One event has one text: nothing is hidden in what readers take differently.
        let form = "it is not in the canonical form";
        assert_eq!(told(&|file| file[1] = file[1].replacen(":{", ": {", 1)), edited(2, form));
        assert_eq!(
            told(&|file| file[1] = file[1].replacen("{\"actorId\":", "{\"actorId\":\"x\",\"actorId\":", 1)),
            edited(2, form)
        );
        assert_eq!(told(&|file| file[1] = file[1].replacen("\"version\":1", "\"version\":1 ", 1)), edited(2, form));
        assert_eq!(told(&|file| file[1] = format!(" {}", file[1])), edited(2, "it does not begin with its hash"));
        assert_eq!(told(&|file| file[1] = file[1].replace('\n', "\r\n")), edited(2, form));
        for (from, to) in [
            ("\"version\":1", "\"version\":1.0"),
            ("\"version\":1", "\"version\":1,\"note\":\"x\""),
            ("\"version\":1", "\"version\":\"1\""),
            ("\"version\":1", "\"version\":null"),
            ("\"sequence\":2", "\"sequence\":-2"),
            ("\"sequence\":2", "\"sequence\":2e0"),
            ("\"organization\":\"", "\"organization\":\"x"),
            ("\"payload\":", "\"payloads\":"),
            ("{\"hash\"", "[{\"hash\""),
            ("\"recordedAt\":\"", "\"recordedAt\":\"\\ud800"),
        ] {
            let said = told(&|file| file[1] = file[1].replacen(from, to, 1));
            assert!(said.starts_with("line 2: it is no event of a ledger: "), "{to}: {said}");
        }
        for line in ["\n", "null\n", "{}\n", "\"x\"\n", "PK\u{3}\u{4}\n", "{\"a\":NaN}\n"] {
            let said = told(&|file| file.insert(0, line.to_owned()));
            assert!(said.starts_with("line 1: it is no event of a ledger: "), "{line}: {said}");
        }
        let deep = format!("{}1{}\n", "[".repeat(50_000), "]".repeat(50_000));
        assert!(told(&|file| file.insert(0, deep.clone())).starts_with("line 1: it is no event of a ledger: "));
        let huge = "x".repeat(1024 * 1024);
        assert_eq!(told(&|file| file.insert(1, huge.clone())), "line 2: it is longer than 256 KiB, and no event is");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_finds_what_the_chain_alone_does_not_show() {
    on_sqlite(async |url| {
        let world = World::open(url).await;
        let life = Life::live(&world).await;
        let good = lines(&world, life.acme).await;
        let last = good.len() as u64;
        let signer = Signer::new(&[7; 32]).unwrap();
        let note = |organization, lines: &[String]| {
            let Proof { events: size, head: hash, .. } = prove(lines.concat().as_bytes(), None).unwrap();
            signer.sign(&Checkpoint { organization, size, hash })
        };
        let (whole, half) = (note(life.acme, &good), note(life.acme, &good[..10]));
        let key = signer.verifier_key();
        let held = |file: &[String], note: &str| said(file, Some((key, note)));
        assert_eq!(held(&good, &whole), format!("{last} hold"));
        assert_eq!(held(&good, &half), format!("{last} hold"), "the file goes on from the note");
        let short = format!("line 11: sequence 11 is missing: the file ends with 10, the note has {last}");
        assert_eq!(held(&good[..10], &whole), short);

        // Somebody leaves out what they did, and makes the rest a chain of its own.
        let mut rewritten = good.clone();
        rewritten[3] = rewritten[3].replacen("\"requestId\":\"", "\"requestId\":\"x", 1);
        let rewritten = rehashed(&rewritten, &life.acme.to_string());
        assert_eq!(said(&rewritten, None), format!("{last} hold"), "the chain alone does not tell");
        let another = "the note has another hash for it: it, or an event before it, was rewritten";
        assert_eq!(held(&rewritten, &half), format!("line 10: sequence 10: {another}"));
        assert_eq!(held(&rewritten, &whole), format!("line {last}: sequence {last}: {another}"));
        let other = lines(&world, world.organization(&life.ada, "Other").await).await;
        assert_eq!(held(&other, &half), "line 1: sequence 1: it is of another organization than the note");
        let before = note(life.acme, &good[..3]);
        assert_eq!(held(&rewritten, &before), format!("{last} hold"), "what came after a note it says nothing of");

        let forged = whole.replacen(&format!("\n{last}\n"), "\n10\n", 1);
        assert!(key.open(&forged).is_err());
        let theirs = python(&good.concat(), Some((key, &forged)));
        assert!(theirs.is_none_or(|said| said.is_err_and(|said| said.contains("signature is wrong"))));
        let stranger = Signer::new(&[8; 32]).unwrap();
        let theirs = python(&good.concat(), Some((stranger.verifier_key(), &whole)));
        assert!(theirs.is_none_or(|said| said.is_err_and(|said| said.contains("not signed by this key"))));
    })
    .await;
}
