-- What queries read: made from the ledger, made anew by `orgledger rebuild`. The organization comes first in every
-- key and index, so that nothing ever reads beyond one organization.

-- The search index joins an organization (btree_gin) with the three-character pieces of a text (pg_trgm).
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

CREATE TABLE organizations (
    organization_id UUID NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    default_role_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE roles (
    organization_id UUID NOT NULL,
    role_id UUID NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    level BIGINT NOT NULL,
    permissions BIGINT NOT NULL,
    owner BOOLEAN NOT NULL,
    built_in BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (organization_id, role_id)
);

CREATE TABLE members (
    organization_id UUID NOT NULL,
    user_id UUID NOT NULL,
    role_id UUID NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    joined_at TIMESTAMPTZ NOT NULL,
    invited_by_kind TEXT COLLATE "C",
    invited_by_id UUID,
    version BIGINT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL,
    search_key TEXT COLLATE "C" NOT NULL,
    last_login_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX members_by_name ON members (organization_id, name_key, user_id);
CREATE INDEX members_by_email ON members (organization_id, email_key, user_id);
CREATE INDEX members_by_joined ON members (organization_id, joined_at, user_id);
CREATE INDEX members_by_login ON members (organization_id, last_login_at, user_id);
CREATE INDEX members_by_role ON members (organization_id, role_id, status);
CREATE INDEX members_by_search ON members USING gin (organization_id, search_key gin_trgm_ops);

-- What each member was from one event to the next; half open, the last period ends at the largest number.
CREATE TABLE member_history (
    organization_id UUID NOT NULL,
    user_id UUID NOT NULL,
    from_sequence BIGINT NOT NULL,
    to_sequence BIGINT NOT NULL,
    role_id UUID NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    joined_at TIMESTAMPTZ NOT NULL,
    from_at TIMESTAMPTZ NOT NULL,
    until_at TIMESTAMPTZ,
    PRIMARY KEY (organization_id, user_id, from_sequence)
);

CREATE TABLE invitations (
    organization_id UUID NOT NULL,
    invitation_id UUID NOT NULL,
    user_id UUID NOT NULL,
    role_id UUID NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    invited_by_kind TEXT COLLATE "C" NOT NULL,
    invited_by_id UUID NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (organization_id, invitation_id)
);
CREATE INDEX invitations_by_time ON invitations (organization_id, created_at, invitation_id);

-- What may be erased of an invitation: the address and the name as the inviter gave them.
CREATE TABLE invitation_details (
    organization_id UUID NOT NULL,
    invitation_id UUID NOT NULL,
    email TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C",
    search_key TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, invitation_id)
);

CREATE TABLE api_keys (
    organization_id UUID NOT NULL,
    api_key_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    search_key TEXT COLLATE "C" NOT NULL,
    public_id TEXT COLLATE "C" NOT NULL,
    key_type TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    permissions BIGINT NOT NULL,
    units_per_minute BIGINT,
    burst BIGINT,
    expires_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    created_by_kind TEXT COLLATE "C" NOT NULL,
    created_by_id UUID NOT NULL,
    revoked_at TIMESTAMPTZ,
    version BIGINT NOT NULL,
    PRIMARY KEY (organization_id, api_key_id)
);
CREATE INDEX api_keys_by_time ON api_keys (organization_id, created_at, api_key_id);

-- When a key was last used: a fact that is not in the ledger, so it survives a rebuild.
CREATE TABLE api_key_usage (
    organization_id UUID NOT NULL,
    api_key_id UUID NOT NULL,
    last_used_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (organization_id, api_key_id)
);

CREATE TABLE audit_entries (
    organization_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    actor_id UUID NOT NULL,
    target_id UUID NOT NULL,
    PRIMARY KEY (organization_id, sequence)
);
CREATE INDEX audit_entries_by_type ON audit_entries (organization_id, event_type, sequence);
CREATE INDEX audit_entries_by_actor ON audit_entries (organization_id, actor_id, sequence);
CREATE INDEX audit_entries_by_target ON audit_entries (organization_id, target_id, sequence);
