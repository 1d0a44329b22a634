CREATE TABLE schedules (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    node text NOT NULL,
    of_workflow boolean NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    definition json NOT NULL,
    next_run_at timestamptz,
    last_run_at timestamptz,
    last_execution_id uuid,
    run_count bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    fingerprint text NOT NULL,
    stream_version bigint NOT NULL
);
CREATE INDEX schedules_by_workspace ON schedules (workspace_id, created_at DESC, id DESC);
CREATE INDEX schedules_by_workflow ON schedules (workflow_id);

CREATE TABLE schedule_firings (
    id uuid PRIMARY KEY,
    schedule_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    last_due_at timestamptz NOT NULL,
    local_time text NOT NULL,
    last_local_time text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    dst text NOT NULL,
    count bigint NOT NULL,
    more boolean NOT NULL,
    late_by bigint NOT NULL,
    jitter bigint NOT NULL,
    execution_id uuid,
    execution_status text NOT NULL,
    message text NOT NULL,
    backfill_id uuid,
    at timestamptz NOT NULL
);
CREATE INDEX schedule_firings_by_due ON schedule_firings (schedule_id, due_at DESC, id DESC);
-- For retention (projections/retention.py, AGED_TABLES).
CREATE INDEX schedule_firings_by_age ON schedule_firings (workspace_id, at);

CREATE TABLE schedule_backfills (
    id uuid PRIMARY KEY,
    schedule_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    total bigint NOT NULL,
    fired bigint NOT NULL,
    per_minute integer NOT NULL,
    status text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    fingerprint text NOT NULL
);
CREATE INDEX schedule_backfills_by_schedule ON schedule_backfills (schedule_id, started_at DESC, id DESC);
CREATE INDEX schedule_backfills_by_age ON schedule_backfills (workspace_id, ended_at) WHERE ended_at IS NOT NULL;
