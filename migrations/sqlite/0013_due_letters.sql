-- Letters that are due are found in order, however many wait: first those to one person, then notices.
DROP INDEX outbox_pending;
CREATE INDEX outbox_pending ON outbox (next_attempt_at) WHERE state = 'PENDING' AND kind <> 'NOTICE';
CREATE INDEX outbox_pending_notices ON outbox (next_attempt_at) WHERE state = 'PENDING' AND kind = 'NOTICE';
