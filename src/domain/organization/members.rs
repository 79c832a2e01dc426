//! Members: joining, roles, rest and end of a membership.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Action, Command, CreatedKeys, Decided, Event, Kind, Lifecycle, Organization,
    api_keys::KeyStatus,
    ask::{Ask, OrganizationAction},
};
use crate::domain::{
    actor::Actor,
    ids::{ApiKeyId, RoleId, UserId},
    refusal::Refusal,
};

/// How many members an organization may have, former ones not counted.
pub const MEMBERS: u32 = 100_000;

/// What a membership is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MemberStatus {
    /// With access.
    Active,
    /// Kept, without access.
    Inactive,
    /// Left or removed.
    Former,
}

impl MemberStatus {
    /// The permanent name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Former => "FORMER",
        }
    }
}

/// A person in the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The role they hold, or held at last.
    pub role: RoleId,
    /// What the membership is.
    pub status: MemberStatus,
    /// The sequence of the last event about them.
    pub version: u64,
}

impl Organization {
    /// A member who has not left.
    ///
    /// # Errors
    /// `NOT_FOUND` for outsiders and former members.
    pub(super) fn member(&self, id: UserId) -> Result<&Member, Refusal> {
        self.members
            .get(&id)
            .filter(|member| member.status != MemberStatus::Former)
            .ok_or(Refusal::NotFound { field: "memberId" })
    }

    /// Everybody who is a member or was one.
    pub fn members(&self) -> impl Iterator<Item = (UserId, Member)> {
        self.members.iter().map(|(id, member)| (*id, *member))
    }

    pub(super) fn decide_members(&self, command: &Command) -> Result<Decided, Refusal> {
        match command.action {
            Action::LeaveOrganization { created_keys } => {
                self.may(command.actor, &Ask::about(OrganizationAction::LeaveOrganization), command.now)?;
                let user_id = command.actor.user().ok_or(Refusal::UserRequired)?;
                let Member { role: role_id, status, .. } = *self.member(user_id)?;
                self.end_access(command, user_id, created_keys, Some(Event::MemberLeft { user_id, role_id, status }))
            }
            Action::TransferOwnership { member, former_owner_role } => {
                self.transfer(command, member, former_owner_role)
            }
            Action::ChangeMemberRole { member: user_id, role } => {
                let ask = Ask::about(OrganizationAction::ChangeMemberRole).member(user_id).role(role);
                let member = self.ask_about(command, &ask, user_id)?;
                let event =
                    (member.role != role).then_some(Event::MemberRoleChanged { user_id, from: member.role, to: role });
                Ok(event.into())
            }
            Action::DeactivateMember { member: user_id, created_keys } => {
                let ask = Ask::about(OrganizationAction::DeactivateMember).member(user_id);
                let active = self.ask_about(command, &ask, user_id)?.status == MemberStatus::Active;
                let event = active.then_some(Event::MemberDeactivated { user_id });
                self.end_access(command, user_id, created_keys, event)
            }
            Action::ReactivateMember { member: user_id } => {
                let ask = Ask::about(OrganizationAction::ReactivateMember).member(user_id);
                let member = self.ask_about(command, &ask, user_id)?;
                Ok((member.status == MemberStatus::Inactive).then_some(Event::MemberReactivated { user_id }).into())
            }
            Action::RemoveMember { member: user_id, created_keys } => {
                let ask = Ask::about(OrganizationAction::RemoveMember).member(user_id);
                let Member { role: role_id, status, .. } = *self.ask_about(command, &ask, user_id)?;
                let event = Event::MemberRemoved { user_id, role_id, status };
                self.end_access(command, user_id, created_keys, Some(event))
            }
            _ => Ok(Decided::default()),
        }
    }

    /// One event makes the member the owner and gives the old owner another role, so there is never none and, where
    /// the kind says so, never two.
    fn transfer(&self, command: &Command, user_id: UserId, role: Option<RoleId>) -> Result<Decided, Refusal> {
        let mut ask = Ask::about(OrganizationAction::TransferOwnership).member(user_id);
        ask.role = role;
        let from = self.ask_about(command, &ask, user_id)?.role;
        let rules = self.kind.rules();
        Ok(vec![Event::MemberOwnershipTransferred {
            user_id,
            from,
            to: rules.owner_role().id,
            former_owner_id: command.actor.user().ok_or(Refusal::UserRequired)?,
            former_owner_role_id: role.unwrap_or_else(|| rules.default_invitation_role().id),
        }]
        .into())
    }

    /// Whether an owner stays is asked as of who leaves; whether they may is not: nobody is kept.
    pub(super) fn erase_person(&self, command: &Command, user_id: UserId) -> Result<Decided, Refusal> {
        if !matches!(command.actor, Actor::Operator) && command.actor != Actor::User(user_id) {
            return Err(Refusal::NotFound { field: "organizationId" });
        }
        let member = self.member(user_id).ok();
        if self.lifecycle != Lifecycle::Living {
            return Ok(Decided::default());
        }
        if self.kind == Kind::Personal {
            return Ok(member.map(|_| Event::OrganizationDeleted {}).into());
        }
        self.check_owners(OrganizationAction::LeaveOrganization, member, None)?;
        let left = member.map(|member| Event::MemberLeft { user_id, role_id: member.role, status: member.status });
        let closed = self.open_invitation(user_id, command.now).map(|invitation_id| match command.actor {
            Actor::User(_) => Event::InvitationDeclined { invitation_id },
            Actor::ApiKey(_) | Actor::Operator => Event::InvitationRevoked { invitation_id },
        });
        Ok(left.into_iter().chain(closed).collect::<Vec<_>>().into())
    }

    fn ask_about(&self, command: &Command, ask: &Ask, user: UserId) -> Result<&Member, Refusal> {
        self.may(command.actor, ask, command.now)?;
        let member = self.member(user)?;
        command.expect_version(member.version)?;
        Ok(member)
    }

    /// Ends or rests a membership, and does to the keys that the person created what was asked, each as if it had
    /// been asked alone.
    fn end_access(
        &self,
        command: &Command,
        user: UserId,
        created_keys: CreatedKeys,
        event: Option<Event>,
    ) -> Result<Decided, Refusal> {
        let mut decided = Decided::from(event);
        let theirs = |id: &&ApiKeyId| self.api_keys.get(*id).is_some_and(|key| key.created_by == Actor::User(user));
        let mut keys: Vec<ApiKeyId> = self.living_keys.values().filter(theirs).copied().collect();
        keys.sort_unstable();
        for api_key_id in &keys {
            let api_key_id = *api_key_id;
            let status = self.api_keys.get(&api_key_id).map_or(KeyStatus::Revoked, |key| key.status);
            let (action, event) = match created_keys {
                CreatedKeys::Keep => continue,
                CreatedKeys::Disable if status == KeyStatus::Disabled => continue,
                CreatedKeys::Disable => (OrganizationAction::DisableApiKey, Event::ApiKeyDisabled { api_key_id }),
                CreatedKeys::Revoke => (OrganizationAction::RevokeApiKey, Event::ApiKeyRevoked { api_key_id, status }),
            };
            self.may(command.actor, &Ask::about(action).api_key(api_key_id), command.now)?;
            decided.events.push(event);
        }
        decided.notes.created_keys = keys;
        Ok(decided)
    }

    pub(super) fn evolve_members(&mut self, event: &Event) {
        let version = self.version;
        match event {
            Event::MemberJoined { user_id, role_id, .. } => {
                self.set_member(*user_id, Member { role: *role_id, status: MemberStatus::Active, version });
            }
            Event::MemberRoleChanged { user_id, to, .. } => {
                self.edit_member(*user_id, |member| member.role = *to);
            }
            Event::MemberOwnershipTransferred { user_id, to, former_owner_id, former_owner_role_id, .. } => {
                self.edit_member(*user_id, |member| member.role = *to);
                self.edit_member(*former_owner_id, |member| member.role = *former_owner_role_id);
            }
            Event::MemberDeactivated { user_id } => {
                self.edit_member(*user_id, |member| member.status = MemberStatus::Inactive);
            }
            Event::MemberReactivated { user_id } => {
                self.edit_member(*user_id, |member| member.status = MemberStatus::Active);
            }
            Event::MemberRemoved { user_id, .. } | Event::MemberLeft { user_id, .. } => {
                self.edit_member(*user_id, |member| member.status = MemberStatus::Former);
            }
            _ => {}
        }
    }

    fn edit_member(&mut self, id: UserId, edit: impl FnOnce(&mut Member)) {
        if let Some(member) = self.members.get(&id) {
            let mut member = Member { version: self.version, ..*member };
            edit(&mut member);
            self.set_member(id, member);
        }
    }

    /// Puts a member in place and keeps the counts in step.
    fn set_member(&mut self, id: UserId, member: Member) {
        let before = self.members.insert(id, member);
        let counts = |member: Option<Member>| {
            member.map_or((0, 0), |member| {
                let owner = self.roles.get(&member.role).is_some_and(|role| role.owner);
                let active = member.status == MemberStatus::Active;
                (u32::from(member.status != MemberStatus::Former), u32::from(owner && active))
            })
        };
        let (members_before, owners_before) = counts(before);
        let (members_after, owners_after) = counts(Some(member));
        self.member_count = self.member_count + members_after - members_before;
        self.active_owners = self.active_owners + owners_after - owners_before;
    }
}
