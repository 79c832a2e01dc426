//! What an export of a person's own data has in it, table by table. Of what others did about them it says what happened,
//! and nothing of who did it from where.

use super::run::Table;
use crate::store::statement::Holds::{Categories, Flag, Number, Payload, Text, Time, Uuid};

#[rustfmt::skip]
pub(super) static TABLES: [Table; 11] = [
    Table {
        name: "person", keys: 1,
        columns: &[("userId", Uuid), ("email", Text), ("emailVerified", Flag), ("name", Text), ("avatarUrl", Text),
            ("createdAt", Time), ("lastLoginAt", Time)],
        select: "SELECT user_id, email, email_verified, name, avatar_url, created_at, last_login_at FROM users \
            WHERE user_id = $1 AND user_id > $2 LIMIT $3",
    },
    Table {
        name: "identities", keys: 1,
        columns: &[("issuer", Text), ("subject", Text), ("createdAt", Time)],
        select: "SELECT issuer, subject, created_at FROM identities WHERE user_id = $1 AND issuer > $2 \
            ORDER BY issuer LIMIT $3",
    },
    Table {
        name: "sessions", keys: 1,
        columns: &[("sessionId", Uuid), ("createdAt", Time), ("lastSeenAt", Time), ("expiresAt", Time), ("ip", Text),
            ("userAgent", Text)],
        select: "SELECT session_id, created_at, last_seen_at, expires_at, last_ip, last_user_agent FROM sessions \
            WHERE user_id = $1 AND session_id > $2 ORDER BY session_id LIMIT $3",
    },
    Table {
        name: "sign_in_links", keys: 1,
        columns: &[("linkId", Uuid), ("email", Text), ("ip", Text), ("createdAt", Time), ("usedAt", Time)],
        select: "SELECT link_id, email, ip, created_at, used_at FROM sign_in_links WHERE email_key = \
            (SELECT email_key FROM users WHERE user_id = $1) AND link_id > $2 ORDER BY link_id LIMIT $3",
    },
    Table {
        name: "memberships", keys: 1,
        columns: &[("organizationId", Uuid), ("organizationName", Text), ("current", Flag), ("status", Text),
            ("roleKey", Text), ("roleName", Text), ("joinedAt", Time)],
        select: "SELECT uo.organization_id, o.name, uo.current, m.status, r.key, r.name, m.joined_at \
            FROM user_organizations uo JOIN organizations o ON o.organization_id = uo.organization_id \
            JOIN members m ON m.organization_id = uo.organization_id AND m.user_id = uo.user_id \
            LEFT JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id \
            WHERE uo.user_id = $1 AND uo.organization_id > $2 ORDER BY uo.organization_id LIMIT $3",
    },
    Table {
        name: "membership_periods", keys: 2,
        columns: &[("organizationId", Uuid), ("fromSequence", Number), ("roleKey", Text), ("status", Text),
            ("from", Time), ("until", Time)],
        select: "SELECT h.organization_id, h.from_sequence, r.key, h.status, h.from_at, h.until_at \
            FROM user_organizations uo JOIN member_history h \
            ON h.organization_id = uo.organization_id AND h.user_id = uo.user_id \
            LEFT JOIN roles r ON r.organization_id = h.organization_id AND r.role_id = h.role_id \
            WHERE uo.user_id = $1 AND (h.organization_id, h.from_sequence) > ($2, $3) \
            ORDER BY h.organization_id, h.from_sequence LIMIT $4",
    },
    Table {
        name: "invitations", keys: 2,
        columns: &[("organizationId", Uuid), ("invitationId", Uuid), ("organizationName", Text), ("email", Text),
            ("name", Text), ("state", Text), ("roleKey", Text), ("createdAt", Time), ("expiresAt", Time)],
        select: "SELECT ui.organization_id, ui.invitation_id, o.name, d.email, d.name, i.state, r.key, i.created_at, \
            i.expires_at FROM user_invitations ui JOIN organizations o ON o.organization_id = ui.organization_id \
            JOIN invitations i ON i.organization_id = ui.organization_id AND i.invitation_id = ui.invitation_id \
            LEFT JOIN invitation_details d \
            ON d.organization_id = ui.organization_id AND d.invitation_id = ui.invitation_id \
            LEFT JOIN roles r ON r.organization_id = i.organization_id AND r.role_id = i.role_id \
            WHERE ui.user_id = $1 AND (ui.organization_id, ui.invitation_id) > ($2, $3) \
            ORDER BY ui.organization_id, ui.invitation_id LIMIT $4",
    },
    Table {
        name: "events_by_the_person", keys: 2,
        columns: &[("organizationId", Uuid), ("sequence", Number), ("type", Text), ("recordedAt", Time),
            ("data", Payload), ("ip", Text), ("userAgent", Text), ("reason", Text)],
        select: "SELECT a.organization_id, a.sequence, a.event_type, e.recorded_at, e.payload, c.ip, c.user_agent, \
            c.reason FROM (SELECT organization_id FROM user_organizations WHERE user_id = $1 \
            UNION SELECT organization_id FROM user_invitations WHERE user_id = $1) b \
            JOIN audit_entries a ON a.organization_id = b.organization_id AND a.actor_id = $1 \
            JOIN events e ON e.organization_id = a.organization_id AND e.sequence = a.sequence \
            LEFT JOIN event_context c ON c.organization_id = a.organization_id AND c.sequence = a.sequence \
            WHERE (a.organization_id, a.sequence) > ($2, $3) ORDER BY a.organization_id, a.sequence LIMIT $4",
    },
    Table {
        name: "events_about_the_person", keys: 2,
        columns: &[("organizationId", Uuid), ("sequence", Number), ("type", Text), ("recordedAt", Time),
            ("data", Payload)],
        select: "SELECT a.organization_id, a.sequence, a.event_type, e.recorded_at, e.payload FROM \
            (SELECT organization_id, user_id AS target_id FROM user_organizations WHERE user_id = $1 \
            UNION SELECT organization_id, invitation_id FROM user_invitations WHERE user_id = $1) b \
            JOIN audit_entries a ON a.organization_id = b.organization_id AND a.target_id = b.target_id \
            JOIN events e ON e.organization_id = a.organization_id AND e.sequence = a.sequence \
            WHERE (a.organization_id, a.sequence) > ($2, $3) ORDER BY a.organization_id, a.sequence LIMIT $4",
    },
    Table {
        name: "refused_attempts", keys: 3,
        columns: &[("organizationId", Uuid), ("sequence", Number), ("attempt", Number), ("refusedAt", Time),
            ("action", Text), ("code", Text), ("targetKind", Text), ("targetId", Uuid), ("ip", Text),
            ("userAgent", Text)],
        select: "SELECT r.organization_id, r.sequence, r.attempt, r.refused_at, r.action, r.code, r.target_kind, \
            r.target_id, r.ip, r.user_agent FROM user_organizations uo \
            JOIN refusals r ON r.organization_id = uo.organization_id AND r.actor_id = $1 \
            WHERE uo.user_id = $1 AND (r.organization_id, r.sequence, r.attempt) > ($2, $3, $4) \
            ORDER BY r.organization_id, r.sequence, r.attempt LIMIT $5",
    },
    Table {
        name: "notification_preferences", keys: 1,
        columns: &[("organizationId", Uuid), ("muted", Categories)],
        select: "SELECT p.organization_id, p.muted FROM user_organizations uo JOIN notification_preferences p \
            ON p.organization_id = uo.organization_id AND p.user_id = uo.user_id \
            WHERE uo.user_id = $1 AND uo.organization_id > $2 ORDER BY uo.organization_id LIMIT $3",
    },
];
