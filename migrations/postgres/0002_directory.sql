-- The directory: people, how they sign in, and who belongs where. Not in the ledger, so that it can be erased.

CREATE TABLE users (
    user_id UUID NOT NULL PRIMARY KEY,
    email TEXT COLLATE "C" NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL UNIQUE,
    email_verified BOOLEAN NOT NULL,
    name TEXT COLLATE "C",
    name_key TEXT COLLATE "C" NOT NULL,
    avatar_url TEXT COLLATE "C",
    salt BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    last_login_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE sessions (
    session_id UUID NOT NULL PRIMARY KEY,
    token_hash BYTEA NOT NULL UNIQUE,
    user_id UUID NOT NULL REFERENCES users (user_id),
    created_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

CREATE TABLE sign_in_links (
    link_id UUID NOT NULL PRIMARY KEY,
    email TEXT COLLATE "C" NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL,
    ip TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ
);
CREATE INDEX sign_in_links_by_email ON sign_in_links (email_key, created_at);
CREATE INDEX sign_in_links_by_ip ON sign_in_links (ip, created_at);
CREATE INDEX sign_in_links_by_age ON sign_in_links (created_at);

CREATE TABLE user_organizations (
    user_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    -- False once the person has left; the row stays, so that copies of their name are found.
    current BOOLEAN NOT NULL,
    PRIMARY KEY (user_id, organization_id)
);

CREATE TABLE user_invitations (
    user_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    invitation_id UUID NOT NULL,
    PRIMARY KEY (user_id, organization_id, invitation_id)
);

CREATE TABLE api_key_secrets (
    public_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL,
    api_key_id UUID NOT NULL,
    hash BYTEA NOT NULL,
    expires_at TIMESTAMPTZ
);
CREATE INDEX api_key_secrets_by_key ON api_key_secrets (organization_id, api_key_id);

-- Letters to send. What a letter says is made when it is sent; no link or secret is stored.
CREATE TABLE outbox (
    letter_id UUID NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    organization_id UUID,
    subject_id UUID NOT NULL,
    generation BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    last_error TEXT COLLATE "C",
    created_at TIMESTAMPTZ NOT NULL,
    next_attempt_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX outbox_pending ON outbox (next_attempt_at) WHERE state = 'PENDING';
CREATE INDEX outbox_by_subject ON outbox (organization_id, subject_id, generation);
