CREATE TABLE workspaces (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    weight double precision NOT NULL,
    concurrent integer,
    retention_days integer,
    payload_retention_days integer
);

CREATE TABLE api_keys (
    key_hash text PRIMARY KEY,
    key_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    prefix text NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, key_id);
