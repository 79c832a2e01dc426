-- What queries read: made from the ledger, made anew by `orgledger rebuild`. The organization comes first in every
-- key and index, so that nothing ever reads beyond one organization.

CREATE TABLE organizations (
    organization_id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    default_role_id BLOB NOT NULL,
    created_at TEXT NOT NULL,
    version INTEGER NOT NULL
);

CREATE TABLE roles (
    organization_id BLOB NOT NULL,
    role_id BLOB NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    level INTEGER NOT NULL,
    permissions INTEGER NOT NULL,
    owner BOOLEAN NOT NULL,
    built_in BOOLEAN NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, role_id)
);

CREATE TABLE members (
    organization_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    role_id BLOB NOT NULL,
    status TEXT NOT NULL,
    joined_at TEXT NOT NULL,
    invited_by_kind TEXT,
    invited_by_id BLOB,
    version INTEGER NOT NULL,
    name_key TEXT NOT NULL,
    email_key TEXT NOT NULL,
    search_key TEXT NOT NULL,
    last_login_at TEXT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX members_by_name ON members (organization_id, name_key, user_id);
CREATE INDEX members_by_email ON members (organization_id, email_key, user_id);
CREATE INDEX members_by_joined ON members (organization_id, joined_at, user_id);
CREATE INDEX members_by_login ON members (organization_id, last_login_at, user_id);
CREATE INDEX members_by_role ON members (organization_id, role_id, status);
CREATE INDEX members_by_search ON members (organization_id, search_key);

-- What each member was from one event to the next; half open, the last period ends at the largest number.
CREATE TABLE member_history (
    organization_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    from_sequence INTEGER NOT NULL,
    to_sequence INTEGER NOT NULL,
    role_id BLOB NOT NULL,
    status TEXT NOT NULL,
    joined_at TEXT NOT NULL,
    from_at TEXT NOT NULL,
    until_at TEXT,
    PRIMARY KEY (organization_id, user_id, from_sequence)
);

CREATE TABLE invitations (
    organization_id BLOB NOT NULL,
    invitation_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    role_id BLOB NOT NULL,
    state TEXT NOT NULL,
    generation INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    invited_by_kind TEXT NOT NULL,
    invited_by_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, invitation_id)
);
CREATE INDEX invitations_by_time ON invitations (organization_id, created_at, invitation_id);

-- What may be erased of an invitation: the address and the name as the inviter gave them.
CREATE TABLE invitation_details (
    organization_id BLOB NOT NULL,
    invitation_id BLOB NOT NULL,
    email TEXT NOT NULL,
    name TEXT,
    search_key TEXT NOT NULL,
    PRIMARY KEY (organization_id, invitation_id)
);

CREATE TABLE api_keys (
    organization_id BLOB NOT NULL,
    api_key_id BLOB NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    search_key TEXT NOT NULL,
    public_id TEXT NOT NULL,
    key_type TEXT NOT NULL,
    status TEXT NOT NULL,
    permissions INTEGER NOT NULL,
    units_per_minute INTEGER,
    burst INTEGER,
    expires_at TEXT,
    created_at TEXT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by_id BLOB NOT NULL,
    revoked_at TEXT,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization_id, api_key_id)
);
CREATE INDEX api_keys_by_time ON api_keys (organization_id, created_at, api_key_id);

-- When a key was last used: a fact that is not in the ledger, so it survives a rebuild.
CREATE TABLE api_key_usage (
    organization_id BLOB NOT NULL,
    api_key_id BLOB NOT NULL,
    last_used_at TEXT NOT NULL,
    PRIMARY KEY (organization_id, api_key_id)
);

CREATE TABLE audit_entries (
    organization_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    actor_id BLOB NOT NULL,
    target_id BLOB NOT NULL,
    PRIMARY KEY (organization_id, sequence)
);
CREATE INDEX audit_entries_by_type ON audit_entries (organization_id, event_type, sequence);
CREATE INDEX audit_entries_by_actor ON audit_entries (organization_id, actor_id, sequence);
CREATE INDEX audit_entries_by_target ON audit_entries (organization_id, target_id, sequence);
