//! Who an OpenID Connect provider says is calling. A token is a JWT that the provider signed for this service; it is
//! checked anew with every request, by the keys that the provider publishes.
//!
//! *Promises.* Everything that can be known without the provider is checked before it is asked for anything, so a
//! token that is malformed, over or of another issuer costs no call. Only asymmetric signatures are taken. The time is
//! the store's. What a token says of an address counts only where the provider has verified it.
//!
//! *Limits.* A token ends with its `exp`, not before: what the provider takes back in between is not asked for.

mod keys;
mod provider;
mod token;

use std::sync::Arc;

use provider::Provider;
use token::Token;

pub use provider::SettingsError;

use super::Error;
use crate::{
    domain::{
        Timestamp,
        values::{Email, Name},
    },
    store::identities::Subject,
};

/// The provider whose tokens are taken.
#[derive(Clone)]
pub struct Oidc {
    audience: Arc<str>,
    provider: Arc<Provider>,
}

/// What a token that holds says of its person.
#[derive(Debug)]
pub struct Identity {
    /// Who they are, and who says it.
    pub subject: Subject,
    /// Their address, if the provider has verified it.
    pub email: Option<Email>,
    /// Their name, if it can be one here.
    pub name: Option<Name>,
    /// When they last signed in there.
    pub signed_in_at: Option<Timestamp>,
    /// From when on the token is not taken any more.
    pub expires_at: Timestamp,
}

impl Oidc {
    /// The provider of this issuer, whose tokens are meant for this audience. Nothing is asked for yet.
    pub fn new(issuer: &str, audience: &str) -> Result<Self, SettingsError> {
        if audience.is_empty() {
            return Err(SettingsError::Audience);
        }
        Ok(Self { audience: audience.into(), provider: Arc::new(Provider::new(issuer)?) })
    }

    /// The identity in a token, if the token holds.
    pub(super) async fn identify(&self, token: &str, now: Timestamp) -> Result<Identity, Error> {
        let token = Token::parse(token).ok_or(Error::Invalid)?;
        let identity = token.identity(self.provider.issuer(), &self.audience, now).ok_or(Error::Invalid)?;
        let keys = self.provider.keys_for(&token.header, now).await?;
        keys.verify(&token).then_some(identity).ok_or(Error::Invalid)
    }
}
