//! Steps, and the commands they become.

use proptest::sample::{Index, select};

use super::*;

/// Who acts; admins more often, so that something happens.
const CAST: [UserId; 12] =
    [ADMIN, ADMIN, ADMIN, ADMIN, OTHER_ADMIN, CO_ADMIN, CO_ADMIN, MANAGER, MEMBER, AUDITOR, STRANGER, OTHER_STRANGER];

/// What is asked for, as the numbers of [`Machine::action`].
const WISHES: usize = 20;

/// One step, not yet resolved.
#[derive(Clone, Debug)]
pub(super) struct Step {
    actor: Index,
    wish: usize,
    person: Index,
    role: Index,
    key: Index,
    invitation: Index,
    pub(super) wait: TimeDelta,
    permissions: Permissions,
    created_keys: CreatedKeys,
    expected_version: Option<u64>,
    /// Decides what is asked now and then only.
    dice: u8,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let waits = [0, 0, 0, 1, 1, 60, 60, 24 * 60, 4 * 24 * 60].map(TimeDelta::minutes).to_vec();
    let permissions = prop_oneof![
        Just(Permissions::NONE),
        Just(Permissions::ALL),
        (0..1_i64 << 18).prop_map(Permissions::from_bits),
    ];
    let created_keys = select(vec![CreatedKeys::Keep, CreatedKeys::Disable, CreatedKeys::Revoke]);
    let expected_version = prop::option::weighted(0.1, 1..60_u64);
    let numbers = (any::<[Index; 5]>(), 0..WISHES, any::<u8>());
    let step = (numbers, select(waits), permissions, created_keys, expected_version).prop_map(
        |(([actor, person, role, key, invitation], wish, dice), wait, permissions, created_keys, expected_version)| {
            Step { actor, wish, person, role, key, invitation, wait, permissions, created_keys, expected_version, dice }
        },
    );
    prop::collection::vec(step, 1..60)
}

pub(super) fn kinds() -> impl Strategy<Value = Kind> {
    select(vec![Kind::Team, Kind::Workspace])
}

/// Steps become commands.
impl Machine {
    pub(super) fn command(&self, step: &Step) -> Command {
        let action = self.action(step);
        let recipient = match &action {
            Action::AcceptInvitation { invitation, .. } | Action::DeclineInvitation { invitation, .. } => {
                self.invitations.get(invitation).map(|sent| sent.user.actor())
            }
            _ => None,
        };
        let anybody = || {
            let people = CAST.into_iter().map(Acts::actor);
            let all: Vec<_> = people.chain(self.keys.iter().map(|key| key.actor())).chain([key(0).actor()]).collect();
            *step.actor.get(&all)
        };
        let actor = recipient.filter(|_| step.dice < 200).unwrap_or_else(anybody);
        Command { actor, now: self.now, expected_version: step.expected_version, action }
    }

    fn action(&self, step: &Step) -> Action {
        let seldom = step.dice < 20;
        let member = *step.person.get(&CAST);
        let invitation = self.pick_invitation(step);
        let api_key = self.pick_key(step);
        let created_keys = step.created_keys;
        match step.wish {
            0 => create(self.kind),
            1 => rename(if seldom { "Acme" } else { "Other" }),
            2 => Action::UpdateOrganization {
                name: None,
                description: seldom.then_some(text("Makes anvils.")),
                default_role: Some(self.pick_role(step)),
            },
            3 => Action::LeaveOrganization { created_keys },
            4 => Action::DeleteOrganization { confirm_name: if seldom { "Acme" } else { "Anvil" }.to_owned() },
            5 | 6 => Action::ChangeMemberRole { member, role: self.pick_role(step) },
            7 => Action::DeactivateMember { member, created_keys },
            8 => Action::ReactivateMember { member },
            9 => Action::RemoveMember { member, created_keys },
            10 => self.invite(step),
            11 => Action::ResendInvitation { invitation, expires_at: self.now + TimeDelta::days(2) },
            12 if seldom => Action::RevokeInvitation { invitation },
            12 | 13 => self.accept(step, invitation),
            14 => decline(invitation),
            15 => self.create_key(step),
            16 => self.update_key(step, api_key),
            17 if seldom => Action::RevokeApiKey { api_key },
            17 => Action::EnableApiKey { api_key },
            18 => Action::DisableApiKey { api_key },
            _ => rotate(api_key),
        }
    }

    fn pick_role(&self, step: &Step) -> RoleId {
        let foreign = role("DEV_ADMIN");
        let all: Vec<_> = self.kind.rules().roles.iter().map(|role| role.id).chain([foreign]).collect();
        *step.role.get(&all)
    }

    fn pick_key(&self, step: &Step) -> ApiKeyId {
        if self.keys.is_empty() { key(0) } else { *step.key.get(&self.keys) }
    }

    fn pick_invitation(&self, step: &Step) -> InvitationId {
        let all: Vec<_> = self.invitations.keys().copied().collect();
        if all.is_empty() { invitation(0) } else { *step.invitation.get(&all) }
    }

    /// Two people, or one twice, with the default role and with another one.
    fn invite(&self, step: &Step) -> Action {
        let all = [STRANGER, OTHER_STRANGER, *step.person.get(&CAST)];
        let second = InvitationRow {
            role: Some(self.pick_role(step)),
            replace: step.dice.is_multiple_of(2),
            ..row(invitation(self.next_id + 1), *step.invitation.get(&all))
        };
        let rows = vec![row(invitation(self.next_id), *step.key.get(&all)), second];
        Action::InviteMembers { rows, expires_at: self.now + TimeDelta::days(2) }
    }

    fn accept(&self, step: &Step, invitation: InvitationId) -> Action {
        let current = self.invitations.get(&invitation).map(|sent| sent.generation);
        Action::AcceptInvitation {
            invitation,
            generation: if step.dice.is_multiple_of(3) { Some(1) } else { current },
            email_commitment: commitment(),
            organizations: u32::from(step.dice) % 101,
            masked_email: MASKED.to_owned(),
        }
    }

    fn create_key(&self, step: &Step) -> Action {
        let name = *step.role.get(&["deploy", "Deploy", "reports", "agent", "backup"]);
        let expires_at = step.dice.is_multiple_of(2).then_some(self.now + TimeDelta::days(1));
        NewKey { permissions: step.permissions, expires_at, ..new_key(key(self.next_id)).named(name) }.into()
    }

    fn update_key(&self, step: &Step, api_key: ApiKeyId) -> Action {
        Action::UpdateApiKey {
            api_key,
            name: step.dice.is_multiple_of(3).then(|| name("deploy")),
            description: step.dice.is_multiple_of(5).then(|| text("Deploys.")),
            permissions: Some(step.permissions),
            rate_limit: None,
            expires_at: step.dice.is_multiple_of(2).then_some(Some(self.now + TimeDelta::hours(12))),
        }
    }
}
