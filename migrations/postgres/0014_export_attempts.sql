-- How often an export was tried since it was begun anew; the fence only tells its takers apart.
ALTER TABLE data_exports ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
UPDATE data_exports SET attempts = fence;
