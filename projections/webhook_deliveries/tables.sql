-- What the inboxes of endpoints say. A delivery that became an execution at once has no row here: see queries.sql.
CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    workflow_version integer NOT NULL,
    node text NOT NULL,
    endpoint_id text NOT NULL,
    dedup_key text,
    status text NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    duplicate_of uuid,
    repeats boolean NOT NULL,
    superseded_by uuid,
    execution_id uuid,
    due_at timestamptz,
    more integer NOT NULL,
    excerpt text NOT NULL,
    payload json,
    received_at timestamptz NOT NULL,
    fingerprint text NOT NULL,
    updated_at timestamptz NOT NULL,
    stream_version bigint NOT NULL
);
CREATE INDEX webhook_deliveries_by_workflow ON webhook_deliveries (workflow_id, received_at DESC, id DESC);
-- For retention (projections/retention.py, AGED_TABLES).
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (workspace_id, updated_at) WHERE status <> 'held';
CREATE INDEX webhook_deliveries_by_key ON webhook_deliveries (endpoint_id, dedup_key, received_at)
    WHERE dedup_key IS NOT NULL;
