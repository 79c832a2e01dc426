//! Secrets: session tokens, API keys and the links in letters. They do not print, are compared in constant time,
//! and only their hashes, or nothing at all, are stored.

use std::fmt::{self, Write};

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::domain::{
    Actor, ApiKeyId, InvitationId, OrganizationId, Timestamp, UserId, organization::api_keys::KeyType,
};

/// A SHA-256 of a secret, as it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretHash")
    }
}

impl SecretHash {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// What a column holds; nothing where it holds something else.
    pub fn from_column(bytes: Vec<u8>) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As a column holds it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As an event holds it.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Whether a stored hash is this one, in constant time.
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.0.ct_eq(stored).into()
    }
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of lower-case hexadecimal; `None` where it is something else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// A session token: `ols_` and 43 base-62 characters, 256 bits.
pub struct SessionToken(SecretString);

impl SessionToken {
    /// How session tokens begin.
    pub const PREFIX: &str = "ols_";
    /// How many random characters follow: 62^43 is just above 2^256.
    pub const LENGTH: usize = 43;

    /// The token of these random characters.
    pub fn new(random: &str) -> Self {
        Self(format!("{}{random}", Self::PREFIX).into())
    }

    /// A token that a caller showed; `None` where it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(Self::PREFIX)?;
        let wellformed = random.len() == Self::LENGTH && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
        wellformed.then(|| Self(text.into()))
    }

    /// What is stored.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.expose_secret())
    }

    /// The token itself, to be shown once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// An API key: `olk_s_` or `olk_a_`, a public id of 12, `_`, a secret of 32 and a checksum of 6 characters. Secret
/// scanners can match it, and a mistyped one is refused before any look-up.
pub struct ApiKeySecret(SecretString);

impl ApiKeySecret {
    /// How API keys begin.
    pub const PREFIX: &str = "olk_";
    /// The length of the public id.
    pub const PUBLIC_LENGTH: usize = 12;
    /// The length of the secret part.
    pub const SECRET_LENGTH: usize = 32;
    const CHECKSUM_LENGTH: usize = 6;
    const KIND_LENGTH: usize = 6;

    /// The key of these random characters.
    pub fn new(key_type: KeyType, public_id: &str, secret: &str) -> Self {
        let body = format!("{}{public_id}_{secret}", prefix(key_type));
        let checksum = checksum(&body);
        Self(format!("{body}{checksum}").into())
    }

    /// A key that a caller showed; `None` where the form or the checksum is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let length = Self::KIND_LENGTH + Self::PUBLIC_LENGTH + 1 + Self::SECRET_LENGTH + Self::CHECKSUM_LENGTH;
        // Anything else would split a character, or be looked up as what no column holds.
        if text.len() != length || !text.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            return None;
        }
        let (body, sum) = text.split_at(length - Self::CHECKSUM_LENGTH);
        let kind = &body[..Self::KIND_LENGTH];
        let known = [KeyType::Standard, KeyType::AiAgent].into_iter().any(|key_type| kind == prefix(key_type));
        let separated = body.as_bytes()[Self::KIND_LENGTH + Self::PUBLIC_LENGTH] == b'_';
        (known && separated && sum == checksum(body)).then(|| Self(text.into()))
    }

    /// The public id, by which the key is looked up.
    pub fn public_id(&self) -> &str {
        &self.0.expose_secret()[Self::KIND_LENGTH..Self::KIND_LENGTH + Self::PUBLIC_LENGTH]
    }

    /// What is stored.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.expose_secret())
    }

    /// The key itself, to be shown once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// How a key of this type begins; with the public id it is the prefix that lists show.
pub const fn prefix(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Standard => "olk_s_",
        KeyType::AiAgent => "olk_a_",
    }
}

fn checksum(body: &str) -> String {
    format!("{:0>6}", base62::encode(crc32fast::hash(body.as_bytes())))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length, so this never yields the empty answer.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HMAC-SHA-256 of a text under a salt, in hexadecimal: shows that a text was the one meant until the salt is erased.
pub fn commitment(salt: &[u8], text: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt) else { return String::new() };
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// The server's key, the same for every instance: what the links in letters and the fingerprints of commands are
/// derived from, so that none of them has to be stored.
pub struct ServerKey(SecretBox<[u8; 32]>);

/// What an invitation's link names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvitationLink {
    /// The organization.
    pub organization: OrganizationId,
    /// The invitation.
    pub invitation: InvitationId,
    /// Which sending's link it is.
    pub generation: u32,
}

/// What the address of an upload names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogoUpload {
    /// The organization that gets the logo.
    pub organization: OrganizationId,
    /// Who asked for the address, and gives the command when the picture comes.
    pub actor: Actor,
    /// What tells it from every other address, so that it is used once.
    pub id: Uuid,
    /// Until when it is good; a whole second.
    pub expires_at: Timestamp,
}

const UUID_WIDTH: usize = 22;
const GENERATION_WIDTH: usize = 2;
const SECONDS_WIDTH: usize = 7;

impl ServerKey {
    /// The key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut all = vec![purpose.as_bytes()];
        all.extend_from_slice(parts);
        hmac(self.0.expose_secret(), &all)
    }

    /// A fingerprint of a command's input, to tell a repetition from another use of the same idempotency key.
    pub fn fingerprint(&self, input: &str) -> [u8; 32] {
        self.mac("fingerprint", &[input.as_bytes()])
    }

    /// The id of the organization that a person makes with this idempotency key.
    pub fn derived_uuid(&self, user: Uuid, idempotency_key: &str) -> Uuid {
        let mac = self.mac("organization", &[user.as_bytes(), idempotency_key.as_bytes()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&mac[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// Half of the MAC, 128 bits, is what a link carries.
    fn tag(&self, purpose: &str, body: &str) -> String {
        let mac = self.mac(purpose, &[body.as_bytes()]);
        let half = mac[..16].iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        format!("{:0>UUID_WIDTH$}", base62::encode(half))
    }

    fn signed(&self, purpose: &str, body: String) -> SecretString {
        let tag = self.tag(purpose, &body);
        (body + &tag).into()
    }

    /// The body of a token whose tag is right.
    fn checked<'a>(&self, purpose: &str, token: &'a str, width: usize) -> Option<&'a str> {
        if token.len() != width + UUID_WIDTH || !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let (body, tag) = token.split_at(width);
        let right: bool = self.tag(purpose, body).as_bytes().ct_eq(tag.as_bytes()).into();
        right.then_some(body)
    }

    /// The token in a sign-in letter.
    pub fn sign_in_token(&self, link: Uuid) -> SecretString {
        self.signed("sign-in", base62_uuid(link))
    }

    /// The sign-in link that a token belongs to; `None` where the token was never ours.
    pub fn read_sign_in_token(&self, token: &str) -> Option<Uuid> {
        read_uuid(self.checked("sign-in", token, UUID_WIDTH)?)
    }

    /// The token in an invitation's letter.
    pub fn invitation_token(&self, link: InvitationLink) -> SecretString {
        let generation = base62::encode(link.generation);
        let body = format!(
            "{}{}{generation:0>GENERATION_WIDTH$}",
            base62_uuid(link.organization.0),
            base62_uuid(link.invitation.0)
        );
        self.signed("invitation", body)
    }

    /// The invitation that a token belongs to; `None` where the token was never ours.
    pub fn read_invitation_token(&self, token: &str) -> Option<InvitationLink> {
        let body = self.checked("invitation", token, 2 * UUID_WIDTH + GENERATION_WIDTH)?;
        let generation = base62::decode(&body[2 * UUID_WIDTH..]).ok()?;
        Some(InvitationLink {
            organization: OrganizationId(read_uuid(&body[..UUID_WIDTH])?),
            invitation: InvitationId(read_uuid(&body[UUID_WIDTH..2 * UUID_WIDTH])?),
            generation: u32::try_from(generation).ok()?,
        })
    }

    /// The token at the end of an upload's address.
    pub fn logo_upload_token(&self, upload: &LogoUpload) -> SecretString {
        let LogoUpload { organization, actor, id, expires_at } = upload;
        let kind = if actor.user().is_some() { USER } else { API_KEY };
        let seconds = base62::encode(u64::try_from(expires_at.timestamp()).unwrap_or_default());
        let ids = [organization.0, actor.id(), *id].map(base62_uuid).concat();
        self.signed("logo-upload", format!("{ids}{seconds:0>SECONDS_WIDTH$}{kind}"))
    }

    /// The upload that a token belongs to; `None` where the token was never ours.
    pub fn read_logo_upload_token(&self, token: &str) -> Option<LogoUpload> {
        let body = self.checked("logo-upload", token, 3 * UUID_WIDTH + SECONDS_WIDTH + 1)?;
        let (ids, rest) = body.split_at(3 * UUID_WIDTH);
        let (seconds, kind) = rest.split_at(SECONDS_WIDTH);
        let id = |place: usize| read_uuid(&ids[place * UUID_WIDTH..(place + 1) * UUID_WIDTH]);
        let seconds = i64::try_from(base62::decode(seconds).ok()?).ok()?;
        Some(LogoUpload {
            organization: OrganizationId(id(0)?),
            actor: if kind == USER { Actor::User(UserId(id(1)?)) } else { Actor::ApiKey(ApiKeyId(id(1)?)) },
            id: id(2)?,
            expires_at: Timestamp::from_timestamp_secs(seconds)?,
        })
    }
}

/// Which kind of actor stands in a token.
const USER: &str = "u";
const API_KEY: &str = "k";

fn base62_uuid(id: Uuid) -> String {
    format!("{:0>UUID_WIDTH$}", base62::encode(id.as_u128()))
}

fn read_uuid(text: &str) -> Option<Uuid> {
    base62::decode(text).ok().map(Uuid::from_u128)
}
