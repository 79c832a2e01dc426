-- The ledger: what happened, in order, chained. Nothing here is ever rewritten.

CREATE TABLE streams (
    organization_id BLOB NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    head_hash BLOB NOT NULL,
    recorded_at TEXT NOT NULL,
    state TEXT NOT NULL
);
-- LIVING, then DELETED while its events are purged, then PURGED down to the deletion itself.
CREATE INDEX streams_deleted ON streams (organization_id) WHERE state = 'DELETED';

-- The first seven columns are those of cqrs-es, so that its stock repositories read the table.
CREATE TABLE events (
    aggregate_type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    event_version TEXT NOT NULL,
    payload TEXT NOT NULL,
    metadata TEXT NOT NULL,
    organization_id BLOB NOT NULL,
    recorded_at TEXT NOT NULL,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (organization_id, sequence),
    UNIQUE (aggregate_type, aggregate_id, sequence)
);
CREATE INDEX events_by_time ON events (organization_id, recorded_at, sequence);

-- What may be erased of an event: where it came from, and why.
CREATE TABLE event_context (
    organization_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    ip TEXT,
    user_agent TEXT,
    reason TEXT,
    reason_key TEXT,
    reason_salt BLOB,
    PRIMARY KEY (organization_id, sequence)
);

-- Commands with an idempotency key, for 24 hours.
CREATE TABLE commands (
    organization_id BLOB NOT NULL,
    actor_id BLOB NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    version INTEGER NOT NULL,
    object_ids TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (organization_id, actor_id, idempotency_key)
);
CREATE INDEX commands_by_age ON commands (organization_id, created_at);

-- Secrets of the server, the same for every instance.
CREATE TABLE server_keys (
    name TEXT NOT NULL PRIMARY KEY,
    key BLOB NOT NULL
);
