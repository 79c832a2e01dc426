//! An edited role reaches who has it with their next command, and the invitations that give it.

use super::*;

fn invite_as_porter() -> Action {
    invite_all([InvitationRow { role: Some(PORTER), ..row(INVITATION, STRANGER) }])
}

/// [`MEMBER`] is a porter.
fn with_porter() -> Story {
    led_workspace().having(ADMIN, new_role(PORTER, 5).holding(&[P::AppsRead])).having(ADMIN, give(MEMBER, PORTER))
}

#[test]
fn who_holds_a_role_that_grows_may_do_more_with_their_next_command() {
    let story = with_porter();
    story.when(MEMBER, invite()).then_refused(Refusal::PermissionRequired(P::MembersInvite));
    let grown = story.having(ADMIN, allow(PORTER, &[P::AppsRead, P::MembersInvite]));
    grown.when(MEMBER, invite()).then_accepted();
    let shrunk = grown.having(ADMIN, allow(PORTER, &[P::AppsRead]));
    shrunk.when(MEMBER, invite()).then_refused(Refusal::PermissionRequired(P::MembersInvite));
}

#[test]
fn who_holds_a_role_that_rises_stands_higher_with_their_next_command() {
    let holding = [P::AppsRead, P::MembersRead, P::MembersInvite, P::MembersRemove];
    let story = with_porter().having(ADMIN, allow(PORTER, &holding));
    story.when(MEMBER, remove(MANAGER)).then_refused(Refusal::RankTooLow);
    let risen = story.having(ADMIN, move_role(PORTER, 2));
    risen.when(MEMBER, remove(MANAGER)).then_accepted();
    risen.when(MEMBER, remove(CO_ADMIN)).then_refused(Refusal::RankTooLow);
    // And who acted on them from above does so no longer.
    risen.when(LEADER, give(MEMBER, role("MEMBER"))).then_refused(Refusal::RankTooLow);
}

#[test]
fn a_role_is_taken_by_oneself_only_for_what_one_holds_now() {
    let story = led_workspace().having(ADMIN, new_role(PORTER, 5).holding(&[P::AppsRead]));
    story.when(LEADER, give(LEADER, PORTER)).then_accepted();
    let grown = story.having(ADMIN, allow(PORTER, &[P::AppsRead, P::DataExport]));
    grown.when(LEADER, give(LEADER, PORTER)).then_not_held(&[P::DataExport]);
    grown.when(LEADER, give(MEMBER, PORTER)).then_not_held(&[P::DataExport]);
}

#[test]
fn a_key_keeps_what_it_was_given_when_the_role_of_its_maker_shrinks() {
    let keys = [P::ApiKeysManage, P::OrganizationUpdate];
    let story = with_porter()
        .having(ADMIN, allow(PORTER, &keys))
        .having(MEMBER, new_key(KEY).holding(&[P::OrganizationUpdate]))
        .having(ADMIN, allow(PORTER, &[]));
    story.when(KEY, rename("Other")).then_accepted();
    story.when(MEMBER, rename("Other")).then_refused(Refusal::PermissionRequired(P::OrganizationUpdate));
}

#[test]
fn an_invitation_whose_role_grew_above_its_inviter_gives_nothing() {
    let invited =
        led_workspace().having(ADMIN, new_role(PORTER, 5).holding(&[P::AppsRead])).having(LEADER, invite_as_porter());
    invited.when(STRANGER, accept(INVITATION, 1)).then_accepted();
    for (edit, back) in [
        (move_role(PORTER, 3), move_role(PORTER, 4)),
        (allow(PORTER, &[P::AppsRead, P::BillingManage]), allow(PORTER, &[P::AppsRead])),
    ] {
        let grown = invited.clone().having(ADMIN, edit);
        grown.when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InviterCannotGrant);
        // Until the role shrinks, or somebody sends the invitation who can give the role.
        grown.clone().having(ADMIN, back).when(STRANGER, accept(INVITATION, 1)).then_accepted();
        let resent = grown.at(second(60)).having(ADMIN, resend(INVITATION));
        resent.when(STRANGER, accept(INVITATION, 2)).then_accepted();
    }
}

#[test]
fn an_invitation_goes_with_the_role_of_its_inviter() {
    let invited =
        led_workspace().having(ADMIN, new_role(PORTER, 5).holding(&[P::AppsRead])).having(LEADER, invite_as_porter());
    let without = [P::MembersRead, P::MembersInvite, P::RolesManage, P::AppsRead];
    for edit in [move_role(LEAD, 5), allow(LEAD, &without), give(LEADER, role("MEMBER")), deactivate(LEADER)] {
        let changed = invited.clone().having(ADMIN, edit);
        changed.when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InviterCannotGrant);
    }
}

#[test]
fn a_default_role_that_grew_is_not_given_by_who_does_not_hold_it() {
    let default = Action::UpdateOrganization { name: None, description: None, default_role: Some(PORTER) };
    let story = workspace().having(ADMIN, new_role(PORTER, 5).holding(&[P::AppsRead])).having(ADMIN, default);
    story.when(MANAGER, invite()).then_accepted();
    let grown = story.clone().having(ADMIN, allow(PORTER, &[P::AppsRead, P::AuditRead]));
    let not_held = Refusal::PermissionNotHeld { missing: Permissions::of(&[P::AuditRead]) };
    grown.when(MANAGER, invite()).then_rows([Err(not_held)]);
    let risen = story.having(ADMIN, move_role(PORTER, 3));
    risen.when(MANAGER, invite()).then_rows([Err(not_assignable("PORTER"))]);
}

#[test]
fn an_edit_of_a_role_is_no_event_of_its_holders() {
    let story = with_porter();
    let version =
        |story: &Story| story.organization.members().find(|(user, _)| *user == MEMBER).map(|(_, m)| m.version);
    let before = version(&story);
    assert_eq!(version(&story.having(ADMIN, move_role(PORTER, 6))), before);
}
