CREATE TABLE node_executions (
    queued_at timestamptz NOT NULL,
    execution_id uuid NOT NULL,
    node_id text NOT NULL,
    run integer NOT NULL,
    seq bigint NOT NULL,
    status text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    sources json,
    output json,
    error json,
    asked json,
    taken boolean NOT NULL DEFAULT false,
    ended_seq bigint,
    logs json,
    started_at timestamptz,
    completed_at timestamptz,
    PRIMARY KEY (queued_at, execution_id, node_id, run)
) PARTITION BY RANGE (queued_at);
