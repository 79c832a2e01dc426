-- Where folding a long stream begins. A row that cannot be read is passed over and replaced.
CREATE TABLE snapshots (
    organization_id BLOB NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL,
    state_version INTEGER NOT NULL,
    head_hash BLOB NOT NULL,
    state BLOB NOT NULL
);
