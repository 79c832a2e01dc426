//! Signed notes: what the service says about where an organization's chain ends, in a form that others check.
//!
//! *Shape.* The notes of C2SP (c2sp.org/signed-note) with a text as checkpoints of transparency logs have it
//! (c2sp.org/tlog-checkpoint): the origin, the number of events, the hash of the last one; then a signature by Ed25519.
//! The hash is the chain's, not the root of a Merkle tree. The origin is the key's name, `/`, and the organization.
//!
//! *Promises.* A note says nothing until its signature was checked: only [`VerifierKey::open`] makes a [`Checkpoint`]
//! of one.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use super::chain::Hash;
use crate::{
    domain::OrganizationId,
    secrets::{hex, unhex},
};

/// What the service's key is called.
const NAME: &str = "orgledger";
/// How C2SP numbers Ed25519.
const ALGORITHM: u8 = 1;
/// The longest note that is read, in bytes.
pub const LONGEST: usize = 64 * 1024;
/// How many signatures are read.
const SIGNATURES: usize = 100;

/// How far a chain was at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose.
    pub organization: OrganizationId,
    /// How many events it had.
    pub size: u64,
    /// The hash of the last of them.
    pub hash: Hash,
}

/// Signs notes.
pub struct Signer {
    pair: Ed25519KeyPair,
    key: VerifierKey,
}

impl Signer {
    /// The signer of a seed (RFC 8032, section 5.1.5); every seed has one.
    pub fn new(seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let key = VerifierKey::new(NAME, pair.public_key().as_ref().try_into().ok()?);
        Some(Self { pair, key })
    }

    /// What others check its notes with.
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.key
    }

    /// The note of a checkpoint.
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let Checkpoint { organization, size, hash } = checkpoint;
        let text = format!("{NAME}/{organization}\n{size}\n{}\n", STANDARD.encode(hash));
        let signature = self.pair.sign(text.as_bytes());
        let signature = STANDARD.encode([&self.key.id[..], signature.as_ref()].concat());
        format!("{text}\n— {NAME} {signature}\n")
    }
}

/// The public half of a signing key. Its text is `name+id+key`, as C2SP writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: [u8; 32],
}

/// A text that is no verifier key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a verifier key, which looks like {NAME}+1a2b3c4d+AbCd… and is shown by `orgledger keys show`")]
pub struct MalformedKey;

/// Why a note proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// It has another form.
    #[error("it is not a signed note of a ledger")]
    Malformed,
    /// There is no signature by this key.
    #[error("it is not signed by this key")]
    OtherKey,
    /// The signature is of something else.
    #[error("its signature is wrong: the note was changed")]
    Forged,
}

impl VerifierKey {
    fn new(name: &str, key: [u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(name).chain_update([b'\n', ALGORITHM]).chain_update(key).finalize();
        let mut id = [0; 4];
        id.copy_from_slice(&digest[..4]);
        Self { name: name.to_owned(), id, key }
    }

    /// The checkpoint of a note that this key has signed.
    pub fn open(&self, note: &str) -> Result<Checkpoint, BadNote> {
        let text = self.text(note)?;
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(hash)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(BadNote::Malformed);
        };
        let organization = origin.strip_prefix(&*self.name).and_then(|rest| rest.strip_prefix('/'));
        let organization = organization.and_then(|id| id.parse().ok()).map(OrganizationId);
        let number: Option<u64> = size.parse().ok();
        let hash = STANDARD.decode(hash).ok().and_then(|bytes| bytes.try_into().ok());
        match (organization, number, hash) {
            // One number and one id have one text.
            (Some(organization), Some(size_read), Some(hash))
                if size_read.to_string() == size && origin.ends_with(&organization.to_string()) =>
            {
                Ok(Checkpoint { organization, size: size_read, hash })
            }
            _ => Err(BadNote::Malformed),
        }
    }

    /// The text of a note, once one of its signatures is found to be this key's and right.
    pub fn text<'a>(&self, note: &'a str) -> Result<&'a str, BadNote> {
        let control = |character: char| character < ' ' && character != '\n';
        let end = note.rfind("\n\n").filter(|_| note.len() <= LONGEST && !note.contains(control));
        let (text, signatures) = note.split_at(end.ok_or(BadNote::Malformed)? + 1);
        let signatures = signatures[1..].strip_suffix('\n').ok_or(BadNote::Malformed)?;
        let mut answer = Err(BadNote::OtherKey);
        for (count, line) in signatures.split('\n').enumerate() {
            let parts = line.strip_prefix("— ").and_then(|line| line.split_once(' '));
            let (name, signature) = parts.filter(|_| count < SIGNATURES).ok_or(BadNote::Malformed)?;
            let signature = STANDARD.decode(signature).map_err(|_| BadNote::Malformed)?;
            let (id, signature) = signature.split_at_checked(4).ok_or(BadNote::Malformed)?;
            // Others may have signed it too.
            if name == self.name && id == self.id {
                let key = UnparsedPublicKey::new(&ED25519, self.key);
                key.verify(text.as_bytes(), signature).map_err(|_| BadNote::Forged)?;
                answer = Ok(text);
            }
        }
        answer
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ALGORITHM][..], &self.key].concat());
        write!(f, "{}+{}+{key}", self.name, hex(&self.id))
    }
}

impl FromStr for VerifierKey {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(MalformedKey);
        };
        let key = STANDARD.decode(key).map_err(|_| MalformedKey)?;
        let key = key.strip_prefix(&[ALGORITHM]).and_then(|key| key.try_into().ok()).ok_or(MalformedKey)?;
        let found = Self::new(name, key);
        let spaced = name.is_empty() || name.contains(char::is_whitespace);
        if spaced || unhex(id).as_deref() != Some(&found.id) { Err(MalformedKey) } else { Ok(found) }
    }
}
