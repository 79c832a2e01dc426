-- How many members an organization has that are not former ones, so that nobody has to count them.
ALTER TABLE organizations ADD COLUMN member_count BIGINT NOT NULL DEFAULT 0;
UPDATE organizations SET member_count = (
    SELECT COUNT(*) FROM members m WHERE m.organization_id = organizations.organization_id AND m.status <> 'FORMER'
);
