-- Custom roles come and go; the row of a deleted one stays, because history names it.
ALTER TABLE roles ADD COLUMN deleted BOOLEAN NOT NULL DEFAULT FALSE;

-- How far the operator's certification of an enterprise is.
ALTER TABLE organizations ADD COLUMN certification TEXT NOT NULL DEFAULT 'NOT_REQUESTED';
CREATE INDEX organizations_requested ON organizations (organization_id) WHERE certification = 'REQUESTED';
