CREATE TABLE event_subscriptions (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    channel text NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    definition json NOT NULL,
    failures integer NOT NULL,
    failing_since timestamptz,
    disabled_at timestamptz,
    last_delivery_at timestamptz,
    last_delivery_status text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    fingerprint text NOT NULL,
    stream_version bigint NOT NULL
);
CREATE INDEX event_subscriptions_by_workspace ON event_subscriptions (workspace_id, created_at DESC, id DESC);
-- Whoever follows the log asks after every batch who wants to hear of it.
CREATE INDEX event_subscriptions_active ON event_subscriptions (id) WHERE status = 'active';

CREATE TABLE event_deliveries (
    id uuid PRIMARY KEY,
    subscription_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    event_type text NOT NULL,
    notice json,  -- null: retention took it
    test boolean NOT NULL,
    status text NOT NULL,
    execution_id uuid,
    code text,
    message text,
    response_status integer,
    created_at timestamptz NOT NULL,
    queued_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX event_deliveries_not_begun ON event_deliveries (subscription_id, status, created_at, id)
    WHERE status IN ('waiting', 'put_aside');
CREATE INDEX event_deliveries_by_subscription ON event_deliveries (subscription_id, created_at DESC, id DESC);

CREATE TABLE event_redeliveries (
    id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    fingerprint text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (id, delivery_id)
);
CREATE INDEX event_redeliveries_by_time ON event_redeliveries (workspace_id, at);
-- For retention (projections/retention.py, AGED_TABLES).
CREATE INDEX event_deliveries_by_age ON event_deliveries (workspace_id, ended_at) WHERE ended_at IS NOT NULL;
