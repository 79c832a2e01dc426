//! Who is calling. A credential is resolved anew for every request and every operation on a socket, so what was
//! taken away is gone with the next one.

pub mod limits;
pub mod oidc;
pub mod sign_in;
pub mod usage;
pub mod verification;
pub mod watch;

use crate::{
    domain::{
        Actor, ApiKeyId, OrganizationId, SessionId, Timestamp, UserId,
        organization::{
            Permissions,
            api_keys::{KeyStatus, RateLimit},
        },
    },
    secrets::{ApiKeySecret, SecretHash, SessionToken},
    store::{
        self, Store,
        api_keys::{self, SecretRow},
        append::Origin,
    },
};
use oidc::Oidc;
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
        /// What they showed.
        proof: Proof,
    },
    /// An API key, which sees and changes its own organization only.
    ApiKey {
        /// Its organization.
        organization: OrganizationId,
        /// The key.
        api_key: ApiKeyId,
        /// The secret of it that was shown.
        secret: SecretHash,
        /// What it may do.
        permissions: Permissions,
        /// How much it may ask for; no limit, if none.
        rate_limit: Option<RateLimit>,
    },
}

/// What a person showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The token of a session of ours.
    Session(SessionId),
    /// A token of the identity provider.
    Token {
        /// From when on it is not taken any more.
        expires_at: Timestamp,
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
    /// The identity provider's keys are not known, and it does not answer.
    #[error("the identity provider does not answer")]
    Provider,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The principal behind the text after `Bearer`; without one, nobody. The three kinds of credentials are told apart by
/// their form; tokens of an identity provider are taken where there is one.
pub async fn authenticate(
    store: &Store,
    usage: &Usage,
    oidc: Option<&Oidc>,
    bearer: Option<&str>,
    origin: &Origin,
) -> Result<Principal, Error> {
    match (bearer, oidc) {
        (None, _) => Ok(Principal::Anonymous),
        (Some(key), _) if key.starts_with(ApiKeySecret::PREFIX) => authenticate_key(store, usage, key).await,
        (Some(token), _) if token.starts_with(SessionToken::PREFIX) => {
            authenticate_session(store, usage, token, origin).await
        }
        // In a box: it is much larger than what any other request has to have room for.
        (Some(token), Some(oidc)) => Box::pin(authenticate_token(store, oidc, token, origin)).await,
        (Some(_), None) => Err(Error::Invalid),
    }
}

async fn authenticate_session(store: &Store, usage: &Usage, token: &str, origin: &Origin) -> Result<Principal, Error> {
    let token = SessionToken::parse(token).ok_or(Error::Invalid)?;
    let now = store.now();
    let session = store.lookups.sessions.find(token.hash()).await?.ok_or(Error::Invalid)?;
    usage.session_used(&session, origin, now);
    Ok(Principal::User { user: UserId(session.user_id), proof: Proof::Session(SessionId(session.session_id)) })
}

async fn authenticate_token(store: &Store, oidc: &Oidc, token: &str, origin: &Origin) -> Result<Principal, Error> {
    let identity = oidc.identify(token, store.now()).await?;
    let user = sign_in::by_identity(store, &identity, origin).await?.ok_or(Error::Invalid)?;
    Ok(Principal::User { user, proof: Proof::Token { expires_at: identity.expires_at } })
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
    let (secret, rate_limit) = (secret.hash(), row.rate_limit()?);
    Ok(Principal::ApiKey { organization, api_key, secret, permissions, rate_limit })
}

/// The key that a secret is one of, whatever its state; none where nobody has that secret, or its grace is over.
async fn key_of(store: &Store, secret: &ApiKeySecret, now: Timestamp) -> Result<Option<SecretRow>, store::Error> {
    let row = store.lookups.secrets.find(secret.public_id().to_owned()).await?;
    let good = |row: &SecretRow| secret.hash().matches(&row.hash) && row.secret_expires_at.is_none_or(|end| now < end);
    Ok(row.filter(good))
}
