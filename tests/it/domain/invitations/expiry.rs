//! Invitations whose time is over: closed like any that have ended, though no event says so.

use super::*;

#[test]
fn an_invitation_expires_by_the_clock() {
    let story = team().having(ADMIN, invite());
    let before = story.clone().at(day(7) - TimeDelta::microseconds(1));
    before.when(STRANGER, accept(INVITATION, 1)).then_accepted();
    story.at(day(7)).when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InvitationExpired);
}

#[test]
fn an_expired_invitation_stands_in_nobodys_way() {
    let story = team().having(ADMIN, invite()).at(day(7));
    let again = invite_all([row_as(OTHER_INVITATION, STRANGER, "AUDITOR")]);
    story.when(ADMIN, again.clone()).then_rows([Ok(new(OTHER_INVITATION))]);
    story.at(day(7) - TimeDelta::microseconds(1)).when(ADMIN, again).then_rows([Err(Refusal::InvitationPending)]);
}

#[test]
fn an_expired_invitation_is_neither_resent_nor_declined_nor_revoked() {
    let story = team().having(ADMIN, invite());
    let before = story.clone().at(day(7) - TimeDelta::microseconds(1));
    let expired = story.at(day(7));
    for (user, action) in [
        (ADMIN, resend(INVITATION)),
        (ADMIN, revoke(INVITATION)),
        (STRANGER, decline(INVITATION)),
        (STRANGER, decline_by_link(INVITATION, 1)),
        (STRANGER, accept_from_list(INVITATION)),
    ] {
        before.when(user, action.clone()).then_accepted();
        expired.when(user, action).then_refused(Refusal::InvitationExpired);
    }
}

#[test]
fn who_was_invited_again_has_one_open_invitation() {
    let story = workspace().having(ADMIN, invite()).at(day(7)).having(
        ADMIN,
        Action::InviteMembers { rows: vec![row_as(OTHER_INVITATION, STRANGER, "MANAGER")], expires_at: day(14) },
    );
    story.when(ADMIN, resend(INVITATION)).then_refused(Refusal::InvitationExpired);
    story.when(STRANGER, accept_from_list(INVITATION)).then_refused(Refusal::InvitationExpired);
    story.when(STRANGER, accept(OTHER_INVITATION, 1)).then_accepted();
}

#[test]
fn what_ended_before_its_time_was_over_stays_what_it_is() {
    let story = team().having(ADMIN, invite());
    let late = |story: Story| story.at(day(30));
    let declined = late(story.clone().having(STRANGER, decline(INVITATION)));
    declined.when(STRANGER, decline(INVITATION)).then_nothing();
    declined.when(ADMIN, revoke(INVITATION)).then_refused(Refusal::InvitationClosed);
    declined.when(ADMIN, resend(INVITATION)).then_refused(Refusal::InvitationClosed);
    let revoked = late(story.having(ADMIN, revoke(INVITATION)));
    revoked.when(ADMIN, revoke(INVITATION)).then_nothing();
    revoked.when(STRANGER, decline(INVITATION)).then_refused(Refusal::InvitationClosed);
}

#[test]
fn rank_and_recipient_come_before_the_clock() {
    let expired = team().having(ADMIN, invite()).at(day(7));
    for action in [resend(INVITATION), revoke(INVITATION)] {
        expired.when(MEMBER, action).then_refused(Refusal::PermissionRequired(P::MembersInvite));
    }
    expired.when(OTHER_STRANGER, decline(INVITATION)).then_refused(wrong_recipient());
    let actual = expired.organization.version();
    for action in [resend(INVITATION), revoke(INVITATION)] {
        let mismatch = Refusal::VersionMismatch { expected: 1, actual };
        expired.clone().expecting(1).when(ADMIN, action).then_refused(mismatch);
    }
}
