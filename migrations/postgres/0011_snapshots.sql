-- Where folding a long stream begins. A row that cannot be read is passed over and replaced.
CREATE TABLE snapshots (
    organization_id UUID NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    state_version BIGINT NOT NULL,
    head_hash BYTEA NOT NULL,
    state BYTEA NOT NULL
);
