//! The rules of organizations, and nothing else.
//!
//! `decide` turns a command into events or a refusal; `evolve` turns an event into the next state. Nothing here
//! knows a clock, chance, async or a database: the time, new ids and secrets' hashes arrive inside the command.

pub mod actor;
pub mod ids;
pub mod organization;
pub mod refusal;
pub mod values;

pub use actor::Actor;
pub use ids::{ApiKeyId, DataExportId, GlobalId, InvitationId, OrganizationId, RoleId, SessionId, UserId};
pub use organization::Organization;
pub use refusal::Refusal;

/// A moment in UTC, cut to microseconds by the clock: PostgreSQL keeps no more, and the chain covers it.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
