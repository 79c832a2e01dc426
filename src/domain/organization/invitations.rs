//! Invitations: sent, resent, and ended in one of four ways.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    Action, Command, Decided, Event, InvitationRow, Organization,
    ask::{Ask, OrganizationAction},
    members::MEMBERS,
    profile::check_organizations,
};
use crate::domain::{
    Timestamp,
    actor::Actor,
    ids::{InvitationId, RoleId, UserId},
    refusal::Refusal,
};

/// How many invitations of an organization may be pending.
pub const PENDING_INVITATIONS: usize = 1000;
/// How many people one command invites.
pub const INVITATIONS_AT_ONCE: usize = 50;
/// How often an invitation is sent in all.
pub const SENDINGS: u32 = 10;
/// How long to wait between two sendings, in seconds.
pub const SECONDS_BETWEEN_SENDINGS: i64 = 60;

/// What an invitation is. That it has expired follows from the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InvitationState {
    /// Open, if its time is not over.
    Pending,
    /// The person joined by it.
    Accepted,
    /// The person said no.
    Declined,
    /// It was withdrawn or replaced.
    Revoked,
}

impl InvitationState {
    /// The permanent name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Accepted => "ACCEPTED",
            Self::Declined => "DECLINED",
            Self::Revoked => "REVOKED",
        }
    }
}

/// An invitation of one person with one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    user: UserId,
    role: RoleId,
    state: InvitationState,
    /// Which sending's link is good; the first is 1.
    generation: u32,
    invited_by: Actor,
    sent_at: Timestamp,
    expires_at: Timestamp,
    version: u64,
}

impl Invitation {
    fn pending_at(&self, now: Timestamp) -> bool {
        self.state == InvitationState::Pending && now < self.expires_at
    }

    /// Expired is an end state like the others, though no event says so.
    fn must_not_have_expired(&self, now: Timestamp) -> Result<(), Refusal> {
        if now < self.expires_at { Ok(()) } else { Err(Refusal::InvitationExpired) }
    }

    /// What it is, the clock aside.
    #[must_use]
    pub const fn state(&self) -> InvitationState {
        self.state
    }
}

/// What became of one row of an invitation command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invited {
    /// The invitation that is pending now.
    pub invitation: InvitationId,
    /// Whether it was pending before, so that nothing was sent.
    pub already_pending: bool,
}

impl Organization {
    /// Every invitation there ever was.
    pub fn invitations(&self) -> impl Iterator<Item = (InvitationId, &Invitation)> {
        self.invitations.iter().map(|(id, invitation)| (*id, invitation))
    }

    /// The pending invitations that give a role, in no order.
    pub(super) fn pending_invitations_with(&self, role: RoleId, now: Timestamp) -> Vec<InvitationId> {
        let pending = |id: &&InvitationId| {
            self.invitations.get(*id).is_some_and(|found| found.role == role && found.pending_at(now))
        };
        self.open_invitations.values().filter(pending).copied().collect()
    }

    /// The invitation that waits for a person's answer.
    pub(super) fn open_invitation(&self, user: UserId, now: Timestamp) -> Option<InvitationId> {
        let id = self.open_invitations.get(&user)?;
        self.invitations.get(id).filter(|invitation| invitation.pending_at(now)).map(|_| *id)
    }

    fn invitation(&self, id: InvitationId) -> Result<&Invitation, Refusal> {
        self.invitations.get(&id).ok_or(Refusal::NotFound { field: "invitationId" })
    }

    pub(super) fn decide_invitations(&self, command: &Command) -> Result<Decided, Refusal> {
        match &command.action {
            Action::InviteMembers { rows, expires_at } => self.invite(command, rows, *expires_at),
            Action::ResendInvitation { invitation, expires_at } => self.resend(command, *invitation, *expires_at),
            Action::RevokeInvitation { invitation: invitation_id } => {
                self.may(command.actor, &Ask::about(OrganizationAction::RevokeInvitation), command.now)?;
                let invitation_id = *invitation_id;
                let invitation = self.invitation(invitation_id)?;
                command.expect_version(invitation.version)?;
                match invitation.state {
                    InvitationState::Pending => {
                        invitation.must_not_have_expired(command.now)?;
                        Ok(vec![Event::InvitationRevoked { invitation_id }].into())
                    }
                    InvitationState::Revoked => Ok(Decided::default()),
                    InvitationState::Accepted | InvitationState::Declined => Err(Refusal::InvitationClosed),
                }
            }
            Action::AcceptInvitation { .. } => self.accept(command),
            Action::DeclineInvitation { invitation, generation, masked_email } => {
                let (_, found) = self.received(command.actor, *invitation, *generation, masked_email)?;
                match found.state {
                    InvitationState::Pending => {
                        found.must_not_have_expired(command.now)?;
                        Ok(vec![Event::InvitationDeclined { invitation_id: *invitation }].into())
                    }
                    InvitationState::Declined => Ok(Decided::default()),
                    InvitationState::Accepted | InvitationState::Revoked => Err(Refusal::InvitationClosed),
                }
            }
            _ => Ok(Decided::default()),
        }
    }

    fn invite(&self, command: &Command, rows: &[InvitationRow], expires_at: Timestamp) -> Result<Decided, Refusal> {
        // Before any row: whether this caller can invite anybody at all, whatever the role.
        if let Err(refusal) = self.may(command.actor, &Ask::about(OrganizationAction::InviteMember), command.now)
            && !matches!(refusal, Refusal::RoleNotAssignable { .. } | Refusal::PermissionNotHeld { .. })
        {
            return Err(refusal);
        }
        if rows.len() > INVITATIONS_AT_ONCE {
            return Err(Refusal::LimitReached { limit: 50, what: "invitations at once" });
        }
        let mut decided = Decided::default();
        let mut batch = Batch { pending: self.pending_count(command.now), sent: HashMap::new() };
        for row in rows {
            let invited = self.invite_one(command, row, expires_at, &mut batch, &mut decided.events);
            decided.notes.invited.push(invited);
        }
        Ok(decided)
    }

    fn invite_one(
        &self,
        command: &Command,
        row: &InvitationRow,
        expires_at: Timestamp,
        batch: &mut Batch,
        events: &mut Vec<Event>,
    ) -> Result<Invited, Refusal> {
        let ask = Ask { role: row.role, ..Ask::about(OrganizationAction::InviteMember) };
        self.may(command.actor, &ask, command.now)?;
        if self.member(row.user).is_ok() {
            return Err(Refusal::AlreadyAMember);
        }
        let role_id = row.role.or(self.default_role).ok_or(Refusal::NotFound { field: "roleId" })?;
        let before = self.open_invitations.get(&row.user).and_then(|id| {
            self.invitations.get(id).map(|invitation| (*id, invitation.role, invitation.pending_at(command.now)))
        });
        let before = batch.sent.get(&row.user).map(|(id, role)| (*id, *role, true)).or(before);
        match before {
            Some((invitation, role, true)) if role == role_id => {
                return Ok(Invited { invitation, already_pending: true });
            }
            Some((_, _, true)) if !row.replace => return Err(Refusal::InvitationPending),
            Some((invitation_id, _, true)) => {
                events.push(Event::InvitationRevoked { invitation_id });
                batch.pending -= 1;
            }
            Some((_, _, false)) | None => {}
        }
        if batch.pending >= PENDING_INVITATIONS {
            return Err(Refusal::LimitReached { limit: 1000, what: "pending invitations" });
        }
        events.push(Event::InvitationSent {
            invitation_id: row.invitation,
            user_id: row.user,
            role_id,
            email_commitment: row.email_commitment.clone(),
            invited_by: command.actor,
            sent_at: command.now,
            expires_at,
        });
        batch.pending += 1;
        batch.sent.insert(row.user, (row.invitation, role_id));
        Ok(Invited { invitation: row.invitation, already_pending: false })
    }

    /// Expired ones are told apart only when the limit is near: until then the number that is open will do.
    fn pending_count(&self, now: Timestamp) -> usize {
        let open = self.open_invitations.len();
        if open + INVITATIONS_AT_ONCE <= PENDING_INVITATIONS {
            return open;
        }
        let pending = |id| self.invitations.get(id).is_some_and(|invitation| invitation.pending_at(now));
        self.open_invitations.values().filter(|id| pending(*id)).count()
    }

    fn resend(
        &self,
        command: &Command,
        invitation_id: InvitationId,
        expires_at: Timestamp,
    ) -> Result<Decided, Refusal> {
        self.may(command.actor, &Ask::about(OrganizationAction::ResendInvitation), command.now)?;
        let invitation = self.invitation(invitation_id)?;
        // The resender becomes the inviter, so they must be able to give the role. Only one that has ended may have a role
        // that is gone.
        if self.role(invitation.role).is_ok() {
            self.may(command.actor, &Ask::about(OrganizationAction::InviteMember).role(invitation.role), command.now)?;
        }
        command.expect_version(invitation.version)?;
        if invitation.state != InvitationState::Pending {
            return Err(Refusal::InvitationClosed);
        }
        invitation.must_not_have_expired(command.now)?;
        if (command.now - invitation.sent_at).num_seconds() < SECONDS_BETWEEN_SENDINGS {
            return Err(Refusal::LimitReached { limit: 1, what: "sending of an invitation a minute" });
        }
        if invitation.generation >= SENDINGS {
            return Err(Refusal::LimitReached { limit: SENDINGS, what: "sendings of an invitation" });
        }
        Ok(vec![Event::InvitationResent {
            invitation_id,
            generation: invitation.generation + 1,
            invited_by: command.actor,
            sent_at: command.now,
            expires_at,
        }]
        .into())
    }

    /// The invitation as its recipient meets it: by a link of the current generation, or in their own list.
    fn received(
        &self,
        actor: Actor,
        id: InvitationId,
        generation: Option<u32>,
        masked_email: &str,
    ) -> Result<(UserId, &Invitation), Refusal> {
        let user = actor.user().ok_or(Refusal::UserRequired)?;
        let invitation = self.invitation(id)?;
        if invitation.user != user {
            return Err(Refusal::WrongRecipient { masked: masked_email.to_owned() });
        }
        if generation.is_some_and(|generation| generation != invitation.generation) {
            return Err(Refusal::InvitationClosed);
        }
        Ok((user, invitation))
    }

    fn accept(&self, command: &Command) -> Result<Decided, Refusal> {
        let Action::AcceptInvitation { invitation: id, generation, email_commitment, organizations, masked_email } =
            &command.action
        else {
            return Ok(Decided::default());
        };
        let (user_id, invitation) = self.received(command.actor, *id, *generation, masked_email)?;
        let member = self.member(user_id).is_ok();
        match invitation.state {
            InvitationState::Accepted if member => return Ok(Decided::default()),
            InvitationState::Pending => {}
            _ => return Err(Refusal::InvitationClosed),
        }
        invitation.must_not_have_expired(command.now)?;
        if member {
            return Err(Refusal::AlreadyAMember);
        }
        let ask = Ask::about(OrganizationAction::InviteMember).role(invitation.role);
        self.may(invitation.invited_by, &ask, command.now).map_err(|_| Refusal::InviterCannotGrant)?;
        if self.member_count >= MEMBERS {
            return Err(Refusal::LimitReached { limit: MEMBERS, what: "members" });
        }
        check_organizations(*organizations)?;
        Ok(vec![
            Event::InvitationAccepted { invitation_id: *id },
            Event::MemberJoined {
                user_id,
                role_id: invitation.role,
                invitation_id: Some(*id),
                invited_by: Some(invitation.invited_by),
                email_commitment: email_commitment.clone(),
            },
        ]
        .into())
    }

    pub(super) fn evolve_invitations(&mut self, event: &Event) {
        let version = self.version;
        match event {
            Event::InvitationSent { invitation_id, user_id, role_id, invited_by, sent_at, expires_at, .. } => {
                self.open_invitations.insert(*user_id, *invitation_id);
                self.invitations.insert(
                    *invitation_id,
                    Invitation {
                        user: *user_id,
                        role: *role_id,
                        state: InvitationState::Pending,
                        generation: 1,
                        invited_by: *invited_by,
                        sent_at: *sent_at,
                        expires_at: *expires_at,
                        version,
                    },
                );
            }
            Event::InvitationResent { invitation_id, generation, invited_by, sent_at, expires_at } => {
                if let Some(invitation) = self.invitations.get_mut(invitation_id) {
                    *invitation = Invitation {
                        generation: *generation,
                        invited_by: *invited_by,
                        sent_at: *sent_at,
                        expires_at: *expires_at,
                        version,
                        ..*invitation
                    };
                }
            }
            Event::InvitationRoleChanged { invitation_id, to, invited_by, .. } => {
                if let Some(invitation) = self.invitations.get_mut(invitation_id) {
                    *invitation = Invitation { role: *to, invited_by: *invited_by, version, ..*invitation };
                }
            }
            Event::InvitationAccepted { invitation_id } => self.end(*invitation_id, InvitationState::Accepted),
            Event::InvitationDeclined { invitation_id } => self.end(*invitation_id, InvitationState::Declined),
            Event::InvitationRevoked { invitation_id } => self.end(*invitation_id, InvitationState::Revoked),
            _ => {}
        }
    }

    fn end(&mut self, id: InvitationId, state: InvitationState) {
        if let Some(invitation) = self.invitations.get_mut(&id) {
            invitation.state = state;
            invitation.version = self.version;
            if self.open_invitations.get(&invitation.user) == Some(&id) {
                self.open_invitations.remove(&invitation.user);
            }
        }
    }
}

/// What the rows before this one have done.
struct Batch {
    pending: usize,
    sent: HashMap<UserId, (InvitationId, RoleId)>,
}
