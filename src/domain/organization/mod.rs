//! The aggregate: one organization, its members, invitations, roles and API keys.
//!
//! `decide` and `evolve` are one match each that hand over to the noun; who may do what stands in [`policy`].
//! The state holds ids, roles and times, never a name or an email of a person.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

pub mod api_keys;
pub mod ask;
pub mod audit;
pub mod command;
pub mod event;
pub mod invitations;
pub mod kinds;
pub mod logo;
pub mod members;
pub mod names;
pub mod notices;
pub mod permissions;
pub mod policy;
pub mod profile;
pub mod roles;

pub use ask::{Ask, OrganizationAction};
pub use command::{Action, Command, CreatedKeys, InvitationRow};
pub use event::{Event, Target};
pub use kinds::Kind;
pub use logo::Logo;
pub use permissions::{Permission, Permissions};

use super::{
    ids::{ApiKeyId, DataExportId, InvitationId, RoleId, UserId},
    refusal::Refusal,
};

/// Whether there is an organization behind the id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Lifecycle {
    #[default]
    Absent,
    Living,
    Deleted,
}

/// The state that commands are decided on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    lifecycle: Lifecycle,
    kind: Kind,
    name: String,
    description: Option<String>,
    logo: Option<Logo>,
    certification: profile::Certification,
    default_role: Option<RoleId>,
    version: u64,
    profile_version: u64,
    /// The export of data that was asked for last.
    data_export: Option<DataExportId>,
    roles: BTreeMap<RoleId, roles::Role>,
    members: HashMap<UserId, members::Member>,
    /// Members that are not former ones.
    member_count: u32,
    active_owners: u32,
    invitations: HashMap<InvitationId, invitations::Invitation>,
    /// The open invitation of a person, expired or not.
    open_invitations: HashMap<UserId, InvitationId>,
    api_keys: HashMap<ApiKeyId, api_keys::ApiKey>,
    /// The compared names of keys that are not revoked.
    living_keys: HashMap<String, ApiKeyId>,
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// What happens; nothing, where the command would change nothing.
    pub events: Vec<Event>,
    /// What the answer needs beside the events.
    pub notes: Notes,
}

/// What an answer needs beside the events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Row by row, what became of each invitation asked for.
    pub invited: Vec<Result<invitations::Invited, Refusal>>,
    /// The keys that are not revoked and that the removed, deactivated or leaving person had created.
    pub created_keys: Vec<ApiKeyId>,
    /// The export of data that is there already.
    pub data_export: Option<DataExportId>,
}

impl From<Vec<Event>> for Decided {
    fn from(events: Vec<Event>) -> Self {
        Self { events, notes: Notes::default() }
    }
}

impl From<Option<Event>> for Decided {
    fn from(event: Option<Event>) -> Self {
        event.into_iter().collect::<Vec<_>>().into()
    }
}

impl Organization {
    /// The sequence of the last event.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// A deleted organization whose last event has this sequence.
    #[must_use]
    pub fn tombstone(version: u64) -> Self {
        Self { lifecycle: Lifecycle::Deleted, version, ..Self::default() }
    }

    /// The export of data that was asked for last.
    #[must_use]
    pub const fn data_export(&self) -> Option<DataExportId> {
        self.data_export
    }

    /// How much of a cache this takes: the number of things it holds.
    #[must_use]
    pub fn weight(&self) -> u64 {
        1 + (self.members.len() + self.invitations.len() + self.api_keys.len()) as u64
    }

    /// Decides a command on this state. It changes nothing, and allocates nothing in proportion to the state.
    ///
    /// # Errors
    /// The first rule that says no.
    pub fn decide(&self, command: &Command) -> Result<Decided, Refusal> {
        match &command.action {
            Action::CreateOrganization { .. }
            | Action::CreatePersonalOrganization { .. }
            | Action::UpdateOrganization { .. }
            | Action::SetLogo { .. }
            | Action::RemoveLogo
            | Action::RequestCertification
            | Action::DecideCertification { .. }
            | Action::RequestDataExport { .. }
            | Action::DeleteOrganization { .. } => self.decide_profile(command),
            Action::ErasePerson { user } => self.erase_person(command, *user),
            Action::LeaveOrganization { .. }
            | Action::TransferOwnership { .. }
            | Action::ChangeMemberRole { .. }
            | Action::DeactivateMember { .. }
            | Action::ReactivateMember { .. }
            | Action::RemoveMember { .. } => self.decide_members(command),
            Action::InviteMembers { .. }
            | Action::ResendInvitation { .. }
            | Action::RevokeInvitation { .. }
            | Action::AcceptInvitation { .. }
            | Action::DeclineInvitation { .. } => self.decide_invitations(command),
            Action::CreateRole { .. } | Action::UpdateRole { .. } | Action::DeleteRole { .. } => {
                self.decide_roles(command)
            }
            Action::CreateApiKey { .. }
            | Action::UpdateApiKey { .. }
            | Action::DisableApiKey { .. }
            | Action::EnableApiKey { .. }
            | Action::RotateApiKey { .. }
            | Action::RevokeApiKey { .. } => self.decide_api_keys(command),
            Action::ExportAuditLog { .. } => self.decide_audit(command),
        }
    }

    /// Applies what happened. It never refuses: what is in the ledger happened.
    pub fn evolve(&mut self, event: &Event) {
        self.version += 1;
        match event.target() {
            Target::Organization => self.evolve_profile(event),
            Target::Member(_) => self.evolve_members(event),
            Target::Invitation(_) => self.evolve_invitations(event),
            Target::Role(_) => self.evolve_roles(event),
            Target::ApiKey(_) => self.evolve_api_keys(event),
        }
    }
}

impl Command {
    /// Refuses when the changed object is at another version than the caller expects.
    fn expect_version(&self, actual: u64) -> Result<(), Refusal> {
        match self.expected_version {
            Some(expected) if expected != actual => Err(Refusal::VersionMismatch { expected, actual }),
            _ => Ok(()),
        }
    }
}
