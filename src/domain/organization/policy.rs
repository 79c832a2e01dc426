//! Who may do what: the one place that answers, for commands and for "may I?" alike.
//!
//! The rules are asked in the order of the specification: access, kind, permission, target, rank, assignable, not
//! held, owner rule. The first that fails answers. What depends on more than who, what and whom (limits, names,
//! states of invitations) stands with its noun and is asked afterwards.

use super::{
    Kind, Lifecycle, Organization,
    api_keys::KeyStatus,
    ask::{Ask, OrganizationAction},
    kinds::{MemberManagement, OwnerRule},
    members::{Member, MemberStatus},
    permissions::{Permission, Permissions},
    profile::Certification,
    roles::Role,
};
use crate::domain::{
    Timestamp,
    actor::Actor,
    ids::{ApiKeyId, RoleId, UserId},
    refusal::Refusal,
};

use OrganizationAction as A;

/// What the caller is in this organization.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    actor: Actor,
    /// The rank; 1 is the highest.
    pub level: u8,
    /// Whether the caller is an owner.
    pub owner: bool,
    /// What the caller holds.
    pub permissions: Permissions,
    active: bool,
}

impl Subject {
    fn is(&self, user: UserId) -> bool {
        self.actor == Actor::User(user)
    }

    fn must_hold(&self, permissions: Permissions) -> Result<(), Refusal> {
        let missing = permissions.without(self.permissions);
        if missing.is_empty() { Ok(()) } else { Err(Refusal::PermissionNotHeld { missing }) }
    }
}

impl Organization {
    /// Whether the caller may do it, and if not, which rule says no.
    ///
    /// # Errors
    /// The first rule that says no.
    pub fn may(&self, actor: Actor, ask: &Ask, now: Timestamp) -> Result<Subject, Refusal> {
        let by = self.subject(actor, now)?;
        if !by.active && ask.action != A::LeaveOrganization {
            return Err(Refusal::MemberInactive);
        }
        if ask.action.needs_person() && actor.user().is_none() {
            return Err(Refusal::UserRequired);
        }
        self.check_kind(ask.action)?;
        self.check_permission(&by, ask)?;
        match ask.action {
            A::TransferOwnership => self.check_transfer(&by, ask)?,
            A::CreateRole | A::UpdateRole | A::DeleteRole => self.check_custom_role(&by, ask)?,
            _ => self.check_targets(&by, ask)?,
        }
        Ok(by)
    }

    /// What the action is done to and with: member, key, role, permissions, and the owner rule over all of it.
    fn check_targets(&self, by: &Subject, ask: &Ask) -> Result<(), Refusal> {
        let leaver = if ask.action == A::LeaveOrganization { by.actor.user() } else { None };
        let member = ask.member.or(leaver).map(|id| self.member(id).map(|member| (id, member))).transpose()?;
        let role = match (ask.role, self.default_role) {
            (None, Some(default)) if ask.action == A::InviteMember => Some(default),
            (named, _) => named,
        };
        let role = role.map(|id| self.role(id).map(|role| (id, role))).transpose()?;

        if let (Some((id, member)), None) = (member, leaver) {
            self.check_rank(by, ask, id, member)?;
        }
        if let Some(id) = ask.api_key {
            self.check_key(by, ask.action, id)?;
        }
        let unchanged = matches!((member, role), (Some((_, member)), Some((role, _))) if member.role == role);
        if let (Some((id, role)), false) = (role, unchanged) {
            self.check_assignable(by, ask.action, id, role)?;
            by.must_hold(role.permissions)?;
        }
        by.must_hold(ask.permissions)?;
        if !unchanged {
            self.check_owners(ask.action, member.map(|(_, member)| member), role.map(|(_, role)| role))?;
        }
        Ok(())
    }

    /// Who becomes the owner, and what the old owner becomes.
    fn check_transfer(&self, by: &Subject, ask: &Ask) -> Result<(), Refusal> {
        let member = ask.member.map(|id| self.member(id).map(|member| (id, member))).transpose()?;
        let role = ask.role.map(|id| self.role(id)).transpose();
        let role = role.map_err(|_| Refusal::NotFound { field: "formerOwnerRoleId" })?;
        if let Some((id, member)) = member {
            self.check_rank(by, ask, id, member)?;
            if member.status != MemberStatus::Active {
                return Err(Refusal::NotPossible {
                    field: "memberId",
                    sentence: "An inactive member cannot become the owner.",
                });
            }
        }
        match role {
            Some(role) if role.owner => Err(Refusal::RoleNotAssignable { role: role.key.clone() }),
            _ => Ok(()),
        }
    }

    /// A role stands at its level, and is acted on from above; nobody makes one that stands as high as they do, but
    /// owners, whose level no custom role has.
    fn check_custom_role(&self, by: &Subject, ask: &Ask) -> Result<(), Refusal> {
        if let Some(id) = ask.role {
            let role = self.role(id)?;
            if role.built_in {
                return Err(Refusal::NotPossible { field: "roleId", sentence: "A built-in role stays as it is." });
            }
            if role.level <= by.level {
                return Err(Refusal::RankTooLow);
            }
        }
        if ask.level.is_some_and(|level| level.get() <= by.level) {
            return Err(Refusal::RankTooLow);
        }
        by.must_hold(ask.permissions)
    }

    /// Whether organizations of this kind have such a thing at all.
    fn check_kind(&self, action: OrganizationAction) -> Result<(), Refusal> {
        let rules = self.kind.rules();
        if action.manages_members() {
            return self.members_can_be_managed();
        }
        if action.manages_roles() && !rules.custom_roles {
            return Err(Refusal::NotPossible {
                field: "organizationId",
                sentence: "Organizations of this kind have no custom roles.",
            });
        }
        if action == A::RequestCertification {
            return self.check_needs_certification();
        }
        // Its id follows from the person, and no id is used twice: without it they would never have one again.
        if action == A::DeleteOrganization && self.kind == Kind::Personal {
            return Err(Refusal::NotPossible {
                field: "organizationId",
                sentence: "A personal organization stays with its person.",
            });
        }
        Ok(())
    }

    /// Whether the actor has access here at all.
    ///
    /// # Errors
    /// `NOT_FOUND` or `MEMBER_INACTIVE`.
    pub fn admits(&self, actor: Actor, now: Timestamp) -> Result<(), Refusal> {
        if self.subject(actor, now)?.active { Ok(()) } else { Err(Refusal::MemberInactive) }
    }

    /// Whether the actor is somebody here: a member, active or not, or a living key.
    #[must_use]
    pub fn belongs(&self, actor: Actor, now: Timestamp) -> bool {
        self.subject(actor, now).is_ok()
    }

    /// Whether this organization has members to manage.
    ///
    /// # Errors
    /// `MEMBERS_NOT_AVAILABLE` or `NOT_CERTIFIED`.
    pub fn members_can_be_managed(&self) -> Result<(), Refusal> {
        self.kind.rules().members.available(self.certification)
    }

    /// What the actor is here. Outsiders, former members and dead keys find nothing.
    fn subject(&self, actor: Actor, now: Timestamp) -> Result<Subject, Refusal> {
        let not_found = Refusal::NotFound { field: "organizationId" };
        if self.lifecycle != Lifecycle::Living {
            return Err(not_found);
        }
        match actor {
            Actor::User(user) => {
                let member = self.member(user).map_err(|_| not_found)?;
                let role = self.role_of(member)?;
                Ok(Subject {
                    actor,
                    level: role.level,
                    owner: role.owner,
                    permissions: role.permissions,
                    active: member.status == MemberStatus::Active,
                })
            }
            Actor::ApiKey(id) => {
                let key = self.api_keys.get(&id).filter(|key| key.status_at(now) == KeyStatus::Active);
                let key = key.ok_or(not_found)?;
                Ok(Subject { actor, level: key.level, owner: false, permissions: key.permissions, active: true })
            }
            Actor::Operator => Err(not_found),
        }
    }

    fn check_permission(&self, by: &Subject, ask: &Ask) -> Result<(), Refusal> {
        if ask.action == A::TransferOwnership && !by.owner {
            return Err(Refusal::RankTooLow);
        }
        let Some(permission) = ask.action.permission() else { return Ok(()) };
        if by.permissions.has(permission) || self.lowers_own_role(by, ask) {
            return Ok(());
        }
        Err(Refusal::PermissionRequired(permission))
    }

    /// Lowering one's own role needs no permission.
    fn lowers_own_role(&self, by: &Subject, ask: &Ask) -> bool {
        ask.action == A::ChangeMemberRole
            && ask.member.is_some_and(|member| by.is(member))
            && ask.role.and_then(|role| self.roles.get(&role)).is_some_and(|role| role.level > by.level)
    }

    fn check_rank(&self, by: &Subject, ask: &Ask, id: UserId, member: &Member) -> Result<(), Refusal> {
        let enough = if by.is(id) {
            let keeps_role = ask.action == A::ChangeMemberRole && ask.role == Some(member.role);
            keeps_role || self.lowers_own_role(by, ask)
        } else {
            let target = self.role_of(member)?;
            target.level > by.level || (by.owner && target.owner)
        };
        if enough { Ok(()) } else { Err(Refusal::RankTooLow) }
    }

    /// A key stands at its level. Who made it may act on it from beside, or a developer admin could not switch off the
    /// key they made a minute ago; from below nobody may, or a maker who was demoted would keep what they lost.
    fn check_key(&self, by: &Subject, action: OrganizationAction, id: ApiKeyId) -> Result<(), Refusal> {
        let key = self.api_keys.get(&id).ok_or(Refusal::NotFound { field: "apiKeyId" })?;
        if key.level < by.level || (key.level == by.level && key.created_by != by.actor) {
            return Err(Refusal::RankTooLow);
        }
        if matches!(action, A::EnableApiKey | A::RotateApiKey) {
            by.must_hold(key.permissions)?;
        }
        Ok(())
    }

    fn check_assignable(
        &self,
        by: &Subject,
        action: OrganizationAction,
        id: RoleId,
        role: &Role,
    ) -> Result<(), Refusal> {
        let below = by.owner || role.level > by.level;
        let allowed = match action {
            A::InviteMember => {
                below && (by.permissions.has(Permission::MembersAssignRole) || self.default_role == Some(id))
            }
            A::UpdateOrganization => below && !role.owner,
            _ => below,
        };
        if allowed { Ok(()) } else { Err(Refusal::RoleNotAssignable { role: role.key.clone() }) }
    }

    pub(super) fn check_owners(
        &self,
        action: OrganizationAction,
        member: Option<&Member>,
        role: Option<&Role>,
    ) -> Result<(), Refusal> {
        let gives = matches!(action, A::ChangeMemberRole | A::InviteMember) && role.is_some_and(|role| role.owner);
        let ends = match action {
            A::LeaveOrganization | A::RemoveMember | A::DeactivateMember => true,
            A::ChangeMemberRole => role.is_some_and(|role| !role.owner),
            _ => false,
        };
        let takes = match member {
            Some(member) if ends && member.status == MemberStatus::Active => self.role_of(member)?.owner,
            _ => false,
        };
        match self.kind.rules().owners {
            OwnerRule::ExactlyOne if gives || takes => Err(Refusal::OwnerMustTransfer),
            OwnerRule::AtLeastOne if takes && self.active_owners == 1 => Err(Refusal::LastOwner),
            OwnerRule::ExactlyOne | OwnerRule::AtLeastOne => Ok(()),
        }
    }
}

impl MemberManagement {
    /// Whether members can be managed.
    ///
    /// # Errors
    /// `MEMBERS_NOT_AVAILABLE` or `NOT_CERTIFIED`.
    pub const fn available(self, certification: Certification) -> Result<(), Refusal> {
        match (self, certification) {
            (Self::Always, _) | (Self::OnceCertified, Certification::Certified) => Ok(()),
            (Self::Never, _) => Err(Refusal::MembersNotAvailable),
            (Self::OnceCertified, _) => Err(Refusal::NotCertified),
        }
    }
}
