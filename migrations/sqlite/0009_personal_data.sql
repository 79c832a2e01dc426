-- Whether somebody is being erased, and on whose wish (USER, OPERATOR); DONE, once nothing of them is left but the id.
ALTER TABLE users ADD COLUMN erasure TEXT;
ALTER TABLE users ADD COLUMN erased_at TEXT;
CREATE INDEX users_in_erasure ON users (user_id) WHERE erasure <> 'DONE';

-- Invitations that have ended stay in the registry: what they say of a person is found by it when the person is erased.
ALTER TABLE user_invitations ADD COLUMN open BOOLEAN NOT NULL DEFAULT TRUE;
INSERT INTO user_invitations (user_id, organization_id, invitation_id, open)
SELECT user_id, organization_id, invitation_id, FALSE FROM invitations WHERE state <> 'PENDING';

-- Copies of everything that is kept about an organization or a person: wished for, made by whichever server takes the
-- lease, and kept as files for a week. PENDING, then READY or FAILED; SPOILED where one must not be had any more.
CREATE TABLE data_exports (
    export_id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB,
    user_id BLOB,
    state TEXT NOT NULL,
    progress INTEGER NOT NULL,
    -- How often it was taken. Who took it before somebody else did changes nothing any more.
    fence INTEGER NOT NULL,
    lease_until TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    expires_at TEXT
);
CREATE INDEX data_exports_by_organization ON data_exports (organization_id, requested_at);
CREATE INDEX data_exports_by_user ON data_exports (user_id, requested_at);
CREATE INDEX data_exports_pending ON data_exports (lease_until) WHERE state = 'PENDING';
