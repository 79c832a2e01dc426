//! The audit log when it leaves the organization as a file. Whoever takes it along stands in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Action, Command, Decided, Event, Organization,
    ask::{Ask, OrganizationAction},
};
use crate::domain::refusal::Refusal;

/// What an export of the audit log looks like. The names are permanent: they stand in events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportFormat {
    /// A line of JSON for each event, with all that its hash covers: for programs that check it.
    Jsonl,
    /// A row for each event, with today's names: for spreadsheets.
    Csv,
}

impl ExportFormat {
    /// The permanent name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "JSONL",
            Self::Csv => "CSV",
        }
    }
}

impl Organization {
    pub(super) fn decide_audit(&self, command: &Command) -> Result<Decided, Refusal> {
        let Action::ExportAuditLog { format, filtered } = command.action else { return Ok(Decided::default()) };
        self.may(command.actor, &Ask::about(OrganizationAction::ExportAuditLog), command.now)?;
        // Each reading is one of its own, however often the same is read.
        Ok(vec![Event::AuditExported { format, filtered }].into())
    }
}
