//! The server's own keys, in the database so that every instance has the same: what links and fingerprints are derived
//! from, and what notes are signed with. They are made on first start.
//!
//! *Wrapping.* With a secret of the operator the keys stand in the database encrypted (AES-256-GCM, under a key derived
//! from the secret by HKDF-SHA-256), so that who reads the database alone can neither make links nor sign. Keys from
//! before are wrapped where they stand. Nothing is ever unwrapped or replaced: without the secret nothing starts.

use std::{collections::HashMap, sync::Arc};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use secrecy::{ExposeSecret, SecretString};

use super::{Database, Error, note::Signer, statement::Statement, transaction::Transaction};
use crate::{entropy::Entropy, secrets::ServerKey};

/// The variable that holds the secret.
const VARIABLE: &str = "ORGLEDGER_SECRET";
/// The shortest secret, in characters.
const SHORTEST: usize = 32;
const LINKS: &str = "links";
const SIGNING: &str = "signing";
const NAMES: [&str; 2] = [LINKS, SIGNING];

/// The secret that keys are wrapped with.
#[derive(Clone, Debug)]
pub struct OperatorSecret(SecretString);

/// A secret that could be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has to have at least {SHORTEST} characters, of chance: `openssl rand -base64 32` makes some")]
pub struct TooShort;

impl TryFrom<SecretString> for OperatorSecret {
    type Error = TooShort;

    fn try_from(secret: SecretString) -> Result<Self, TooShort> {
        if secret.expose_secret().chars().count() < SHORTEST { Err(TooShort) } else { Ok(Self(secret)) }
    }
}

/// Why there are keys and they cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Locked {
    /// They are wrapped, and there is no secret.
    #[error("the server's keys are wrapped: set {VARIABLE} to the secret that they were wrapped with")]
    Closed,
    /// They were wrapped with another secret, or changed.
    #[error("{VARIABLE} is not the secret that the server's keys were wrapped with")]
    OtherSecret,
    /// What is stored is no key.
    #[error("the key {0} in server_keys is not a key")]
    Broken(&'static str),
}

/// The keys.
#[derive(Clone)]
pub struct Keys {
    /// What links and fingerprints are derived from.
    pub links: Arc<ServerKey>,
    /// What signs notes.
    pub signer: Arc<Signer>,
}

/// A key as it is stored.
#[derive(sqlx::FromRow)]
struct KeyRow {
    name: String,
    key: Vec<u8>,
    wrapped: bool,
}

/// Reads the keys; makes those that are not there, and wraps those that should be.
pub async fn open(database: &Database, entropy: &Entropy, secret: Option<&OperatorSecret>) -> Result<Keys, Error> {
    let wrapping = secret.map(Wrapping::new).transpose()?;
    let fresh: [u8; 32] = entropy.bytes();
    loop {
        // Another instance may start at the same time, with or without the secret; what it left is looked at again.
        let mut transaction = database.begin().await?;
        let rows: Vec<KeyRow> =
            Statement::new("SELECT name, key, wrapped FROM server_keys").all_in(&mut transaction).await?;
        let mut keys = HashMap::new();
        let mut written = 0;
        for KeyRow { name, key, wrapped } in rows {
            let Some(name) = NAMES.into_iter().find(|known| *known == name) else { continue };
            let key = match (&wrapping, wrapped) {
                (None, true) => return Err(Locked::Closed.into()),
                (Some(wrapping), true) => wrapping.open(name, key)?,
                (_, false) => key.try_into().map_err(|_| Locked::Broken(name))?,
            };
            if let (Some(wrapping), false) = (&wrapping, wrapped) {
                let text = "UPDATE server_keys SET key = $2, wrapped = TRUE WHERE name = $1 AND NOT wrapped";
                let sealed = wrapping.seal(name, &key, entropy)?;
                written += Statement::new(text).bind(name).bind(sealed).run_in(&mut transaction).await?;
            }
            keys.insert(name, key);
        }
        if let (0, Some(links), Some(signing)) = (written, keys.get(LINKS), keys.get(SIGNING)) {
            let signer = Signer::new(signing).ok_or(Locked::Broken(SIGNING))?;
            return Ok(Keys { links: Arc::new(ServerKey::new(*links)), signer: Arc::new(signer) });
        }
        for name in NAMES.into_iter().filter(|name| !keys.contains_key(name)) {
            insert(&mut transaction, name, derived(&fresh, name)?, wrapping.as_ref(), entropy).await?;
        }
        transaction.commit().await?;
    }
}

async fn insert(
    transaction: &mut Transaction,
    name: &'static str,
    key: [u8; 32],
    wrapping: Option<&Wrapping>,
    entropy: &Entropy,
) -> Result<(), Error> {
    let stored = match wrapping {
        None => key.to_vec(),
        Some(wrapping) => wrapping.seal(name, &key, entropy)?,
    };
    Statement::new("INSERT INTO server_keys (name, key, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(name)
        .bind(stored)
        .bind(wrapping.is_some())
        .run_in(transaction)
        .await
        .map(|_| ())
}

/// A key of its own for each purpose, from the same chance or the same secret.
fn derived(from: &[u8], purpose: &str) -> Result<[u8; 32], Error> {
    let mut key = [0; 32];
    let secret = Salt::new(HKDF_SHA256, b"orgledger/server-keys/v1").extract(from);
    let filled = secret.expand(&[purpose.as_bytes()], HKDF_SHA256).and_then(|okm| okm.fill(&mut key));
    // Thirty-two bytes are always there to be had.
    filled.map_err(|_| Error::Stopped)?;
    Ok(key)
}

/// What wraps keys.
struct Wrapping(LessSafeKey);

impl Wrapping {
    fn new(secret: &OperatorSecret) -> Result<Self, Error> {
        let key = derived(secret.0.expose_secret().as_bytes(), "wrapping")?;
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).map_err(|_| Error::Stopped)?)))
    }

    /// The nonce, what is encrypted, and the tag. The name is bound to it: no key takes another's place.
    fn seal(&self, name: &str, key: &[u8; 32], entropy: &Entropy) -> Result<Vec<u8>, Error> {
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut sealed = key.to_vec();
        let aad = Aad::from(name.as_bytes());
        let done = self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        done.map_err(|_| Error::Stopped)?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn open(&self, name: &'static str, mut stored: Vec<u8>) -> Result<[u8; 32], Locked> {
        let (nonce, sealed) = stored.split_first_chunk_mut().ok_or(Locked::Broken(name))?;
        let opened = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(name.as_bytes()), sealed);
        let key = opened.map_err(|_| Locked::OtherSecret)?;
        (&*key).try_into().map_err(|_| Locked::Broken(name))
    }
}
