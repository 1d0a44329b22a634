CREATE TABLE dead_letters (
    id uuid PRIMARY KEY,
    workspace_id uuid,
    topic text NOT NULL,
    partition integer NOT NULL,
    position bigint NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    command text NOT NULL,
    stream text NOT NULL,
    excerpt text NOT NULL,
    body json,
    outside json,
    status text NOT NULL,
    attempts integer NOT NULL,
    last_stream text,
    last_by text,
    discard_reason text,
    reviewed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    stream_version bigint NOT NULL
);
CREATE INDEX dead_letters_by_workspace ON dead_letters (workspace_id, created_at DESC, id DESC);
-- For retention (projections/retention.py, AGED_TABLES).
CREATE INDEX dead_letters_by_age ON dead_letters (workspace_id, updated_at) WHERE status <> 'open';
