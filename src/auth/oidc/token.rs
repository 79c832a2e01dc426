//! A JWT as it is shown, and what it claims. Nothing here knows a key: what is read has still to be verified.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta};
use jsonwebtoken::{Algorithm, Header};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::Identity;
use crate::{domain::Timestamp, store::identities::Subject};

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;
/// How far the clocks of provider and service may be apart.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);
/// The longest subject; the specification of OpenID Connect allows no more.
const LONGEST_SUBJECT: usize = 255;

/// The signatures that are taken: by a private key that only the provider has. With an algorithm of shared secrets the
/// published key would be the secret.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// A token whose form is right.
pub(super) struct Token<'a> {
    /// How it is signed, and with which key.
    pub header: Header,
    /// What the signature covers.
    pub signed: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
    claims: Claims,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    auth_time: Option<NumericDate>,
    email: Option<String>,
    email_verified: Option<Flag>,
    name: Option<String>,
    /// A token about something that happened, such as a sign-out, signs nobody in.
    events: Option<IgnoredAny>,
    /// A token that is bound to a key of its holder would have to be shown together with a proof of that key.
    cnf: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Some providers write the word instead of the value.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Value(bool),
    Word(String),
}

/// Seconds since 1970.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum NumericDate {
    Whole(i64),
    Fraction(f64),
}

impl NumericDate {
    /// `None` where no calendar reaches.
    fn time(self) -> Option<Timestamp> {
        match self {
            Self::Whole(seconds) => DateTime::from_timestamp(seconds, 0),
            Self::Fraction(seconds) => {
                let since = std::time::Duration::try_from_secs_f64(seconds).ok()?;
                DateTime::UNIX_EPOCH.checked_add_signed(TimeDelta::from_std(since).ok()?)
            }
        }
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

impl<'a> Token<'a> {
    /// Reads a token; `None` where it cannot be one that is taken here.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = decode(header)?;
        // A header that must be understood names something that is not understood here.
        let known = ALGORITHMS.contains(&header.alg) && header.crit.is_none();
        let says_who = is_access_token(&header) || header.typ.as_deref().is_none_or(is_jwt);
        if !(known && says_who) {
            return None;
        }
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { header, signed, signature, claims: decode(claims)? })
    }

    /// What the token says of its person, if it is of this issuer, for this audience and of this time.
    pub fn identity(&self, issuer: &str, audience: &str, now: Timestamp) -> Option<Identity> {
        let claims = &self.claims;
        let ours = claims.iss == issuer && self.is_meant_for(audience);
        let about_a_person = claims.events.is_none() && claims.cnf.is_none() && is_subject(&claims.sub);
        let begun = [claims.nbf, claims.iat].into_iter().flatten().all(|begin| {
            let begin = begin.time().and_then(|begin| begin.checked_sub_signed(LEEWAY));
            begin.is_some_and(|begin| begin <= now)
        });
        let expires_at = claims.exp.time()?.checked_add_signed(LEEWAY)?;
        if !(ours && about_a_person && begun && now < expires_at) {
            return None;
        }
        let verified = match &claims.email_verified {
            None => false,
            Some(Flag::Value(value)) => *value,
            Some(Flag::Word(word)) => word == "true",
        };
        let signed_in_at = match claims.auth_time {
            None => None,
            // Nobody has signed in later than now, whatever the provider's clock says.
            Some(auth_time) => Some(auth_time.time()?.min(now)),
        };
        Some(Identity {
            subject: Subject { issuer: claims.iss.clone(), subject: claims.sub.clone() },
            email: claims.email.as_ref().filter(|_| verified).and_then(|email| email.parse().ok()),
            name: claims.name.as_ref().and_then(|name| name.parse().ok()),
            signed_in_at,
            expires_at,
        })
    }

    /// Whether it was made for this audience. An ID token for several says in `azp` who asked for it, and that has to
    /// be this audience; the audiences of an access token are the services that it is for.
    fn is_meant_for(&self, audience: &str) -> bool {
        match &self.claims.aud {
            Audience::One(only) => only == audience,
            Audience::Several(several) => {
                let one_of_them = several.iter().any(|one| one == audience);
                let asked_for_by = self.claims.azp.as_deref() == Some(audience);
                one_of_them && (several.len() == 1 || asked_for_by || is_access_token(&self.header))
            }
        }
    }
}

fn is_jwt(media_type: &str) -> bool {
    media_type.eq_ignore_ascii_case("JWT")
}

/// An access token in the form of RFC 9068.
fn is_access_token(header: &Header) -> bool {
    let media_type = header.typ.as_deref().unwrap_or_default();
    media_type.eq_ignore_ascii_case("at+jwt") || media_type.eq_ignore_ascii_case("application/at+jwt")
}

fn is_subject(subject: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&subject.len()) && !subject.chars().any(char::is_control)
}
