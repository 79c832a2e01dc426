//! Inputs: weakly typed outside, parsed here, every mistake collected and answered at once.

use async_graphql::{Context, ID, InputType, MaybeUndefined};
use chrono::{DateTime, SubsecRound, Utc};

use super::{context::request, errors::Stop, roles::Permission};
use crate::{
    commands::Terms,
    domain::{
        ApiKeyId, GlobalId, InvitationId, OrganizationId, Refusal, RoleId, SessionId, Timestamp, UserId,
        organization::{
            Permissions,
            api_keys::{Grace, RateLimit},
            roles::Level,
        },
        values::{Email, Name, Text},
    },
};

/// The longest idempotency key, in characters.
const IDEMPOTENCY_KEY_LIMIT: usize = 128;

/// The year 1 begins, in seconds since 1970.
const FIRST_SECOND: i64 = -62_135_596_800;
/// The year 9999 ends, in seconds since 1970.
const LAST_SECOND: i64 = 253_402_300_799;

/// What is wrong with an input, so far.
#[derive(Default)]
pub struct Fields(Vec<Refusal>);

impl Fields {
    /// Everything that was found wrong.
    pub fn stop(self) -> Stop {
        Stop::Refused(self.0)
    }

    /// Goes on if nothing was found wrong.
    pub fn check(self) -> Result<(), Stop> {
        if self.0.is_empty() { Ok(()) } else { Err(self.stop()) }
    }

    /// Notes a mistake.
    pub fn refuse(&mut self, refusal: Refusal) {
        self.0.push(refusal);
    }

    fn parsed<T>(&mut self, field: &'static str, result: Result<T, impl ToString>) -> Option<T> {
        result.map_err(|error| self.0.push(Refusal::invalid(field, error.to_string()))).ok()
    }

    fn found<T>(&mut self, field: &'static str, found: Option<T>) -> Option<T> {
        if found.is_none() {
            self.0.push(Refusal::NotFound { field });
        }
        found
    }

    /// A name.
    pub fn name(&mut self, field: &'static str, text: &str) -> Option<Name> {
        self.parsed(field, text.parse())
    }

    /// A name that may be left out; nothing but white space is left out.
    pub fn optional_name(&mut self, field: &'static str, text: Option<&str>) -> Option<Name> {
        text.filter(|text| !text.trim().is_empty()).and_then(|text| self.name(field, text))
    }

    /// A text that may be left out.
    pub fn text(&mut self, field: &'static str, text: Option<&str>) -> Option<Text> {
        text.and_then(|text| self.parsed(field, Text::parse(text)).flatten())
    }

    /// A text that may be left as it is, or cleared.
    pub fn edited_text(&mut self, field: &'static str, text: &MaybeUndefined<String>) -> Option<Option<Text>> {
        match text {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(text) => Some(self.text(field, Some(text))),
        }
    }

    /// The level of a custom role.
    pub fn level(&mut self, field: &'static str, level: i32) -> Option<Level> {
        self.parsed(field, Level::try_from(level))
    }

    /// How long the old secret of a rotated key still works; not at all, if it is left out.
    pub fn grace(&mut self, field: &'static str, seconds: Option<i32>) -> Option<Grace> {
        self.parsed(field, Grace::try_from(seconds.unwrap_or_default()))
    }

    /// How much a key may ask for; as much at once as in a minute, if that is left out.
    pub fn rate_limit(&mut self, field: &'static str, units_per_minute: i32, burst: Option<i32>) -> Option<RateLimit> {
        let burst = burst.unwrap_or(units_per_minute);
        self.parsed(field, RateLimit::new(units_per_minute.into(), burst.into()))
    }

    /// An email address.
    pub fn email(&mut self, field: &'static str, text: &str) -> Option<Email> {
        self.parsed(field, text.parse())
    }

    /// An organization.
    pub fn organization(&mut self, field: &'static str, id: &ID) -> Option<OrganizationId> {
        let found = match id.parse() {
            Ok(GlobalId::Organization(organization)) => Some(organization),
            _ => None,
        };
        self.found(field, found)
    }

    /// A member of that organization.
    pub fn member(&mut self, field: &'static str, of: Option<OrganizationId>, id: &ID) -> Option<UserId> {
        let found = match id.parse() {
            Ok(GlobalId::Member(organization, user)) if Some(organization) == of => Some(user),
            _ => None,
        };
        self.found(field, found)
    }

    /// A role of that organization.
    pub fn role(&mut self, field: &'static str, of: Option<OrganizationId>, id: &ID) -> Option<RoleId> {
        let found = match id.parse() {
            Ok(GlobalId::Role(organization, role)) if Some(organization) == of => Some(role),
            _ => None,
        };
        self.found(field, found)
    }

    /// An invitation of that organization.
    pub fn invitation(&mut self, field: &'static str, of: Option<OrganizationId>, id: &ID) -> Option<InvitationId> {
        let found = match id.parse() {
            Ok(GlobalId::Invitation(organization, invitation)) if Some(organization) == of => Some(invitation),
            _ => None,
        };
        self.found(field, found)
    }

    /// An API key of that organization.
    pub fn api_key(&mut self, field: &'static str, of: Option<OrganizationId>, id: &ID) -> Option<ApiKeyId> {
        let found = match id.parse() {
            Ok(GlobalId::ApiKey(organization, api_key)) if Some(organization) == of => Some(api_key),
            _ => None,
        };
        self.found(field, found)
    }

    /// A session.
    pub fn session(&mut self, field: &'static str, id: &ID) -> Option<SessionId> {
        let found = match id.parse() {
            Ok(GlobalId::Session(session)) => Some(session),
            _ => None,
        };
        self.found(field, found)
    }

    /// What a command may be given beside its own fields.
    pub fn terms(
        &mut self,
        ctx: &Context<'_>,
        input: &impl InputType,
        given: GivenTerms<'_>,
    ) -> Result<Terms, async_graphql::Error> {
        let GivenTerms { reason, expected_version, idempotency_key } = given;
        let header = request(ctx)?.idempotency_key.as_deref();
        let single = ctx.query_env.operation.node.selection_set.node.items.len() == 1;
        let key = idempotency_key.or(if single { header } else { None });
        if key.is_some_and(|key| {
            key.is_empty() || key.chars().count() > IDEMPOTENCY_KEY_LIMIT || key.chars().any(char::is_control)
        }) {
            self.refuse(Refusal::invalid(
                "idempotencyKey",
                "must have 1 to 128 characters, none of them control characters",
            ));
        }
        let expected_version = expected_version.map(|version| u64::try_from(version).unwrap_or(u64::MAX));
        // The mutation's name belongs to the input: one key stands for one input of one mutation.
        let idempotency = key.map(|key| (key.to_owned(), format!("{} {}", ctx.field().name(), input.to_value())));
        Ok(Terms { reason: self.text("reason", reason), expected_version, idempotency })
    }
}

/// What a caller gave beside a command's own fields.
#[derive(Clone, Copy, Default)]
pub struct GivenTerms<'a> {
    /// Why.
    pub reason: Option<&'a str>,
    /// On which version.
    pub expected_version: Option<i32>,
    /// The idempotency key.
    pub idempotency_key: Option<&'a str>,
}

/// A set of permissions.
pub fn permission_set(list: &[Permission]) -> Permissions {
    let list: Vec<_> = list.iter().map(|permission| (*permission).into()).collect();
    Permissions::of(&list)
}

/// A moment, as precise as the store keeps it, in the years 1 to 9999: the ones that both databases know, and that have
/// four digits, so that their text sorts in their order.
pub fn moment(at: DateTime<Utc>) -> Timestamp {
    let year = |year| DateTime::from_timestamp(year, 0).unwrap_or_default();
    at.trunc_subsecs(6).clamp(year(FIRST_SECOND), year(LAST_SECOND))
}
