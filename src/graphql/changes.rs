//! What an event changed, as a reader meets it: fields before and after, and data with the API's own ids.

use async_graphql::SimpleObject;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    domain::{
        ApiKeyId, GlobalId, InvitationId, OrganizationId, RoleId, UserId,
        organization::{Event, Logo, Permissions, api_keys::RateLimit, event},
    },
    store::{aggregate::Recorded, names::Names},
};

/// A field before and after; none where there was or is no value.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct Change {
    /// The field.
    field: &'static str,
    /// Before.
    from: Option<String>,
    /// After.
    to: Option<String>,
}

fn change(field: &'static str, from: Option<String>, to: Option<String>) -> Change {
    Change { field, from, to }
}

#[expect(clippy::unnecessary_wraps, reason = "a value of a change may be none")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "a value of a change may be none")]
fn listed(permissions: Permissions) -> Option<String> {
    Some(
        permissions
            .iter()
            .map(super::super::domain::organization::permissions::Permission::name)
            .collect::<Vec<_>>()
            .join(" "),
    )
}

fn limited(limit: Option<RateLimit>) -> Option<String> {
    limit.map(|limit| format!("{} a minute, {} at once", limit.units_per_minute(), limit.burst()))
}

/// The roles whose keys stand in what an event changed.
pub fn roles(event: &Event) -> impl Iterator<Item = RoleId> {
    let (first, second) = match event {
        Event::OrganizationDefaultRoleChanged { from, to }
        | Event::MemberRoleChanged { from, to, .. }
        | Event::MemberOwnershipTransferred { from, to, .. }
        | Event::InvitationRoleChanged { from, to, .. } => (Some(*from), Some(*to)),
        Event::MemberJoined { role_id, .. }
        | Event::MemberRemoved { role_id, .. }
        | Event::MemberLeft { role_id, .. }
        | Event::InvitationSent { role_id, .. } => (Some(*role_id), None),
        _ => (None, None),
    };
    let third = match event {
        Event::MemberOwnershipTransferred { former_owner_role_id, .. } => Some(*former_owner_role_id),
        _ => None,
    };
    [first, second, third].into_iter().flatten()
}

/// What an event changed. Roles are named by their keys.
pub fn of(recorded: &Recorded, names: &Names) -> Vec<Change> {
    let event = &recorded.event;
    let role = |id: &RoleId| Some(names.role_key(*id).unwrap_or_else(|| id.to_string()));
    let mut changes = match event {
        Event::OrganizationCreated { kind, name, description } => vec![
            change("kind", None, text(kind.rules().name)),
            change("name", None, text(name)),
            change("description", None, description.clone()),
        ],
        Event::OrganizationRenamed { from, to } => vec![change("name", text(from), text(to))],
        Event::OrganizationDescriptionChanged { from, to } => {
            vec![change("description", from.clone(), to.clone())]
        }
        // A logo is named like its file: the hash of its bytes, and what they are.
        Event::OrganizationLogoChanged { from, to } => {
            let file = |logo: &Option<Logo>| logo.map(|logo| logo.to_string());
            vec![change("logo", file(from), file(to))]
        }
        Event::OrganizationDefaultRoleChanged { from, to } => {
            vec![change("defaultInvitationRole", role(from), role(to))]
        }
        Event::OrganizationCertificationRequested { from } => {
            vec![change("certification", text(from.name()), text("REQUESTED"))]
        }
        Event::OrganizationCertified {} => vec![change("certification", text("REQUESTED"), text("CERTIFIED"))],
        Event::OrganizationCertificationRejected {} => {
            vec![change("certification", text("REQUESTED"), text("REJECTED"))]
        }
        Event::OrganizationDeleted {} | Event::OrganizationDataExportRequested { .. } | Event::ApiKeyRotated { .. } => {
            Vec::new()
        }
        // Who comes back was a former member.
        Event::MemberJoined { user_id, role_id, .. } => {
            let before = names.was_member(user_id.0, recorded.sequence).then(|| "FORMER".to_owned());
            vec![change("role", None, role(role_id)), change("status", before, text("ACTIVE"))]
        }
        Event::InvitationResent { generation, .. } => {
            let before = generation.saturating_sub(1).to_string();
            vec![change("generation", Some(before), Some(generation.to_string()))]
        }
        Event::MemberRoleChanged { from, to, .. } | Event::InvitationRoleChanged { from, to, .. } => {
            vec![change("role", role(from), role(to))]
        }
        Event::MemberOwnershipTransferred { from, to, former_owner_role_id, .. } => {
            vec![change("role", role(from), role(to)), change("formerOwnerRole", role(to), role(former_owner_role_id))]
        }
        Event::MemberDeactivated { .. } => vec![change("status", text("ACTIVE"), text("INACTIVE"))],
        Event::MemberReactivated { .. } => vec![change("status", text("INACTIVE"), text("ACTIVE"))],
        Event::MemberRemoved { role_id, status, .. } | Event::MemberLeft { role_id, status, .. } => {
            vec![change("role", role(role_id), None), change("status", text(status.name()), text("FORMER"))]
        }
        Event::InvitationSent { role_id, .. } => {
            vec![change("role", None, role(role_id)), change("state", None, text("PENDING"))]
        }
        Event::InvitationAccepted { .. } => vec![change("state", text("PENDING"), text("ACCEPTED"))],
        Event::InvitationDeclined { .. } => vec![change("state", text("PENDING"), text("DECLINED"))],
        Event::InvitationRevoked { .. } => vec![change("state", text("PENDING"), text("REVOKED"))],
        Event::RoleCreated { .. } | Event::RoleUpdated { .. } | Event::RoleDeleted { .. } => of_role(event),
        Event::ApiKeyCreated { .. } | Event::ApiKeyUpdated { .. } => of_api_key(event),
        Event::ApiKeyDisabled { .. } => vec![change("status", text("ACTIVE"), text("DISABLED"))],
        Event::ApiKeyEnabled { .. } => vec![change("status", text("DISABLED"), text("ACTIVE"))],
        Event::ApiKeyRevoked { status, .. } => vec![change("status", text(status.name()), text("REVOKED"))],
        // Reading changes nothing; what was read is told as something that was not there before.
        Event::AuditExported { format, filtered } => {
            let part = if *filtered { "FILTERED" } else { "WHOLE" };
            vec![change("format", None, text(format.name())), change("part", None, text(part))]
        }
    };
    // What was empty and stays empty did not change.
    changes.retain(|change| change.from != change.to);
    changes
}

fn of_role(event: &Event) -> Vec<Change> {
    let number = |level: u8| Some(level.to_string());
    match event {
        Event::RoleCreated { name, description, level, permissions, .. } => vec![
            change("name", None, text(name)),
            change("description", None, description.clone()),
            change("level", None, number(*level)),
            change("permissions", None, listed(*permissions)),
        ],
        Event::RoleUpdated { name, description, level, permissions, .. } => {
            let name = name.iter().map(|event::Change { from, to }| change("name", text(from), text(to)));
            let description =
                description.iter().map(|event::Change { from, to }| change("description", from.clone(), to.clone()));
            let level = level.iter().map(|event::Change { from, to }| change("level", number(*from), number(*to)));
            let permissions =
                permissions.iter().map(|event::Change { from, to }| change("permissions", listed(*from), listed(*to)));
            name.chain(description).chain(level).chain(permissions).collect()
        }
        Event::RoleDeleted { name, level, permissions, .. } => vec![
            change("name", text(name), None),
            change("level", number(*level), None),
            change("permissions", listed(*permissions), None),
        ],
        _ => Vec::new(),
    }
}

fn of_api_key(event: &Event) -> Vec<Change> {
    let time = |at: &Option<chrono::DateTime<chrono::Utc>>| at.map(|at| at.to_rfc3339());
    match event {
        Event::ApiKeyCreated { name, description, key_type, permissions, rate_limit, expires_at, .. } => vec![
            change("name", None, text(name)),
            change("description", None, description.clone()),
            change("type", None, text(key_type.name())),
            change("permissions", None, listed(*permissions)),
            change("rateLimit", None, limited(*rate_limit)),
            change("expiresAt", None, time(expires_at)),
        ],
        Event::ApiKeyUpdated { name, description, permissions, rate_limit, expires_at, .. } => {
            let mut changes = Vec::new();
            if let Some(event::Change { from, to }) = name {
                changes.push(change("name", text(from), text(to)));
            }
            if let Some(event::Change { from, to }) = description {
                changes.push(change("description", from.clone(), to.clone()));
            }
            if let Some(event::Change { from, to }) = permissions {
                changes.push(change("permissions", listed(*from), listed(*to)));
            }
            if let Some(event::Change { from, to }) = rate_limit {
                changes.push(change("rateLimit", limited(*from), limited(*to)));
            }
            if let Some(event::ExpiryChange { from, to }) = expires_at {
                changes.push(change("expiresAt", time(from), time(to)));
            }
            changes
        }
        _ => Vec::new(),
    }
}

/// The fields of an event with the API's own ids, and without what proves a secret.
pub fn data(organization: OrganizationId, recorded: &Recorded) -> Value {
    let roles_change = matches!(
        recorded.event,
        Event::MemberRoleChanged { .. }
            | Event::MemberOwnershipTransferred { .. }
            | Event::InvitationRoleChanged { .. }
            | Event::OrganizationDefaultRoleChanged { .. }
    );
    let Value::Object(fields) = &recorded.payload else { return Value::Null };
    let mut data = Map::new();
    for (name, value) in fields {
        let id = value.as_str().and_then(|text| Uuid::parse_str(text).ok());
        let shown = match (name.as_str(), id) {
            ("userId" | "formerOwnerId", Some(id)) => GlobalId::User(UserId(id)).to_string().into(),
            ("roleId" | "formerOwnerRoleId", Some(id)) => GlobalId::Role(organization, RoleId(id)).to_string().into(),
            ("from" | "to", Some(id)) if roles_change => GlobalId::Role(organization, RoleId(id)).to_string().into(),
            ("invitationId", Some(id)) => GlobalId::Invitation(organization, InvitationId(id)).to_string().into(),
            ("apiKeyId", Some(id)) => GlobalId::ApiKey(organization, ApiKeyId(id)).to_string().into(),
            ("invitedBy" | "createdBy", _) => actor(organization, value),
            ("secret", _) => value.get("publicId").map_or(Value::Null, |id| serde_json::json!({ "publicId": id })),
            _ => value.clone(),
        };
        data.insert(name.clone(), shown);
    }
    Value::Object(data)
}

fn actor(organization: OrganizationId, value: &Value) -> Value {
    let id = value.get("id").and_then(Value::as_str).and_then(|text| Uuid::parse_str(text).ok());
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    match (kind, id) {
        ("USER", Some(id)) => serde_json::json!({ "kind": kind, "id": GlobalId::User(UserId(id)).to_string() }),
        ("API_KEY", Some(id)) => {
            serde_json::json!({ "kind": kind, "id": GlobalId::ApiKey(organization, ApiKeyId(id)).to_string() })
        }
        _ => value.clone(),
    }
}
