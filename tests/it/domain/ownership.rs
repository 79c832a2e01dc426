//! Transfer of ownership: one event, so that there is always an owner and never two where there is one.

use orgledger::domain::{
    Refusal,
    organization::{Event, Permission as P, members::MemberStatus, profile::Certification},
};

use super::*;

fn transfer(member: UserId) -> Action {
    Action::TransferOwnership { member, former_owner_role: None }
}

fn transfer_and_become(member: UserId, key: &str) -> Action {
    Action::TransferOwnership { member, former_owner_role: Some(role(key)) }
}

fn transferred(user_id: UserId, from: &str, to: &str, former_owner_role: &str) -> Event {
    Event::MemberOwnershipTransferred {
        user_id,
        from: role(from),
        to: role(to),
        former_owner_id: ADMIN,
        former_owner_role_id: role(former_owner_role),
    }
}

/// A certified ENTERPRISE with one person per role.
fn enterprise() -> Story {
    only_admin(Kind::Enterprise)
        .with(CO_ADMIN, "FINANCE_ADMIN")
        .with(MANAGER, "DEV_ADMIN")
        .with(MEMBER, "MEMBER")
        .with(AUDITOR, "AUDITOR")
        .given(Event::OrganizationCertificationRequested { from: Certification::NotRequested })
        .given(Event::OrganizationCertified {})
}

/// The active owners, in the order of their ids.
fn owners(story: &Story, kind: Kind) -> Vec<UserId> {
    let owner = kind.rules().owner_role().id;
    let found = story.organization.members().filter(|(_, member)| member.role == owner);
    let mut found: Vec<_> =
        found.filter(|(_, member)| member.status == MemberStatus::Active).map(|(user, _)| user).collect();
    found.sort_unstable();
    found
}

#[test]
fn ownership_changes_in_one_event() {
    enterprise().when(ADMIN, transfer(MEMBER)).then([transferred(MEMBER, "MEMBER", "SUPER_ADMIN", "MEMBER")]);
    let event = transferred(MANAGER, "DEV_ADMIN", "SUPER_ADMIN", "FINANCE_ADMIN");
    enterprise().when(ADMIN, transfer_and_become(MANAGER, "FINANCE_ADMIN")).then([event.clone()]);
    assert_eq!(event.concerned_member(), Some(MANAGER));
}

#[test]
fn there_is_always_exactly_one_owner() {
    let (mut story, mut owner) = (enterprise(), ADMIN);
    for next in [CO_ADMIN, MANAGER, ADMIN, AUDITOR, MEMBER, ADMIN] {
        let before = story.clone();
        story = story.having(owner, transfer(next));
        assert_eq!(owners(&story, Kind::Enterprise), [next]);
        assert_eq!(story.organization.version(), before.organization.version() + 1);
        // Who was the owner has nothing left to transfer.
        story.when(owner, transfer(MEMBER)).then_refused(Refusal::RankTooLow);
        owner = next;
    }
}

#[test]
fn the_old_owner_has_the_other_role_at_once() {
    let story = enterprise().having(ADMIN, transfer_and_become(MANAGER, "AUDITOR"));
    story.when(ADMIN, rename("Other")).then_refused(Refusal::PermissionRequired(P::OrganizationUpdate));
    story.when(ADMIN, leave()).then([Event::MemberLeft {
        user_id: ADMIN,
        role_id: role("AUDITOR"),
        status: MemberStatus::Active,
    }]);
    story.when(MANAGER, leave()).then_refused(Refusal::OwnerMustTransfer);
    story.when(MANAGER, remove(ADMIN)).then_accepted();
}

#[test]
fn the_old_owner_becomes_a_member_whatever_invitations_give() {
    let story = enterprise().having(ADMIN, set_default_role("AUDITOR"));
    story.when(ADMIN, transfer(MANAGER)).then([transferred(MANAGER, "DEV_ADMIN", "SUPER_ADMIN", "MEMBER")]);
}

#[test]
fn where_the_owner_is_one_nothing_else_makes_or_ends_one() {
    let story = enterprise();
    for action in [change_role(MEMBER, "SUPER_ADMIN"), change_role(ADMIN, "MEMBER"), leave()] {
        story.when(ADMIN, action).then_refused(Refusal::OwnerMustTransfer);
    }
    story.when(ADMIN, invite_as("SUPER_ADMIN")).then_rows([Err(Refusal::OwnerMustTransfer)]);
    story.when(ADMIN, set_default_role("SUPER_ADMIN")).then_refused(not_assignable("SUPER_ADMIN"));
    for action in [deactivate(ADMIN), remove(ADMIN)] {
        story.when(ADMIN, action.clone()).then_refused(Refusal::RankTooLow);
        story
            .clone()
            .having(ADMIN, NewKey { permissions: Permissions::ALL, ..new_key(KEY) })
            .when(KEY, action)
            .then_refused(Refusal::RankTooLow);
    }
    story.when(ADMIN, change_role(ADMIN, "SUPER_ADMIN")).then_nothing();
}

#[test]
fn only_a_person_transfers() {
    let story = enterprise().having(ADMIN, NewKey { permissions: Permissions::ALL, ..new_key(KEY) });
    story.when(KEY, transfer(MEMBER)).then_refused(Refusal::UserRequired);
    only_admin(Kind::Personal)
        .having(ADMIN, new_key(KEY))
        .when(KEY, transfer(STRANGER))
        .then_refused(Refusal::UserRequired);
}

#[test]
fn only_an_owner_transfers_whatever_they_name() {
    for user in [CO_ADMIN, MANAGER, MEMBER, AUDITOR] {
        for target in [ADMIN, user, STRANGER] {
            enterprise().when(user, transfer(target)).then_refused(Refusal::RankTooLow);
            workspace().when(user, transfer(target)).then_refused(Refusal::RankTooLow);
        }
    }
    enterprise().when(STRANGER, transfer(MEMBER)).then_not_found("organizationId");
    let resting = team().with(OTHER_ADMIN, "ADMIN").having(ADMIN, deactivate(OTHER_ADMIN));
    resting.when(OTHER_ADMIN, transfer(MEMBER)).then_refused(Refusal::MemberInactive);
}

#[test]
fn nobody_transfers_to_themselves() {
    for story in [enterprise(), team(), team().with(OTHER_ADMIN, "ADMIN")] {
        story.when(ADMIN, transfer(ADMIN)).then_refused(Refusal::RankTooLow);
    }
}

#[test]
fn the_new_owner_is_an_active_member() {
    let refusal = Refusal::NotPossible { field: "memberId", sentence: "An inactive member cannot become the owner." };
    for story in [enterprise(), workspace(), team()] {
        story.clone().having(ADMIN, deactivate(MEMBER)).when(ADMIN, transfer(MEMBER)).then_refused(refusal.clone());
        story.clone().having(ADMIN, remove(MEMBER)).when(ADMIN, transfer(MEMBER)).then_not_found("memberId");
        story.when(ADMIN, transfer(STRANGER)).then_not_found("memberId");
    }
}

#[test]
fn the_old_owner_takes_any_role_but_the_owners_own() {
    for key in ["FINANCE_ADMIN", "DEV_ADMIN", "MEMBER", "AUDITOR"] {
        enterprise().when(ADMIN, transfer_and_become(MEMBER, key)).then([transferred(
            MEMBER,
            "MEMBER",
            "SUPER_ADMIN",
            key,
        )]);
    }
    let own = transfer_and_become(MEMBER, "SUPER_ADMIN");
    enterprise().when(ADMIN, own).then_refused(not_assignable("SUPER_ADMIN"));
    team().when(ADMIN, transfer_and_become(MEMBER, "ADMIN")).then_refused(not_assignable("ADMIN"));
    // A role of another kind is no role of this one.
    enterprise().when(ADMIN, transfer_and_become(MEMBER, "CO_ADMIN")).then_not_found("formerOwnerRoleId");
}

#[test]
fn the_old_owner_may_take_a_custom_role() {
    let id = RoleId(Uuid::from_u128(0xC000_0001));
    let story = workspace().given(Event::RoleCreated {
        role_id: id,
        key: "ELDER".to_owned(),
        name: "Elder".to_owned(),
        description: None,
        level: 2,
        permissions: Permissions::of(&[P::AuditRead]),
    });
    let action = |member| Action::TransferOwnership { member, former_owner_role: Some(id) };
    story.when(ADMIN, action(MEMBER)).then([Event::MemberOwnershipTransferred {
        user_id: MEMBER,
        from: role("MEMBER"),
        to: role("ADMIN"),
        former_owner_id: ADMIN,
        former_owner_role_id: id,
    }]);
    workspace().when(ADMIN, action(MEMBER)).then_not_found("formerOwnerRoleId");
}

#[test]
fn where_there_may_be_several_owners_it_promotes_and_steps_down() {
    let story = team().with(OTHER_ADMIN, "ADMIN").having(ADMIN, transfer(MEMBER));
    assert_eq!(owners(&story, Kind::Team), [OTHER_ADMIN, MEMBER]);
    let story = team().having(ADMIN, transfer(MEMBER));
    assert_eq!(owners(&story, Kind::Team), [MEMBER]);
    story.when(MEMBER, leave()).then_refused(Refusal::LastOwner);
}

#[test]
fn to_somebody_who_is_an_owner_already_it_is_stepping_down() {
    let story = team().with(OTHER_ADMIN, "ADMIN");
    story.when(ADMIN, transfer(OTHER_ADMIN)).then([transferred(OTHER_ADMIN, "ADMIN", "ADMIN", "MEMBER")]);
    let after = story.having(ADMIN, transfer(OTHER_ADMIN));
    assert_eq!(owners(&after, Kind::Team), [OTHER_ADMIN]);
    after.when(OTHER_ADMIN, leave()).then_refused(Refusal::LastOwner);
}

#[test]
fn a_transfer_can_expect_a_version_of_the_new_owner() {
    let story = enterprise().having(ADMIN, change_role(MEMBER, "AUDITOR"));
    let actual = story.organization.version();
    story.clone().expecting(actual).when(ADMIN, transfer(MEMBER)).then_accepted();
    let mismatch = Refusal::VersionMismatch { expected: 1, actual };
    story.clone().expecting(1).when(ADMIN, transfer(MEMBER)).then_refused(mismatch);
    // Both have changed by it.
    let after = story.having(ADMIN, transfer(MEMBER));
    let versions: Vec<_> = after.organization.members().filter(|(user, _)| [ADMIN, MEMBER].contains(user)).collect();
    assert!(versions.iter().all(|(_, member)| member.version == actual + 1), "{versions:?}");
}

#[test]
fn a_transfer_waits_for_members_and_for_certification() {
    only_admin(Kind::Personal).when(ADMIN, transfer(STRANGER)).then_refused(Refusal::MembersNotAvailable);
    let uncertified = only_admin(Kind::Enterprise).with(MEMBER, "MEMBER");
    uncertified.when(ADMIN, transfer(MEMBER)).then_refused(Refusal::NotCertified);
}

#[test]
fn targets_come_before_the_rank() {
    enterprise().when(ADMIN, transfer_and_become(ADMIN, "CO_ADMIN")).then_not_found("formerOwnerRoleId");
    let resting = enterprise().having(ADMIN, deactivate(MEMBER));
    resting.when(ADMIN, transfer_and_become(MEMBER, "CO_ADMIN")).then_not_found("formerOwnerRoleId");
}

#[test]
fn the_keys_of_the_old_owner_live_on() {
    let story =
        enterprise().having(ADMIN, new_key(KEY).holding(&[P::OrganizationUpdate])).having(ADMIN, transfer(MEMBER));
    story.when(KEY, rename("Other")).then_accepted();
    story.when(MEMBER, Action::RevokeApiKey { api_key: KEY }).then_accepted();
    let without = Refusal::PermissionRequired(P::ApiKeysManage);
    story.when(ADMIN, Action::RevokeApiKey { api_key: KEY }).then_refused(without);
}
