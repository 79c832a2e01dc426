//! The audit log as comma-separated values (RFC 4180), for people who open them in a spreadsheet.

use axum::body::Bytes;

use crate::{
    domain::{Actor, GlobalId, organization::Target},
    secrets::hex,
    store::{
        chain,
        history::Entry,
        names::{Names, Wanted},
    },
};

/// The columns.
const COLUMNS: [&str; 14] = [
    "sequence",
    "time",
    "type",
    "actorKind",
    "actorId",
    "actorName",
    "targetKind",
    "targetId",
    "targetName",
    "reason",
    "requestId",
    "ip",
    "userAgent",
    "hash",
];

/// The first row: what the columns are called.
pub(super) fn head() -> Bytes {
    let mut row = Vec::new();
    write_row(&mut row, COLUMNS);
    row.into()
}

/// The names that entries need.
pub(super) fn wanted(entries: &[Entry]) -> Wanted {
    let mut wanted = Wanted::default();
    for Entry { recorded, .. } in entries {
        if let Some(actor) = recorded.metadata.actor() {
            wanted.actor(actor);
        }
        match recorded.event.target() {
            Target::Organization => {}
            Target::Member(user) => wanted.user(user.0),
            Target::Invitation(id) => wanted.invitation(id.0),
            Target::Role(role) => wanted.role(role.0),
            Target::ApiKey(key) => wanted.api_key(key.0),
        }
    }
    wanted
}

/// Adds the row of an entry. Ids are those of the API; the organization's own name is given, all others are found.
pub(super) fn write_entry(to: &mut Vec<u8>, entry: &Entry, organization_name: &str, names: &Names) {
    let Entry { recorded, reason, ip, user_agent } = entry;
    let organization = recorded.organization;
    let actor = match recorded.metadata.actor() {
        Some(Actor::User(user)) => GlobalId::User(user).to_string(),
        Some(Actor::ApiKey(key)) => GlobalId::ApiKey(organization, key).to_string(),
        Some(Actor::Operator) | None => "operator".to_owned(),
    };
    let (kind, target) = match recorded.event.target() {
        Target::Organization => ("ORGANIZATION", GlobalId::Organization(organization)),
        Target::Member(user) => ("MEMBER", GlobalId::Member(organization, user)),
        Target::Invitation(id) => ("INVITATION", GlobalId::Invitation(organization, id)),
        Target::Role(role) => ("ROLE", GlobalId::Role(organization, role)),
        Target::ApiKey(key) => ("API_KEY", GlobalId::ApiKey(organization, key)),
    };
    let target_name = match recorded.event.target() {
        Target::Organization => organization_name.to_owned(),
        _ => names.get(recorded.event.target().id(organization)).unwrap_or_default(),
    };
    let cells = [
        &recorded.sequence.to_string(),
        &chain::time(recorded.recorded_at),
        recorded.event.name(),
        &recorded.metadata.actor_kind,
        &actor,
        &names.get(recorded.metadata.actor_id).unwrap_or_default(),
        kind,
        &target.to_string(),
        &target_name,
        reason.as_deref().unwrap_or_default(),
        &recorded.metadata.request_id,
        ip.as_deref().unwrap_or_default(),
        user_agent.as_deref().unwrap_or_default(),
        &hex(&recorded.hash),
    ];
    write_row(to, cells);
}

/// Adds a row.
fn write_row<const N: usize>(to: &mut Vec<u8>, cells: [&str; N]) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            to.push(b',');
        }
        write_cell(to, cell);
    }
    to.extend_from_slice(b"\r\n");
}

/// A spreadsheet runs what begins like a formula, and anybody may choose their own name. An apostrophe makes it text.
fn write_cell(to: &mut Vec<u8>, cell: &str) {
    const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    let formula = cell.trim_start().starts_with(FORMULA) || cell.starts_with(['\t', '\r', '\n']);
    if !formula && !cell.contains(['"', ',', '\r', '\n']) {
        return to.extend_from_slice(cell.as_bytes());
    }
    to.push(b'"');
    if formula {
        to.push(b'\'');
    }
    to.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
    to.push(b'"');
}
