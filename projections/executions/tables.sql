-- The primary key begins with the id: it serves look-ups by id alone as well, so that no further index is paid for.
CREATE TABLE executions (
    queued_at timestamptz NOT NULL,
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    workflow_version integer NOT NULL,
    status text NOT NULL,
    trigger_type text NOT NULL,
    trigger_node text NOT NULL,
    priority text NOT NULL,
    fingerprint text NOT NULL,
    retry_of uuid,
    retry_count integer NOT NULL,
    parent_id uuid,
    delivery_id uuid,
    recoveries integer NOT NULL DEFAULT 0,
    variables json,
    input json,
    output json,
    error json,
    response json,
    started_at timestamptz,
    completed_at timestamptz,
    stream_version bigint NOT NULL,
    PRIMARY KEY (id, queued_at)
) PARTITION BY RANGE (queued_at);
CREATE INDEX executions_by_workspace ON executions (workspace_id, queued_at DESC, id DESC);
CREATE INDEX executions_by_workflow ON executions (workflow_id, queued_at DESC, id DESC);
CREATE INDEX executions_by_repeated ON executions (retry_of) WHERE retry_of IS NOT NULL;
-- Executions that a delivery's inbox began, and redeliveries; most deliveries are an execution of their own.
CREATE INDEX executions_by_delivery ON executions (delivery_id) WHERE delivery_id <> id;
-- What is not completed is rare and looked for; executions that complete in one commit never enter this index.
CREATE INDEX executions_not_completed ON executions (workspace_id, queued_at DESC, id DESC) WHERE status <> 'completed';
