//! Steps, and how each is resolved into somebody who acts and what they act on.
//!
//! A step is numbers, so that it shrinks well. They are read against what is there when the turn of the step comes,
//! mostly so that it can succeed, and now and then so that it cannot.

use proptest::sample::{Index, select};

use super::{mirror::Lifecycle, names::Wish, powers::Power, *};

/// Somebody who left before the first step.
pub(super) const FORMER: UserId = person(9);
/// Somebody who is inactive at the first step.
pub(super) const RESTING: UserId = person(10);
/// They hold the custom roles that are there at the first step.
pub(super) const HOLDERS: [UserId; 4] = [person(11), person(12), person(13), person(14)];

pub(super) const CAST: [UserId; 14] = [
    ADMIN,
    OTHER_ADMIN,
    CO_ADMIN,
    MANAGER,
    MEMBER,
    AUDITOR,
    STRANGER,
    OTHER_STRANGER,
    FORMER,
    RESTING,
    HOLDERS[0],
    HOLDERS[1],
    HOLDERS[2],
    HOLDERS[3],
];

/// Who is to act.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who {
    Owner,
    /// Somebody else who may do such a thing at all.
    Able,
    /// A key that may.
    Key,
    /// Somebody who acts, whatever they hold.
    Insider,
    Anybody,
}

/// One step, not yet resolved.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) wish: Wish,
    pub(super) who: Who,
    pub(super) actor: Index,
    pub(super) person: Index,
    pub(super) role: Index,
    pub(super) other_role: Index,
    pub(super) key: Index,
    pub(super) invitation: Index,
    pub(super) wait: TimeDelta,
    pub(super) permissions: Permissions,
    pub(super) level: Level,
    pub(super) created_keys: CreatedKeys,
    pub(super) expected_version: Option<u64>,
    /// Decide what happens now and then only, each something else.
    pub(super) dice: [u8; 3],
}

/// What is there at the first step.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) kind: Kind,
    pub(super) certified: bool,
    /// Custom roles, where the kind has them, each with somebody who holds it.
    pub(super) roles: Vec<(Level, Permissions)>,
    /// Whether there are nearly as many custom roles as there may be.
    pub(super) crowded: bool,
    /// What is asked before there is an organization.
    pub(super) early: Vec<Step>,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 10..70)
}

pub(super) fn starts() -> impl Strategy<Value = Start> {
    let kinds = repeat(&[(1, Kind::Personal), (2, Kind::Team), (6, Kind::Workspace), (3, Kind::Enterprise)]);
    let roles = prop::collection::vec((levels(), permissions()), 0..=HOLDERS.len());
    let early = prop::collection::vec(step(), 0..3);
    (select(kinds), prop::bool::weighted(0.6), roles, prop::bool::weighted(0.04), early)
        .prop_map(|(kind, certified, roles, crowded, early)| Start { kind, certified, roles, crowded, early })
}

/// Each as often as its number says. To choose from a list is much quicker than to choose between strategies.
fn repeat<T: Clone>(weighted: &[(usize, T)]) -> Vec<T> {
    weighted.iter().flat_map(|(weight, value)| vec![value.clone(); *weight]).collect()
}

fn levels() -> impl Strategy<Value = Level> {
    (2..=9).prop_map(|level| Level::try_from(level).unwrap_or_else(|invalid| panic!("{level}: {invalid}")))
}

fn permissions() -> impl Strategy<Value = Permissions> {
    (0..10_u8, 0..1_i64 << 18, 0..18, 0..18).prop_map(|(choice, bits, one, other)| match choice {
        0 => Permissions::NONE,
        1 | 2 => Permissions::ALL,
        3..=6 => Permissions::from_bits(bits),
        // Few are missing: whoever holds such a role can do nearly everything to who holds another one.
        _ => Permissions::ALL.without(Permissions::from_bits(1_i64 << one | 1_i64 << other)),
    })
}

fn step() -> impl Strategy<Value = Step> {
    let who = repeat(&[(4, Who::Owner), (6, Who::Able), (2, Who::Key), (2, Who::Insider), (1, Who::Anybody)]);
    let waits = [0, 0, 0, 1, 1, 10, 60, 60, 5 * 60, 24 * 60].map(TimeDelta::minutes).to_vec();
    let created_keys = select(vec![CreatedKeys::Keep, CreatedKeys::Disable, CreatedKeys::Revoke]);
    let expected_version = prop::option::weighted(0.05, 1..60_u64);
    let what = (permissions(), levels(), created_keys, expected_version);
    (select(repeat(Wish::ALL)), select(who), any::<[Index; 6]>(), any::<[u8; 3]>(), select(waits), what).prop_map(
        |(wish, who, indices, dice, wait, (permissions, level, created_keys, expected_version))| {
            let [actor, person, role, other_role, key, invitation] = indices;
            Step {
                wish,
                who,
                actor,
                person,
                role,
                other_role,
                key,
                invitation,
                wait,
                permissions,
                level,
                created_keys,
                expected_version,
                dice,
            }
        },
    )
}

/// One of the first list that has any.
fn pick<T: Copy>(index: Index, lists: impl IntoIterator<Item = Vec<T>>) -> Option<T> {
    let list = lists.into_iter().find(|list| !list.is_empty())?;
    Some(*index.get(&list))
}

/// Who acts, on whom and on what.
impl Machine {
    /// What the step wishes for; or mostly, where it could not come true for want of anything to do it to, what
    /// would bring that about.
    pub(super) fn likely_wish(&self, step: &Step) -> Wish {
        let (mirror, kind) = (&self.mirror, self.mirror.kind);
        if step.dice[0] >= 235 {
            return step.wish;
        }
        if mirror.lifecycle == Lifecycle::Absent {
            let personal = self.kind == Kind::Personal;
            return if personal { Wish::CreatePersonalOrganization } else { Wish::CreateOrganization };
        }
        let certified = kind != Kind::Enterprise || mirror.certification == Certification::Certified;
        match step.wish {
            Wish::RequestCertification | Wish::DecideCertification if certified => Wish::InviteMembers,
            Wish::DecideCertification if mirror.certification != Certification::Requested => Wish::RequestCertification,
            Wish::InviteMembers | Wish::ChangeMemberRole if !certified => match mirror.certification {
                Certification::Requested => Wish::DecideCertification,
                _ => Wish::RequestCertification,
            },
            Wish::CreateRole if kind != Kind::Workspace => Wish::CreateApiKey,
            Wish::UpdateRole | Wish::DeleteRole if kind != Kind::Workspace => Wish::ChangeMemberRole,
            Wish::UpdateRole | Wish::DeleteRole if mirror.roles.values().all(|role| role.built_in) => Wish::CreateRole,
            Wish::AcceptInvitation | Wish::DeclineInvitation | Wish::ResendInvitation | Wish::RevokeInvitation
                if mirror.invitations.is_empty() =>
            {
                Wish::InviteMembers
            }
            Wish::UpdateApiKey | Wish::EnableApiKey | Wish::DisableApiKey | Wish::RotateApiKey | Wish::RevokeApiKey
                if mirror.api_keys.is_empty() =>
            {
                Wish::CreateApiKey
            }
            wish => wish,
        }
    }

    pub(super) fn pick_actor(&self, step: &Step, invitation: InvitationId) -> Actor {
        let likely = step.dice[0] < 200;
        match step.wish {
            Wish::AcceptInvitation | Wish::DeclineInvitation if likely => {
                self.mirror.invitations.get(&invitation).map_or(STRANGER.actor(), |seen| seen.user.actor())
            }
            Wish::DecideCertification | Wish::ErasePerson if likely => Actor::Operator,
            _ => self.pick_able(step),
        }
    }

    fn pick_able(&self, step: &Step) -> Actor {
        let powers: Vec<_> = self.mirror.powers(self.now).filter(|(_, power)| power.acts).collect();
        let who = |has: &dyn Fn(Actor, &Power) -> bool| {
            let found = powers.iter().filter(|(actor, power)| has(*actor, power));
            found.map(|(actor, _)| *actor).collect::<Vec<_>>()
        };
        let needed = truths::needed(step.wish);
        let may = |power: &Power| needed.is_none_or(|permission| power.permissions.has(permission));
        let owners = who(&|_, power| power.owner);
        let keys = self.mirror.api_keys.keys().map(|key| key.actor());
        let everybody =
            CAST.into_iter().map(Acts::actor).chain(keys).chain([key(0).actor(), Actor::Operator]).collect();
        let lists = match step.who {
            Who::Owner => vec![owners, everybody],
            Who::Able => vec![who(&|_, power| !power.owner && may(power)), owners, everybody],
            Who::Key => vec![who(&|actor, power| actor.user().is_none() && may(power)), owners, everybody],
            Who::Insider => vec![who(&|_, _| true), everybody],
            Who::Anybody => vec![everybody],
        };
        pick(step.actor, lists).unwrap_or(Actor::Operator)
    }

    /// Mostly somebody below the actor, or else somebody inside; now and then anybody.
    pub(super) fn pick_person(&self, step: &Step, actor: Actor) -> UserId {
        let level = self.mirror.power(actor, self.now).map_or(0, |power| power.level);
        // Resting people are few, and only they can be reactivated.
        let awake = |status| (step.wish == Wish::ReactivateMember) != (status == MemberStatus::Active);
        let inside: Vec<_> = self.mirror.inside().collect();
        let some = |keep: &dyn Fn(u8, MemberStatus) -> bool| {
            let kept = inside.iter().filter(|(_, member, role)| keep(role.level, member.status));
            kept.map(|(user, _, _)| *user).collect::<Vec<_>>()
        };
        let below = some(&|other, status| other > level && (awake(status) || step.dice[1] > 200));
        let others = some(&|_, _| true);
        let lists = match step.dice[0] {
            0..150 => [below, others],
            150..200 => [others, vec![]],
            200..230 => [actor.user().into_iter().collect(), vec![]],
            _ => [vec![], vec![]],
        };
        pick(step.person, lists.into_iter().chain([CAST.to_vec()])).unwrap_or(STRANGER)
    }

    /// Any role of the organization; now and then one that it does not have.
    pub(super) fn pick_role(&self, index: Index, actor: Actor, dice: u8) -> RoleId {
        let by = self.mirror.power(actor, self.now);
        let roles = &self.mirror.roles;
        let given = roles.iter().filter(|(_, role)| by.is_some_and(|by| by.can_give(role)));
        let foreign = [role("OWNER"), role("DEV_ADMIN"), role("CO_ADMIN"), custom_role(0)];
        let lists = match dice {
            0..150 => vec![given.map(|(id, _)| *id).collect(), roles.keys().copied().collect()],
            150..230 => vec![roles.keys().copied().collect()],
            _ => vec![],
        };
        pick(index, lists.into_iter().chain([foreign.to_vec()])).unwrap_or(custom_role(0))
    }

    /// Mostly a custom role below the actor, and often one that somebody has or would get.
    pub(super) fn pick_custom_role(&self, step: &Step, actor: Actor) -> RoleId {
        let level = self.mirror.power(actor, self.now).map_or(0, |power| power.level);
        let custom = |keep: &dyn Fn(RoleId) -> bool| {
            let below = self.mirror.roles.iter().filter(|(_, role)| !role.built_in && role.level > level);
            below.map(|(id, _)| *id).filter(|id| keep(*id)).collect::<Vec<_>>()
        };
        let open = self.mirror.invitations.iter().filter(|(id, _)| self.mirror.is_open(**id, self.now));
        let invited: BTreeSet<_> = open.map(|(_, seen)| seen.role).collect();
        let below = custom(&|_| true);
        let lists = match step.dice[0] {
            0..100 => vec![custom(&|id| invited.contains(&id)), below],
            100..140 => vec![custom(&|id| self.mirror.default_role == Some(id)), below],
            140..230 => vec![below],
            _ => vec![],
        };
        pick(step.role, lists).unwrap_or_else(|| self.pick_role(step.role, actor, step.dice[0]))
    }

    /// Mostly a key that has not been revoked, and where one is to be enabled, one that is switched off.
    pub(super) fn pick_key(&self, step: &Step) -> ApiKeyId {
        let keys = |keep: &dyn Fn(KeyStatus) -> bool| {
            let keys = self.mirror.api_keys.iter();
            keys.filter(|(_, key)| keep(key.status)).map(|(id, _)| *id).collect::<Vec<_>>()
        };
        let living = keys(&|status| status != KeyStatus::Revoked);
        let lists = match (step.wish, step.dice[0]) {
            (_, 230..) => vec![],
            (Wish::EnableApiKey, _) => vec![keys(&|status| status == KeyStatus::Disabled), living],
            _ => vec![living],
        };
        pick(step.key, lists.into_iter().chain([keys(&|_| true)])).unwrap_or(key(0))
    }

    /// Mostly one that is open.
    pub(super) fn pick_invitation(&self, step: &Step) -> InvitationId {
        let all: Vec<_> = self.mirror.invitations.keys().copied().collect();
        let open = all.iter().copied().filter(|id| self.mirror.is_open(*id, self.now)).collect();
        let lists = if step.dice[1] < 200 { vec![open, all] } else { vec![all] };
        pick(step.invitation, lists).unwrap_or(invitation(0))
    }
}
