//! Accepting and declining: who may, until when, and what the inviter must still be able to give.

use super::*;

#[test]
fn the_invited_person_joins_by_link_or_from_their_list() {
    let story = workspace().having(CO_ADMIN, invite_as("MANAGER"));
    story.when(STRANGER, accept(INVITATION, 1)).then(accepted(STRANGER, "MANAGER", CO_ADMIN));
    story.when(STRANGER, accept_from_list(INVITATION)).then(accepted(STRANGER, "MANAGER", CO_ADMIN));
    let joined = story.having(STRANGER, accept(INVITATION, 1));
    assert_eq!(joined.state(INVITATION), Some(InvitationState::Accepted));
    joined.when(STRANGER, invite_all([row(OTHER_INVITATION, OTHER_STRANGER)])).then_rows([Ok(new(OTHER_INVITATION))]);
}

#[test]
fn nobody_else_accepts_or_declines() {
    let story = team().having(ADMIN, invite());
    for user in [OTHER_STRANGER, MEMBER, ADMIN] {
        story.when(user, accept(INVITATION, 1)).then_refused(wrong_recipient());
        story.when(user, accept_from_list(INVITATION)).then_refused(wrong_recipient());
        story.when(user, decline(INVITATION)).then_refused(wrong_recipient());
    }
}

#[test]
fn a_key_accepts_and_declines_nothing() {
    let story = team().having(ADMIN, invite()).having(ADMIN, new_key(KEY));
    story.when(KEY, accept(INVITATION, 1)).then_refused(Refusal::UserRequired);
    story.when(KEY, decline(INVITATION)).then_refused(Refusal::UserRequired);
}

#[test]
fn accepting_twice_answers_the_same_while_one_is_a_member() {
    let story = team().having(ADMIN, invite()).having(STRANGER, accept(INVITATION, 1));
    story.when(STRANGER, accept(INVITATION, 1)).then_nothing();
    story.when(STRANGER, accept_from_list(INVITATION)).then_nothing();
    // Even when the time of the invitation is over and the inviter is gone.
    let later = story.with(OTHER_ADMIN, "ADMIN").having(ADMIN, leave()).at(day(30));
    later.when(STRANGER, accept(INVITATION, 1)).then_nothing();
    let removed = later.having(OTHER_ADMIN, remove(STRANGER));
    removed.when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InvitationClosed);
}

#[test]
fn who_left_does_not_come_back_by_the_old_link() {
    team()
        .having(ADMIN, invite())
        .having(STRANGER, accept(INVITATION, 1))
        .having(STRANGER, leave())
        .when(STRANGER, accept(INVITATION, 1))
        .then_refused(Refusal::InvitationClosed);
}

#[test]
fn an_invitation_is_declined_once() {
    let story = team().having(ADMIN, invite());
    story.when(STRANGER, decline(INVITATION)).then([Event::InvitationDeclined { invitation_id: INVITATION }]);
    story
        .when(STRANGER, decline_by_link(INVITATION, 1))
        .then([Event::InvitationDeclined { invitation_id: INVITATION }]);
    let declined = story.clone().having(STRANGER, decline(INVITATION));
    declined.when(STRANGER, decline(INVITATION)).then_nothing();
    declined.when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InvitationClosed);
    declined.when(ADMIN, invite_all([row(OTHER_INVITATION, STRANGER)])).then_rows([Ok(new(OTHER_INVITATION))]);
    story
        .having(STRANGER, accept(INVITATION, 1))
        .when(STRANGER, decline(INVITATION))
        .then_refused(Refusal::InvitationClosed);
}

#[test]
fn an_inviter_who_lost_rank_membership_or_access_can_grant_nothing() {
    let story = workspace().having(CO_ADMIN, invite_as("MANAGER"));
    for action in [change_role(CO_ADMIN, "MANAGER"), deactivate(CO_ADMIN), remove(CO_ADMIN)] {
        story
            .clone()
            .having(ADMIN, action)
            .when(STRANGER, accept(INVITATION, 1))
            .then_refused(Refusal::InviterCannotGrant);
    }
    story
        .clone()
        .having(CO_ADMIN, leave())
        .when(STRANGER, accept(INVITATION, 1))
        .then_refused(Refusal::InviterCannotGrant);
    let rested = story.having(ADMIN, deactivate(CO_ADMIN)).having(ADMIN, reactivate(CO_ADMIN));
    rested.when(STRANGER, accept(INVITATION, 1)).then_accepted();
}

#[test]
fn a_demoted_inviter_still_grants_what_their_new_role_can() {
    workspace()
        .having(CO_ADMIN, invite())
        .having(ADMIN, change_role(CO_ADMIN, "MANAGER"))
        .when(STRANGER, accept(INVITATION, 1))
        .then(accepted(STRANGER, "MEMBER", CO_ADMIN));
}

#[test]
fn who_could_give_only_the_default_role_cannot_once_it_is_another() {
    workspace()
        .having(MANAGER, invite())
        .having(ADMIN, set_default_role("AUDITOR"))
        .when(STRANGER, accept(INVITATION, 1))
        .then_refused(Refusal::InviterCannotGrant);
}

#[test]
fn a_key_invites_below_its_level_while_it_lives() {
    let story = workspace()
        .having(ADMIN, new_key(KEY).holding(&[P::MembersInvite, P::AppsRead]).until(day(3)))
        .having(KEY, invite());
    story.when(STRANGER, accept(INVITATION, 1)).then(accepted(STRANGER, "MEMBER", KEY));
    story.clone().at(day(3)).when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InviterCannotGrant);
    for ending in [Action::DisableApiKey { api_key: KEY }, Action::RevokeApiKey { api_key: KEY }] {
        story
            .clone()
            .having(ADMIN, ending)
            .when(STRANGER, accept(INVITATION, 1))
            .then_refused(Refusal::InviterCannotGrant);
    }
}

#[test]
fn a_key_gives_no_role_with_more_than_it_holds() {
    let missing = Permissions::of(&[P::AppsRead]);
    workspace()
        .having(ADMIN, new_key(KEY).holding(&[P::MembersInvite]))
        .when(KEY, invite())
        .then_rows([Err(Refusal::PermissionNotHeld { missing })]);
    // A key stands at level 2 at most, and so does every other role of a team.
    team()
        .having(ADMIN, new_key(KEY).holding(&[P::MembersInvite, P::MembersRead, P::AppsRead]))
        .when(KEY, invite())
        .then_rows([Err(not_assignable("MEMBER"))]);
}

#[test]
fn up_to_a_hundred_thousand_members_join() {
    let almost = (1000..1000 + 99_998).fold(only_admin(Kind::Team).having(ADMIN, invite()), |story, number| {
        story.given(joined(person(number), role("MEMBER")))
    });
    almost.when(STRANGER, accept(INVITATION, 1)).then_accepted();
    let full = almost.with(OTHER_STRANGER, "MEMBER");
    full.when(STRANGER, accept(INVITATION, 1)).then_refused(limit(100_000, "members"));
    // Who rests takes a place, who left does not.
    let resting = full.having(ADMIN, deactivate(OTHER_STRANGER));
    resting.when(STRANGER, accept(INVITATION, 1)).then_refused(limit(100_000, "members"));
    resting.having(ADMIN, remove(OTHER_STRANGER)).when(STRANGER, accept(INVITATION, 1)).then_accepted();
}

#[test]
fn a_person_joins_up_to_a_hundred_organizations() {
    let story = team().having(ADMIN, invite());
    story.when(STRANGER, accept_when_in(INVITATION, None, 99)).then_accepted();
    story.when(STRANGER, accept_when_in(INVITATION, None, 100)).then_refused(limit(100, "organizations of one person"));
}
