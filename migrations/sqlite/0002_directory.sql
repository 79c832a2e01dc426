-- The directory: people, how they sign in, and who belongs where. Not in the ledger, so that it can be erased.

CREATE TABLE users (
    user_id BLOB NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    email_verified BOOLEAN NOT NULL,
    name TEXT,
    name_key TEXT NOT NULL,
    avatar_url TEXT,
    salt BLOB NOT NULL,
    created_at TEXT NOT NULL,
    last_login_at TEXT NOT NULL
);

CREATE TABLE sessions (
    session_id BLOB NOT NULL PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    user_id BLOB NOT NULL REFERENCES users (user_id),
    created_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

CREATE TABLE sign_in_links (
    link_id BLOB NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    ip TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    used_at TEXT
);
CREATE INDEX sign_in_links_by_email ON sign_in_links (email_key, created_at);
CREATE INDEX sign_in_links_by_ip ON sign_in_links (ip, created_at);
CREATE INDEX sign_in_links_by_age ON sign_in_links (created_at);

CREATE TABLE user_organizations (
    user_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    -- False once the person has left; the row stays, so that copies of their name are found.
    current BOOLEAN NOT NULL,
    PRIMARY KEY (user_id, organization_id)
);

CREATE TABLE user_invitations (
    user_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    invitation_id BLOB NOT NULL,
    PRIMARY KEY (user_id, organization_id, invitation_id)
);

CREATE TABLE api_key_secrets (
    public_id TEXT NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL,
    api_key_id BLOB NOT NULL,
    hash BLOB NOT NULL,
    expires_at TEXT
);
CREATE INDEX api_key_secrets_by_key ON api_key_secrets (organization_id, api_key_id);

-- Letters to send. What a letter says is made when it is sent; no link or secret is stored.
CREATE TABLE outbox (
    letter_id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    organization_id BLOB,
    subject_id BLOB NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    created_at TEXT NOT NULL,
    next_attempt_at TEXT NOT NULL
);
CREATE INDEX outbox_pending ON outbox (next_attempt_at) WHERE state = 'PENDING';
CREATE INDEX outbox_by_subject ON outbox (organization_id, subject_id, generation);
