//! Roles of members, and how a membership rests and ends.

use orgledger::domain::{
    Refusal,
    organization::{Event, Permission as P, members::MemberStatus},
};

use super::*;

mod created_keys;

fn role_changed(user_id: UserId, from: &str, to: &str) -> Event {
    Event::MemberRoleChanged { user_id, from: role(from), to: role(to) }
}

fn removed(user_id: UserId, key: &str) -> Event {
    Event::MemberRemoved { user_id, role_id: role(key), status: MemberStatus::Active }
}

fn left(user_id: UserId, key: &str) -> Event {
    Event::MemberLeft { user_id, role_id: role(key), status: MemberStatus::Active }
}

impl Story {
    fn status(&self, user: UserId) -> Option<MemberStatus> {
        self.organization.members().find(|(id, _)| *id == user).map(|(_, member)| member.status)
    }

    fn version_of(&self, user: UserId) -> u64 {
        self.organization.members().find(|(id, _)| *id == user).map_or(0, |(_, member)| member.version)
    }
}

#[test]
fn an_admin_gives_every_role_even_their_own() {
    team().when(ADMIN, change_role(MEMBER, "ADMIN")).then([role_changed(MEMBER, "MEMBER", "ADMIN")]);
    team().when(ADMIN, change_role(MEMBER, "AUDITOR")).then([role_changed(MEMBER, "MEMBER", "AUDITOR")]);
    for key in ["ADMIN", "CO_ADMIN", "MANAGER", "AUDITOR"] {
        workspace().when(ADMIN, change_role(MEMBER, key)).then([role_changed(MEMBER, "MEMBER", key)]);
    }
}

#[test]
fn a_co_admin_gives_the_roles_below_their_own() {
    for key in ["MANAGER", "AUDITOR"] {
        workspace().when(CO_ADMIN, change_role(MEMBER, key)).then([role_changed(MEMBER, "MEMBER", key)]);
    }
    for key in ["ADMIN", "CO_ADMIN"] {
        workspace().when(CO_ADMIN, change_role(MEMBER, key)).then_refused(not_assignable(key));
    }
}

#[test]
fn managers_members_and_auditors_assign_no_role() {
    for user in [MANAGER, MEMBER, AUDITOR] {
        let target = if user == MEMBER { AUDITOR } else { MEMBER };
        workspace()
            .when(user, change_role(target, "MANAGER"))
            .then_refused(Refusal::PermissionRequired(P::MembersAssignRole));
    }
}

#[test]
fn a_role_of_another_kind_is_not_found() {
    team().when(ADMIN, change_role(MEMBER, "MANAGER")).then_not_found("roleId");
    workspace().when(ADMIN, change_role(MEMBER, "DEV_ADMIN")).then_not_found("roleId");
}

#[test]
fn a_role_already_held_writes_nothing() {
    workspace().when(ADMIN, change_role(MEMBER, "MEMBER")).then_nothing();
    workspace().when(ADMIN, change_role(ADMIN, "ADMIN")).then_nothing();
    workspace().when(CO_ADMIN, change_role(CO_ADMIN, "CO_ADMIN")).then_nothing();
    workspace().with(OTHER_ADMIN, "ADMIN").when(ADMIN, change_role(OTHER_ADMIN, "ADMIN")).then_nothing();
}

#[test]
fn nobody_acts_on_their_own_rank_or_a_higher_one() {
    let story = workspace().with(STRANGER, "CO_ADMIN");
    for target in [ADMIN, STRANGER] {
        for action in [change_role(target, "MEMBER"), deactivate(target), reactivate(target), remove(target)] {
            story.when(CO_ADMIN, action).then_refused(Refusal::RankTooLow);
        }
    }
}

#[test]
fn owners_act_on_owners() {
    let story = team().with(OTHER_ADMIN, "ADMIN");
    let demoted = role_changed(OTHER_ADMIN, "ADMIN", "MEMBER");
    story.when(ADMIN, change_role(OTHER_ADMIN, "MEMBER")).then([demoted]);
    story.when(ADMIN, deactivate(OTHER_ADMIN)).then([Event::MemberDeactivated { user_id: OTHER_ADMIN }]);
    story.when(ADMIN, remove(OTHER_ADMIN)).then([removed(OTHER_ADMIN, "ADMIN")]);
}

#[test]
fn of_two_admins_who_demote_each_other_one_succeeds() {
    team()
        .with(OTHER_ADMIN, "ADMIN")
        .having(ADMIN, change_role(OTHER_ADMIN, "MEMBER"))
        .when(OTHER_ADMIN, change_role(ADMIN, "MEMBER"))
        .then_refused(Refusal::PermissionRequired(P::MembersAssignRole));
}

#[test]
fn lowering_ones_own_role_needs_no_permission() {
    workspace().when(MANAGER, change_role(MANAGER, "MEMBER")).then([role_changed(MANAGER, "MANAGER", "MEMBER")]);
    workspace().when(CO_ADMIN, change_role(CO_ADMIN, "MANAGER")).then([role_changed(CO_ADMIN, "CO_ADMIN", "MANAGER")]);
    workspace()
        .with(OTHER_ADMIN, "ADMIN")
        .when(ADMIN, change_role(ADMIN, "MEMBER"))
        .then([role_changed(ADMIN, "ADMIN", "MEMBER")]);
}

#[test]
fn lowering_ones_own_role_gains_no_permission() {
    workspace().when(MANAGER, change_role(MANAGER, "AUDITOR")).then_not_held(&[
        P::ApiKeysRead,
        P::AuditRead,
        P::AuditExport,
        P::EventsSubscribe,
    ]);
}

#[test]
fn nobody_raises_themselves_or_moves_sideways() {
    workspace().when(CO_ADMIN, change_role(CO_ADMIN, "ADMIN")).then_refused(Refusal::RankTooLow);
    for (user, key) in [(MANAGER, "CO_ADMIN"), (MEMBER, "MANAGER"), (MEMBER, "AUDITOR")] {
        workspace().when(user, change_role(user, key)).then_refused(Refusal::PermissionRequired(P::MembersAssignRole));
    }
}

#[test]
fn on_oneself_everything_else_is_rank_too_low() {
    for user in [ADMIN, CO_ADMIN] {
        for action in [deactivate(user), reactivate(user), remove(user)] {
            workspace().with(OTHER_ADMIN, "ADMIN").when(user, action).then_refused(Refusal::RankTooLow);
        }
    }
}

#[test]
fn the_last_admin_cannot_leave() {
    for story in [team(), workspace()] {
        story.when(ADMIN, leave()).then_refused(Refusal::LastOwner);
    }
    team().with(OTHER_ADMIN, "ADMIN").when(ADMIN, leave()).then([left(ADMIN, "ADMIN")]);
}

#[test]
fn the_last_admin_cannot_step_down() {
    team().when(ADMIN, change_role(ADMIN, "MEMBER")).then_refused(Refusal::LastOwner);
    workspace().when(ADMIN, change_role(ADMIN, "CO_ADMIN")).then_refused(Refusal::LastOwner);
}

#[test]
fn an_inactive_former_or_demoted_admin_is_no_owner_to_count_on() {
    let story = team().with(OTHER_ADMIN, "ADMIN");
    for action in [deactivate(OTHER_ADMIN), remove(OTHER_ADMIN), change_role(OTHER_ADMIN, "MEMBER")] {
        story.clone().having(ADMIN, action).when(ADMIN, leave()).then_refused(Refusal::LastOwner);
    }
    story.having(OTHER_ADMIN, leave()).when(ADMIN, leave()).then_refused(Refusal::LastOwner);
}

#[test]
fn a_reactivated_admin_counts_again() {
    team()
        .with(OTHER_ADMIN, "ADMIN")
        .having(ADMIN, deactivate(OTHER_ADMIN))
        .having(ADMIN, reactivate(OTHER_ADMIN))
        .when(ADMIN, leave())
        .then([left(ADMIN, "ADMIN")]);
}

#[test]
fn an_inactive_member_who_is_made_admin_counts_once_they_are_active() {
    let promoted = team().having(ADMIN, deactivate(MEMBER)).having(ADMIN, change_role(MEMBER, "ADMIN"));
    promoted.when(ADMIN, leave()).then_refused(Refusal::LastOwner);
    promoted.having(ADMIN, reactivate(MEMBER)).when(ADMIN, leave()).then([left(ADMIN, "ADMIN")]);
}

#[test]
fn an_inactive_admin_leaves_and_is_removed_freely() {
    let story = team().with(OTHER_ADMIN, "ADMIN").having(ADMIN, deactivate(OTHER_ADMIN));
    let (user_id, role_id, status) = (OTHER_ADMIN, role("ADMIN"), MemberStatus::Inactive);
    story.when(OTHER_ADMIN, leave()).then([Event::MemberLeft { user_id, role_id, status }]);
    story.when(ADMIN, remove(OTHER_ADMIN)).then([Event::MemberRemoved { user_id, role_id, status }]);
    story.when(ADMIN, change_role(OTHER_ADMIN, "MEMBER")).then([role_changed(OTHER_ADMIN, "ADMIN", "MEMBER")]);
}

#[test]
fn everybody_but_the_last_admin_leaves_without_a_permission() {
    for (user, key) in [(CO_ADMIN, "CO_ADMIN"), (MANAGER, "MANAGER"), (MEMBER, "MEMBER"), (AUDITOR, "AUDITOR")] {
        workspace().when(user, leave()).then([left(user, key)]);
    }
}

#[test]
fn a_key_leaves_nothing() {
    team().having(ADMIN, new_key(KEY)).when(KEY, leave()).then_refused(Refusal::UserRequired);
}

#[test]
fn an_inactive_member_can_only_leave() {
    let story = workspace().having(ADMIN, deactivate(CO_ADMIN));
    for action in [rename("Other"), remove(MEMBER), invite(), change_role(CO_ADMIN, "MEMBER"), delete()] {
        story.when(CO_ADMIN, action).then_refused(Refusal::MemberInactive);
    }
    story.when(CO_ADMIN, new_key(KEY)).then_refused(Refusal::MemberInactive);
    let (role_id, status) = (role("CO_ADMIN"), MemberStatus::Inactive);
    story.when(CO_ADMIN, leave()).then([Event::MemberLeft { user_id: CO_ADMIN, role_id, status }]);
}

#[test]
fn a_member_rests_and_returns() {
    let resting = workspace().having(CO_ADMIN, deactivate(MEMBER));
    assert_eq!(resting.status(MEMBER), Some(MemberStatus::Inactive));
    resting.when(CO_ADMIN, deactivate(MEMBER)).then_nothing();
    resting.when(CO_ADMIN, reactivate(MEMBER)).then([Event::MemberReactivated { user_id: MEMBER }]);
    workspace().when(CO_ADMIN, reactivate(MEMBER)).then_nothing();
}

#[test]
fn status_and_removal_have_their_own_permissions() {
    for user in [MANAGER, AUDITOR] {
        let story = workspace();
        story.when(user, deactivate(MEMBER)).then_refused(Refusal::PermissionRequired(P::MembersUpdate));
        story.when(user, reactivate(MEMBER)).then_refused(Refusal::PermissionRequired(P::MembersUpdate));
        story.when(user, remove(MEMBER)).then_refused(Refusal::PermissionRequired(P::MembersRemove));
    }
}

#[test]
fn outsiders_and_former_members_find_nothing() {
    let story = workspace().having(ADMIN, remove(CO_ADMIN)).having(MANAGER, leave());
    for user in [STRANGER, CO_ADMIN, MANAGER] {
        for action in [rename("Other"), leave(), delete(), remove(MEMBER), invite()] {
            story.when(user, action).then_not_found("organizationId");
        }
    }
}

#[test]
fn strangers_and_former_members_are_not_found_as_targets() {
    let story = workspace().having(ADMIN, remove(MEMBER));
    for user in [STRANGER, MEMBER] {
        for action in [change_role(user, "MANAGER"), deactivate(user), reactivate(user), remove(user)] {
            story.when(ADMIN, action).then_not_found("memberId");
        }
    }
    assert_eq!(story.status(MEMBER), Some(MemberStatus::Former));
}

#[test]
fn a_removed_member_rejoins_with_the_new_role_and_the_same_id() {
    let back = workspace()
        .having(ADMIN, remove(CO_ADMIN))
        .having(MANAGER, invite_all([row(INVITATION, CO_ADMIN)]))
        .having(CO_ADMIN, accept(INVITATION, 1));
    assert_eq!(back.status(CO_ADMIN), Some(MemberStatus::Active));
    back.when(CO_ADMIN, rename("Other")).then_refused(Refusal::PermissionRequired(P::OrganizationUpdate));
    back.when(CO_ADMIN, leave()).then([left(CO_ADMIN, "MEMBER")]);
}

#[test]
fn a_member_who_was_inactive_rejoins_active() {
    let back = team()
        .having(ADMIN, deactivate(MEMBER))
        .having(ADMIN, remove(MEMBER))
        .having(ADMIN, invite_all([row(INVITATION, MEMBER)]))
        .having(MEMBER, accept(INVITATION, 1));
    assert_eq!(back.status(MEMBER), Some(MemberStatus::Active));
}

#[test]
fn a_change_can_expect_a_version_of_the_member() {
    let story = workspace();
    let actual = story.version_of(MEMBER);
    let mismatch = Refusal::VersionMismatch { expected: 1, actual };
    for action in [change_role(MEMBER, "MANAGER"), deactivate(MEMBER), reactivate(MEMBER), remove(MEMBER)] {
        story.clone().expecting(1).when(ADMIN, action.clone()).then_refused(mismatch.clone());
        story.clone().expecting(actual).when(ADMIN, action).then_accepted();
    }
    let changed = story.having(ADMIN, change_role(MEMBER, "MANAGER"));
    assert_eq!(changed.version_of(MEMBER), changed.organization.version());
    assert_eq!(changed.version_of(AUDITOR), workspace().version_of(AUDITOR));
}

#[test]
fn a_change_of_nothing_still_expects_its_version() {
    let story = workspace();
    let actual = story.version_of(MEMBER);
    story
        .expecting(1)
        .when(ADMIN, change_role(MEMBER, "MEMBER"))
        .then_refused(Refusal::VersionMismatch { expected: 1, actual });
}

#[test]
fn a_key_acts_on_members_below_its_level() {
    let story = workspace()
        .having(ADMIN, new_key(KEY).holding(&[P::MembersUpdate, P::MembersRemove, P::MembersAssignRole, P::AppsRead]));
    story.when(KEY, remove(MANAGER)).then([removed(MANAGER, "MANAGER")]);
    story.when(KEY, change_role(MANAGER, "MEMBER")).then([role_changed(MANAGER, "MANAGER", "MEMBER")]);
    story.when(KEY, change_role(MEMBER, "MANAGER")).then_not_held(&[P::MembersRead, P::MembersInvite]);
    story.when(KEY, change_role(MEMBER, "CO_ADMIN")).then_refused(not_assignable("CO_ADMIN"));
    for target in [ADMIN, CO_ADMIN] {
        story.when(KEY, remove(target)).then_refused(Refusal::RankTooLow);
        story.when(KEY, deactivate(target)).then_refused(Refusal::RankTooLow);
    }
}

/// By themselves or by the operator, whatever their status is, with the invitation that waits for them.
#[test]
fn an_erased_person_leaves_and_their_invitation_is_closed() {
    let erase = |user| Action::ErasePerson { user };
    let left = |status| Event::MemberLeft { user_id: MEMBER, role_id: role("MEMBER"), status };
    for by in [MEMBER.actor(), Actor::Operator] {
        workspace().when(by, erase(MEMBER)).then([left(MemberStatus::Active)]);
        let resting = workspace().given(Event::MemberDeactivated { user_id: MEMBER });
        resting.when(by, erase(MEMBER)).then([left(MemberStatus::Inactive)]);
    }
    for by in [ADMIN.actor(), OTHER_ADMIN.actor(), KEY.actor()] {
        workspace().when(by, erase(MEMBER)).then_not_found("organizationId");
    }
    workspace().when(STRANGER, erase(STRANGER)).then_nothing();
    team().when(ADMIN, erase(ADMIN)).then_refused(Refusal::LastOwner);
    only_admin(Kind::Enterprise).when(Actor::Operator, erase(ADMIN)).then_refused(Refusal::OwnerMustTransfer);
    only_admin(Kind::Personal).when(ADMIN, erase(ADMIN)).then([Event::OrganizationDeleted {}]);
    team().having(ADMIN, delete()).when(ADMIN, erase(ADMIN)).then_nothing();
}
