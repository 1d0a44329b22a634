CREATE TABLE webhooks (
    endpoint_id text PRIMARY KEY,
    workspace_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    workflow_version integer NOT NULL,
    node text NOT NULL,
    method text NOT NULL,
    respond text NOT NULL,
    active boolean NOT NULL
);
CREATE INDEX webhooks_by_workflow ON webhooks (workflow_id);
