//! What it costs to decide a command, in time and in what is allocated, on an organization of 10, 1,000 and 100,000
//! members. What is allocated must not grow with the members: every command pays for itself, never for the state.
//!
//! `cargo bench --bench decide`

use divan::{AllocProfiler, Bencher, black_box};
use orgledger::domain::{
    Actor, ApiKeyId, InvitationId, Organization, RoleId, Timestamp, UserId,
    organization::{
        Action, Ask, Command, CreatedKeys, Event, InvitationRow, Kind, OrganizationAction, Permission, Permissions,
        api_keys::KeyType, event::SecretRecord, profile::Certification,
    },
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// How many members there are beside the owner.
const SIZES: [u128; 3] = [10, 1_000, 100_000];

const OWNER: UserId = UserId(Uuid::from_u128(1));
const STRANGER: UserId = UserId(Uuid::from_u128(2));
/// A member of every size.
const MEMBER: UserId = UserId(Uuid::from_u128(105));
/// A custom role, which every second member of a WORKSPACE holds.
const PORTER: RoleId = RoleId(Uuid::from_u128(0xC000_0001));

fn main() {
    divan::main();
}

fn built_in(kind: Kind, key: &str) -> RoleId {
    let mut roles = kind.rules().roles.iter();
    roles.find(|role| role.key == key).map_or(PORTER, |role| role.id)
}

fn joined(user_id: UserId, role_id: RoleId) -> Event {
    Event::MemberJoined { user_id, role_id, invitation_id: None, invited_by: None, email_commitment: String::new() }
}

/// An organization in which everything can be done by its owner.
fn organization(kind: Kind, size: u128) -> Organization {
    let mut organization = Organization::default();
    let mut happen = |event: Event| organization.evolve(&event);
    happen(Event::OrganizationCreated { kind, name: "Acme".to_owned(), description: None });
    happen(joined(OWNER, kind.rules().owner_role().id));
    if kind == Kind::Enterprise {
        happen(Event::OrganizationCertificationRequested { from: Certification::NotRequested });
        happen(Event::OrganizationCertified {});
    }
    let member = built_in(kind, "MEMBER");
    if kind == Kind::Workspace {
        happen(Event::RoleCreated {
            role_id: PORTER,
            key: "PORTER".to_owned(),
            name: "Porter".to_owned(),
            description: None,
            level: 5,
            permissions: Permissions::of(&[Permission::AppsRead]),
        });
    }
    for number in 0..size {
        let role = if kind == Kind::Workspace && number % 2 == 0 { PORTER } else { member };
        happen(joined(UserId(Uuid::from_u128(100 + number)), role));
    }
    organization
}

fn decide(bencher: Bencher<'_, '_>, kind: Kind, size: u128, action: Action) {
    let organization = organization(kind, size);
    let now = Timestamp::UNIX_EPOCH;
    let command = Command { actor: Actor::User(OWNER), now, expected_version: None, action };
    assert!(organization.decide(&command).is_ok_and(|decided| !decided.events.is_empty()), "something happens");
    bencher.bench(|| black_box(&organization).decide(black_box(&command)));
}

#[divan::bench(args = SIZES)]
fn change_member_role(bencher: Bencher<'_, '_>, size: u128) {
    let action = Action::ChangeMemberRole { member: MEMBER, role: built_in(Kind::Workspace, "MANAGER") };
    decide(bencher, Kind::Workspace, size, action);
}

#[divan::bench(args = SIZES)]
fn invite_member(bencher: Bencher<'_, '_>, size: u128) {
    let row = InvitationRow {
        invitation: InvitationId(Uuid::from_u128(1)),
        user: STRANGER,
        role: None,
        replace: false,
        email_commitment: "c0ffee".to_owned(),
    };
    decide(bencher, Kind::Workspace, size, Action::InviteMembers { rows: vec![row], expires_at: Timestamp::MAX_UTC });
}

#[divan::bench(args = SIZES)]
fn remove_member(bencher: Bencher<'_, '_>, size: u128) {
    let action = Action::RemoveMember { member: MEMBER, created_keys: CreatedKeys::Revoke };
    decide(bencher, Kind::Workspace, size, action);
}

#[divan::bench(args = SIZES)]
fn create_api_key(bencher: Bencher<'_, '_>, size: u128) {
    let Ok(name) = "deploy".parse() else { return };
    let action = Action::CreateApiKey {
        api_key: ApiKeyId(Uuid::from_u128(1)),
        name,
        description: None,
        key_type: KeyType::Standard,
        permissions: Permissions::of(&[Permission::AppsRead]),
        rate_limit: None,
        expires_at: None,
        secret: SecretRecord { public_id: "public".to_owned(), hash: "5ec2e7".to_owned() },
    };
    decide(bencher, Kind::Workspace, size, action);
}

#[divan::bench(args = SIZES)]
fn update_role(bencher: Bencher<'_, '_>, size: u128) {
    let (Ok(name), Ok(level)) = ("Doorman".parse(), 6.try_into()) else { return };
    let action = Action::UpdateRole {
        role: PORTER,
        name: Some(name),
        description: None,
        level: Some(level),
        permissions: Some(Permissions::ALL),
    };
    decide(bencher, Kind::Workspace, size, action);
}

#[divan::bench(args = SIZES)]
fn transfer_ownership(bencher: Bencher<'_, '_>, size: u128) {
    let action = Action::TransferOwnership { member: MEMBER, former_owner_role: None };
    decide(bencher, Kind::Enterprise, size, action);
}

#[divan::bench(args = SIZES)]
fn may(bencher: Bencher<'_, '_>, size: u128) {
    let organization = organization(Kind::Workspace, size);
    let ask = Ask::about(OrganizationAction::RemoveMember).member(MEMBER);
    let now = Timestamp::UNIX_EPOCH;
    assert!(organization.may(Actor::User(OWNER), &ask, now).is_ok());
    bencher.bench(|| black_box(&organization).may(black_box(Actor::User(OWNER)), black_box(&ask), now));
}
