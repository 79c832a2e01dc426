//! Roles: the ranks and permissions that members hold, built in or made by the organization.

use serde::{Deserialize, Serialize};

use super::{
    Action, Command, Decided, Event, Organization,
    ask::{Ask, OrganizationAction},
    event::Change,
    kinds::BuiltInRole,
    members::{Member, MemberStatus},
    permissions::Permissions,
};
use crate::domain::{
    ids::{InvitationId, RoleId, UserId},
    refusal::Refusal,
    values::{Invalid, Name, normalize},
};

/// How many custom roles an organization may have.
pub const CUSTOM_ROLES: usize = 50;
/// How many members and invitations one deletion of a role moves to another.
pub const REASSIGNED_AT_ONCE: usize = 1000;
/// The longest key, in characters.
const KEY_LIMIT: usize = 100;

/// The level of a custom role: 2 to 9. The first level is the owners' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// The level as a number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<i32> for Level {
    type Error = Invalid;

    fn try_from(level: i32) -> Result<Self, Invalid> {
        match u8::try_from(level) {
            Ok(level @ 2..=9) => Ok(Self(level)),
            _ => Err(Invalid("must be 2 to 9")),
        }
    }
}

/// A role of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The permanent key, unique in the organization.
    pub key: String,
    /// The name that is shown, unique in the organization whatever its case.
    pub name: String,
    description: Option<String>,
    /// The rank; 1 is the highest.
    pub level: u8,
    /// Whether who holds it owns the organization.
    pub owner: bool,
    /// Whether every organization of the kind has it; such a role is never edited or deleted.
    pub built_in: bool,
    /// What it allows.
    pub permissions: Permissions,
    version: u64,
}

impl From<&BuiltInRole> for Role {
    fn from(role: &BuiltInRole) -> Self {
        Self {
            key: role.key.to_owned(),
            name: role.name.to_owned(),
            description: Some(role.description.to_owned()),
            level: role.level,
            owner: role.owner,
            built_in: true,
            permissions: role.permissions,
            version: 1,
        }
    }
}

/// The key of a custom role: its name in upper snake case, in letters and digits that everybody can type.
fn key_of(name: &Name) -> Result<String, Refusal> {
    let plain = deunicode::deunicode(name.as_str()).to_ascii_uppercase();
    let words = plain.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let key: String = words.collect::<Vec<_>>().join("_").chars().take(KEY_LIMIT).collect();
    let key = key.trim_end_matches('_').to_owned();
    if key.is_empty() {
        return Err(Refusal::invalid("name", "must have a letter or a digit"));
    }
    Ok(key)
}

/// Who and what has a role that is to go; counted all, and named as far as one command moves them.
struct Holders {
    members: Vec<UserId>,
    member_count: usize,
    invitations: Vec<InvitationId>,
    default: bool,
}

impl Organization {
    /// Every role, by id.
    pub fn roles(&self) -> impl Iterator<Item = (RoleId, &Role)> {
        self.roles.iter().map(|(id, role)| (*id, role))
    }

    /// A role by id.
    ///
    /// # Errors
    /// `NOT_FOUND` when the organization has no such role.
    pub(super) fn role(&self, id: RoleId) -> Result<&Role, Refusal> {
        self.roles.get(&id).ok_or(Refusal::NotFound { field: "roleId" })
    }

    /// The role that a member holds.
    ///
    /// # Errors
    /// Never for a state that was folded from a ledger: a role in use cannot go away.
    pub(super) fn role_of(&self, member: &Member) -> Result<&Role, Refusal> {
        self.role(member.role)
    }

    pub(super) fn decide_roles(&self, command: &Command) -> Result<Decided, Refusal> {
        match &command.action {
            Action::CreateRole { .. } => self.create_role(command),
            Action::UpdateRole { .. } => self.update_role(command),
            Action::DeleteRole { role, reassign_to } => self.delete_role(command, *role, *reassign_to),
            _ => Ok(Decided::default()),
        }
    }

    /// Neither a name nor the key that it makes may be another role's, built-in ones included: two roles that read
    /// the same would be one to whoever gives them. Answers the key.
    fn check_role_name(&self, name: &Name, of: Option<RoleId>) -> Result<String, Refusal> {
        let key = key_of(name)?;
        let taken =
            |(id, role): (&RoleId, &Role)| Some(*id) != of && (role.key == key || normalize(&role.name) == name.key());
        if self.roles.iter().any(taken) { Err(Refusal::NameTaken) } else { Ok(key) }
    }

    fn create_role(&self, command: &Command) -> Result<Decided, Refusal> {
        let Action::CreateRole { role: role_id, name, description, level, permissions } = &command.action else {
            return Ok(Decided::default());
        };
        let ask = Ask::about(OrganizationAction::CreateRole).level(*level).permissions(*permissions);
        self.may(command.actor, &ask, command.now)?;
        let key = self.check_role_name(name, None)?;
        if self.roles.values().filter(|role| !role.built_in).count() >= CUSTOM_ROLES {
            return Err(Refusal::LimitReached { limit: 50, what: "custom roles" });
        }
        Ok(vec![Event::RoleCreated {
            role_id: *role_id,
            key,
            name: name.as_str().to_owned(),
            description: description.as_ref().map(|text| text.as_str().to_owned()),
            level: level.get(),
            permissions: *permissions,
        }]
        .into())
    }

    fn update_role(&self, command: &Command) -> Result<Decided, Refusal> {
        let Action::UpdateRole { role: role_id, name, description, level, permissions } = &command.action else {
            return Ok(Decided::default());
        };
        let held = self.roles.get(role_id).map_or(Permissions::NONE, |role| role.permissions);
        let added = permissions.map_or(Permissions::NONE, |permissions| permissions.without(held));
        let mut ask = Ask::about(OrganizationAction::UpdateRole).role(*role_id).permissions(added);
        ask.level = *level;
        self.may(command.actor, &ask, command.now)?;
        let role = self.role(*role_id)?;
        command.expect_version(role.version)?;
        // A form that sends every field sends the name that is there already; that takes it from nobody.
        if let Some(name) = name.as_ref().filter(|name| name.as_str() != role.name) {
            self.check_role_name(name, Some(*role_id))?;
        }
        let name = name.as_ref().and_then(|to| Change::between(&role.name, to.as_str().to_owned()));
        let description = description.as_ref().map(|to| to.as_ref().map(|text| text.as_str().to_owned()));
        let description = description.and_then(|to| Change::between(&role.description, to));
        let level = level.and_then(|to| Change::between(&role.level, to.get()));
        let permissions = permissions.and_then(|to| Change::between(&role.permissions, to));
        let changed = name.is_some() || description.is_some() || level.is_some() || permissions.is_some();
        let event = Event::RoleUpdated { role_id: *role_id, name, description, level, permissions };
        Ok(changed.then_some(event).into())
    }

    /// Deletes a role. What has it moves to another one first, each as if it had been asked alone: members as by
    /// `changeMemberRole`, pending invitations as if sent by who deletes the role, the default as by
    /// `updateOrganization`.
    fn delete_role(&self, command: &Command, id: RoleId, reassign_to: Option<RoleId>) -> Result<Decided, Refusal> {
        self.may(command.actor, &Ask::about(OrganizationAction::DeleteRole).role(id), command.now)?;
        let role = self.role(id)?;
        command.expect_version(role.version)?;
        if let Some(to) = reassign_to {
            self.role(to).map_err(|_| Refusal::NotFound { field: "reassignToRoleId" })?;
            if to == id {
                return Err(Refusal::invalid("reassignToRoleId", "must be another role"));
            }
        }
        let holders = self.holders(id, command);
        let mut events = match reassign_to {
            Some(to) => self.reassign(command, &holders, id, to)?,
            None if holders.none() => Vec::new(),
            None => {
                let count = |length| u32::try_from(length).unwrap_or(u32::MAX);
                return Err(Refusal::RoleInUse {
                    member_count: count(holders.member_count),
                    invitation_count: count(holders.invitations.len()),
                });
            }
        };
        events.push(Event::RoleDeleted {
            role_id: id,
            key: role.key.clone(),
            name: role.name.clone(),
            level: role.level,
            permissions: role.permissions,
        });
        Ok(events.into())
    }

    fn holders(&self, id: RoleId, command: &Command) -> Holders {
        let holds = |member: &Member| member.role == id && member.status != MemberStatus::Former;
        let holding = || self.members().filter(|(_, member)| holds(member)).map(|(user, _)| user);
        let member_count = holding().count();
        // More than one command moves are counted only: a refusal costs no memory in proportion to the members.
        let mut members: Vec<_> = if member_count > REASSIGNED_AT_ONCE { Vec::new() } else { holding().collect() };
        members.sort_unstable();
        let mut invitations = self.pending_invitations_with(id, command.now);
        invitations.sort_unstable();
        Holders { members, member_count, invitations, default: self.default_role == Some(id) }
    }

    fn reassign(&self, command: &Command, holders: &Holders, from: RoleId, to: RoleId) -> Result<Vec<Event>, Refusal> {
        let Holders { members, member_count, invitations, default } = holders;
        let asked = [
            (*member_count > 0, OrganizationAction::ChangeMemberRole),
            (!invitations.is_empty(), OrganizationAction::InviteMember),
            (*default, OrganizationAction::UpdateOrganization),
        ];
        for (_, action) in asked.into_iter().filter(|(needed, _)| *needed) {
            self.may(command.actor, &Ask::about(action).role(to), command.now)?;
        }
        if member_count + invitations.len() > REASSIGNED_AT_ONCE {
            return Err(Refusal::LimitReached { limit: 1000, what: "members and invitations moved at once" });
        }
        let mut events = Vec::with_capacity(members.len() + invitations.len() + 2);
        events.extend(members.iter().map(|user| Event::MemberRoleChanged { user_id: *user, from, to }));
        let invited_by = command.actor;
        events.extend(invitations.iter().map(|id| Event::InvitationRoleChanged {
            invitation_id: *id,
            from,
            to,
            invited_by,
        }));
        events.extend(default.then_some(Event::OrganizationDefaultRoleChanged { from, to }));
        Ok(events)
    }

    pub(super) fn evolve_roles(&mut self, event: &Event) {
        match event {
            Event::RoleCreated { role_id, key, name, description, level, permissions } => {
                let role = Role {
                    key: key.clone(),
                    name: name.clone(),
                    description: description.clone(),
                    level: *level,
                    owner: false,
                    built_in: false,
                    permissions: *permissions,
                    version: self.version,
                };
                self.roles.insert(*role_id, role);
            }
            Event::RoleUpdated { role_id, name, description, level, permissions } => {
                let Some(role) = self.roles.get_mut(role_id) else { return };
                role.version = self.version;
                if let Some(change) = name {
                    role.name.clone_from(&change.to);
                }
                if let Some(change) = description {
                    role.description.clone_from(&change.to);
                }
                if let Some(change) = level {
                    role.level = change.to;
                }
                if let Some(change) = permissions {
                    role.permissions = change.to;
                }
            }
            Event::RoleDeleted { role_id, .. } => {
                self.roles.remove(role_id);
            }
            _ => {}
        }
    }
}

impl Holders {
    const fn none(&self) -> bool {
        self.member_count == 0 && self.invitations.is_empty() && !self.default
    }
}
