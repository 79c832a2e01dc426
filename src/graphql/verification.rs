//! What another service learns about an API key that it was shown.

use async_graphql::{Context, Enum, ID, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    api_keys::ApiKeyType,
    context::{Transport, request, services},
    errors::{self, OrInternal, bad_input},
    people::api_key_id,
    roles::Permission,
};
use crate::{
    auth::{
        limits::Standing,
        verification::{self, Outcome, Question, Verified},
    },
    domain::GlobalId,
};

/// What verifying a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Outcome")]
pub enum ApiKeyVerificationOutcome {
    /// The key is good, and has the permission that was asked for.
    Valid,
    /// It is no key, or none of a living organization, or it was replaced by another secret.
    NotFound,
    /// It is switched off.
    Disabled,
    /// It has ended for good.
    Revoked,
    /// Its time is over.
    Expired,
    /// It has spent what it may; or this address has shown too many wrong keys, and nothing is told about this one.
    RateLimited,
    /// It is good, and lacks the permission.
    PermissionRequired,
}

/// Where a key stands under its rate limit.
#[derive(SimpleObject)]
pub struct RateLimitStanding {
    /// Cost units at once.
    limit: u32,
    /// How many of them are left.
    remaining: u32,
    /// When all of them are there again, if nothing is asked until then.
    reset_at: DateTime<Utc>,
}

impl From<Standing> for RateLimitStanding {
    fn from(standing: Standing) -> Self {
        Self { limit: standing.limit, remaining: standing.remaining, reset_at: standing.reset_at }
    }
}

/// What a key is good for. Nothing but the outcome is told where the key is not known.
#[derive(SimpleObject)]
pub struct ApiKeyVerification {
    /// What it came to; only `VALID` lets anybody in.
    outcome: ApiKeyVerificationOutcome,
    /// The organization of the key.
    organization_id: Option<ID>,
    /// The key.
    api_key_id: Option<ID>,
    /// What the key is for.
    #[graphql(name = "type")]
    key_type: Option<ApiKeyType>,
    /// What the key may do now; nothing, where it is not active.
    permissions: Vec<Permission>,
    /// Where the key stands under its limit; none, where it has no limit or is not active.
    rate_limit: Option<RateLimitStanding>,
}

impl ApiKeyVerification {
    fn of(outcome: Outcome, key: Option<Verified>) -> Self {
        let id = |key: Verified| ID::from(GlobalId::Organization(key.organization).to_string());
        let kind = |key: Verified| if key.agent { ApiKeyType::AiAgent } else { ApiKeyType::Standard };
        Self {
            outcome: outcome.into(),
            organization_id: key.map(id),
            api_key_id: key.map(|key| api_key_id(key.organization.0, key.api_key.0)),
            key_type: key.map(kind),
            permissions: key.map(|key| errors::permissions(key.permissions)).unwrap_or_default(),
            rate_limit: key.and_then(|key| key.standing).map(RateLimitStanding::from),
        }
    }
}

/// Verifies a key. A key that stands in an address has been told to every log on the way, so a GET is refused.
pub async fn verify(ctx: &Context<'_>, key: &str, permission: Option<Permission>) -> Result<ApiKeyVerification> {
    let (services, request) = (services(ctx)?, request(ctx)?);
    if request.transport != Transport::Post {
        return Err(bad_input("Send verifyApiKey by POST."));
    }
    let _turn = request.verifying.lock().await;
    let ip = request.origin.ip.as_deref();
    let question = Question { key, permission: permission.map(Into::into), ip };
    let known = (&services.usage, &services.limits);
    let (outcome, key) = verification::verify(&services.commands.store, known, question).await.or_internal(ctx)?;
    Ok(ApiKeyVerification::of(outcome, key))
}
