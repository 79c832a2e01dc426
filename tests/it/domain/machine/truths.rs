//! What is true after each step, seen from outside.

use orgledger::domain::organization::{
    Target,
    api_keys::{ApiKey, KeyStatus},
    invitations::{Invitation, InvitationState},
    kinds::BuiltInRole,
    members::{Member, MemberStatus},
};
use serde_json::Value;

use super::*;

/// What is true after each step.
impl Machine {
    /// No outsider's command is accepted, but for their own invitations; who rests can only leave.
    pub(super) fn check_access(&self, before: &Organization, command: &Command) -> TestCaseResult {
        let own = match &command.action {
            Action::AcceptInvitation { invitation, .. } | Action::DeclineInvitation { invitation, .. } => {
                self.invitations.get(invitation).is_some_and(|sent| sent.user.actor() == command.actor)
            }
            _ => false,
        };
        let standing = self.standing(before, command.actor);
        let leaves = matches!(command.action, Action::LeaveOrganization { .. });
        let inside = standing.is_some_and(|standing| standing.active || leaves);
        prop_assert!(own || inside, "an outsider's command was accepted");
        Ok(())
    }

    /// Nobody gives, or gets from a key, what they do not hold; nobody gives a role that is not below theirs.
    pub(super) fn check_gift(&self, before: &Organization, command: &Command, event: &Event) -> TestCaseResult {
        let gives_role = |by: Actor, role: RoleId| {
            let standing = self.standing(before, by);
            self.role(role).zip(standing).is_some_and(|(role, standing)| standing.can_give(role))
        };
        let gives =
            |permissions| self.standing(before, command.actor).is_some_and(|standing| standing.holds(permissions));
        let permissions_of = |id| keys(before).get(id).map_or(Permissions::ALL, |key| key.permissions);
        let allowed = match event {
            Event::MemberRoleChanged { to, .. } | Event::OrganizationDefaultRoleChanged { to, .. } => {
                gives_role(command.actor, *to)
            }
            Event::InvitationSent { role_id, .. } => gives_role(command.actor, *role_id),
            Event::InvitationResent { invitation_id, .. } => {
                self.invitations.get(invitation_id).is_some_and(|sent| gives_role(command.actor, sent.role))
            }
            Event::MemberJoined { role_id, invited_by, .. } => invited_by.is_some_and(|by| gives_role(by, *role_id)),
            Event::ApiKeyCreated { permissions, level, .. } => {
                let highest = self.standing(before, command.actor).map_or(u8::MAX, |standing| standing.level.max(2));
                gives(*permissions) && *level >= highest
            }
            Event::ApiKeyUpdated { api_key_id, permissions, expires_at, .. } => {
                let held = permissions_of(api_key_id);
                let after = permissions.as_ref().map_or(held, |change| change.to);
                let expired =
                    keys(before).get(api_key_id).map(|key| key.status_at(self.now)) == Some(KeyStatus::Expired);
                gives(if expired && expires_at.is_some() { after } else { after.without(held) })
            }
            Event::ApiKeyEnabled { api_key_id } | Event::ApiKeyRotated { api_key_id, .. } => {
                gives(permissions_of(api_key_id))
            }
            _ => true,
        };
        prop_assert!(allowed, "{:?} gives what the giver does not hold", event);
        Ok(())
    }

    /// Nobody acts on who stands as high as they do, unless both are owners; on oneself, nobody rises. A key obeys
    /// who stands higher, and who made it.
    pub(super) fn check_rank(&self, before: &Organization, actor: Actor, event: &Event) -> TestCaseResult {
        let Some(by) = self.standing(before, actor) else { return Ok(()) };
        let allowed = match event {
            Event::MemberRoleChanged { user_id, to, .. } if user_id.actor() == actor => {
                self.role(*to).is_some_and(|role| role.level > by.level)
            }
            Event::MemberRoleChanged { user_id, .. }
            | Event::MemberDeactivated { user_id }
            | Event::MemberReactivated { user_id }
            | Event::MemberRemoved { user_id, .. } => {
                let target = self.standing(before, user_id.actor());
                target.is_some_and(|target| target.level > by.level || (target.owner && by.owner))
            }
            Event::ApiKeyUpdated { api_key_id, .. }
            | Event::ApiKeyDisabled { api_key_id }
            | Event::ApiKeyEnabled { api_key_id }
            | Event::ApiKeyRotated { api_key_id, .. }
            | Event::ApiKeyRevoked { api_key_id, .. } => {
                keys(before).get(api_key_id).is_some_and(|key| key.level > by.level || key.created_by == actor)
            }
            _ => true,
        };
        prop_assert!(allowed, "{:?} needs a higher rank", event);
        Ok(())
    }

    /// An event comes back from the form in which it is stored.
    pub(super) fn check_round_trip(event: &Event) -> TestCaseResult {
        let stored = serde_json::to_value(event).unwrap_or_default();
        prop_assert_eq!(&stored["type"], event.name());
        prop_assert_eq!(serde_json::from_value(stored).ok(), Some(event.clone()));
        Ok(())
    }

    /// An event changes its own noun only.
    pub(super) fn check_reach(&self, before: &Organization, event: &Event) -> TestCaseResult {
        let after = &self.organization;
        prop_assert_eq!(after.version(), before.version() + 1);
        if *event == (Event::OrganizationDeleted {}) {
            return Ok(());
        }
        prop_assert_eq!(beside(before, event.target()), beside(after, event.target()));
        if event.target() != Target::Organization {
            prop_assert_eq!(profile(before), profile(after));
            prop_assert!(profile(after).values().all(Option::is_some));
        }
        Ok(())
    }

    /// A living organization has an active owner; a deleted one has nobody.
    pub(super) fn check_owner(&self) -> TestCaseResult {
        if self.events.contains(&Event::OrganizationDeleted {}) {
            prop_assert_eq!(self.organization.weight(), 1);
            return Ok(());
        }
        let owner = self.kind.rules().owner_role().id;
        let mut members = self.organization.members();
        let found = members.any(|(_, member)| member.role == owner && member.status == MemberStatus::Active);
        prop_assert!(found, "no active owner");
        Ok(())
    }

    /// Nobody has two invitations that are open at once.
    pub(super) fn check_invitations(&self) -> TestCaseResult {
        let mut invited = BTreeSet::new();
        for (id, invitation) in self.organization.invitations() {
            let Some(sent) = self.invitations.get(&id) else { continue };
            let open = invitation.state() == InvitationState::Pending && self.now < sent.expires_at;
            prop_assert!(!open || invited.insert(sent.user), "{} is open beside another one", id);
        }
        Ok(())
    }

    /// What has ended stays ended, as long as the organization lives.
    pub(super) fn check_ends(&self, before: &Organization) -> TestCaseResult {
        let (keys, invitations) = (keys(&self.organization), invitations(&self.organization));
        for (id, _) in before.api_keys().filter(|(_, key)| key.status == KeyStatus::Revoked) {
            let alive = keys.get(&id).is_some_and(|key| key.status != KeyStatus::Revoked);
            prop_assert!(!alive, "{} lives again", id);
        }
        for (id, old) in before.invitations().filter(|(_, old)| old.state() != InvitationState::Pending) {
            let changed = invitations.get(&id).is_some_and(|invitation| invitation != old);
            prop_assert!(!changed, "{} is open again", id);
        }
        Ok(())
    }

    /// Folding from scratch gives the same state, and so does a snapshot.
    pub(super) fn check_fold(&self) -> TestCaseResult {
        let mut folded = Organization::default();
        for event in &self.events {
            folded.evolve(event);
        }
        prop_assert_eq!(&folded, &self.organization);
        let snapshot = serde_json::to_string(&folded).unwrap_or_default();
        prop_assert_eq!(serde_json::from_str(&snapshot).ok(), Some(folded));
        Ok(())
    }
}

/// What the organization is to an observer.
impl Machine {
    fn role(&self, id: RoleId) -> Option<&'static BuiltInRole> {
        self.kind.rules().roles.iter().find(|role| role.id == id)
    }

    /// The role of who has not left.
    fn role_in(&self, organization: &Organization, user: UserId) -> Option<(&'static BuiltInRole, MemberStatus)> {
        let member = members(organization).remove(&user)?;
        (member.status != MemberStatus::Former).then_some(())?;
        Some((self.role(member.role)?, member.status))
    }

    /// What the actor holds: level, permissions, and whether they have access.
    fn standing(&self, organization: &Organization, actor: Actor) -> Option<Standing> {
        match actor {
            Actor::User(user) => {
                let (role, status) = self.role_in(organization, user)?;
                let active = status == MemberStatus::Active;
                Some(Standing { level: role.level, owner: role.owner, permissions: role.permissions, active })
            }
            Actor::ApiKey(id) => {
                let key = keys(organization).remove(&id)?;
                (key.status_at(self.now) == KeyStatus::Active).then_some(())?;
                Some(Standing { level: key.level, owner: false, permissions: key.permissions, active: true })
            }
            Actor::Operator => None,
        }
    }
}

struct Standing {
    level: u8,
    owner: bool,
    permissions: Permissions,
    active: bool,
}

impl Standing {
    fn can_give(&self, role: &BuiltInRole) -> bool {
        self.active && self.holds(role.permissions) && (self.owner || role.level > self.level)
    }

    fn holds(&self, permissions: Permissions) -> bool {
        permissions.without(self.permissions).is_empty()
    }
}

fn members(organization: &Organization) -> BTreeMap<UserId, Member> {
    organization.members().collect()
}

fn invitations(organization: &Organization) -> BTreeMap<InvitationId, Invitation> {
    organization.invitations().map(|(id, invitation)| (id, invitation.clone())).collect()
}

fn keys(organization: &Organization) -> BTreeMap<ApiKeyId, ApiKey> {
    organization.api_keys().map(|(id, key)| (id, key.clone())).collect()
}

type Nouns = (BTreeMap<UserId, Member>, BTreeMap<InvitationId, Invitation>, BTreeMap<ApiKeyId, ApiKey>);

/// Everything in the organization but the target.
fn beside(organization: &Organization, target: Target) -> Nouns {
    let (mut members, mut invitations, mut keys) =
        (members(organization), invitations(organization), keys(organization));
    members.retain(|id, _| target != Target::Member(*id));
    invitations.retain(|id, _| target != Target::Invitation(*id));
    keys.retain(|id, _| target != Target::ApiKey(*id));
    (members, invitations, keys)
}

/// The fields of the snapshot that belong to the organization itself.
fn profile(organization: &Organization) -> BTreeMap<&'static str, Option<Value>> {
    let snapshot = serde_json::to_value(organization).unwrap_or_default();
    ["lifecycle", "kind", "name", "description", "default_role", "profile_version", "roles"]
        .map(|field| (field, snapshot.get(field).cloned()))
        .into()
}
