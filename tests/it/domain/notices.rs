//! Who is told of what: the categories of every event, and who hears of which.

use orgledger::domain::{
    Actor, UserId,
    organization::{
        Event, Kind, Permissions,
        members::MemberStatus,
        notices::{Categories, Category, Reader},
    },
};

use super::{ADMIN, CO_ADMIN, INVITATION, MEMBER, OTHER_ADMIN, role};
use crate::store::events::events;

/// The events of the fixtures by the categories that they stand in; whoever adds an event says where it belongs.
#[rustfmt::skip]
const TABLE: [(&[Category], &str); 6] = [
    (&[], "organization.created organization.renamed organization.description_changed organization.logo_changed \
           organization.certification_requested organization.deleted invitation.accepted"),
    (&[Category::Security], "organization.certified organization.certification_rejected \
           organization.data_export_requested audit.exported"),
    (&[Category::Members, Category::Security], "member.ownership_transferred"),
    (&[Category::Members], "member.joined member.role_changed member.deactivated member.reactivated member.removed \
           member.left invitation.sent invitation.resent invitation.role_changed invitation.declined invitation.revoked"),
    (&[Category::Roles], "organization.default_role_changed role.created role.updated role.deleted"),
    (&[Category::ApiKeys], "api_key.created api_key.updated api_key.disabled api_key.enabled api_key.rotated api_key.revoked"),
];

/// Somebody who holds this role and hears of everything that it lets them.
fn reader(user: UserId, kind: Kind, key: &str) -> Reader {
    let role = kind.rules().roles.iter().find(|role| role.key == key).unwrap();
    Reader { user, permissions: role.permissions, muted: Categories::NONE }
}

fn role_changed(from: &str, to: &str) -> Event {
    Event::MemberRoleChanged { user_id: MEMBER, from: role(from), to: role(to) }
}

#[test]
fn every_event_stands_in_its_categories() {
    for event in events() {
        let place = TABLE.iter().find(|(_, names)| names.split_whitespace().any(|name| name == event.name()));
        let (wanted, _) = place.unwrap_or_else(|| panic!("{} has no place", event.name()));
        let mut found: Vec<_> = event.categories().iter().collect();
        // A sample may tell of an owner.
        found.retain(|category| {
            *category != Category::Security || wanted.contains(category) || !is_about_members(&event)
        });
        assert_eq!(found, *wanted, "{}", event.name());
    }
}

fn is_about_members(event: &Event) -> bool {
    event.name().starts_with("member.")
}

#[test]
fn who_becomes_an_owner_or_ceases_to_be_one_is_news_for_the_owners() {
    let of = |event: Event| event.categories().has(Category::Security);
    for owner in ["OWNER", "ADMIN", "SUPER_ADMIN"] {
        assert!(of(role_changed(owner, "MEMBER")) && of(role_changed("MEMBER", owner)), "{owner}");
        let (user_id, role_id, status) = (MEMBER, role(owner), MemberStatus::Active);
        assert!(of(Event::MemberLeft { user_id, role_id, status }));
        assert!(of(Event::MemberRemoved { user_id, role_id, status }));
        let (invitation_id, invited_by, email_commitment) = (None, None, String::new());
        assert!(of(Event::MemberJoined { user_id, role_id, invitation_id, invited_by, email_commitment }));
    }
    assert!(!of(role_changed("CO_ADMIN", "MANAGER")));
}

/// A letter is for who manages something, and not for everybody who may see it.
#[test]
fn who_manages_something_hears_of_it() {
    let table = [
        (Kind::Team, "ADMIN", "Members Roles ApiKeys Security Billing"),
        (Kind::Team, "MEMBER", ""),
        (Kind::Team, "AUDITOR", ""),
        (Kind::Workspace, "ADMIN", "Members Roles ApiKeys Security Billing"),
        (Kind::Workspace, "CO_ADMIN", "Members ApiKeys Billing"),
        (Kind::Workspace, "MANAGER", ""),
        (Kind::Workspace, "MEMBER", ""),
        (Kind::Enterprise, "SUPER_ADMIN", "Members Roles ApiKeys Security Billing"),
        (Kind::Enterprise, "FINANCE_ADMIN", "Billing"),
        (Kind::Enterprise, "DEV_ADMIN", "ApiKeys"),
    ];
    for (kind, key, wanted) in table {
        let reader = reader(ADMIN, kind, key);
        let heard: Vec<_> = Category::ALL.into_iter().filter(|category| reader.hears(*category)).collect();
        let heard: Vec<_> = heard.iter().map(|category| format!("{category:?}")).collect();
        assert_eq!(heard.join(" "), wanted, "{key}");
    }
}

#[test]
fn security_cannot_be_muted_and_everything_else_can() {
    let muted = Categories::of(&Category::ALL);
    let reader = Reader { user: ADMIN, permissions: Permissions::ALL, muted };
    let heard: Vec<_> = Category::ALL.into_iter().filter(|category| reader.hears(*category)).collect();
    assert_eq!(heard, [Category::Security]);
    assert!(reader.is_told(&role_changed("ADMIN", "MEMBER"), Some(Actor::User(OTHER_ADMIN))));
    assert!(!reader.is_told(&role_changed("MANAGER", "MEMBER"), Some(Actor::User(OTHER_ADMIN))));
}

#[test]
fn nobody_is_told_what_they_did_or_what_another_letter_tells_them() {
    let event = role_changed("MANAGER", "CO_ADMIN");
    let by = Some(Actor::User(ADMIN));
    let told = |user, event: &Event, by| reader(user, Kind::Workspace, "CO_ADMIN").is_told(event, by);
    assert!(
        told(CO_ADMIN, &event, by) && told(CO_ADMIN, &event, None) && told(CO_ADMIN, &event, Some(Actor::Operator))
    );
    assert!(!told(ADMIN, &event, by), "who did it");
    assert!(!told(MEMBER, &event, by), "who it is about");
    let sent = Event::InvitationSent {
        invitation_id: INVITATION,
        user_id: MEMBER,
        role_id: role("CO_ADMIN"),
        email_commitment: String::new(),
        invited_by: Actor::User(ADMIN),
        sent_at: super::day(0),
        expires_at: super::day(7),
    };
    assert!(told(CO_ADMIN, &sent, by) && !told(MEMBER, &sent, by), "who was invited has the invitation");
}

#[test]
fn a_set_of_categories_is_what_was_put_into_it() {
    for bits in 0..32 {
        let set = Categories::from_bits(bits);
        assert_eq!((set.bits(), Categories::of(&set.iter().collect::<Vec<_>>())), (bits, set));
    }
    assert_eq!(Categories::from_bits(-1).bits(), 31);
    assert_eq!(Categories::from_bits(32), Categories::NONE);
}
