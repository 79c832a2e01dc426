//! The organization itself: made, renamed, described, deleted.

use super::{
    Action, Command, Decided, Event, Lifecycle, Organization,
    event::Change,
    policy::{Ask, OrganizationAction},
    roles::Role,
};
use crate::domain::{refusal::Refusal, values::normalize};

/// How many organizations a person may belong to.
pub const ORGANIZATIONS_PER_USER: u32 = 100;

/// Refuses when the person belongs to as many organizations as a person may.
///
/// # Errors
/// `LIMIT_REACHED`.
pub(super) fn check_organizations(count: u32) -> Result<(), Refusal> {
    if count >= ORGANIZATIONS_PER_USER {
        return Err(Refusal::LimitReached { limit: ORGANIZATIONS_PER_USER, what: "organizations of one person" });
    }
    Ok(())
}

impl Organization {
    pub(super) fn decide_profile(&self, command: &Command) -> Result<Decided, Refusal> {
        match &command.action {
            Action::CreateOrganization { .. } => self.create(command),
            Action::UpdateOrganization { .. } => self.update(command),
            Action::DeleteOrganization { confirm_name } => {
                self.may(command.actor, &Ask::about(OrganizationAction::DeleteOrganization), command.now)?;
                if normalize(confirm_name) != normalize(&self.name) {
                    return Err(Refusal::invalid("confirmName", "must be the name of the organization"));
                }
                Ok(vec![Event::OrganizationDeleted {}].into())
            }
            _ => Ok(Decided::default()),
        }
    }

    fn create(&self, command: &Command) -> Result<Decided, Refusal> {
        let Action::CreateOrganization { kind, name, description, email_commitment, organizations } = &command.action
        else {
            return Ok(Decided::default());
        };
        // An id is never used again, and a deleted organization cannot be told from one that never was.
        if self.lifecycle != Lifecycle::Absent {
            return Err(Refusal::NotFound { field: "organizationId" });
        }
        let user_id = command.actor.user().ok_or(Refusal::UserRequired)?;
        if !kind.rules().created_by_people {
            return Err(Refusal::invalid("kind", "must be TEAM or WORKSPACE"));
        }
        check_organizations(*organizations)?;
        Ok(vec![
            Event::OrganizationCreated {
                kind: *kind,
                name: name.as_str().to_owned(),
                description: description.as_ref().map(|text| text.as_str().to_owned()),
            },
            Event::MemberJoined {
                user_id,
                role_id: kind.rules().owner_role().id,
                invitation_id: None,
                invited_by: None,
                email_commitment: email_commitment.clone(),
            },
        ]
        .into())
    }

    fn update(&self, command: &Command) -> Result<Decided, Refusal> {
        let Action::UpdateOrganization { name, description, default_role } = &command.action else {
            return Ok(Decided::default());
        };
        // A form that sends every field names the role that is set already; that gives nothing to anybody.
        let default_role = &default_role.filter(|role| self.default_role != Some(*role));
        let ask = Ask { role: *default_role, ..Ask::about(OrganizationAction::UpdateOrganization) };
        self.may(command.actor, &ask, command.now)?;
        command.expect_version(self.profile_version)?;
        let mut events = Vec::new();
        if let Some(change) = name.as_ref().and_then(|to| Change::between(&self.name, to.as_str().to_owned())) {
            events.push(Event::OrganizationRenamed { from: change.from, to: change.to });
        }
        let description = description.as_ref().map(|to| to.as_ref().map(|text| text.as_str().to_owned()));
        if let Some(change) = description.and_then(|to| Change::between(&self.description, to)) {
            events.push(Event::OrganizationDescriptionChanged { from: change.from, to: change.to });
        }
        if let (Some(from), Some(to)) = (self.default_role, *default_role)
            && from != to
        {
            events.push(Event::OrganizationDefaultRoleChanged { from, to });
        }
        Ok(events.into())
    }

    pub(super) fn evolve_profile(&mut self, event: &Event) {
        self.profile_version = self.version;
        match event {
            Event::OrganizationCreated { kind, name, description } => {
                let rules = kind.rules();
                self.lifecycle = Lifecycle::Living;
                self.kind = *kind;
                self.name.clone_from(name);
                self.description.clone_from(description);
                self.default_role = Some(rules.default_invitation_role().id);
                self.roles = rules.roles.iter().map(|role| (role.id, Role::from(role))).collect();
            }
            Event::OrganizationRenamed { to, .. } => self.name.clone_from(to),
            Event::OrganizationDescriptionChanged { to, .. } => self.description.clone_from(to),
            Event::OrganizationDefaultRoleChanged { to, .. } => self.default_role = Some(*to),
            // Nothing can be asked of it any more, so nothing of it has to be remembered.
            Event::OrganizationDeleted {} => {
                *self = Self::tombstone(self.version);
            }
            _ => {}
        }
    }
}

impl<T: PartialEq + Clone> Change<T> {
    /// The change from one value to another; `None` where they are equal.
    pub(super) fn between(from: &T, to: T) -> Option<Self> {
        (*from != to).then(|| Self { from: from.clone(), to })
    }
}
