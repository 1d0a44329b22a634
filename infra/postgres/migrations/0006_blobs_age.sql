-- When a blob was stored last, also where it was there already: what was stored lately is named by something that may
-- not have been written yet, and is never deleted.

ALTER TABLE blobs RENAME COLUMN created_at TO stored_at;
CREATE INDEX blobs_by_age ON blobs (stored_at);
