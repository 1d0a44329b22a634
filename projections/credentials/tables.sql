CREATE TABLE credentials (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    type text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    fields json NOT NULL,
    sealed json NOT NULL,
    access_token text,
    refresh_token text,
    version integer NOT NULL,
    generation integer NOT NULL,
    expires_at timestamptz,
    scope text,
    connection_error json,
    last_used_at timestamptz,
    last_test json,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    fingerprint text NOT NULL,
    stream_version bigint NOT NULL
);
CREATE INDEX credentials_by_workspace ON credentials (workspace_id, created_at DESC, id DESC);
