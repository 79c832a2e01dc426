//! The end of a role, and what becomes of those who have it.

use orgledger::domain::organization::members::MemberStatus;

use super::*;

const fn in_favour_of(role: RoleId, to: RoleId) -> Action {
    Action::DeleteRole { role, reassign_to: Some(to) }
}

/// An invitation with a custom role.
fn invite_to(invitation: InvitationId, user: UserId, role: RoleId) -> Action {
    invite_all([InvitationRow { role: Some(role), ..row(invitation, user) }])
}

fn make_default(role: RoleId) -> Action {
    Action::UpdateOrganization { name: None, description: None, default_role: Some(role) }
}

const fn changed(user_id: UserId, from: RoleId, to: RoleId) -> Event {
    Event::MemberRoleChanged { user_id, from, to }
}

const fn porter() -> NewRole {
    new_role(PORTER, 5).holding(&[P::AppsRead])
}

/// A WORKSPACE in which nobody has the role.
fn unused() -> Story {
    led_workspace().having(ADMIN, porter())
}

/// One in which the role is held by an active and by an inactive member, given by a pending invitation, and the
/// default one. A former member and ended invitations had it.
fn used() -> Story {
    unused()
        .given(joined(person(20), PORTER))
        .given(Event::MemberRemoved { user_id: person(20), role_id: PORTER, status: MemberStatus::Active })
        .having(ADMIN, give(MEMBER, PORTER))
        .having(ADMIN, give(AUDITOR, PORTER))
        .having(ADMIN, deactivate(AUDITOR))
        .having(ADMIN, invite_to(invitation(3), person(21), PORTER))
        .having(ADMIN, Action::RevokeInvitation { invitation: invitation(3) })
        .having(ADMIN, invite_to(INVITATION, STRANGER, PORTER))
        .having(ADMIN, make_default(PORTER))
}

const fn in_use(member_count: u32, invitation_count: u32) -> Refusal {
    Refusal::RoleInUse { member_count, invitation_count }
}

#[test]
fn a_role_that_nobody_has_is_deleted() {
    unused().when(ADMIN, delete_role(PORTER)).then([porter().deleted("PORTER")]);
    unused().when(ADMIN, in_favour_of(PORTER, role("MEMBER"))).then([porter().deleted("PORTER")]);
    let after = unused().having(ADMIN, delete_role(PORTER));
    assert!(after.organization.roles().all(|(id, _)| id != PORTER));
}

#[test]
fn a_role_in_use_needs_another_in_its_place() {
    used().when(ADMIN, delete_role(PORTER)).then_refused(in_use(2, 1));
    unused().having(ADMIN, give(MEMBER, PORTER)).when(ADMIN, delete_role(PORTER)).then_refused(in_use(1, 0));
    let invited = unused().having(ADMIN, invite_to(INVITATION, STRANGER, PORTER));
    invited.when(ADMIN, delete_role(PORTER)).then_refused(in_use(0, 1));
    unused().having(ADMIN, make_default(PORTER)).when(ADMIN, delete_role(PORTER)).then_refused(in_use(0, 0));
}

#[test]
fn who_and_what_has_it_moves_first() {
    let to = role("MANAGER");
    used().when(ADMIN, in_favour_of(PORTER, to)).then([
        changed(MEMBER, PORTER, to),
        changed(AUDITOR, PORTER, to),
        Event::InvitationRoleChanged { invitation_id: INVITATION, from: PORTER, to, invited_by: ADMIN.actor() },
        Event::OrganizationDefaultRoleChanged { from: PORTER, to },
        porter().deleted("PORTER"),
    ]);
}

#[test]
fn former_members_and_ended_invitations_do_not_have_it() {
    let story = unused()
        .having(ADMIN, give(MEMBER, PORTER))
        .having(ADMIN, remove(MEMBER))
        .having(ADMIN, invite_to(INVITATION, STRANGER, PORTER))
        .having(STRANGER, decline(INVITATION))
        .having(ADMIN, invite_to(OTHER_INVITATION, OTHER_STRANGER, PORTER));
    story.when(ADMIN, delete_role(PORTER)).then_refused(in_use(0, 1));
    // Once the last one has expired, nothing has it.
    let deleted = story.at(day(7)).having(ADMIN, delete_role(PORTER));
    // Who had it once comes back with another one.
    let rows = vec![row(invitation(9), MEMBER)];
    deleted
        .having(ADMIN, Action::InviteMembers { rows, expires_at: day(14) })
        .having(MEMBER, accept(invitation(9), 1))
        .when(MEMBER, leave())
        .then_accepted();
}

#[test]
fn an_expired_invitation_with_a_deleted_role_stays_expired() {
    let story =
        unused().having(ADMIN, invite_to(INVITATION, STRANGER, PORTER)).at(day(7)).having(ADMIN, delete_role(PORTER));
    story.when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InvitationExpired);
    story.when(STRANGER, decline(INVITATION)).then_refused(Refusal::InvitationExpired);
    let revoke = Action::RevokeInvitation { invitation: INVITATION };
    story.when(ADMIN, revoke).then_refused(Refusal::InvitationExpired);
    let rows = vec![row(OTHER_INVITATION, STRANGER)];
    let again = story.having(ADMIN, Action::InviteMembers { rows, expires_at: day(14) });
    again.when(STRANGER, accept(OTHER_INVITATION, 1)).then_accepted();
}

#[test]
fn an_ended_invitation_with_a_deleted_role_says_that_it_has_ended_when_it_is_resent() {
    let invited = unused().having(ADMIN, invite_to(INVITATION, STRANGER, PORTER));
    let expired = invited.clone().at(day(7)).having(ADMIN, delete_role(PORTER));
    expired.when(ADMIN, resend(INVITATION)).then_refused(Refusal::InvitationExpired);
    let declined = invited.having(STRANGER, decline(INVITATION)).having(ADMIN, delete_role(PORTER));
    declined.at(day(1)).when(ADMIN, resend(INVITATION)).then_refused(Refusal::InvitationClosed);
}

#[test]
fn the_other_role_is_another_one_of_the_organization() {
    let itself = Refusal::invalid("reassignToRoleId", "must be another role");
    for story in [unused(), used()] {
        story.when(ADMIN, in_favour_of(PORTER, PORTER)).then_refused(itself.clone());
        for unknown in [OTHER_ROLE, role("DEV_ADMIN")] {
            story.when(ADMIN, in_favour_of(PORTER, unknown)).then_not_found("reassignToRoleId");
        }
    }
}

#[test]
fn each_move_is_asked_as_if_it_were_alone() {
    // A key that may delete roles, and nothing that the moves need.
    let with_key = |story: Story, holding: &[P]| story.having(ADMIN, new_key(KEY).holding(holding));
    let cases = [
        (give(MEMBER, PORTER), P::MembersAssignRole),
        (invite_to(INVITATION, STRANGER, PORTER), P::MembersInvite),
        (make_default(PORTER), P::OrganizationUpdate),
    ];
    let to_member = in_favour_of(PORTER, role("MEMBER"));
    for (used_by, needed) in cases {
        let used = unused().having(ADMIN, used_by);
        let without = with_key(used.clone(), &[P::RolesManage, P::AppsRead]);
        without.when(KEY, to_member.clone()).then_refused(Refusal::PermissionRequired(needed));
        let mut holding = vec![P::RolesManage, P::AppsRead, needed];
        // An inviter gives what is not the default only with the permission to assign roles.
        holding.extend((needed == P::MembersInvite).then_some(P::MembersAssignRole));
        with_key(used, &holding).when(KEY, to_member.clone()).then_accepted();
    }
    with_key(unused(), &[P::RolesManage]).when(KEY, to_member).then_accepted();
}

#[test]
fn who_cannot_assign_roles_moves_invitations_to_the_default_role_only() {
    let story = unused()
        .having(ADMIN, invite_to(INVITATION, STRANGER, PORTER))
        .having(ADMIN, new_key(KEY).holding(&[P::RolesManage, P::MembersInvite, P::MembersRead, P::AppsRead]));
    story.when(KEY, in_favour_of(PORTER, role("MANAGER"))).then_refused(not_assignable("MANAGER"));
    story.when(KEY, in_favour_of(PORTER, role("MEMBER"))).then_accepted();
}

#[test]
fn what_moves_gets_no_role_that_the_deleter_could_not_give() {
    for used_by in [give(MEMBER, PORTER), invite_to(INVITATION, STRANGER, PORTER)] {
        let story = unused().having(ADMIN, used_by);
        for key in ["ADMIN", "CO_ADMIN", "MANAGER"] {
            story.when(LEADER, in_favour_of(PORTER, role(key))).then_refused(not_assignable(key));
        }
        story.when(LEADER, in_favour_of(PORTER, LEAD)).then_refused(not_assignable("LEAD"));
        let auditors = [P::ApiKeysRead, P::AuditRead, P::AuditExport, P::EventsSubscribe];
        story.when(LEADER, in_favour_of(PORTER, role("AUDITOR"))).then_not_held(&auditors);
        story.when(LEADER, in_favour_of(PORTER, role("MEMBER"))).then_accepted();
    }
}

#[test]
fn an_owner_moves_members_to_the_owners_role_but_not_the_default() {
    let story = unused().having(ADMIN, give(MEMBER, PORTER)).having(ADMIN, in_favour_of(PORTER, role("ADMIN")));
    // There are two owners now.
    story.when(ADMIN, leave()).then_accepted();
    let default = unused().having(ADMIN, make_default(PORTER));
    default.when(ADMIN, in_favour_of(PORTER, role("ADMIN"))).then_refused(not_assignable("ADMIN"));
    used().when(ADMIN, in_favour_of(PORTER, role("ADMIN"))).then_refused(not_assignable("ADMIN"));
}

#[test]
fn one_deletion_moves_up_to_a_thousand() {
    let crowd =
        |members: u128| (0..members).fold(unused(), |story, number| story.given(joined(person(1000 + number), PORTER)));
    let full = crowd(999).having(ADMIN, invite_to(INVITATION, STRANGER, PORTER));
    let to_member = in_favour_of(PORTER, role("MEMBER"));
    assert_eq!(full.when(ADMIN, to_member.clone()).0.map(|decided| decided.events.len()), Ok(1001));
    let refusal = limit(1000, "members and invitations moved at once");
    full.given(joined(person(2000), PORTER)).when(ADMIN, to_member.clone()).then_refused(refusal.clone());
    crowd(1001).when(ADMIN, to_member.clone()).then_refused(refusal);
    // What is too much to move is counted all the same.
    crowd(1001).when(ADMIN, delete_role(PORTER)).then_refused(in_use(1001, 0));
    // The rules come first.
    let crowd = crowd(1001).having(ADMIN, new_key(KEY).holding(&[P::RolesManage]));
    crowd.when(KEY, to_member).then_refused(Refusal::PermissionRequired(P::MembersAssignRole));
}

#[test]
fn who_deletes_the_role_becomes_the_inviter() {
    let story = used().having(ADMIN, give(CO_ADMIN, LEAD)).having(ADMIN, make_default(role("MEMBER")));
    let moved = story.having(CO_ADMIN, in_favour_of(PORTER, role("MEMBER")));
    moved.when(STRANGER, accept(INVITATION, 1)).then([
        Event::InvitationAccepted { invitation_id: INVITATION },
        Event::MemberJoined {
            user_id: STRANGER,
            role_id: role("MEMBER"),
            invitation_id: Some(INVITATION),
            invited_by: Some(CO_ADMIN.actor()),
            email_commitment: commitment(),
        },
    ]);
    // And the invitation goes with what they may still do, though somebody else sent it.
    let left = moved.having(CO_ADMIN, leave());
    left.when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InviterCannotGrant);
}

#[test]
fn an_inactive_member_returns_with_the_other_role() {
    let story = used().having(ADMIN, in_favour_of(PORTER, role("MANAGER"))).having(ADMIN, reactivate(AUDITOR));
    story.when(AUDITOR, invite_all([row(OTHER_INVITATION, OTHER_STRANGER)])).then_accepted();
}

#[test]
fn the_default_moves_with_the_role_and_invites_with_the_other() {
    let story = unused().having(ADMIN, make_default(PORTER)).having(ADMIN, in_favour_of(PORTER, role("MANAGER")));
    let joined = story.having(ADMIN, invite()).having(STRANGER, accept(INVITATION, 1));
    let found = joined.organization.members().find(|(user, _)| *user == STRANGER).map(|(_, member)| member.role);
    assert_eq!(found, Some(role("MANAGER")));
}
