//! Who may do what: the one place that answers, for commands and for "may I?" alike.
//!
//! The rules are asked in the order of the specification: access, kind, permission, target, rank, assignable, not
//! held, owner rule. The first that fails answers. What depends on more than who, what and whom (limits, names,
//! states of invitations) stands with its noun and is asked afterwards.

use super::{
    Lifecycle, Organization,
    api_keys::KeyStatus,
    kinds::{MemberManagement, OwnerRule},
    members::{Member, MemberStatus},
    permissions::{Permission, Permissions},
    roles::Role,
};
use crate::domain::{
    Timestamp,
    actor::Actor,
    ids::{ApiKeyId, RoleId, UserId},
    refusal::Refusal,
};

/// Every command of a living organization that its members and keys can give, in the mutation's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the mutations")]
pub enum OrganizationAction {
    UpdateOrganization,
    LeaveOrganization,
    DeleteOrganization,
    ChangeMemberRole,
    DeactivateMember,
    ReactivateMember,
    RemoveMember,
    InviteMember,
    ResendInvitation,
    RevokeInvitation,
    CreateApiKey,
    UpdateApiKey,
    DisableApiKey,
    EnableApiKey,
    RotateApiKey,
    RevokeApiKey,
}

use OrganizationAction as A;

/// A question to the policy.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// What is to be done.
    pub action: OrganizationAction,
    /// To whom.
    pub member: Option<UserId>,
    /// Which role is given.
    pub role: Option<RoleId>,
    /// Which key is acted on.
    pub api_key: Option<ApiKeyId>,
    /// Which permissions are put into a key.
    pub permissions: Permissions,
}

impl Ask {
    /// A question that names no target.
    #[must_use]
    pub const fn about(action: OrganizationAction) -> Self {
        Self { action, member: None, role: None, api_key: None, permissions: Permissions::NONE }
    }

    /// The same about a member.
    #[must_use]
    pub const fn member(self, member: UserId) -> Self {
        Self { member: Some(member), ..self }
    }

    /// The same about a role to give.
    #[must_use]
    pub const fn role(self, role: RoleId) -> Self {
        Self { role: Some(role), ..self }
    }

    /// The same about a key.
    #[must_use]
    pub const fn api_key(self, api_key: ApiKeyId) -> Self {
        Self { api_key: Some(api_key), ..self }
    }

    /// The same about permissions to put into a key.
    #[must_use]
    pub const fn permissions(self, permissions: Permissions) -> Self {
        Self { permissions, ..self }
    }
}

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

impl OrganizationAction {
    /// The permission it needs; none where membership alone is enough.
    const fn permission(self) -> Option<Permission> {
        Some(match self {
            A::LeaveOrganization => return None,
            A::UpdateOrganization => Permission::OrganizationUpdate,
            A::DeleteOrganization => Permission::OrganizationDelete,
            A::ChangeMemberRole => Permission::MembersAssignRole,
            A::DeactivateMember | A::ReactivateMember => Permission::MembersUpdate,
            A::RemoveMember => Permission::MembersRemove,
            A::InviteMember | A::ResendInvitation | A::RevokeInvitation => Permission::MembersInvite,
            A::CreateApiKey
            | A::UpdateApiKey
            | A::DisableApiKey
            | A::EnableApiKey
            | A::RotateApiKey
            | A::RevokeApiKey => Permission::ApiKeysManage,
        })
    }

    const fn manages_members(self) -> bool {
        matches!(
            self,
            A::ChangeMemberRole
                | A::DeactivateMember
                | A::ReactivateMember
                | A::RemoveMember
                | A::InviteMember
                | A::ResendInvitation
                | A::RevokeInvitation
        )
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
        if matches!(ask.action, A::LeaveOrganization | A::DeleteOrganization) && actor.user().is_none() {
            return Err(Refusal::UserRequired);
        }
        if ask.action.manages_members() {
            self.members_can_be_managed()?;
        }
        self.check_permission(&by, ask)?;

        let leaver = if ask.action == A::LeaveOrganization { actor.user() } else { None };
        let member = ask.member.or(leaver).map(|id| self.member(id).map(|member| (id, member))).transpose()?;
        let role = match (ask.role, self.default_role) {
            (None, Some(default)) if ask.action == A::InviteMember => Some(default),
            (named, _) => named,
        };
        let role = role.map(|id| self.role(id).map(|role| (id, role))).transpose()?;

        if let (Some((id, member)), None) = (member, leaver) {
            self.check_rank(&by, ask, id, member)?;
        }
        if let Some(id) = ask.api_key {
            self.check_key(&by, ask.action, id)?;
        }
        let unchanged = matches!((member, role), (Some((_, member)), Some((role, _))) if member.role == role);
        if let (Some((id, role)), false) = (role, unchanged) {
            self.check_assignable(&by, ask.action, id, role)?;
            by.must_hold(role.permissions)?;
        }
        by.must_hold(ask.permissions)?;
        if !unchanged {
            self.check_owners(ask.action, member.map(|(_, member)| member), role.map(|(_, role)| role))?;
        }
        Ok(by)
    }

    /// Whether this organization has members to manage.
    ///
    /// # Errors
    /// `MEMBERS_NOT_AVAILABLE` or `NOT_CERTIFIED`.
    pub fn members_can_be_managed(&self) -> Result<(), Refusal> {
        self.kind.rules().members.available()
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
        }
    }

    fn check_permission(&self, by: &Subject, ask: &Ask) -> Result<(), Refusal> {
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

    /// A key stands at its level; who made it may act on it whatever their rank, or a developer admin could not
    /// switch off the key they made a minute ago.
    fn check_key(&self, by: &Subject, action: OrganizationAction, id: ApiKeyId) -> Result<(), Refusal> {
        let key = self.api_keys.get(&id).ok_or(Refusal::NotFound { field: "apiKeyId" })?;
        if key.level <= by.level && key.created_by != by.actor {
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

    fn check_owners(
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
    /// Whether members can be managed. Certification is not given yet, so what waits for it is refused.
    ///
    /// # Errors
    /// `MEMBERS_NOT_AVAILABLE` or `NOT_CERTIFIED`.
    pub const fn available(self) -> Result<(), Refusal> {
        match self {
            Self::Always => Ok(()),
            Self::Never => Err(Refusal::MembersNotAvailable),
            Self::OnceCertified => Err(Refusal::NotCertified),
        }
    }
}
