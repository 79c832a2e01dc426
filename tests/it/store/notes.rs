//! Signed notes: in the form that others' programs make and check, and only good for what they say.

use orgledger::{
    domain::OrganizationId,
    store::note::{BadNote, Checkpoint, Signer, VerifierKey},
};
use uuid::Uuid;

/// A key and a note that everybody who implements signed notes knows: golang.org/x/mod/sumdb/note.
const KNOWN_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const KNOWN_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
     then you don't know what your problem is.\n";
const KNOWN_SIGNATURE: &str =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(byte: u8) -> Signer {
    Signer::new(&[byte; 32]).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { organization: OrganizationId(Uuid::from_u128(1)), size: 17, hash: [9; 32] }
}

#[test]
fn a_note_of_somebody_elses_program_is_read() {
    let key: VerifierKey = KNOWN_KEY.parse().unwrap();
    assert_eq!(key.to_string(), KNOWN_KEY);
    let note = format!("{KNOWN_TEXT}\n{KNOWN_SIGNATURE}");
    assert_eq!(key.text(&note), Ok(KNOWN_TEXT));
    assert_eq!(key.open(&note), Err(BadNote::Malformed), "it is signed, and no checkpoint");
    let by_others = format!("{KNOWN_TEXT}\n— enoch.example BBBBBBBB\n{KNOWN_SIGNATURE}");
    assert_eq!(key.text(&by_others), Ok(KNOWN_TEXT));
}

#[test]
fn a_note_says_what_was_signed() {
    let signer = signer(7);
    let note = signer.sign(&checkpoint());
    let lines: Vec<_> = note.lines().collect();
    assert_eq!(lines[0], "orgledger/00000000-0000-0000-0000-000000000001");
    assert_eq!(lines[1..4], ["17", "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=", ""]);
    assert!(lines.len() == 5 && lines[4].starts_with("— orgledger "), "{note}");
    let key: VerifierKey = signer.verifier_key().to_string().parse().unwrap();
    assert_eq!(key.open(&note), Ok(checkpoint()));
}

#[test]
fn a_note_that_was_changed_or_that_another_signed_says_nothing() {
    let note = signer(7).sign(&checkpoint());
    let (key, other) = (signer(7).verifier_key().clone(), signer(8).verifier_key().clone());
    assert_eq!(other.open(&note), Err(BadNote::OtherKey));
    for (from, to) in [("17", "18"), ("0001", "0002"), ("CQk=", "CQg=")] {
        assert_eq!(key.open(&note.replacen(from, to, 1)), Err(BadNote::Forged), "{from}");
    }
    let flipped = note.trim_end().trim_end_matches('=');
    let (body, last) = flipped.split_at(flipped.len() - 3);
    let flipped = format!("{body}{}==\n", if last.starts_with('A') { "BAA" } else { "AAA" });
    assert!(key.open(&flipped).is_err(), "{flipped}");
    let unsigned = note.split_once("\n\n").unwrap().0;
    let huge = format!("{}{note}", "a\n".repeat(40_000));
    let crowded = format!("{note}{}", "— other AAAAAAAA\n".repeat(100));
    for malformed in ["", "\n\n", unsigned, &note.replace('—', "-"), &note.replace('\n', "\r\n"), &huge, &crowded] {
        assert_eq!(key.open(malformed), Err(BadNote::Malformed), "{malformed:.100}");
    }
}

#[test]
fn only_a_verifier_key_is_read_as_one() {
    let good = signer(7).verifier_key().to_string();
    let (name, rest) = good.split_once('+').unwrap();
    let wrong_id = format!("{name}+00000000+{}", rest.split_once('+').unwrap().1);
    let algorithm = KNOWN_KEY.replace("+ARpc", "+AhpC");
    for text in [
        "",
        "orgledger",
        "a+b",
        "a+b+c",
        "++",
        &wrong_id,
        &algorithm,
        &good[..good.len() - 4],
        &good.replace("orgledger", "other"),
    ] {
        assert!(text.parse::<VerifierKey>().is_err(), "{text}");
    }
    assert!(format!("{good}\n").parse::<VerifierKey>().is_ok(), "as it comes out of a file");
}
