//! The organization itself: made, renamed, described, given a logo, certified, deleted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Action, Command, Decided, Event, Kind, Lifecycle, Logo, Notes, Organization,
    ask::{Ask, OrganizationAction},
    event::{Change, Commitment},
    roles::Role,
};
use crate::domain::{
    actor::Actor,
    ids::{DataExportId, UserId},
    refusal::Refusal,
    values::normalize,
};

/// How many organizations a person may belong to.
pub const ORGANIZATIONS_PER_USER: u32 = 100;
/// What the PERSONAL organization is called when it is made, whoever it belongs to.
const PERSONAL_NAME: &str = "Personal";

/// How far the certification of an organization is; of interest where its kind needs one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Certification {
    /// Nobody has asked for it.
    #[default]
    NotRequested,
    /// It was asked for.
    Requested,
    /// The operator gave it.
    Certified,
    /// The operator refused it; it can be asked for again.
    Rejected,
}

impl Certification {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::NotRequested, Self::Requested, Self::Certified, Self::Rejected];

    /// The permanent name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotRequested => "NOT_REQUESTED",
            Self::Requested => "REQUESTED",
            Self::Certified => "CERTIFIED",
            Self::Rejected => "REJECTED",
        }
    }

    /// The state of a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|certification| certification.name() == name)
    }
}

/// What the operator answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificationDecision {
    /// Yes.
    Certify,
    /// No.
    Reject,
}

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
            Action::CreatePersonalOrganization { email_commitment } => self.create_personal(command, email_commitment),
            Action::UpdateOrganization { .. } => self.update(command),
            Action::SetLogo { logo } => self.change_logo(command, OrganizationAction::CreateLogoUpload, Some(*logo)),
            Action::RemoveLogo => self.change_logo(command, OrganizationAction::RemoveLogo, None),
            Action::RequestCertification => {
                self.may(command.actor, &Ask::about(OrganizationAction::RequestCertification), command.now)?;
                command.expect_version(self.profile_version)?;
                let from = self.certification;
                let open = matches!(from, Certification::NotRequested | Certification::Rejected);
                Ok(open.then_some(Event::OrganizationCertificationRequested { from }).into())
            }
            Action::DecideCertification { decision } => self.decide_certification(command, *decision),
            Action::RequestDataExport { export, outlived } => self.request_data_export(command, *export, *outlived),
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

    /// Who asks at the same moment gets the same one: it can be outlived once.
    fn request_data_export(
        &self,
        command: &Command,
        export_id: DataExportId,
        outlived: Option<DataExportId>,
    ) -> Result<Decided, Refusal> {
        self.may(command.actor, &Ask::about(OrganizationAction::RequestDataExport), command.now)?;
        let data_export = self.data_export.filter(|last| Some(*last) != outlived);
        let event = data_export.is_none().then_some(Event::OrganizationDataExportRequested { export_id });
        Ok(Decided { notes: Notes { data_export, ..Notes::default() }, ..event.into() })
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
            return Err(Refusal::invalid("kind", "must be TEAM, WORKSPACE or ENTERPRISE"));
        }
        check_organizations(*organizations)?;
        let description = description.as_ref().map(|text| text.as_str().to_owned());
        Ok(begin(*kind, name.as_str().to_owned(), description, user_id, email_commitment))
    }

    /// Every sign-in asks for it, so it is there already but for the first time.
    fn create_personal(&self, command: &Command, email_commitment: &Commitment) -> Result<Decided, Refusal> {
        let user_id = command.actor.user().ok_or(Refusal::UserRequired)?;
        match self.lifecycle {
            Lifecycle::Absent => Ok(begin(Kind::Personal, PERSONAL_NAME.to_owned(), None, user_id, email_commitment)),
            Lifecycle::Living => Ok(Decided::default()),
            Lifecycle::Deleted => Err(Refusal::NotFound { field: "organizationId" }),
        }
    }

    fn decide_certification(&self, command: &Command, decision: CertificationDecision) -> Result<Decided, Refusal> {
        if command.actor != Actor::Operator || self.lifecycle != Lifecycle::Living {
            return Err(Refusal::NotFound { field: "organizationId" });
        }
        self.check_needs_certification()?;
        let event = match (self.certification, decision) {
            (Certification::Requested, CertificationDecision::Certify) => Event::OrganizationCertified {},
            (Certification::Requested, CertificationDecision::Reject) => Event::OrganizationCertificationRejected {},
            (Certification::Certified, CertificationDecision::Certify)
            | (Certification::Rejected, CertificationDecision::Reject) => return Ok(Decided::default()),
            _ => {
                return Err(Refusal::NotPossible {
                    field: "organizationId",
                    sentence: "This organization has no open request for certification.",
                });
            }
        };
        Ok(vec![event].into())
    }

    /// Refuses kinds that are never certified.
    pub(super) fn check_needs_certification(&self) -> Result<(), Refusal> {
        if self.kind.rules().needs_certification() {
            return Ok(());
        }
        Err(Refusal::NotPossible {
            field: "organizationId",
            sentence: "Organizations of this kind need no certification.",
        })
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

    fn change_logo(&self, command: &Command, action: OrganizationAction, to: Option<Logo>) -> Result<Decided, Refusal> {
        self.may(command.actor, &Ask::about(action), command.now)?;
        command.expect_version(self.profile_version)?;
        let change = Change::between(&self.logo, to);
        Ok(change.map(|Change { from, to }| Event::OrganizationLogoChanged { from, to }).into())
    }

    pub(super) fn evolve_profile(&mut self, event: &Event) {
        // Of what is changed with the profile's version in hand, nothing has changed.
        if let Event::OrganizationDataExportRequested { export_id } = event {
            self.data_export = Some(*export_id);
        }
        if matches!(event, Event::OrganizationDataExportRequested { .. } | Event::AuditExported { .. }) {
            return;
        }
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
            Event::OrganizationLogoChanged { to, .. } => self.logo = *to,
            Event::OrganizationDefaultRoleChanged { to, .. } => self.default_role = Some(*to),
            Event::OrganizationCertificationRequested { .. } => self.certification = Certification::Requested,
            Event::OrganizationCertified {} => self.certification = Certification::Certified,
            Event::OrganizationCertificationRejected {} => self.certification = Certification::Rejected,
            // Nothing can be asked of it any more, so nothing of it has to be remembered.
            Event::OrganizationDeleted {} => {
                *self = Self::tombstone(self.version);
            }
            _ => {}
        }
    }
}

/// An organization begins with its owner.
fn begin(
    kind: Kind,
    name: String,
    description: Option<String>,
    user_id: UserId,
    email_commitment: &Commitment,
) -> Decided {
    let role_id = kind.rules().owner_role().id;
    vec![
        Event::OrganizationCreated { kind, name, description },
        Event::MemberJoined {
            user_id,
            role_id,
            invitation_id: None,
            invited_by: None,
            email_commitment: email_commitment.clone(),
        },
    ]
    .into()
}

impl<T: PartialEq + Clone> Change<T> {
    /// The change from one value to another; `None` where they are equal.
    pub(super) fn between(from: &T, to: T) -> Option<Self> {
        (*from != to).then(|| Self { from: from.clone(), to })
    }
}
