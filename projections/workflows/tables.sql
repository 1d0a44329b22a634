CREATE TABLE workflows (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    version integer NOT NULL,
    active_version integer,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    fingerprint text NOT NULL,
    stream_version bigint NOT NULL
);
CREATE INDEX workflows_by_workspace ON workflows (workspace_id, created_at DESC, id DESC);
