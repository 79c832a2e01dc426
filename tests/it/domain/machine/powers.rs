//! No amplification: whoever can do more after a command than before it was given no more than the giver held.
//!
//! Powers are compared before and after, whatever the events say of it: a path that nobody thought of gives power
//! too, and is found here.

use orgledger::domain::organization::{api_keys::KeyStatus, event::ExpiryChange, members::MemberStatus};

use super::{
    mirror::{KeySeen, Mirror, RoleSeen},
    *,
};

/// What a person or a key can do, or could if they were not resting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Power {
    pub(super) level: u8,
    pub(super) owner: bool,
    pub(super) permissions: Permissions,
    /// Whether they are not resting.
    pub(super) acts: bool,
}

impl Power {
    pub(super) fn holds(self, permissions: Permissions) -> bool {
        permissions.without(self.permissions).is_empty()
    }

    /// Owners may give every role, everybody else what is below them; nobody what they do not hold.
    pub(super) fn can_give(self, role: &RoleSeen) -> bool {
        self.acts && self.holds(role.permissions) && (self.owner || role.level > self.level)
    }

    fn can_act_on(self, target: Self) -> bool {
        target.level > self.level || (self.owner && target.owner)
    }
}

impl Mirror {
    /// What the actor can do; nothing, if they do not belong here or have ended.
    pub(super) fn power(&self, actor: Actor, now: Timestamp) -> Option<Power> {
        match actor {
            Actor::User(id) => {
                let member = self.members.get(&id).filter(|member| member.status != MemberStatus::Former)?;
                let RoleSeen { level, owner, permissions, .. } = *self.roles.get(&member.role)?;
                Some(Power { level, owner, permissions, acts: member.status == MemberStatus::Active })
            }
            Actor::ApiKey(id) => {
                let key = self.api_keys.get(&id).filter(|key| key.status != KeyStatus::Revoked)?;
                let KeySeen { level, permissions, status, expires_at, .. } = *key;
                let acts = status == KeyStatus::Active && expires_at.is_none_or(|end| now < end);
                Some(Power { level, owner: false, permissions, acts })
            }
            Actor::Operator => None,
        }
    }

    /// Everybody and everything that can act, or could.
    pub(super) fn powers(&self, now: Timestamp) -> impl Iterator<Item = (Actor, Power)> {
        let people = self.members.keys().map(|id| id.actor());
        let everybody = people.chain(self.api_keys.keys().map(|id| id.actor()));
        everybody.filter_map(move |actor| Some((actor, self.power(actor, now)?)))
    }
}

/// Who accepts takes what the inviter can give at that moment; everybody else takes what the actor gives.
fn giver(before: &Mirror, command: &Command) -> Actor {
    let inviter = match &command.action {
        Action::AcceptInvitation { invitation, .. } => before.invitations.get(invitation).map(|seen| seen.invited_by),
        _ => None,
    };
    inviter.unwrap_or(command.actor)
}

/// Compares everybody's powers before and after a command that was accepted.
pub(super) fn check_gains(before: &Mirror, after: &Mirror, command: &Command) -> TestCaseResult {
    if !before.lives() || !after.lives() {
        return Ok(());
    }
    for (subject, power) in after.powers(command.now) {
        let had = before.power(subject, command.now);
        check_gain(before, command, subject, had, power)
            .map_err(|error| TestCaseError::fail(format!("{error}: {subject:?} had {had:?} and has {power:?}")))?;
    }
    Ok(())
}

fn check_gain(before: &Mirror, command: &Command, subject: Actor, had: Option<Power>, has: Power) -> TestCaseResult {
    let added = has.permissions.without(had.map_or(Permissions::NONE, |had| had.permissions));
    let rises = had.is_none_or(|had| has.level < had.level || has.owner && !had.owner);
    let wakes = had.is_some_and(|had| has.acts && !had.acts);
    if added.is_empty() && !rises && !wakes {
        return Ok(());
    }
    let giver = giver(before, command);
    prop_assert_ne!(giver, subject, "nobody gives to themselves");
    let giver = before.power(giver, command.now).filter(|giver| giver.acts);
    let Some(giver) = giver else { return Err(TestCaseError::fail("given by nobody who could")) };
    match subject {
        // A reactivation gives back the role that the person held all the time, as it stands now: what was added to
        // it meanwhile was given to its holders by somebody who held it. So it asks for rank only.
        Actor::User(_) if wakes => {
            prop_assert!(matches!(command.action, Action::ReactivateMember { .. }), "woken by another command");
            prop_assert!(added.is_empty() && !rises, "a reactivation gives back the role held, and no more");
            prop_assert!(giver.can_act_on(has), "woken from below");
        }
        Actor::User(_) => {
            prop_assert!(giver.holds(added), "given by who did not hold it");
            prop_assert!(giver.owner || has.level > giver.level, "raised to the giver's rank");
        }
        // A key that comes to life again gives all that it holds to who has its secret.
        Actor::ApiKey(_) => {
            prop_assert!(giver.holds(if wakes { has.permissions } else { added }), "given by who did not hold it");
            prop_assert!(had.is_none() || had.map(|had| had.level) == Some(has.level), "the level of a key is fixed");
            prop_assert!(had.is_some() || has.level == giver.level.max(2), "a key has its creator's level");
        }
        Actor::Operator => prop_assert!(false, "the operator holds nothing"),
    }
    Ok(())
}

/// What a single event gives, though nobody may have it yet: to an invitation, to the default role, to who knows a
/// new secret; and who stands high enough for it.
pub(super) fn check_gift(before: &Mirror, command: &Command, event: &Event) -> TestCaseResult {
    let giver = giver(before, command);
    let Some(by) = before.power(giver, command.now) else {
        prop_assert!(!before.lives() || gives_nothing(event), "{:?} by nobody who belongs here", event);
        return Ok(());
    };
    let can_give = |role: &RoleId| before.roles.get(role).is_some_and(|role| by.can_give(role));
    let can_invite = |role: &RoleId| {
        can_give(role) && (by.permissions.has(Permission::MembersAssignRole) || before.default_role == Some(*role))
    };
    let above = |user: UserId| {
        let target = before.power(user.actor(), command.now);
        target.is_some_and(|target| by.can_act_on(target))
    };
    let above_role = |role: &RoleId| {
        before.roles.get(role).is_some_and(|role| role.level > by.level && !role.built_in && !role.owner)
    };
    let key = |id: &ApiKeyId| before.api_keys.get(id);
    // The maker of a key may act on it from beside.
    let obeys = |id: &ApiKeyId| {
        let made = |of: Actor| of == command.actor;
        key(id).is_some_and(|key| key.level > by.level || (key.level == by.level && made(key.created_by)))
    };
    let gives_key = |id: &ApiKeyId| obeys(id) && key(id).is_some_and(|key| by.holds(key.permissions));
    let allowed = match event {
        Event::MemberRoleChanged { user_id, to, .. } if user_id.actor() == command.actor => {
            before.roles.get(to).is_some_and(|role| role.level > by.level && by.holds(role.permissions))
        }
        Event::MemberRoleChanged { user_id, to, .. } => above(*user_id) && can_give(to),
        Event::MemberOwnershipTransferred { former_owner_id, former_owner_role_id, .. } => {
            let below = before.roles.get(former_owner_role_id).is_some_and(|role| !role.owner);
            by.owner && former_owner_id.actor() == command.actor && below
        }
        Event::MemberDeactivated { user_id }
        | Event::MemberReactivated { user_id }
        | Event::MemberRemoved { user_id, .. } => above(*user_id),
        Event::OrganizationDefaultRoleChanged { to, .. } => can_give(to),
        Event::InvitationSent { role_id, invited_by, .. } => *invited_by == command.actor && can_invite(role_id),
        Event::InvitationResent { invitation_id, invited_by, .. } => {
            let role = before.invitations.get(invitation_id).map(|seen| seen.role);
            *invited_by == command.actor && role.is_some_and(|role| can_invite(&role))
        }
        Event::MemberJoined { role_id, invited_by, .. } => *invited_by == Some(giver) && can_invite(role_id),
        Event::InvitationRoleChanged { to, invited_by, .. } => *invited_by == command.actor && can_invite(to),
        Event::RoleCreated { level, permissions, .. } => *level > by.level && by.holds(*permissions),
        Event::RoleUpdated { role_id, level, permissions, .. } => {
            let added = permissions.as_ref().map_or(Permissions::NONE, |change| change.to.without(change.from));
            let stays_below = level.as_ref().is_none_or(|change| change.to > by.level);
            above_role(role_id) && stays_below && by.holds(added)
        }
        Event::RoleDeleted { role_id, .. } => above_role(role_id),
        Event::ApiKeyCreated { created_by, .. } => *created_by == command.actor,
        Event::ApiKeyUpdated {
            api_key_id,
            permissions,
            expires_at: Some(ExpiryChange { from: Some(from), to }),
            ..
        } if to.is_none_or(|to| to > *from) => {
            // More time is a gift of everything that is in the key afterwards.
            let after = permissions.as_ref().map(|change| change.to);
            obeys(api_key_id) && key(api_key_id).is_some_and(|key| by.holds(after.unwrap_or(key.permissions)))
        }
        Event::ApiKeyUpdated { api_key_id, .. }
        | Event::ApiKeyDisabled { api_key_id }
        | Event::ApiKeyRevoked { api_key_id, .. } => obeys(api_key_id),
        Event::ApiKeyEnabled { api_key_id } | Event::ApiKeyRotated { api_key_id, .. } => gives_key(api_key_id),
        _ => true,
    };
    prop_assert!(allowed, "{:?} by {:?}, who stands too low or does not hold it", event, by);
    Ok(())
}

/// What the operator says, who declines, and what ends with a person.
const fn gives_nothing(event: &Event) -> bool {
    matches!(
        event,
        Event::OrganizationCertified {}
            | Event::OrganizationCertificationRejected {}
            | Event::InvitationDeclined { .. }
            | Event::MemberLeft { .. }
            | Event::InvitationRevoked { .. }
            | Event::OrganizationDeleted {}
    )
}
