//! Events to rows: each noun says what is to be written, in the transaction of the append or of a rebuild.

use super::{Error, aggregate::Recorded, api_keys, history, invitations, members, profile, roles, write::Write};
use crate::domain::organization::{Event, Target};

/// What an event changes in the rows that queries read.
pub(super) fn project(recorded: &Recorded) -> Result<Vec<Write>, Error> {
    let mut writes = vec![history::project(recorded)];
    writes.extend(match recorded.event.target() {
        Target::Organization => profile::project(recorded),
        Target::Member(_) => members::project(recorded),
        Target::Invitation(_) => invitations::project(recorded),
        Target::Role(_) => roles::project(recorded),
        Target::ApiKey(_) => api_keys::project(recorded)?,
    });
    Ok(writes)
}

/// Whether an event writes rows of the object that it is about and no others, but for the number of members, which comes
/// to the same in any order; it then reads no others either.
pub(super) const fn is_of_its_target_alone(event: &Event) -> bool {
    !matches!(event.target(), Target::Organization) && !matches!(event, Event::MemberOwnershipTransferred { .. })
}

/// The tables that are made from the ledger alone, and made anew by a rebuild.
pub(super) const TABLES: [&str; 12] = [
    "organizations",
    "roles",
    "role_history",
    "members",
    "member_history",
    "invitations",
    "api_keys",
    "audit_entries",
    "api_key_secrets",
    "user_organizations",
    "user_invitations",
    "snapshots",
];

/// The tables beside the ledger that hold facts of their own. A rebuild keeps them; they end with the organization. The
/// outbox ends with its events: until then it says which letters are to go.
pub(super) const FACTS: [&str; 7] = [
    "invitation_details",
    "api_key_usage",
    "commands",
    "event_context",
    "refusals",
    "data_exports",
    "notification_preferences",
];
