//! What another service learns about an API key that it was shown. It tells nothing to who does not hold the key:
//! a secret that is wrong, and one whose grace is over, are answered like a key that never was.

use super::{
    key_of,
    limits::{Limits, Standing},
    usage::Usage,
};
use crate::{
    domain::{
        ApiKeyId, OrganizationId,
        organization::{Permission, Permissions, api_keys::KeyStatus},
    },
    secrets::ApiKeySecret,
    store::{self, Store, api_keys},
};

/// What became of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The key is good, and has the permission that was asked for.
    Valid,
    /// It is no key, or not any more one of a living organization, or its secret is wrong.
    NotFound,
    /// It is switched off.
    Disabled,
    /// It has ended for good.
    Revoked,
    /// Its time is over.
    Expired,
    /// It has spent what it may, or the address has shown too many wrong keys.
    RateLimited,
    /// It is good, and lacks the permission.
    PermissionRequired,
}

/// A key whose secret was right.
#[derive(Clone, Copy, Debug)]
pub struct Verified {
    /// Its organization.
    pub organization: OrganizationId,
    /// The key.
    pub api_key: ApiKeyId,
    /// Whether it is one of an AI agent's.
    pub agent: bool,
    /// What it may do now: nothing, where it is not active.
    pub permissions: Permissions,
    /// Where it stands under its limit; none, where it has no limit or is not active.
    pub standing: Option<Standing>,
}

/// The key that was shown, and who asks what about it.
pub struct Question<'a> {
    /// The whole key.
    pub key: &'a str,
    /// What it has to be able to do.
    pub permission: Option<Permission>,
    /// The address that asks.
    pub ip: Option<&'a str>,
}

/// Verifies a key. One that is good pays one unit for it, as if it had asked something itself.
pub async fn verify(
    store: &Store,
    (usage, limits): (&Usage, &Limits),
    question: Question<'_>,
) -> Result<(Outcome, Option<Verified>), store::Error> {
    let Question { key, permission, ip } = question;
    let now = store.now();
    if !limits.may_show(ip, now) {
        return Ok((Outcome::RateLimited, None));
    }
    let row = match ApiKeySecret::parse(key) {
        Some(secret) => key_of(store, &secret, now).await?,
        None => None,
    };
    let Some(row) = row else {
        limits.showed_wrong(ip, now);
        return Ok((Outcome::NotFound, None));
    };
    let (organization, api_key) = (OrganizationId(row.organization_id), ApiKeyId(row.api_key_id));
    let agent = row.key_type == "AI_AGENT";
    let mut verified = Verified { organization, api_key, agent, permissions: Permissions::NONE, standing: None };
    let status = api_keys::status_at(&row.status, row.expires_at, now);
    if status != KeyStatus::Active.name() {
        let ended = match status {
            "DISABLED" => Outcome::Disabled,
            "EXPIRED" => Outcome::Expired,
            _ => Outcome::Revoked,
        };
        return Ok((ended, Some(verified)));
    }
    verified.permissions = Permissions::from_bits(row.permissions);
    let paid = row.rate_limit()?.map(|limit| limits.spend((organization, api_key), limit, 1, now)).transpose();
    verified.standing = match paid {
        Ok(standing) => standing,
        Err(exceeded) => {
            verified.standing = Some(exceeded.standing);
            return Ok((Outcome::RateLimited, Some(verified)));
        }
    };
    usage.key_used(organization, api_key, now);
    let lacking = permission.is_some_and(|permission| !verified.permissions.has(permission));
    Ok((if lacking { Outcome::PermissionRequired } else { Outcome::Valid }, Some(verified)))
}
