//! Who is calling. A credential is resolved anew for every request and every operation on a socket, so what was
//! taken away is gone with the next one.

pub mod sign_in;
pub mod usage;
pub mod watch;

use crate::{
    domain::{
        Actor, ApiKeyId, OrganizationId, SessionId, UserId,
        organization::{Permissions, api_keys::KeyStatus},
    },
    secrets::{ApiKeySecret, SessionToken},
    store::{self, Store, api_keys, sessions},
};
use usage::Usage;

/// Who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Nobody we know.
    Anonymous,
    /// A signed-in person.
    User {
        /// The person.
        user: UserId,
        /// The session they signed in with.
        session: SessionId,
    },
    /// An API key, which sees and changes its own organization only.
    ApiKey {
        /// Its organization.
        organization: OrganizationId,
        /// The key.
        api_key: ApiKeyId,
        /// What it may do.
        permissions: Permissions,
    },
}

impl Principal {
    /// Who acts; nobody, if anonymous.
    pub const fn actor(&self) -> Option<Actor> {
        match self {
            Self::Anonymous => None,
            Self::User { user, .. } => Some(Actor::User(*user)),
            Self::ApiKey { api_key, .. } => Some(Actor::ApiKey(*api_key)),
        }
    }

    /// The person, where a person calls.
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::User { user, .. } => Some(*user),
            Self::Anonymous | Self::ApiKey { .. } => None,
        }
    }
}

/// Why a credential says nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is unknown, ended, expired or not a credential at all; which, is not told.
    #[error("the credential is not valid")]
    Invalid,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The principal behind the text after `Bearer`; without one, nobody.
pub async fn authenticate(store: &Store, usage: &Usage, bearer: Option<&str>) -> Result<Principal, Error> {
    let Some(bearer) = bearer else { return Ok(Principal::Anonymous) };
    if bearer.starts_with(ApiKeySecret::PREFIX) {
        return authenticate_key(store, usage, bearer).await;
    }
    let token = SessionToken::parse(bearer).ok_or(Error::Invalid)?;
    let now = store.now();
    let session = sessions::find(&store.database, &token.hash(), now).await?.ok_or(Error::Invalid)?;
    let id = SessionId(session.session_id);
    usage.session_used(id, session.last_seen_at, now);
    Ok(Principal::User { user: UserId(session.user_id), session: id })
}

async fn authenticate_key(store: &Store, usage: &Usage, bearer: &str) -> Result<Principal, Error> {
    let secret = ApiKeySecret::parse(bearer).ok_or(Error::Invalid)?;
    let row = api_keys::find_secret(&store.database, secret.public_id()).await?.ok_or(Error::Invalid)?;
    let now = store.now();
    let in_grace = row.secret_expires_at.is_none_or(|end| now < end);
    let active = api_keys::status_at(&row.status, row.expires_at, now) == KeyStatus::Active.name();
    if !(secret.hash().matches(&row.hash) && in_grace && active) {
        return Err(Error::Invalid);
    }
    let (organization, api_key) = (OrganizationId(row.organization_id), ApiKeyId(row.api_key_id));
    usage.key_used(organization, api_key, now);
    Ok(Principal::ApiKey { organization, api_key, permissions: Permissions::from_bits(row.permissions) })
}
