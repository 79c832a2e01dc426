//! What the access policy says about invitations: to those who send them, and to those who get them.

use super::{
    sheet::{Line, Sheet, told},
    *,
};

/// An invitation of [`STRANGER`] by the owner, sent at the beginning of day 0.
fn sent(by: UserId, role_id: RoleId) -> Event {
    Event::InvitationSent {
        invitation_id: INVITATION,
        user_id: STRANGER,
        role_id,
        email_commitment: commitment(),
        invited_by: by.actor(),
        sent_at: day(0),
        expires_at: day(7),
    }
}

pub(super) fn ask(sheet: &mut Sheet<'_>) {
    let world = sheet.world;
    let default = world.kind.rules().default_invitation_role().id;
    let with = |given: RoleId| world.story.clone().given(sent(world.owner(), given)).at(second(60));
    let with_role = |given: RoleId| InvitationRow { role: Some(given), ..row(OTHER_INVITATION, STRANGER) };

    sheet.plain("inviteMember", "with the default role", invite());
    for rank in &world.roles {
        let action = invite_all([with_role(rank.id)]);
        sheet.plain("inviteMember", format!("with the role {}", rank.key), action);
    }
    sheet.plain("inviteMember", "who is a member already", invite_all([row(INVITATION, world.owner())]));
    sheet.line("inviteMember", "who is invited already", [(with(default), invite())]);
    let auditor = role("AUDITOR");
    sheet.line("inviteMember", "who is invited with another role", [(with(auditor), invite())]);
    let replace = invite_all([InvitationRow { replace: true, ..row(OTHER_INVITATION, STRANGER) }]);
    sheet.line("inviteMember", "the same, in place of the other role", [(with(auditor), replace)]);
    let owner_role = with_role(world.kind.rules().owner_role().id);
    let two = invite_all([row(INVITATION, OTHER_STRANGER), owner_role]);
    sheet.plain("inviteMembers", "one with the default role, one with the owners' role", two);

    for rank in world.sendable() {
        sheet.line("resendInvitation", format!("with the role {}", rank.key), [(with(rank.id), resend(INVITATION))]);
    }
    let revoke = || Action::RevokeInvitation { invitation: INVITATION };
    let revoked = with(default).given(Event::InvitationRevoked { invitation_id: INVITATION });
    let accepted = with(default).given(Event::InvitationAccepted { invitation_id: INVITATION });
    sheet.line("resendInvitation", "within a minute", [(with(default).at(second(59)), resend(INVITATION))]);
    sheet.line("resendInvitation", "which has expired", [(with(default).at(day(7)), resend(INVITATION))]);
    sheet.line("resendInvitation", "which is revoked", [(revoked.clone(), resend(INVITATION))]);

    let every_role = world.sendable().map(|rank| (with(rank.id), revoke()));
    sheet.line("revokeInvitation", "with whatever role", every_role.collect::<Vec<_>>());
    sheet.line("revokeInvitation", "which has expired", [(with(default).at(day(7)), revoke())]);
    sheet.line("revokeInvitation", "which is revoked", [(revoked, revoke())]);
    sheet.line("revokeInvitation", "which is accepted", [(accepted, revoke())]);
}

impl World {
    /// The roles that an invitation can have. Where there is one owner, nobody was ever invited as another.
    fn sendable(&self) -> impl Iterator<Item = &Rank> {
        let one_owner = self.kind.rules().owners == OwnerRule::ExactlyOne;
        self.roles.iter().filter(move |rank| !(rank.owner && one_owner))
    }
}

/// The answers to who was invited: once to accept, once to decline.
pub(super) fn answers() -> [Vec<Line>; 2] {
    ["acceptInvitation", "declineInvitation"].map(|mutation| {
        let action = |generation| match mutation {
            "acceptInvitation" => accept(INVITATION, generation),
            _ => Action::DeclineInvitation {
                invitation: INVITATION,
                generation: Some(generation),
                masked_email: MASKED.to_owned(),
            },
        };
        let line = |(case, story, actor, generation): (&str, Story, Actor, u32)| Line {
            mutation: "",
            case: case.to_owned(),
            answer: Some(told(&story, actor, action(generation))),
        };
        cases().into_iter().map(line).collect()
    })
}

/// What an invited person can meet, with the link they have.
fn cases() -> Vec<(&'static str, Story, Actor, u32)> {
    let (me, invitation_id) = (STRANGER.actor(), INVITATION);
    let pending = || workspace().having(ADMIN, new_key(KEY)).given(sent(CO_ADMIN, role("MANAGER")));
    let ended = |event| pending().given(event);
    let resent = Event::InvitationResent {
        invitation_id,
        generation: 2,
        invited_by: CO_ADMIN.actor(),
        sent_at: day(1),
        expires_at: day(8),
    };
    let joined = || ended(Event::InvitationAccepted { invitation_id }).with(STRANGER, "MANAGER");
    vec![
        ("one's own, which is pending", pending(), me, 1),
        ("one's own, by the link of an earlier sending", ended(resent), me, 1),
        ("one's own, which has expired", pending().at(day(7)), me, 1),
        ("one's own, which is revoked", ended(Event::InvitationRevoked { invitation_id }), me, 1),
        ("one's own, which is declined", ended(Event::InvitationDeclined { invitation_id }), me, 1),
        ("one's own, by which one is a member", joined(), me, 1),
        ("one's own, by which one was a member", joined().having(STRANGER, leave()), me, 1),
        ("one's own, while a member in another way", pending().with(STRANGER, "MEMBER"), me, 1),
        (
            "one's own, whose inviter stands too low by now",
            pending().having(ADMIN, change_role(CO_ADMIN, "MEMBER")),
            me,
            1,
        ),
        ("one's own, whose inviter has left", pending().having(CO_ADMIN, leave()), me, 1),
        ("somebody else's", pending(), MANAGER.actor(), 1),
        ("as an API key", pending(), KEY.actor(), 1),
        ("of a deleted organization", pending().having(ADMIN, delete()), me, 1),
    ]
}
