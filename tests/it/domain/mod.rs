//! The rules: given events, when a command, then events or a refusal.
//!
//! A [`Story`] is an organization with a cast of one person per role, a clock that stands still until it is moved,
//! and ids that are small numbers.

use chrono::TimeDelta;
use orgledger::domain::{
    Actor, ApiKeyId, DataExportId, InvitationId, Organization, Refusal, RoleId, Timestamp, UserId,
    organization::{
        Action, Command, CreatedKeys, Event, InvitationRow, Kind, Permission, Permissions,
        api_keys::{Grace, KeyType, RateLimit},
        event::SecretRecord,
    },
    values::{Name, Text},
};
use uuid::Uuid;

mod api_keys;
mod audit;
mod certification;
mod invitations;
mod logo;
mod machine;
mod members;
mod notices;
mod ownership;
mod personal;
mod policy;
mod profile;
mod roles;
mod story;
mod values;

use story::{Acts, Story};

const ADMIN: UserId = person(1);
const OTHER_ADMIN: UserId = person(2);
const CO_ADMIN: UserId = person(3);
const MANAGER: UserId = person(4);
const MEMBER: UserId = person(5);
const AUDITOR: UserId = person(6);
const STRANGER: UserId = person(7);
const OTHER_STRANGER: UserId = person(8);

const KEY: ApiKeyId = key(1);
const OTHER_KEY: ApiKeyId = key(2);
const INVITATION: InvitationId = invitation(1);
const OTHER_INVITATION: InvitationId = invitation(2);

const fn person(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

const fn key(number: u128) -> ApiKeyId {
    ApiKeyId(Uuid::from_u128(0xA000_0000 + number))
}

const fn invitation(number: u128) -> InvitationId {
    InvitationId(Uuid::from_u128(0xB000_0000 + number))
}

/// The built-in role of that key, whose id is the same in every kind.
fn role(key: &str) -> RoleId {
    let mut roles = Kind::ALL.iter().flat_map(|kind| kind.rules().roles);
    roles.find(|role| role.key == key).map_or_else(|| panic!("no role {key}"), |role| role.id)
}

fn name(text: &str) -> Name {
    text.parse().unwrap_or_else(|invalid| panic!("{text}: {invalid}"))
}

fn text(text: &str) -> Option<Text> {
    Text::parse(text).unwrap_or_else(|invalid| panic!("{text}: {invalid}"))
}

/// Midnight of that day of the story, which begins on day 0.
fn day(number: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::days(20_000 + number)
}

/// That second of day 0.
fn second(number: i64) -> Timestamp {
    day(0) + TimeDelta::seconds(number)
}

/// Before there is an organization.
fn nothing() -> Story {
    Story { organization: Organization::default(), now: day(0), expected_version: None }
}

/// An organization whose one owner is [`ADMIN`].
fn only_admin(kind: Kind) -> Story {
    let created = Event::OrganizationCreated { kind, name: "Acme".to_owned(), description: None };
    nothing().given(created).given(joined(ADMIN, kind.rules().owner_role().id))
}

/// A TEAM with one person per role.
fn team() -> Story {
    only_admin(Kind::Team).with(MEMBER, "MEMBER").with(AUDITOR, "AUDITOR")
}

/// A WORKSPACE with one person per role.
fn workspace() -> Story {
    only_admin(Kind::Workspace)
        .with(CO_ADMIN, "CO_ADMIN")
        .with(MANAGER, "MANAGER")
        .with(MEMBER, "MEMBER")
        .with(AUDITOR, "AUDITOR")
}

fn not_assignable(role_key: &str) -> Refusal {
    Refusal::RoleNotAssignable { role: role_key.to_owned() }
}

const fn limit(limit: u32, what: &'static str) -> Refusal {
    Refusal::LimitReached { limit, what }
}

fn joined(user_id: UserId, role_id: RoleId) -> Event {
    Event::MemberJoined { user_id, role_id, invitation_id: None, invited_by: None, email_commitment: commitment() }
}

fn commitment() -> String {
    "c0ffee".to_owned()
}

fn create(kind: Kind) -> Action {
    Action::CreateOrganization {
        kind,
        name: name("Acme"),
        description: None,
        email_commitment: commitment(),
        organizations: 0,
    }
}

fn rename(to: &str) -> Action {
    Action::UpdateOrganization { name: Some(name(to)), description: None, default_role: None }
}

fn set_default_role(key: &str) -> Action {
    Action::UpdateOrganization { name: None, description: None, default_role: Some(role(key)) }
}

fn delete() -> Action {
    Action::DeleteOrganization { confirm_name: "Acme".to_owned() }
}

fn leave() -> Action {
    Action::LeaveOrganization { created_keys: CreatedKeys::Keep }
}

fn change_role(member: UserId, key: &str) -> Action {
    Action::ChangeMemberRole { member, role: role(key) }
}

fn deactivate(member: UserId) -> Action {
    Action::DeactivateMember { member, created_keys: CreatedKeys::Keep }
}

fn reactivate(member: UserId) -> Action {
    Action::ReactivateMember { member }
}

fn remove(member: UserId) -> Action {
    Action::RemoveMember { member, created_keys: CreatedKeys::Keep }
}

/// A row without a role.
fn row(invitation: InvitationId, user: UserId) -> InvitationRow {
    InvitationRow { invitation, user, role: None, replace: false, email_commitment: commitment() }
}

fn row_as(invitation: InvitationId, user: UserId, key: &str) -> InvitationRow {
    InvitationRow { role: Some(role(key)), ..row(invitation, user) }
}

fn invite_all(rows: impl IntoIterator<Item = InvitationRow>) -> Action {
    Action::InviteMembers { rows: rows.into_iter().collect(), expires_at: day(7) }
}

/// Invites [`STRANGER`] with the default role.
fn invite() -> Action {
    invite_all([row(INVITATION, STRANGER)])
}

/// Invites [`STRANGER`] with this role.
fn invite_as(key: &str) -> Action {
    invite_all([row_as(INVITATION, STRANGER, key)])
}

fn resend(invitation: InvitationId) -> Action {
    Action::ResendInvitation { invitation, expires_at: day(14) }
}

/// By the link of that generation.
fn accept(invitation: InvitationId, generation: u32) -> Action {
    Action::AcceptInvitation {
        invitation,
        generation: Some(generation),
        email_commitment: commitment(),
        organizations: 0,
        masked_email: MASKED.to_owned(),
    }
}

const MASKED: &str = "s***@example.com";

/// From one's own list.
fn decline(invitation: InvitationId) -> Action {
    Action::DeclineInvitation { invitation, generation: None, masked_email: MASKED.to_owned() }
}

fn secret(of: ApiKeyId) -> SecretRecord {
    SecretRecord { public_id: of.0.as_simple().to_string(), hash: "5ec2e7".to_owned() }
}

/// A key to make.
#[derive(Clone, Copy)]
struct NewKey {
    id: ApiKeyId,
    name: &'static str,
    key_type: KeyType,
    permissions: Permissions,
    rate_limit: Option<RateLimit>,
    expires_at: Option<Timestamp>,
}

/// A standard key called "deploy", which may do nothing.
const fn new_key(id: ApiKeyId) -> NewKey {
    NewKey {
        id,
        name: "deploy",
        key_type: KeyType::Standard,
        permissions: Permissions::NONE,
        rate_limit: None,
        expires_at: None,
    }
}

impl NewKey {
    const fn holding(self, permissions: &[Permission]) -> Self {
        Self { permissions: Permissions::of(permissions), ..self }
    }

    const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    const fn until(self, end: Timestamp) -> Self {
        Self { expires_at: Some(end), ..self }
    }

    /// The event that makes it.
    fn created(self, created_by: impl Acts, level: u8) -> Event {
        Event::ApiKeyCreated {
            api_key_id: self.id,
            name: self.name.to_owned(),
            description: None,
            key_type: self.key_type,
            permissions: self.permissions,
            level,
            rate_limit: self.rate_limit,
            expires_at: self.expires_at,
            created_by: created_by.actor(),
            secret: secret(self.id),
        }
    }
}

impl From<NewKey> for Action {
    fn from(key: NewKey) -> Self {
        Self::CreateApiKey {
            api_key: key.id,
            name: name(key.name),
            description: None,
            key_type: key.key_type,
            permissions: key.permissions,
            rate_limit: key.rate_limit,
            expires_at: key.expires_at,
            secret: secret(key.id),
        }
    }
}

fn rotate(api_key: ApiKeyId) -> Action {
    Action::RotateApiKey { api_key, secret: secret(OTHER_KEY), grace: Grace::try_from(24 * 60 * 60).unwrap() }
}
