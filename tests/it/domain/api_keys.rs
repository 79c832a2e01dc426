//! Keys made, edited, switched off and on, rotated and revoked.

use orgledger::domain::{
    Refusal,
    organization::{
        Action, Event, Permission as P, Permissions,
        api_keys::{ApiKey, KeyStatus, KeyType, RateLimit},
        event::{Change, ExpiryChange},
    },
};

use super::*;

mod actors;

const LIMIT: RateLimit = RateLimit { units_per_minute: 600, burst: 100 };

/// Edits of a key; what is `None` stays.
#[expect(clippy::option_option, reason = "as in the command: an edit may take a value away")]
#[derive(Clone, Default)]
struct Edit {
    name: Option<&'static str>,
    description: Option<&'static str>,
    permissions: Option<Permissions>,
    rate_limit: Option<Option<RateLimit>>,
    expires_at: Option<Option<Timestamp>>,
}

impl From<Edit> for Action {
    fn from(edit: Edit) -> Self {
        Self::UpdateApiKey {
            api_key: KEY,
            name: edit.name.map(name),
            description: edit.description.map(text),
            permissions: edit.permissions,
            rate_limit: edit.rate_limit,
            expires_at: edit.expires_at,
        }
    }
}

/// The event of no edit.
struct Updated {
    name: Option<Change<String>>,
    description: Option<Change<Option<String>>>,
    permissions: Option<Change<Permissions>>,
    rate_limit: Option<Change<Option<RateLimit>>>,
    expires_at: Option<ExpiryChange>,
}

const UNCHANGED: Updated =
    Updated { name: None, description: None, permissions: None, rate_limit: None, expires_at: None };

impl From<Updated> for Event {
    fn from(Updated { name, description, permissions, rate_limit, expires_at }: Updated) -> Self {
        Self::ApiKeyUpdated { api_key_id: KEY, name, description, permissions, rate_limit, expires_at }
    }
}

fn rename_key(to: &'static str) -> Edit {
    Edit { name: Some(to), ..Edit::default() }
}

fn permit(permissions: &[P]) -> Edit {
    Edit { permissions: Some(Permissions::of(permissions)), ..Edit::default() }
}

fn limit_rate(rate_limit: Option<RateLimit>) -> Edit {
    Edit { rate_limit: Some(rate_limit), ..Edit::default() }
}

fn expire(expires_at: Option<Timestamp>) -> Edit {
    Edit { expires_at: Some(expires_at), ..Edit::default() }
}

const fn disable(api_key: ApiKeyId) -> Action {
    Action::DisableApiKey { api_key }
}

const fn enable(api_key: ApiKeyId) -> Action {
    Action::EnableApiKey { api_key }
}

const fn revoke(api_key: ApiKeyId) -> Action {
    Action::RevokeApiKey { api_key }
}

fn every_change() -> [Action; 5] {
    [rename_key("Other").into(), disable(KEY), enable(KEY), rotate(KEY), revoke(KEY)]
}

fn revoked_for_good() -> Refusal {
    Refusal::invalid("apiKeyId", "names a key that is revoked for good")
}

impl Story {
    fn key(&self, id: ApiKeyId) -> &ApiKey {
        let mut keys = self.organization.api_keys();
        keys.find(|(other, _)| *other == id).map_or_else(|| panic!("no key {id}"), |(_, key)| key)
    }

    /// That many keys live.
    fn with_keys(self, count: u128) -> Self {
        (1000..1000 + count).fold(self, |story, number| {
            let mut created = new_key(key(number)).created(ADMIN, 2);
            if let Event::ApiKeyCreated { name, .. } = &mut created {
                *name = number.to_string();
            }
            story.given(created)
        })
    }
}

#[test]
fn a_key_gets_its_creators_level_but_never_an_owners() {
    workspace().when(ADMIN, new_key(KEY)).then([new_key(KEY).created(ADMIN, 2)]);
    workspace().when(CO_ADMIN, new_key(KEY)).then([new_key(KEY).created(CO_ADMIN, 2)]);
    team().when(ADMIN, new_key(KEY)).then([new_key(KEY).created(ADMIN, 2)]);
}

#[test]
fn a_key_of_a_key_gets_its_level_and_no_more_than_it_holds() {
    let parent = new_key(KEY).named("parent").holding(&[P::ApiKeysManage, P::AppsRead]);
    let story = workspace().given(parent.created(MANAGER, 3));
    let child = new_key(OTHER_KEY).holding(&[P::AppsRead]);
    story.when(KEY, child).then([child.created(KEY, 3)]);
    story.when(KEY, child.holding(&[P::AppsRead, P::AppsManage])).then_not_held(&[P::AppsManage]);
}

#[test]
fn managing_keys_needs_its_permission() {
    let story = workspace().having(ADMIN, new_key(KEY));
    for user in [MANAGER, MEMBER, AUDITOR] {
        let refusal = || Refusal::PermissionRequired(P::ApiKeysManage);
        story.when(user, new_key(OTHER_KEY).named("Other")).then_refused(refusal());
        for action in every_change() {
            story.when(user, action).then_refused(refusal());
        }
    }
}

#[test]
fn nobody_puts_into_a_key_what_they_do_not_hold() {
    let key = new_key(KEY).holding(&[P::AppsRead, P::BillingManage, P::RolesManage]);
    workspace().when(CO_ADMIN, key).then_not_held(&[P::BillingManage, P::RolesManage]);
    workspace().when(ADMIN, key).then([key.created(ADMIN, 2)]);
    let all = NewKey { permissions: Permissions::ALL, ..new_key(KEY) };
    team().when(ADMIN, all).then([all.created(ADMIN, 2)]);
}

#[test]
fn an_agents_key_always_has_a_rate_limit() {
    let agent = NewKey { key_type: KeyType::AiAgent, ..new_key(KEY) };
    let usual = NewKey { rate_limit: Some(RateLimit { units_per_minute: 60, burst: 10 }), ..agent };
    let own = NewKey { rate_limit: Some(LIMIT), ..agent };
    team().when(ADMIN, agent).then([usual.created(ADMIN, 2)]);
    team().when(ADMIN, own).then([own.created(ADMIN, 2)]);
    team().having(ADMIN, agent).when(ADMIN, limit_rate(None)).then_nothing();
    let back_to_usual = Change { from: Some(LIMIT), to: Some(RateLimit::AI_AGENT) };
    team().having(ADMIN, own).when(ADMIN, limit_rate(None)).then([Updated {
        rate_limit: Some(back_to_usual),
        ..UNCHANGED
    }
    .into()]);
}

#[test]
fn a_standard_key_may_have_a_rate_limit() {
    let limited = NewKey { rate_limit: Some(LIMIT), ..new_key(KEY) };
    team().when(ADMIN, limited).then([limited.created(ADMIN, 2)]);
    let lifted = Change { from: Some(LIMIT), to: None };
    team().having(ADMIN, limited).when(ADMIN, limit_rate(None)).then([Updated {
        rate_limit: Some(lifted),
        ..UNCHANGED
    }
    .into()]);
}

#[test]
fn a_new_key_expires_in_the_future() {
    let refusal = || Refusal::invalid("expiresAt", "must be in the future");
    team().when(ADMIN, new_key(KEY).until(day(0))).then_refused(refusal());
    team().when(ADMIN, new_key(KEY).until(day(0) + TimeDelta::microseconds(1))).then_accepted();
    team().having(ADMIN, new_key(KEY)).when(ADMIN, expire(Some(day(0)))).then_refused(refusal());
}

#[test]
fn names_of_living_keys_are_unique_ignoring_case() {
    let story = team().having(ADMIN, new_key(KEY).named("Straße")).having(ADMIN, new_key(OTHER_KEY).named("Other"));
    for taken in ["Straße", "STRAßE", " straße "] {
        story.when(ADMIN, new_key(key(3)).named(taken)).then_refused(Refusal::NameTaken);
    }
    story.when(ADMIN, rename_key("OTHER")).then_refused(Refusal::NameTaken);
    story.when(ADMIN, rename_key("STRAßE")).then_accepted();
}

#[test]
fn a_name_is_held_until_the_key_is_revoked_or_renamed() {
    let again = new_key(OTHER_KEY);
    let story = team().having(ADMIN, new_key(KEY).until(day(1)));
    story.clone().at(day(1)).when(ADMIN, again).then_refused(Refusal::NameTaken);
    story.clone().having(ADMIN, disable(KEY)).when(ADMIN, again).then_refused(Refusal::NameTaken);
    story.clone().having(ADMIN, revoke(KEY)).when(ADMIN, again).then_accepted();
    story.having(ADMIN, rename_key("Other")).when(ADMIN, again).then_accepted();
}

#[test]
fn up_to_a_thousand_keys_live() {
    team().with_keys(999).when(ADMIN, new_key(KEY)).then_accepted();
    let full = team().with_keys(1000);
    full.when(ADMIN, new_key(KEY)).then_refused(limit(1000, "living API keys"));
    full.clone()
        .having(ADMIN, disable(key(1000)))
        .when(ADMIN, new_key(KEY))
        .then_refused(limit(1000, "living API keys"));
    full.having(ADMIN, revoke(key(1000))).when(ADMIN, new_key(KEY)).then_accepted();
}

#[test]
fn one_event_holds_all_that_was_edited() {
    let edit = Edit {
        name: Some("Other"),
        description: Some("Deploys."),
        permissions: Some(Permissions::of(&[P::AppsRead])),
        rate_limit: Some(Some(LIMIT)),
        expires_at: Some(Some(day(9))),
    };
    let event = Event::from(Updated {
        name: Some(Change { from: "deploy".to_owned(), to: "Other".to_owned() }),
        description: Some(Change { from: None, to: Some("Deploys.".to_owned()) }),
        permissions: Some(Change { from: Permissions::NONE, to: Permissions::of(&[P::AppsRead]) }),
        rate_limit: Some(Change { from: None, to: Some(LIMIT) }),
        expires_at: Some(ExpiryChange { from: None, to: Some(day(9)) }),
    });
    let story = team().having(ADMIN, new_key(KEY));
    story.when(ADMIN, edit.clone()).then([event]);
    story.having(ADMIN, edit.clone()).when(ADMIN, edit).then_nothing();
}

#[test]
fn an_edit_of_nothing_writes_nothing() {
    let story = team().having(ADMIN, new_key(KEY));
    story.when(ADMIN, Edit::default()).then_nothing();
    story.when(ADMIN, rename_key("deploy")).then_nothing();
    story.when(ADMIN, Edit { description: Some(" "), ..permit(&[]) }).then_nothing();
    story.when(ADMIN, Edit { rate_limit: Some(None), ..expire(None) }).then_nothing();
}

#[test]
fn only_added_permissions_have_to_be_held() {
    // Made by an admin who is a co-admin now: what it holds already may stay or go.
    let story = workspace()
        .with(OTHER_ADMIN, "ADMIN")
        .having(OTHER_ADMIN, new_key(KEY).holding(&[P::BillingManage]))
        .having(ADMIN, change_role(OTHER_ADMIN, "CO_ADMIN"));
    story.when(OTHER_ADMIN, permit(&[P::BillingManage, P::AppsRead])).then_accepted();
    story.when(OTHER_ADMIN, permit(&[])).then_accepted();
    story.when(OTHER_ADMIN, permit(&[P::BillingManage, P::RolesManage])).then_not_held(&[P::RolesManage]);
}

#[test]
fn nobody_gets_from_a_key_what_they_do_not_hold() {
    let story = workspace()
        .with(OTHER_ADMIN, "ADMIN")
        .having(OTHER_ADMIN, new_key(KEY).holding(&[P::BillingManage, P::AppsRead]))
        .having(ADMIN, change_role(OTHER_ADMIN, "CO_ADMIN"));
    story.when(OTHER_ADMIN, rotate(KEY)).then_not_held(&[P::BillingManage]);
    story.when(OTHER_ADMIN, disable(KEY)).then([Event::ApiKeyDisabled { api_key_id: KEY }]);
    let revoked = Event::ApiKeyRevoked { api_key_id: KEY, status: KeyStatus::Active };
    story.when(OTHER_ADMIN, revoke(KEY)).then([revoked]);
    story.having(ADMIN, disable(KEY)).when(OTHER_ADMIN, enable(KEY)).then_not_held(&[P::BillingManage]);
}

#[test]
fn a_key_is_switched_off_and_on() {
    let story = team().having(ADMIN, new_key(KEY));
    story.when(ADMIN, enable(KEY)).then_nothing();
    let off = story.having(ADMIN, disable(KEY));
    assert_eq!(off.key(KEY).status, KeyStatus::Disabled);
    off.when(ADMIN, disable(KEY)).then_nothing();
    off.when(ADMIN, enable(KEY)).then([Event::ApiKeyEnabled { api_key_id: KEY }]);
    assert_eq!(off.having(ADMIN, enable(KEY)).key(KEY).status, KeyStatus::Active);
}

#[test]
fn rotating_replaces_the_secret_and_nothing_else() {
    let story = team().having(ADMIN, new_key(KEY).holding(&[P::AppsRead]));
    let event = Event::ApiKeyRotated { api_key_id: KEY, secret: secret(OTHER_KEY), old_secret_until: day(1) };
    story.when(ADMIN, rotate(KEY)).then([event]);
    let rotated = story.clone().having(ADMIN, rotate(KEY));
    assert_eq!(rotated.key(KEY).permissions, story.key(KEY).permissions);
    assert_eq!(rotated.key(KEY).status, KeyStatus::Active);
    rotated.when(ADMIN, new_key(OTHER_KEY)).then_refused(Refusal::NameTaken);
}

#[test]
fn a_revoked_key_never_lives_again() {
    let story = team().having(ADMIN, new_key(KEY)).having(ADMIN, revoke(KEY));
    story.when(ADMIN, revoke(KEY)).then_nothing();
    for action in [enable(KEY), disable(KEY), rotate(KEY), rename_key("Other").into()] {
        story.when(ADMIN, action).then_refused(revoked_for_good());
    }
    story.when(ADMIN, expire(Some(day(9)))).then_refused(revoked_for_good());
    assert_eq!(story.key(KEY).status_at(day(0)), KeyStatus::Revoked);
}

#[test]
fn a_disabled_key_is_revoked_too() {
    team()
        .having(ADMIN, new_key(KEY))
        .having(ADMIN, disable(KEY))
        .when(ADMIN, revoke(KEY))
        .then([Event::ApiKeyRevoked { api_key_id: KEY, status: KeyStatus::Disabled }]);
}

#[test]
fn a_key_expires_by_the_clock_and_an_admin_gives_it_more_time() {
    let story = team().having(ADMIN, new_key(KEY).until(day(3)));
    let last_moment = day(3) - TimeDelta::microseconds(1);
    assert_eq!(story.key(KEY).status_at(last_moment), KeyStatus::Active);
    assert_eq!(story.key(KEY).status_at(day(3)), KeyStatus::Expired);
    let more = story.clone().at(day(3)).having(ADMIN, expire(Some(day(4))));
    assert_eq!(more.key(KEY).status_at(day(3)), KeyStatus::Active);
    let disabled = story.having(ADMIN, disable(KEY));
    assert_eq!(disabled.key(KEY).status_at(day(3)), KeyStatus::Disabled);
}

#[test]
fn more_time_for_a_key_needs_all_that_is_in_it() {
    // Made by an admin who is a co-admin now: it takes more than they hold to make it good for longer, or again.
    let story = workspace()
        .with(OTHER_ADMIN, "ADMIN")
        .having(OTHER_ADMIN, new_key(KEY).holding(&[P::BillingManage, P::AppsRead]).until(day(3)))
        .having(ADMIN, change_role(OTHER_ADMIN, "CO_ADMIN"));
    let expired = story.clone().at(day(3));
    for expires_at in [None, Some(day(4))] {
        story.when(OTHER_ADMIN, expire(expires_at)).then_not_held(&[P::BillingManage]);
        expired.when(OTHER_ADMIN, expire(expires_at)).then_not_held(&[P::BillingManage]);
        expired.when(ADMIN, expire(expires_at)).then_accepted();
    }
    story.when(OTHER_ADMIN, expire(Some(day(2)))).then_accepted();
    let smaller = Edit { expires_at: Some(Some(day(4))), ..permit(&[P::AppsRead]) };
    expired.when(OTHER_ADMIN, smaller).then_accepted();
    expired.when(OTHER_ADMIN, rename_key("Other")).then_accepted();
    expired.when(OTHER_ADMIN, permit(&[P::BillingManage])).then_accepted();
}

#[test]
fn a_disabled_key_gets_no_more_time_from_who_could_not_enable_it() {
    let story = workspace()
        .with(OTHER_ADMIN, "ADMIN")
        .having(OTHER_ADMIN, new_key(KEY).holding(&[P::BillingManage]).until(day(3)))
        .having(OTHER_ADMIN, disable(KEY))
        .having(ADMIN, change_role(OTHER_ADMIN, "CO_ADMIN"))
        .at(day(3));
    story.when(OTHER_ADMIN, expire(Some(day(4)))).then_not_held(&[P::BillingManage]);
    story.when(OTHER_ADMIN, enable(KEY)).then_not_held(&[P::BillingManage]);
}

#[test]
fn an_unknown_key_is_not_found() {
    for action in every_change() {
        team().when(ADMIN, action).then_not_found("apiKeyId");
    }
}

#[test]
fn a_change_can_expect_a_version_of_the_key() {
    let story = team().having(ADMIN, new_key(KEY)).having(ADMIN, rename("Other"));
    let actual = story.organization.version() - 1;
    for action in every_change() {
        story
            .clone()
            .expecting(actual + 1)
            .when(ADMIN, action.clone())
            .then_refused(Refusal::VersionMismatch { expected: actual + 1, actual });
        story.clone().expecting(actual).when(ADMIN, action).then_accepted();
    }
}
