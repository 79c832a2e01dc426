//! The hash chain over an organization's events.
//!
//! `h0 = SHA-256(frame("orgledger/chain/v1", organization))` and
//! `hn = SHA-256(frame("orgledger/event/v1", h(n-1), JCS(event)))`, where a frame is each part behind its length as
//! a big-endian u64, and JCS is RFC 8785 over `{organization, sequence, type, version, payload, metadata,
//! recordedAt}`: ids as hyphenated lower-case UUIDs, times with six decimals and `Z`. The hash covers the value, not
//! the stored bytes, because JSONB does not keep them. `docs/ledger-format.md` says it to who checks it elsewhere.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Error;
use crate::domain::{OrganizationId, Timestamp};

/// A link of the chain.
pub type Hash = [u8; 32];

fn digest(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// What the chain of an organization begins with.
pub fn genesis(organization: OrganizationId) -> Hash {
    digest(&[b"orgledger/chain/v1", organization.to_string().as_bytes()])
}

/// What is hashed of an event.
pub struct Link<'a> {
    /// Whose event it is.
    pub organization: OrganizationId,
    /// Its place in the stream, from 1.
    pub sequence: u64,
    /// Its permanent name.
    pub event_type: &'a str,
    /// The version of its shape.
    pub version: u32,
    /// Its fields.
    pub payload: &'a Value,
    /// Who, and in which request.
    pub metadata: &'a Value,
    /// When.
    pub recorded_at: Timestamp,
}

/// A time as the chain and the exports write it.
pub fn time(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// What the hash covers, under the names it has there.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hashed<'a> {
    organization: OrganizationId,
    sequence: u64,
    r#type: &'a str,
    version: u32,
    payload: &'a Value,
    metadata: &'a Value,
    recorded_at: String,
}

impl Link<'_> {
    /// What the hash covers, in the form of RFC 8785.
    pub fn canonical(&self) -> Result<Vec<u8>, Error> {
        let hashed = Hashed {
            organization: self.organization,
            sequence: self.sequence,
            r#type: self.event_type,
            version: self.version,
            payload: self.payload,
            metadata: self.metadata,
            recorded_at: time(self.recorded_at),
        };
        serde_json_canonicalizer::to_vec(&hashed)
            .map_err(|error| Error::corrupt(self.organization, self.sequence, error.to_string()))
    }

    /// The hash of the event behind its predecessor's.
    pub fn hash(&self, previous: &[u8]) -> Result<Hash, Error> {
        Ok(hash(previous, &self.canonical()?))
    }
}

/// The hash of an event's canonical form behind its predecessor's hash.
pub(super) fn hash(previous: &[u8], canonical: &[u8]) -> Hash {
    digest(&[b"orgledger/event/v1", previous, canonical])
}
