CREATE TABLE variables (
    workspace_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    value json NOT NULL,
    description text NOT NULL,
    version bigint NOT NULL,
    request_id uuid,
    fingerprint text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, name)
);
