//! API keys: made, edited, switched off and on, rotated, revoked for good.

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Action, Command, Decided, Event, Organization,
    ask::{Ask, OrganizationAction},
    event::{Change, ExpiryChange},
    permissions::Permissions,
    policy::Subject,
};
use crate::domain::{
    Timestamp,
    actor::Actor,
    ids::ApiKeyId,
    refusal::Refusal,
    values::{Invalid, Name, normalize},
};

/// How many keys of an organization may live.
pub const LIVING_KEYS: usize = 1000;
/// The highest level of a key: a key is never an owner.
pub const HIGHEST_LEVEL: u8 = 2;

/// What a key is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KeyType {
    /// For services.
    #[default]
    Standard,
    /// For AI agents and automated tools; always with a rate limit.
    AiAgent,
}

impl KeyType {
    /// The permanent name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::AiAgent => "AI_AGENT",
        }
    }
}

/// The largest number of a rate limit.
const LARGEST_LIMIT: u32 = 1_000_000;

/// How much a key may ask for: numbers from 1 to a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    units_per_minute: u32,
    burst: u32,
}

impl RateLimit {
    /// What an AI agent's key has unless told otherwise.
    pub const AI_AGENT: Self = Self { units_per_minute: 60, burst: 10 };

    /// A limit of so many cost units a minute, and so many at once.
    ///
    /// # Errors
    /// When a number is out of its bounds.
    pub fn new(units_per_minute: i64, burst: i64) -> Result<Self, Invalid> {
        let within = |number| u32::try_from(number).ok().filter(|number| (1..=LARGEST_LIMIT).contains(number));
        match (within(units_per_minute), within(burst)) {
            (Some(units_per_minute), Some(burst)) => Ok(Self { units_per_minute, burst }),
            _ => Err(Invalid("must have numbers from 1 to 1000000")),
        }
    }

    /// Cost units a minute.
    #[must_use]
    pub const fn units_per_minute(self) -> u32 {
        self.units_per_minute
    }

    /// Cost units at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }
}

/// The longest grace of a rotation, in seconds: seven days.
const LONGEST_GRACE: i32 = 7 * 24 * 60 * 60;

/// How long the old secret of a rotated key still works: not at all, up to seven days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grace(TimeDelta);

impl TryFrom<i32> for Grace {
    type Error = Invalid;

    fn try_from(seconds: i32) -> Result<Self, Invalid> {
        match seconds {
            0..=LONGEST_GRACE => Ok(Self(TimeDelta::seconds(seconds.into()))),
            _ => Err(Invalid("must be 0 to 604800")),
        }
    }
}

/// What a key is. That it has expired follows from the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KeyStatus {
    /// Good, if its time is not over.
    Active,
    /// Switched off.
    Disabled,
    /// Ended for good.
    Revoked,
    /// Its time is over; never stored.
    Expired,
}

impl KeyStatus {
    /// The permanent name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Disabled => "DISABLED",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    name: String,
    description: Option<String>,
    key_type: KeyType,
    /// What it may do.
    pub permissions: Permissions,
    /// Its creator's rank when it was made, at least 2.
    pub level: u8,
    rate_limit: Option<RateLimit>,
    expires_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: Actor,
    /// What it is, the clock aside.
    pub status: KeyStatus,
    version: u64,
}

impl ApiKey {
    /// When its time is over; never, if none.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// What the key is at that moment.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> KeyStatus {
        match self.status {
            KeyStatus::Active if self.expires_at.is_some_and(|end| end <= now) => KeyStatus::Expired,
            status => status,
        }
    }
}

impl Organization {
    /// Every key there ever was.
    pub fn api_keys(&self) -> impl Iterator<Item = (ApiKeyId, &ApiKey)> {
        self.api_keys.iter().map(|(id, key)| (*id, key))
    }

    pub(super) fn decide_api_keys(&self, command: &Command) -> Result<Decided, Refusal> {
        match &command.action {
            Action::CreateApiKey { .. } => self.create_key(command),
            Action::UpdateApiKey { .. } => self.update_key(command),
            Action::DisableApiKey { api_key } => {
                let key = self.living_key(command, OrganizationAction::DisableApiKey, *api_key)?;
                let event = Event::ApiKeyDisabled { api_key_id: *api_key };
                Ok((key.status == KeyStatus::Active).then_some(event).into())
            }
            Action::EnableApiKey { api_key } => {
                let key = self.living_key(command, OrganizationAction::EnableApiKey, *api_key)?;
                let event = Event::ApiKeyEnabled { api_key_id: *api_key };
                Ok((key.status == KeyStatus::Disabled).then_some(event).into())
            }
            Action::RotateApiKey { api_key, secret, grace } => {
                self.living_key(command, OrganizationAction::RotateApiKey, *api_key)?;
                Ok(vec![Event::ApiKeyRotated {
                    api_key_id: *api_key,
                    secret: secret.clone(),
                    old_secret_until: command.now + grace.0,
                }]
                .into())
            }
            Action::RevokeApiKey { api_key } => {
                let (_, key) = self.key(command, OrganizationAction::RevokeApiKey, *api_key, Permissions::NONE)?;
                let event = Event::ApiKeyRevoked { api_key_id: *api_key, status: key.status };
                Ok((key.status != KeyStatus::Revoked).then_some(event).into())
            }
            _ => Ok(Decided::default()),
        }
    }

    /// The key that a command acts on, once the policy allows it.
    fn key(
        &self,
        command: &Command,
        action: OrganizationAction,
        id: ApiKeyId,
        added: Permissions,
    ) -> Result<(Subject, &ApiKey), Refusal> {
        let by = self.may(command.actor, &Ask::about(action).api_key(id).permissions(added), command.now)?;
        let key = self.api_keys.get(&id).ok_or(Refusal::NotFound { field: "apiKeyId" })?;
        command.expect_version(key.version)?;
        Ok((by, key))
    }

    /// The same, of a key that has not ended.
    fn living_key(&self, command: &Command, action: OrganizationAction, id: ApiKeyId) -> Result<&ApiKey, Refusal> {
        let (_, key) = self.key(command, action, id, Permissions::NONE)?;
        key.must_live()?;
        Ok(key)
    }

    fn check_key_name(&self, name: &Name, of: Option<ApiKeyId>) -> Result<(), Refusal> {
        match self.living_keys.get(&name.key()) {
            Some(holder) if Some(*holder) != of => Err(Refusal::NameTaken),
            _ => Ok(()),
        }
    }

    fn create_key(&self, command: &Command) -> Result<Decided, Refusal> {
        let Action::CreateApiKey { api_key, name, description, key_type, permissions, rate_limit, expires_at, secret } =
            &command.action
        else {
            return Ok(Decided::default());
        };
        let ask = Ask::about(OrganizationAction::CreateApiKey).permissions(*permissions);
        let by = self.may(command.actor, &ask, command.now)?;
        self.check_key_name(name, None)?;
        check_expiry(*expires_at, command.now)?;
        if self.living_keys.len() >= LIVING_KEYS {
            return Err(Refusal::LimitReached { limit: 1000, what: "living API keys" });
        }
        Ok(vec![Event::ApiKeyCreated {
            api_key_id: *api_key,
            name: name.as_str().to_owned(),
            description: description.as_ref().map(|text| text.as_str().to_owned()),
            key_type: *key_type,
            permissions: *permissions,
            level: by.level.max(HIGHEST_LEVEL),
            rate_limit: rate_limit.or((*key_type == KeyType::AiAgent).then_some(RateLimit::AI_AGENT)),
            expires_at: *expires_at,
            created_by: command.actor,
            secret: secret.clone(),
        }]
        .into())
    }

    fn update_key(&self, command: &Command) -> Result<Decided, Refusal> {
        let Action::UpdateApiKey { api_key, name, description, permissions, rate_limit, expires_at } = &command.action
        else {
            return Ok(Decided::default());
        };
        let before = self.api_keys.get(api_key);
        // More time for a key is as good as enabling it: everything in it has to be held.
        let more_time = before.zip(*expires_at).is_some_and(|(key, to)| match (key.expires_at, to) {
            (Some(from), Some(to)) => to > from,
            (from, None) => from.is_some(),
            (None, Some(_)) => false,
        });
        let held = before.filter(|_| !more_time).map_or(Permissions::NONE, |key| key.permissions);
        let after = permissions.or(before.map(|key| key.permissions)).unwrap_or_default();
        let added = after.without(held);
        let (_, key) = self.key(command, OrganizationAction::UpdateApiKey, *api_key, added)?;
        key.must_live()?;
        if let Some(name) = name {
            self.check_key_name(name, Some(*api_key))?;
        }
        if let Some(expires_at) = expires_at {
            check_expiry(*expires_at, command.now)?;
        }
        let name = name.as_ref().and_then(|to| Change::between(&key.name, to.as_str().to_owned()));
        let description = description.as_ref().map(|to| to.as_ref().map(|text| text.as_str().to_owned()));
        let description = description.and_then(|to| Change::between(&key.description, to));
        let permissions = permissions.and_then(|to| Change::between(&key.permissions, to));
        // Without a limit, an AI agent's key has the usual one.
        let rate_limit = rate_limit
            .map(|to| to.or((key.key_type == KeyType::AiAgent).then_some(RateLimit::AI_AGENT)))
            .and_then(|to| Change::between(&key.rate_limit, to));
        let expires_at =
            expires_at.filter(|to| key.expires_at != *to).map(|to| ExpiryChange { from: key.expires_at, to });
        let changed = name.is_some()
            || description.is_some()
            || permissions.is_some()
            || rate_limit.is_some()
            || expires_at.is_some();
        let event =
            Event::ApiKeyUpdated { api_key_id: *api_key, name, description, permissions, rate_limit, expires_at };
        Ok(changed.then_some(event).into())
    }

    pub(super) fn evolve_api_keys(&mut self, event: &Event) {
        if let Event::ApiKeyCreated {
            api_key_id,
            name,
            description,
            key_type,
            permissions,
            level,
            rate_limit,
            expires_at,
            created_by,
            ..
        } = event
        {
            self.living_keys.insert(normalize(name), *api_key_id);
            let key = ApiKey {
                name: name.clone(),
                description: description.clone(),
                key_type: *key_type,
                permissions: *permissions,
                level: *level,
                rate_limit: *rate_limit,
                expires_at: *expires_at,
                created_by: *created_by,
                status: KeyStatus::Active,
                version: self.version,
            };
            self.api_keys.insert(*api_key_id, key);
            return;
        }
        let super::Target::ApiKey(id) = event.target() else { return };
        let Some(key) = self.api_keys.get_mut(&id) else { return };
        key.version = self.version;
        match event {
            Event::ApiKeyUpdated { name, description, permissions, rate_limit, expires_at, .. } => {
                if let Some(change) = name {
                    self.living_keys.remove(&normalize(&change.from));
                    self.living_keys.insert(normalize(&change.to), id);
                    key.name.clone_from(&change.to);
                }
                if let Some(change) = description {
                    key.description.clone_from(&change.to);
                }
                if let Some(change) = permissions {
                    key.permissions = change.to;
                }
                if let Some(change) = rate_limit {
                    key.rate_limit = change.to;
                }
                if let Some(change) = expires_at {
                    key.expires_at = change.to;
                }
            }
            Event::ApiKeyDisabled { .. } => key.status = KeyStatus::Disabled,
            Event::ApiKeyEnabled { .. } => key.status = KeyStatus::Active,
            Event::ApiKeyRevoked { .. } => {
                key.status = KeyStatus::Revoked;
                self.living_keys.remove(&normalize(&key.name));
            }
            _ => {}
        }
    }
}

impl ApiKey {
    fn must_live(&self) -> Result<(), Refusal> {
        if self.status == KeyStatus::Revoked {
            return Err(Refusal::invalid("apiKeyId", "names a key that is revoked for good"));
        }
        Ok(())
    }
}

fn check_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), Refusal> {
    if expires_at.is_some_and(|end| end <= now) {
        return Err(Refusal::invalid("expiresAt", "must be in the future"));
    }
    Ok(())
}
