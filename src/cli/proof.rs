//! Proofs that need no service: the key that checks signatures, and the check of an exported ledger.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use super::{
    Failure, StoreArguments,
    tools::{existing, secret},
};
use crate::{
    domain::GlobalId,
    entropy::Entropy,
    secrets::hex,
    store::{
        note::{self, Checkpoint, VerifierKey},
        proof::prove,
        server_keys,
    },
};

/// How much of a file is read at once, in bytes.
const BUFFER: usize = 256 * 1024;

pub(super) async fn show_key(arguments: &StoreArguments) -> Result<(), Failure> {
    let secret = secret(arguments)?;
    let database = existing(arguments).await?;
    let keys = server_keys::open(&database, &Entropy::from_machine(), secret.as_ref()).await?;
    println!("{}", keys.signer.verifier_key());
    database.close().await;
    Ok(())
}

pub(super) fn verify(file: &Path, key: Option<&VerifierKey>, note: Option<&Path>) -> Result<(), Failure> {
    let named = |path: &Path, error: &dyn std::fmt::Display| Failure::from(format!("{}: {error}", path.display()));
    let checkpoint = match (key, note) {
        (Some(key), Some(note)) => Some(read_note(key, note).map_err(|error| named(note, &error))?),
        _ => None,
    };
    let opened = File::open(file).map_err(|error| named(file, &error))?;
    let proof = prove(BufReader::with_capacity(BUFFER, opened), checkpoint.as_ref());
    let proof = proof.map_err(|fault| named(file, &fault))?;
    let organization = GlobalId::Organization(proof.organization);
    println!("The chain holds: {} events of {organization}.", proof.events);
    println!("The last one has the hash {}.", hex(&proof.head));
    match checkpoint {
        Some(Checkpoint { size, .. }) if size == proof.events => {
            println!("The note is signed, and of this very ledger.");
        }
        Some(Checkpoint { size, .. }) => println!("The note is signed, and of the first {size} of these events."),
        None => println!(
            "Only the chain inside the file was checked: whoever rewrote all of it is found with --key and --note."
        ),
    }
    Ok(())
}

fn read_note(key: &VerifierKey, path: &Path) -> Result<Checkpoint, Failure> {
    let mut text = String::new();
    // One byte more than the longest, so that a longer one is found out.
    File::open(path)?.take(note::LONGEST as u64 + 1).read_to_string(&mut text)?;
    Ok(key.open(&text)?)
}
