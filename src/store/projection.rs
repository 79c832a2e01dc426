//! Events to rows: each noun says what is to be written, in the transaction of the append or of a rebuild.

use std::collections::{BTreeMap, VecDeque};

use super::{Error, aggregate::Recorded, api_keys, history, invitations, members, profile, roles, write::Write};
use crate::domain::organization::{Event, Target};

/// What an event changes in the rows that queries read.
fn project(recorded: &Recorded) -> Result<Vec<Write>, Error> {
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

/// Lists of writes that do not depend on each other.
pub(super) type Batch = Vec<Vec<Write>>;

/// What events change, as batches in their order: what happened to one object stays in a list, different objects are
/// written at once.
pub(super) fn batches<'a>(events: impl IntoIterator<Item = &'a Recorded>) -> Result<VecDeque<Batch>, Error> {
    let mut batches = VecDeque::new();
    let mut lists: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for recorded in events {
        let writes = project(recorded)?;
        if is_of_its_target_alone(&recorded.event) {
            lists.entry(recorded.event.target()).or_default().extend(writes);
        } else {
            batches.push_back(std::mem::take(&mut lists).into_values().collect());
            batches.push_back(vec![writes]);
        }
    }
    batches.push_back(lists.into_values().collect());
    Ok(batches)
}

/// Whether an event writes rows of the object that it is about and no others, but for the number of members, which comes
/// to the same in any order; it then reads no others either.
const fn is_of_its_target_alone(event: &Event) -> bool {
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
