//! Inviting, resending and revoking.

use orgledger::domain::{
    Actor, Refusal,
    organization::{
        Action, Event, InvitationRow, Permission as P,
        invitations::{InvitationState, Invited},
    },
};

use super::*;

mod answers;
mod expiry;

fn wrong_recipient() -> Refusal {
    Refusal::WrongRecipient { masked: MASKED.to_owned() }
}

fn sent(invitation_id: InvitationId, user_id: UserId, key: &str, by: impl Acts) -> Event {
    Event::InvitationSent {
        invitation_id,
        user_id,
        role_id: role(key),
        email_commitment: commitment(),
        invited_by: by.actor(),
        sent_at: day(0),
        expires_at: day(7),
    }
}

fn revoked(invitation_id: InvitationId) -> Event {
    Event::InvitationRevoked { invitation_id }
}

fn accepted(user_id: UserId, key: &str, by: impl Acts) -> [Event; 2] {
    [
        Event::InvitationAccepted { invitation_id: INVITATION },
        Event::MemberJoined {
            user_id,
            role_id: role(key),
            invitation_id: Some(INVITATION),
            invited_by: Some(by.actor()),
            email_commitment: commitment(),
        },
    ]
}

fn revoke(invitation: InvitationId) -> Action {
    Action::RevokeInvitation { invitation }
}

fn accept_from_list(invitation: InvitationId) -> Action {
    accept_when_in(invitation, None, 0)
}

fn accept_when_in(invitation: InvitationId, generation: Option<u32>, organizations: u32) -> Action {
    Action::AcceptInvitation {
        invitation,
        generation,
        email_commitment: commitment(),
        organizations,
        masked_email: MASKED.to_owned(),
    }
}

fn decline_by_link(invitation: InvitationId, generation: u32) -> Action {
    Action::DeclineInvitation { invitation, generation: Some(generation), masked_email: MASKED.to_owned() }
}

const fn new(invitation: InvitationId) -> Invited {
    Invited { invitation, already_pending: false }
}

const fn already(invitation: InvitationId) -> Invited {
    Invited { invitation, already_pending: true }
}

/// Invites that many people, numbered from `from` on.
fn crowd(from: u128, count: u128) -> impl Iterator<Item = InvitationRow> {
    (from..from + count).map(|number| row(invitation(number), person(number)))
}

impl Story {
    fn state(&self, id: InvitationId) -> Option<InvitationState> {
        self.organization.invitations().find(|(other, _)| *other == id).map(|(_, invitation)| invitation.state())
    }

    /// That many invitations are pending from the first day to the seventh.
    fn with_pending(self, count: u128) -> Self {
        (1000..1000 + count)
            .fold(self, |story, number| story.given(sent(invitation(number), person(number), "MEMBER", ADMIN)))
    }
}

#[test]
fn an_invitation_without_a_role_gives_the_default_one() {
    team().when(ADMIN, invite()).then([sent(INVITATION, STRANGER, "MEMBER", ADMIN)]);
    team()
        .having(ADMIN, set_default_role("AUDITOR"))
        .when(ADMIN, invite())
        .then([sent(INVITATION, STRANGER, "AUDITOR", ADMIN)]);
}

#[test]
fn an_admin_invites_with_every_role() {
    for key in ["ADMIN", "CO_ADMIN", "MANAGER", "MEMBER", "AUDITOR"] {
        workspace().when(ADMIN, invite_as(key)).then([sent(INVITATION, STRANGER, key, ADMIN)]);
    }
}

#[test]
fn a_co_admin_invites_with_the_roles_below_their_own() {
    for key in ["MANAGER", "MEMBER", "AUDITOR"] {
        workspace().when(CO_ADMIN, invite_as(key)).then([sent(INVITATION, STRANGER, key, CO_ADMIN)]);
    }
    for key in ["ADMIN", "CO_ADMIN"] {
        workspace().when(CO_ADMIN, invite_as(key)).then_rows([Err(not_assignable(key))]);
    }
}

#[test]
fn a_manager_invites_but_assigns_no_role() {
    let member = [sent(INVITATION, STRANGER, "MEMBER", MANAGER)];
    workspace().when(MANAGER, invite()).then(member.clone());
    workspace().when(MANAGER, invite_as("MEMBER")).then(member);
    for key in ["ADMIN", "CO_ADMIN", "MANAGER", "AUDITOR"] {
        workspace().when(MANAGER, invite_as(key)).then_rows([Err(not_assignable(key))]);
    }
}

#[test]
fn a_default_role_gives_nobody_more_than_the_inviter_has() {
    let missing = Permissions::of(&[P::ApiKeysRead, P::AuditRead, P::AuditExport, P::EventsSubscribe]);
    workspace()
        .having(ADMIN, set_default_role("AUDITOR"))
        .when(MANAGER, invite())
        .then_rows([Err(Refusal::PermissionNotHeld { missing })]);
    workspace()
        .having(ADMIN, set_default_role("MANAGER"))
        .when(MANAGER, invite())
        .then_rows([Err(not_assignable("MANAGER"))]);
}

#[test]
fn members_and_auditors_do_not_touch_invitations() {
    let refusal = Refusal::PermissionRequired(P::MembersInvite);
    for story in [team(), workspace()] {
        let story = story.having(ADMIN, invite());
        for user in [MEMBER, AUDITOR] {
            for action in [invite_all([row(OTHER_INVITATION, OTHER_STRANGER)]), resend(INVITATION), revoke(INVITATION)]
            {
                story.when(user, action).then_refused(refusal.clone());
            }
        }
    }
}

#[test]
fn each_row_is_answered_and_a_refused_one_stops_no_other() {
    let rows = [
        row_as(invitation(1), STRANGER, "MANAGER"),
        row(invitation(2), MEMBER),
        InvitationRow { role: Some(RoleId(Uuid::nil())), ..row(invitation(3), person(20)) },
        row_as(invitation(4), person(21), "CO_ADMIN"),
        row(invitation(5), OTHER_STRANGER),
    ];
    let answer = workspace().when(CO_ADMIN, invite_all(rows.clone()));
    answer.then_rows([
        Ok(new(invitation(1))),
        Err(Refusal::AlreadyAMember),
        Err(Refusal::NotFound { field: "roleId" }),
        Err(not_assignable("CO_ADMIN")),
        Ok(new(invitation(5))),
    ]);
    workspace().when(CO_ADMIN, invite_all(rows)).then([
        sent(invitation(1), STRANGER, "MANAGER", CO_ADMIN),
        sent(invitation(5), OTHER_STRANGER, "MEMBER", CO_ADMIN),
    ]);
}

#[test]
fn an_inactive_member_is_a_member_and_a_former_one_is_not() {
    let member = invite_all([row(INVITATION, MEMBER)]);
    team().having(ADMIN, deactivate(MEMBER)).when(ADMIN, member.clone()).then_rows([Err(Refusal::AlreadyAMember)]);
    team().having(ADMIN, remove(MEMBER)).when(ADMIN, member).then_rows([Ok(new(INVITATION))]);
}

#[test]
fn inviting_nobody_writes_nothing() {
    team().when(ADMIN, invite_all([])).then_nothing();
}

#[test]
fn inviting_again_with_the_same_role_returns_the_pending_one() {
    let story = workspace().having(ADMIN, invite());
    let again = invite_all([row(OTHER_INVITATION, STRANGER)]);
    story.when(ADMIN, again.clone()).then_nothing();
    story.when(ADMIN, again).then_rows([Ok(already(INVITATION))]);
    let replacing = InvitationRow { replace: true, ..row(OTHER_INVITATION, STRANGER) };
    story.when(ADMIN, invite_all([replacing])).then_nothing();
}

#[test]
fn inviting_again_with_another_role_is_refused_or_replaces() {
    let story = workspace().having(ADMIN, invite());
    let other = row_as(OTHER_INVITATION, STRANGER, "MANAGER");
    story.when(ADMIN, invite_all([other.clone()])).then_rows([Err(Refusal::InvitationPending)]);

    let replacing = InvitationRow { replace: true, ..other };
    let answer = story.when(ADMIN, invite_all([replacing.clone()]));
    answer.then([revoked(INVITATION), sent(OTHER_INVITATION, STRANGER, "MANAGER", ADMIN)]);
    let replaced = story.having(ADMIN, invite_all([replacing]));
    replaced.when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InvitationClosed);
    replaced.when(STRANGER, accept(OTHER_INVITATION, 1)).then_accepted();
}

#[test]
fn one_command_sends_one_person_one_invitation() {
    let rows = [
        row(invitation(1), STRANGER),
        row(invitation(2), STRANGER),
        row_as(invitation(3), STRANGER, "AUDITOR"),
        InvitationRow { replace: true, ..row_as(invitation(4), STRANGER, "AUDITOR") },
    ];
    let answer = team().when(ADMIN, invite_all(rows.clone()));
    answer.then_rows([
        Ok(new(invitation(1))),
        Ok(already(invitation(1))),
        Err(Refusal::InvitationPending),
        Ok(new(invitation(4))),
    ]);
    team().when(ADMIN, invite_all(rows)).then([
        sent(invitation(1), STRANGER, "MEMBER", ADMIN),
        revoked(invitation(1)),
        sent(invitation(4), STRANGER, "AUDITOR", ADMIN),
    ]);
}

#[test]
fn one_command_invites_up_to_fifty() {
    team().when(ADMIN, invite_all(crowd(100, 50))).then_rows((100..150).map(|number| Ok(new(invitation(number)))));
    team().when(ADMIN, invite_all(crowd(100, 51))).then_refused(limit(50, "invitations at once"));
}

#[test]
fn up_to_a_thousand_invitations_are_pending() {
    let full = || Err(limit(1000, "pending invitations"));
    let story = team().with_pending(999);
    let two = invite_all(crowd(1, 2));
    team()
        .with_pending(998)
        .when(ADMIN, invite_all(crowd(100, 2)))
        .then_rows([Ok(new(invitation(100))), Ok(new(invitation(101)))]);
    story.when(ADMIN, invite_all(crowd(100, 2))).then_rows([Ok(new(invitation(100))), full()]);
    // People who are members already are told so first.
    story.when(ADMIN, two).then_rows([Err(Refusal::AlreadyAMember), Ok(new(invitation(2)))]);
}

#[test]
fn at_the_limit_a_replacement_a_repetition_and_expired_ones_still_pass() {
    let full = team().with_pending(1000);
    full.when(ADMIN, invite()).then_rows([Err(limit(1000, "pending invitations"))]);
    full.when(ADMIN, invite_all([row(INVITATION, person(1000))])).then_rows([Ok(already(invitation(1000)))]);
    let replacing = InvitationRow { replace: true, ..row_as(INVITATION, person(1000), "AUDITOR") };
    full.when(ADMIN, invite_all([replacing])).then_rows([Ok(new(INVITATION))]);
    full.clone().having(ADMIN, revoke(invitation(1000))).when(ADMIN, invite()).then_rows([Ok(new(INVITATION))]);
    full.clone().at(day(7)).when(ADMIN, invite()).then_rows([Ok(new(INVITATION))]);
    full.having(person(1000), decline(invitation(1000))).when(ADMIN, invite()).then_rows([Ok(new(INVITATION))]);
}

#[test]
fn resending_moves_to_the_next_generation_under_the_resender() {
    workspace().having(ADMIN, invite()).at(second(60)).when(MANAGER, resend(INVITATION)).then([
        Event::InvitationResent {
            invitation_id: INVITATION,
            generation: 2,
            invited_by: Actor::User(MANAGER),
            sent_at: second(60),
            expires_at: day(14),
        },
    ]);
}

#[test]
fn the_old_link_dies_and_the_expiry_is_renewed() {
    let story = team().having(ADMIN, invite()).at(second(60)).having(ADMIN, resend(INVITATION));
    story.when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InvitationClosed);
    story.when(STRANGER, decline_by_link(INVITATION, 1)).then_refused(Refusal::InvitationClosed);
    story.when(STRANGER, accept(INVITATION, 3)).then_refused(Refusal::InvitationClosed);
    let late = story.at(day(13));
    late.when(STRANGER, accept(INVITATION, 2)).then(accepted(STRANGER, "MEMBER", ADMIN));
    late.when(STRANGER, accept_from_list(INVITATION)).then(accepted(STRANGER, "MEMBER", ADMIN));
    late.at(day(14)).when(STRANGER, accept(INVITATION, 2)).then_refused(Refusal::InvitationExpired);
}

#[test]
fn an_invitation_is_sent_once_a_minute() {
    let story = team().having(ADMIN, invite());
    let refusal = || limit(1, "sending of an invitation a minute");
    let almost = second(60) - TimeDelta::microseconds(1);
    story.when(ADMIN, resend(INVITATION)).then_refused(refusal());
    story.clone().at(almost).when(ADMIN, resend(INVITATION)).then_refused(refusal());
    let resent = story.at(second(60)).having(ADMIN, resend(INVITATION));
    resent.clone().at(second(119)).when(ADMIN, resend(INVITATION)).then_refused(refusal());
    resent.at(second(120)).when(ADMIN, resend(INVITATION)).then_accepted();
}

#[test]
fn an_invitation_is_sent_ten_times_in_all() {
    let nine_more = (1..=9).fold(team().having(ADMIN, invite()), |story, minute| {
        story.at(second(60 * minute)).having(ADMIN, resend(INVITATION))
    });
    nine_more.when(STRANGER, accept(INVITATION, 10)).then_accepted();
    nine_more.at(second(600)).when(ADMIN, resend(INVITATION)).then_refused(limit(10, "sendings of an invitation"));
}

#[test]
fn who_resends_must_be_able_to_give_the_role() {
    let story = workspace().having(ADMIN, invite_as("CO_ADMIN")).at(second(60));
    story.when(MANAGER, resend(INVITATION)).then_refused(not_assignable("CO_ADMIN"));
    story.when(CO_ADMIN, resend(INVITATION)).then_refused(not_assignable("CO_ADMIN"));
    story.with(OTHER_ADMIN, "ADMIN").when(OTHER_ADMIN, resend(INVITATION)).then_accepted();
}

#[test]
fn resending_renews_what_an_inviter_who_is_gone_could_not_grant() {
    let story = workspace().having(MANAGER, invite()).having(ADMIN, remove(MANAGER)).at(second(60));
    story.when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InviterCannotGrant);
    story
        .having(ADMIN, resend(INVITATION))
        .when(STRANGER, accept(INVITATION, 2))
        .then(accepted(STRANGER, "MEMBER", ADMIN));
}

#[test]
fn an_ended_invitation_is_not_sent_again() {
    let story = team().having(ADMIN, invite()).at(second(60));
    for (who, ending) in
        [(STRANGER, accept(INVITATION, 1)), (STRANGER, decline(INVITATION)), (ADMIN, revoke(INVITATION))]
    {
        story.clone().having(who, ending).when(ADMIN, resend(INVITATION)).then_refused(Refusal::InvitationClosed);
    }
}

#[test]
fn an_unknown_invitation_is_not_found() {
    for action in [resend(INVITATION), revoke(INVITATION), accept(INVITATION, 1), decline(INVITATION)] {
        team().when(ADMIN, action).then_not_found("invitationId");
    }
}

#[test]
fn an_invitation_is_revoked_once() {
    let story = workspace().having(ADMIN, invite());
    story.when(MANAGER, revoke(INVITATION)).then([revoked(INVITATION)]);
    let revoked = story.having(ADMIN, revoke(INVITATION));
    revoked.when(ADMIN, revoke(INVITATION)).then_nothing();
    revoked.when(STRANGER, accept(INVITATION, 1)).then_refused(Refusal::InvitationClosed);
    revoked.when(STRANGER, decline(INVITATION)).then_refused(Refusal::InvitationClosed);
    assert_eq!(revoked.state(INVITATION), Some(InvitationState::Revoked));
}

#[test]
fn what_was_accepted_or_declined_is_not_revoked() {
    for ending in [accept(INVITATION, 1), decline(INVITATION)] {
        team()
            .having(ADMIN, invite())
            .having(STRANGER, ending)
            .when(ADMIN, revoke(INVITATION))
            .then_refused(Refusal::InvitationClosed);
    }
}

#[test]
fn resending_and_revoking_can_expect_a_version() {
    let story = team().having(ADMIN, invite()).at(second(60));
    let actual = story.organization.version();
    for action in [resend(INVITATION), revoke(INVITATION)] {
        story
            .clone()
            .expecting(actual - 1)
            .when(ADMIN, action.clone())
            .then_refused(Refusal::VersionMismatch { expected: actual - 1, actual });
        story.clone().expecting(actual).when(ADMIN, action).then_accepted();
    }
}
