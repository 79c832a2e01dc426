-- What people chose not to hear of by letter, each in an organization: one bit for each category. Who has no row hears
-- of everything.
CREATE TABLE notification_preferences (
    organization_id UUID NOT NULL,
    user_id UUID NOT NULL,
    muted BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
