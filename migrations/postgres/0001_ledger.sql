-- The ledger: what happened, in order, chained. Nothing here is ever rewritten.

CREATE TABLE streams (
    organization_id UUID NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    head_hash BYTEA NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    state TEXT COLLATE "C" NOT NULL
);
-- LIVING, then DELETED while its events are purged, then PURGED down to the deletion itself.
CREATE INDEX streams_deleted ON streams (organization_id) WHERE state = 'DELETED';

-- The first seven columns are those of cqrs-es, so that its stock repositories read the table.
CREATE TABLE events (
    aggregate_type TEXT COLLATE "C" NOT NULL,
    aggregate_id TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    event_version TEXT COLLATE "C" NOT NULL,
    payload JSONB NOT NULL,
    metadata JSONB NOT NULL,
    organization_id UUID NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    prev_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (organization_id, sequence),
    UNIQUE (aggregate_type, aggregate_id, sequence)
);
CREATE INDEX events_by_time ON events (organization_id, recorded_at, sequence);

-- What may be erased of an event: where it came from, and why.
CREATE TABLE event_context (
    organization_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    ip TEXT COLLATE "C",
    user_agent TEXT COLLATE "C",
    reason TEXT COLLATE "C",
    reason_key TEXT COLLATE "C",
    reason_salt BYTEA,
    PRIMARY KEY (organization_id, sequence)
);

-- Commands with an idempotency key, for 24 hours.
CREATE TABLE commands (
    organization_id UUID NOT NULL,
    actor_id UUID NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    version BIGINT NOT NULL,
    object_ids JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (organization_id, actor_id, idempotency_key)
);
CREATE INDEX commands_by_age ON commands (organization_id, created_at);

-- Secrets of the server, the same for every instance.
CREATE TABLE server_keys (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    key BYTEA NOT NULL
);
