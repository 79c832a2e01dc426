-- Who people are at an identity provider. One identity of a provider is one person's, and a person has one of it.
CREATE TABLE identities (
    issuer TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    user_id UUID NOT NULL REFERENCES users (user_id),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (issuer, subject),
    UNIQUE (user_id, issuer)
);

-- Where and with which program a session was last used.
ALTER TABLE sessions ADD COLUMN last_ip TEXT COLLATE "C";
ALTER TABLE sessions ADD COLUMN last_user_agent TEXT COLLATE "C";
CREATE INDEX sessions_by_end ON sessions (expires_at);
