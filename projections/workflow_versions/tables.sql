CREATE TABLE workflow_versions (
    workflow_id uuid NOT NULL,
    version integer NOT NULL,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    document json NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (workflow_id, version)
);
