//! Events to rows: each noun writes its own, in the transaction of the append or of a rebuild.

use super::{
    Error, aggregate::Recorded, api_keys, database::Transaction, history, invitations, members, profile, roles,
};
use crate::domain::organization::Target;

/// Writes what an event changes in the rows that queries read.
pub(super) async fn project(transaction: &mut Transaction, recorded: &Recorded) -> Result<(), Error> {
    history::project(transaction, recorded).await?;
    match recorded.event.target() {
        Target::Organization => profile::project(transaction, recorded).await,
        Target::Member(_) => members::project(transaction, recorded).await,
        Target::Invitation(_) => invitations::project(transaction, recorded).await,
        Target::Role(_) => roles::project(transaction, recorded).await,
        Target::ApiKey(_) => api_keys::project(transaction, recorded).await,
    }
}

/// The tables that are made from the ledger alone, and made anew by a rebuild.
pub(super) const TABLES: [&str; 11] = [
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
