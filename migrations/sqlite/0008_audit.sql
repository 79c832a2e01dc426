-- Who acted, by kind, so that the audit log finds what keys or the operator did.
ALTER TABLE audit_entries ADD COLUMN actor_kind TEXT NOT NULL DEFAULT 'USER';
UPDATE audit_entries SET actor_kind = (
    SELECT json_extract(e.metadata, '$.actorKind') FROM events e
    WHERE e.organization_id = audit_entries.organization_id AND e.sequence = audit_entries.sequence
);
CREATE INDEX audit_entries_by_kind ON audit_entries (organization_id, actor_kind, sequence);

-- A part of a reason is looked for among the reasons alone; where a client was is looked for where it is still known.
CREATE INDEX event_context_by_reason ON event_context (organization_id, reason_key) WHERE reason_key IS NOT NULL;
CREATE INDEX event_context_kept ON event_context (organization_id, sequence)
WHERE ip IS NOT NULL OR user_agent IS NOT NULL;

-- Commands of members and keys that a rule refused: facts beside the chain, placed behind the event of the version that
-- they were decided on. `dropped` counts those that followed and were not kept, because there were too many.
CREATE TABLE refusals (
    organization_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    refused_at TEXT NOT NULL,
    action TEXT NOT NULL,
    code TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id BLOB NOT NULL,
    target_kind TEXT NOT NULL,
    target_id BLOB NOT NULL,
    request_id TEXT NOT NULL,
    ip TEXT,
    user_agent TEXT,
    dropped INTEGER NOT NULL,
    PRIMARY KEY (organization_id, sequence, attempt)
);
CREATE INDEX refusals_by_action ON refusals (organization_id, action, sequence, attempt);
CREATE INDEX refusals_by_actor ON refusals (organization_id, actor_id, sequence, attempt);
CREATE INDEX refusals_by_kind ON refusals (organization_id, actor_kind, sequence, attempt);
CREATE INDEX refusals_by_target ON refusals (organization_id, target_id, sequence, attempt);
CREATE INDEX refusals_by_time ON refusals (organization_id, refused_at);
CREATE INDEX refusals_kept ON refusals (organization_id, refused_at)
WHERE ip IS NOT NULL OR user_agent IS NOT NULL;

-- What each role was from one event to the next; half open, the last period ends at the largest number.
CREATE TABLE role_history (
    organization_id BLOB NOT NULL,
    role_id BLOB NOT NULL,
    from_sequence INTEGER NOT NULL,
    to_sequence INTEGER NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    level INTEGER NOT NULL,
    permissions INTEGER NOT NULL,
    owner BOOLEAN NOT NULL,
    built_in BOOLEAN NOT NULL,
    deleted BOOLEAN NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, role_id, from_sequence)
);
-- Roles that were edited since they were made get their periods by `orgledger rebuild`.
INSERT INTO role_history (organization_id, role_id, from_sequence, to_sequence, key, name, description, level,
    permissions, owner, built_in, deleted, version)
SELECT r.organization_id, r.role_id, r.version, 9223372036854775807, r.key, r.name, r.description, r.level,
    r.permissions, r.owner, r.built_in, r.deleted, r.version
FROM roles r
WHERE r.built_in OR EXISTS (
    SELECT 1 FROM audit_entries a
    WHERE a.organization_id = r.organization_id AND a.sequence = r.version AND a.event_type = 'role.created'
);

-- A list of the past in the order of joining.
CREATE INDEX member_history_by_joined ON member_history (organization_id, joined_at, user_id);

-- Who invited a member, in each period of the membership.
ALTER TABLE member_history ADD COLUMN invited_by_kind TEXT;
ALTER TABLE member_history ADD COLUMN invited_by_id BLOB;
UPDATE member_history SET (invited_by_kind, invited_by_id) = (
    SELECT json_extract(e.payload, '$.invitedBy.kind'),
        unhex(replace(json_extract(e.payload, '$.invitedBy.id'), '-', ''))
    FROM audit_entries a
    JOIN events e ON e.organization_id = a.organization_id AND e.sequence = a.sequence
    WHERE a.organization_id = member_history.organization_id AND a.target_id = member_history.user_id
        AND a.event_type = 'member.joined' AND a.sequence <= member_history.from_sequence
    ORDER BY a.sequence DESC LIMIT 1
);
