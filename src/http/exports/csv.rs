//! The audit log as a table.

use std::borrow::Cow;

use axum::body::Bytes;

use crate::{
    domain::{Actor, GlobalId, organization::Target},
    secrets::hex,
    store::{
        Error, chain, csv,
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
pub(super) fn head() -> Result<Bytes, Error> {
    Ok(csv::rows([COLUMNS.map(Cow::Borrowed)])?.into())
}

/// The rows of entries. Ids are those of the API; the organization's own name is given, all others are found.
pub(super) fn body(entries: &[Entry], organization_name: &str, names: &Names) -> Result<Bytes, Error> {
    Ok(csv::rows(entries.iter().map(|entry| row(entry, organization_name, names)))?.into())
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

fn row<'a>(entry: &'a Entry, organization_name: &str, names: &Names) -> [Cow<'a, str>; COLUMNS.len()] {
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
    let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default().into();
    [
        recorded.sequence.to_string().into(),
        chain::time(recorded.recorded_at).into(),
        recorded.event.name().into(),
        recorded.metadata.actor_kind.as_str().into(),
        actor.into(),
        names.get(recorded.metadata.actor_id).unwrap_or_default().into(),
        kind.into(),
        target.to_string().into(),
        target_name.into(),
        text(reason),
        recorded.metadata.request_id.as_str().into(),
        text(ip),
        text(user_agent),
        hex(&recorded.hash).into(),
    ]
}
