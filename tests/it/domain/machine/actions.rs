//! What a step asks for, once it is known who asks.

use proptest::sample::Index;

use super::{
    names::Wish,
    steps::{CAST, Step},
    *,
};

/// Short enough that two are the same now and then, whatever their case; some are those of built-in roles.
const ROLE_NAMES: [&str; 6] = ["Support", "support", "Release crew", "Release-Crew", "Admin", "Observer"];
const KEY_NAMES: [&str; 5] = ["deploy", "Deploy", "reports", "agent", "backup"];

fn pick_name(index: Index, names: &[&'static str]) -> &'static str {
    index.get::<&'static str>(names)
}

/// Never in the past, but for now and then.
fn key_time(step: &Step) -> TimeDelta {
    TimeDelta::hours(if step.dice[0] < 10 { 0 } else { i64::from(step.dice[0]) % 30 + 1 })
}

impl Machine {
    pub(super) fn command(&self, step: &Step) -> Command {
        let step = &Step { wish: self.likely_wish(step), ..step.clone() };
        let invitation = self.pick_invitation(step);
        let actor = self.pick_actor(step, invitation);
        let action = self.action(step, actor, invitation);
        Command { actor, now: self.now, expected_version: step.expected_version, action }
    }

    #[expect(clippy::too_many_lines, reason = "one match over every action")]
    fn action(&self, step: &Step, actor: Actor, invitation: InvitationId) -> Action {
        let [_, dice, rare] = step.dice;
        let seldom = rare < 32;
        let member = self.pick_person(step, actor);
        let api_key = self.pick_key(step);
        let created_keys = step.created_keys;
        let given_role = self.pick_role(step.role, actor, dice);
        let other_role = self.pick_role(step.other_role, actor, dice);
        match step.wish {
            Wish::CreateOrganization => {
                let name = name("Acme");
                let kind = if seldom { Kind::Personal } else { self.kind };
                let (description, organizations) = (None, u32::from(dice) % 101);
                Action::CreateOrganization { kind, name, description, email_commitment: commitment(), organizations }
            }
            Wish::CreatePersonalOrganization => Action::CreatePersonalOrganization { email_commitment: commitment() },
            Wish::UpdateOrganization => Action::UpdateOrganization {
                name: dice.is_multiple_of(3).then(|| name(if seldom { "Acme" } else { "Other" })),
                description: dice.is_multiple_of(5).then_some(text(if seldom { "" } else { "Makes anvils." })),
                default_role: match dice % 4 {
                    0 => None,
                    1 => Some(given_role),
                    _ => Some(self.pick_custom_role(step, actor)),
                },
            },
            Wish::SetLogo => {
                let hash = ContentHash::new([dice % 3; 32]);
                Action::SetLogo { logo: Logo { hash, media_type: MediaType::Png } }
            }
            Wish::RemoveLogo => Action::RemoveLogo,
            Wish::ExportAuditLog => Action::ExportAuditLog { format: ExportFormat::Csv, filtered: seldom },
            Wish::LeaveOrganization => Action::LeaveOrganization { created_keys },
            Wish::DeleteOrganization => {
                let confirm_name = if rare < 80 { self.mirror.name.clone() } else { "Anvil".to_owned() };
                Action::DeleteOrganization { confirm_name }
            }
            Wish::RequestCertification => Action::RequestCertification,
            Wish::DecideCertification => {
                let certify = dice.is_multiple_of(2);
                let decision = if certify { CertificationDecision::Certify } else { CertificationDecision::Reject };
                Action::DecideCertification { decision }
            }
            Wish::RequestDataExport => {
                let export = DataExportId(Uuid::from_u128(self.next_id));
                let outlived = if seldom { None } else { self.mirror.data_export };
                Action::RequestDataExport { export, outlived }
            }
            Wish::ErasePerson => Action::ErasePerson { user: member },
            Wish::TransferOwnership => {
                let former_owner_role = (!dice.is_multiple_of(3)).then_some(other_role);
                Action::TransferOwnership { member, former_owner_role }
            }
            Wish::ChangeMemberRole => Action::ChangeMemberRole { member, role: given_role },
            Wish::DeactivateMember => Action::DeactivateMember { member, created_keys },
            Wish::ReactivateMember => Action::ReactivateMember { member },
            Wish::RemoveMember => Action::RemoveMember { member, created_keys },
            Wish::InviteMembers => self.invite(step, actor),
            Wish::ResendInvitation => {
                Action::ResendInvitation { invitation, expires_at: self.now + TimeDelta::days(2) }
            }
            Wish::RevokeInvitation => Action::RevokeInvitation { invitation },
            Wish::AcceptInvitation => Action::AcceptInvitation {
                invitation,
                generation: self.generation(step, invitation),
                email_commitment: commitment(),
                organizations: if seldom { 100 } else { u32::from(dice) % 100 },
                masked_email: MASKED.to_owned(),
            },
            Wish::DeclineInvitation => Action::DeclineInvitation {
                invitation,
                generation: self.generation(step, invitation),
                masked_email: MASKED.to_owned(),
            },
            Wish::CreateRole => Action::CreateRole {
                role: custom_role(self.next_id),
                name: self.role_name(step),
                description: None,
                level: step.level,
                permissions: self.permissions(step, actor),
            },
            Wish::UpdateRole => Action::UpdateRole {
                role: self.pick_custom_role(step, actor),
                name: dice.is_multiple_of(3).then(|| self.role_name(step)),
                description: dice.is_multiple_of(7).then_some(text("Helps.")),
                level: dice.is_multiple_of(2).then_some(step.level),
                permissions: (!dice.is_multiple_of(5)).then(|| self.permissions(step, actor)),
            },
            Wish::DeleteRole => Action::DeleteRole {
                role: self.pick_custom_role(step, actor),
                reassign_to: (!dice.is_multiple_of(5)).then_some(other_role),
            },
            Wish::CreateApiKey => Action::CreateApiKey {
                api_key: key(self.next_id),
                name: name(pick_name(step.role, &KEY_NAMES)),
                description: None,
                key_type: if dice.is_multiple_of(3) { KeyType::AiAgent } else { KeyType::Standard },
                permissions: self.permissions(step, actor),
                rate_limit: None,
                expires_at: dice.is_multiple_of(2).then_some(self.now + key_time(step)),
                secret: secret(key(self.next_id)),
            },
            Wish::UpdateApiKey => Action::UpdateApiKey {
                api_key,
                name: dice.is_multiple_of(3).then(|| name(pick_name(step.role, &KEY_NAMES))),
                description: dice.is_multiple_of(5).then(|| text("Deploys.")),
                permissions: (!dice.is_multiple_of(4)).then(|| self.permissions(step, actor)),
                rate_limit: dice.is_multiple_of(7).then_some(Some(RateLimit::AI_AGENT)),
                expires_at: dice.is_multiple_of(2).then(|| (!seldom).then(|| self.now + key_time(step))),
            },
            Wish::DisableApiKey => Action::DisableApiKey { api_key },
            Wish::EnableApiKey => Action::EnableApiKey { api_key },
            Wish::RotateApiKey => rotate(api_key),
            Wish::RevokeApiKey => Action::RevokeApiKey { api_key },
        }
    }

    /// Mostly no more than the actor holds.
    fn permissions(&self, step: &Step, actor: Actor) -> Permissions {
        let held = self.mirror.power(actor, self.now).map_or(Permissions::NONE, |power| power.permissions);
        let more = step.permissions.without(held);
        if step.dice[2] < 180 { step.permissions.without(more) } else { step.permissions }
    }

    fn role_name(&self, step: &Step) -> Name {
        if step.dice[0] < 200 {
            name(&format!("Crew {}", self.next_id))
        } else {
            name(pick_name(step.other_role, &ROLE_NAMES))
        }
    }

    fn generation(&self, step: &Step, invitation: InvitationId) -> Option<u32> {
        let current = self.mirror.invitations.get(&invitation).map(|seen| seen.generation);
        if step.dice[2] < 40 { Some(1) } else { current.filter(|_| step.dice[2] < 200) }
    }

    /// One to three people, mostly from outside, or one of them twice; now and then more than can be invited at once.
    fn invite(&self, step: &Step, actor: Actor) -> Action {
        let inside: BTreeSet<_> = self.mirror.inside().map(|(user, _, _)| user).collect();
        let outside: Vec<_> = CAST.into_iter().filter(|user| !inside.contains(user)).collect();
        let [_, dice, rare] = step.dice;
        let count = if rare == 0 { 51 } else { usize::from(dice) % 3 + 1 };
        let person = |at: usize| {
            let index = if at == 0 { step.person } else { step.key };
            *index.get(if outside.is_empty() || rare > 220 { &CAST[..] } else { &outside[..] })
        };
        let named = |at: usize| {
            let index = if at == 0 { step.role } else { step.other_role };
            match usize::from(dice) % 6 {
                0 => None,
                1 | 2 if at == 0 => Some(self.pick_custom_role(step, actor)),
                _ => Some(self.pick_role(index, actor, rare)),
            }
        };
        let row = |at: usize| InvitationRow {
            role: named(at),
            replace: dice.is_multiple_of(2),
            ..row(invitation(self.next_id * 100 + at as u128), person(at))
        };
        let hours = if rare.is_multiple_of(4) { 1 } else { 48 };
        Action::InviteMembers { rows: (0..count).map(row).collect(), expires_at: self.now + TimeDelta::hours(hours) }
    }
}
