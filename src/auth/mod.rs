//! Who is calling. A credential is resolved anew for every request and every operation on a socket, so what was
//! taken away is gone with the next one.

pub mod limits;
pub mod sign_in;
pub mod usage;
pub mod verification;

use crate::{
    domain::{
        Actor, ApiKeyId, OrganizationId, SessionId, Timestamp, UserId,
        organization::{
            Permissions,
            api_keys::{KeyStatus, RateLimit},
        },
    },
    secrets::{ApiKeySecret, SessionToken},
    store::{
        self, Store,
        api_keys::{self, SecretRow},
        sessions,
    },
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
        /// How much it may ask for; no limit, if none.
        rate_limit: Option<RateLimit>,
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
    let now = store.now();
    let row = key_of(store, &secret, now).await?.ok_or(Error::Invalid)?;
    if api_keys::status_at(&row.status, row.expires_at, now) != KeyStatus::Active.name() {
        return Err(Error::Invalid);
    }
    let (organization, api_key) = (OrganizationId(row.organization_id), ApiKeyId(row.api_key_id));
    usage.key_used(organization, api_key, now);
    let permissions = Permissions::from_bits(row.permissions);
    Ok(Principal::ApiKey { organization, api_key, permissions, rate_limit: row.rate_limit()? })
}

/// The key that a secret is one of, whatever its state; none where nobody has that secret, or its grace is over.
async fn key_of(store: &Store, secret: &ApiKeySecret, now: Timestamp) -> Result<Option<SecretRow>, store::Error> {
    let row = api_keys::find_secret(&store.database, secret.public_id()).await?;
    let good = |row: &SecretRow| secret.hash().matches(&row.hash) && row.secret_expires_at.is_none_or(|end| now < end);
    Ok(row.filter(good))
}

/// Whether a principal's credential still holds, for what goes on after it was shown.
pub async fn still_holds(store: &Store, principal: &Principal) -> Result<bool, store::Error> {
    match principal {
        Principal::Anonymous => Ok(true),
        Principal::User { session, .. } => sessions::is_living(&store.database, *session, store.now()).await,
        Principal::ApiKey { organization, api_key, .. } => {
            api_keys::is_active(&store.database, *organization, *api_key, store.now()).await
        }
    }
}
