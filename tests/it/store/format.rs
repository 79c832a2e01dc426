//! `docs/ledger-format.md`: its example is what the program makes and finds good.

use orgledger::{
    secrets::hex,
    store::{
        chain::genesis,
        note::{Signer, VerifierKey},
        proof::prove,
    },
};

const PAGE: &str = include_str!("../../../docs/ledger-format.md");

/// What stands in the block behind these words.
fn block(words: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(words).unwrap_or_else(|| panic!("{words}"));
    let (_, rest) = rest.split_once("```text\n").unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_example_of_the_format_is_what_the_program_makes_and_finds_good() {
    let (export, note) = (block("The export:"), block("The note:"));
    let key: VerifierKey = block("The verifier key:").parse().unwrap();
    let checkpoint = key.open(note).unwrap();
    let proof = prove(export.as_bytes(), Some(&checkpoint)).unwrap();
    assert_eq!((proof.events, checkpoint.size), (2, 2));
    assert_eq!(block(", and h0:").trim(), hex(&genesis(proof.organization)));
    assert_eq!(block("The last hash, h2:").trim(), hex(&proof.head));
    let signer = Signer::new(&[7; 32]).unwrap();
    assert_eq!((signer.verifier_key(), &*signer.sign(&checkpoint)), (&key, note));
}
