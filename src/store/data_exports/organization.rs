//! What an export of an organization's data has in it, table by table. Never a secret, nor the hash of one.

use super::run::Table;
use crate::store::statement::Holds::{Flag, Hash, Number, Payload, Permissions, Text, Time, Uuid};

#[rustfmt::skip]
pub(super) static TABLES: [Table; 9] = [
    Table {
        name: "organization", keys: 1,
        columns: &[("organizationId", Uuid), ("name", Text), ("description", Text), ("kind", Text),
            ("certification", Text), ("defaultRoleId", Uuid), ("logo", Text), ("createdAt", Time)],
        select: "SELECT organization_id, name, description, kind, certification, default_role_id, logo, created_at \
            FROM organizations WHERE organization_id = $1 AND organization_id > $2 LIMIT $3",
    },
    Table {
        name: "members", keys: 1,
        columns: &[("userId", Uuid), ("name", Text), ("email", Text), ("status", Text), ("roleId", Uuid),
            ("roleKey", Text), ("roleName", Text), ("joinedAt", Time), ("lastLoginAt", Time), ("invitedByKind", Text),
            ("invitedById", Uuid)],
        select: "SELECT m.user_id, u.name, u.email, m.status, m.role_id, r.key, r.name, m.joined_at, m.last_login_at, \
            m.invited_by_kind, m.invited_by_id FROM members m JOIN users u ON u.user_id = m.user_id \
            LEFT JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id \
            WHERE m.organization_id = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3",
    },
    Table {
        name: "membership_periods", keys: 2,
        columns: &[("userId", Uuid), ("fromSequence", Number), ("roleId", Uuid), ("status", Text), ("joinedAt", Time),
            ("from", Time), ("until", Time)],
        select: "SELECT user_id, from_sequence, role_id, status, joined_at, from_at, until_at FROM member_history \
            WHERE organization_id = $1 AND (user_id, from_sequence) > ($2, $3) ORDER BY user_id, from_sequence LIMIT $4",
    },
    Table {
        name: "invitations", keys: 1,
        columns: &[("invitationId", Uuid), ("userId", Uuid), ("email", Text), ("name", Text), ("state", Text),
            ("roleId", Uuid), ("createdAt", Time), ("expiresAt", Time), ("invitedByKind", Text), ("invitedById", Uuid)],
        select: "SELECT i.invitation_id, i.user_id, d.email, d.name, i.state, i.role_id, i.created_at, i.expires_at, \
            i.invited_by_kind, i.invited_by_id FROM invitations i LEFT JOIN invitation_details d \
            ON d.organization_id = i.organization_id AND d.invitation_id = i.invitation_id \
            WHERE i.organization_id = $1 AND i.invitation_id > $2 ORDER BY i.invitation_id LIMIT $3",
    },
    Table {
        name: "roles", keys: 1,
        columns: &[("roleId", Uuid), ("key", Text), ("name", Text), ("description", Text), ("level", Number),
            ("permissions", Permissions), ("owner", Flag), ("builtIn", Flag), ("deleted", Flag)],
        select: "SELECT role_id, key, name, description, level, permissions, owner, built_in, deleted FROM roles \
            WHERE organization_id = $1 AND role_id > $2 ORDER BY role_id LIMIT $3",
    },
    Table {
        name: "api_keys", keys: 1,
        columns: &[("apiKeyId", Uuid), ("name", Text), ("description", Text), ("publicId", Text), ("type", Text),
            ("status", Text), ("permissions", Permissions), ("unitsPerMinute", Number), ("burst", Number),
            ("createdAt", Time), ("createdByKind", Text), ("createdById", Uuid), ("expiresAt", Time),
            ("revokedAt", Time), ("lastUsedAt", Time)],
        select: "SELECT k.api_key_id, k.name, k.description, k.public_id, k.key_type, k.status, k.permissions, \
            k.units_per_minute, k.burst, k.created_at, k.created_by_kind, k.created_by_id, k.expires_at, k.revoked_at, \
            s.last_used_at FROM api_keys k LEFT JOIN api_key_usage s \
            ON s.organization_id = k.organization_id AND s.api_key_id = k.api_key_id \
            WHERE k.organization_id = $1 AND k.api_key_id > $2 ORDER BY k.api_key_id LIMIT $3",
    },
    Table {
        name: "events", keys: 1,
        columns: &[("sequence", Number), ("type", Text), ("version", Text), ("recordedAt", Time), ("data", Payload),
            ("metadata", Payload), ("hash", Hash)],
        select: "SELECT sequence, event_type, event_version, recorded_at, payload, metadata, hash FROM events \
            WHERE organization_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
    },
    Table {
        name: "audit_log", keys: 1,
        columns: &[("sequence", Number), ("type", Text), ("recordedAt", Time), ("actorId", Uuid), ("targetId", Uuid),
            ("ip", Text), ("userAgent", Text), ("reason", Text)],
        select: "SELECT a.sequence, a.event_type, e.recorded_at, a.actor_id, a.target_id, c.ip, c.user_agent, c.reason \
            FROM audit_entries a JOIN events e ON e.organization_id = a.organization_id AND e.sequence = a.sequence \
            LEFT JOIN event_context c ON c.organization_id = a.organization_id AND c.sequence = a.sequence \
            WHERE a.organization_id = $1 AND a.sequence > $2 ORDER BY a.sequence LIMIT $3",
    },
    Table {
        name: "refused_attempts", keys: 2,
        columns: &[("sequence", Number), ("attempt", Number), ("refusedAt", Time), ("action", Text), ("code", Text),
            ("actorKind", Text), ("actorId", Uuid), ("targetKind", Text), ("targetId", Uuid), ("ip", Text),
            ("userAgent", Text)],
        select: "SELECT sequence, attempt, refused_at, action, code, actor_kind, actor_id, target_kind, target_id, ip, \
            user_agent FROM refusals WHERE organization_id = $1 AND (sequence, attempt) > ($2, $3) \
            ORDER BY sequence, attempt LIMIT $4",
    },
];
