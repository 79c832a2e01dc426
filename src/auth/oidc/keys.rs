//! The keys that a provider publishes (RFC 7517), and signatures by them. Only keys for signatures are read, and each
//! verifies only the algorithms that are its kind's, so a token cannot choose how its key is used.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, Header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

use super::token::Token;

/// How many keys of a provider are looked at.
const MOST: usize = 100;

/// A set of keys as it is published. Each is read by itself, so that one of an unknown kind does not hide the others.
#[derive(Deserialize)]
pub(super) struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// The keys that verify signatures.
pub(super) struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    /// The one algorithm that it is for, if it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl From<KeySet> for Keys {
    fn from(set: KeySet) -> Self {
        Self(set.keys.into_iter().take(MOST).filter_map(Key::read).collect())
    }
}

impl Keys {
    /// The keys that may have signed a token with this header. One without the id of its key is taken where there is
    /// no choice.
    fn candidates(&self, header: &Header) -> Vec<&Key> {
        let fitting = self.0.iter().filter(|key| key.fits(header.alg));
        match &header.kid {
            Some(id) => fitting.filter(|key| key.id.as_ref() == Some(id)).collect(),
            None => Some(fitting.collect::<Vec<_>>()).filter(|keys| keys.len() == 1).unwrap_or_default(),
        }
    }

    /// Whether there is a key that may have signed a token with this header.
    pub fn have_one_for(&self, header: &Header) -> bool {
        !self.candidates(header).is_empty()
    }

    /// Whether one of the keys signed a token.
    pub fn verify(&self, token: &Token<'_>) -> bool {
        let Token { header, signed, signature, .. } = token;
        self.candidates(header).iter().any(|key| key.material.verify(header.alg, signed.as_bytes(), signature))
    }
}

impl Key {
    /// Reads a key; `None` where it is not one for signatures of a kind that is taken.
    fn read(key: serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        let common = jwk.common;
        let to_sign = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        let to_verify = common.key_operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let algorithm = common.key_algorithm.map(Algorithm::try_from).transpose().ok()?;
        let material = Material::read(&jwk.algorithm)?;
        (to_sign && to_verify).then_some(Self { id: common.key_id, algorithm, material })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.material.is_for(algorithm)
    }
}

impl Material {
    fn read(parameters: &AlgorithmParameters) -> Option<Self> {
        match parameters {
            AlgorithmParameters::RSA(rsa) => {
                // The number is what counts; some providers write a zero before it.
                let number = |text| decode(text).map(|bytes| bytes.into_iter().skip_while(|byte| *byte == 0).collect());
                Some(Self::Rsa(RsaPublicKeyComponents { n: number(&rsa.n)?, e: number(&rsa.e)? }))
            }
            AlgorithmParameters::EllipticCurve(point) => match point.curve {
                EllipticCurve::P256 => uncompressed(&point.x, &point.y, 32).map(Self::P256),
                EllipticCurve::P384 => uncompressed(&point.x, &point.y, 48).map(Self::P384),
                _ => None,
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                decode(&pair.x).map(Self::Ed25519)
            }
            _ => None,
        }
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa(_) => rsa(algorithm).is_some(),
            Self::P256(_) => algorithm == Algorithm::ES256,
            Self::P384(_) => algorithm == Algorithm::ES384,
            Self::Ed25519(_) => algorithm == Algorithm::EdDSA,
        }
    }

    fn verify(&self, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> bool {
        let verified = match self {
            // Keys of fewer than 2048 bits verify nothing.
            Self::Rsa(key) => rsa(algorithm).map(|parameters| key.verify(parameters, message, signed)),
            Self::P256(key) => {
                Some(UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key).verify(message, signed))
            }
            Self::P384(key) => {
                Some(UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, key).verify(message, signed))
            }
            Self::Ed25519(key) => Some(UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signed)),
        };
        matches!(verified, Some(Ok(())))
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

/// A point of a curve in the form that signatures are verified by.
fn uncompressed(x: &str, y: &str, width: usize) -> Option<Vec<u8>> {
    let (x, y) = (decode(x)?, decode(y)?);
    (x.len() == width && y.len() == width).then(|| [&[4], x.as_slice(), y.as_slice()].concat())
}
