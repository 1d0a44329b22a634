CREATE TABLE usage_hours (
    workspace_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    queued bigint NOT NULL,
    started bigint NOT NULL,
    completed bigint NOT NULL,
    failed bigint NOT NULL,
    timed_out bigint NOT NULL,
    cancelled bigint NOT NULL,
    node_runs bigint NOT NULL,
    attempts bigint NOT NULL,
    deliveries bigint NOT NULL,
    PRIMARY KEY (workspace_id, hour)
) WITH (fillfactor = 50);
