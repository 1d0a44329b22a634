-- Fields of records that are too large for the log (over 64 KB), stored before the append. The id is the hash of
-- workspace and content, so that storing the same twice is one row, and no workspace can ask for another one's.

CREATE TABLE blobs (
    id         text        NOT NULL PRIMARY KEY,
    workspace  text        NOT NULL,
    content    bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
