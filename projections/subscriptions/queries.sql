-- name: get_subscription
SELECT id::text, workspace_id::text, name, channel, status, reason, definition::text, failures, failing_since,
       disabled_at, last_delivery_at, last_delivery_status, created_at, updated_at, fingerprint
FROM event_subscriptions WHERE id = $1 AND workspace_id = $2;

-- name: list_subscriptions
SELECT id::text, workspace_id::text, name, channel, status, reason, definition::text, failures, failing_since,
       disabled_at, last_delivery_at, last_delivery_status, created_at, updated_at, fingerprint
FROM event_subscriptions
WHERE workspace_id = $1 AND (CASE WHEN $2::text IS NULL THEN status <> 'deleted' ELSE status = $2 END)
  AND ($3::text IS NULL OR channel = $3)
  AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $6;

-- name: active_subscriptions
SELECT id::text, workspace_id::text, definition::text FROM event_subscriptions WHERE status = 'active';

-- name: put_aside
SELECT d.id::text, d.subscription_id::text, s.workspace_id::text, d.notice::text
FROM event_subscriptions s
CROSS JOIN LATERAL (
    SELECT id, subscription_id, notice, created_at FROM event_deliveries
    WHERE subscription_id = s.id AND status = 'put_aside' ORDER BY created_at, id LIMIT $2
) d
WHERE s.status = 'active' AND s.id IN (SELECT subscription_id FROM event_deliveries WHERE status = 'put_aside')
  AND (SELECT count(*) FROM event_deliveries WHERE subscription_id = s.id AND status = 'waiting') < $1
ORDER BY d.subscription_id, d.created_at, d.id;

-- name: uses_of_credential
SELECT id::text, name FROM event_subscriptions
WHERE workspace_id = $1 AND status <> 'deleted' AND definition -> 'channel' ->> 'credential_id' = $2
ORDER BY created_at LIMIT 100;

-- name: get_delivery
SELECT id::text, subscription_id::text, event_type, notice::text, test, status, execution_id::text, code, message,
       response_status, created_at, queued_at, started_at, ended_at
FROM event_deliveries WHERE id = $1 AND subscription_id = $2 AND workspace_id = $3;

-- name: list_deliveries
SELECT id::text, subscription_id::text, event_type, notice::text, test, status, execution_id::text, code, message,
       response_status, created_at, queued_at, started_at, ended_at
FROM event_deliveries
WHERE subscription_id = $1 AND workspace_id = $2
  AND CASE WHEN $3::text IS NULL THEN true
           WHEN $3 IN ('sending', 'retrying') THEN status = 'sending' AND ($3 = 'retrying') = EXISTS (
               SELECT FROM executions e
               JOIN node_executions n ON n.execution_id = e.id AND n.queued_at = e.queued_at AND n.node_id = 'deliver'
               WHERE e.id = event_deliveries.execution_id AND n.awaits ->> 'due' IS NOT NULL)
           ELSE status = $3 END
  AND ($4::timestamptz IS NULL OR created_at >= $4)
  AND ($5::timestamptz IS NULL OR created_at < $5)
  AND ($6::timestamptz IS NULL OR (created_at, id) < ($6, $7::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $8;

-- name: list_undelivered
SELECT id::text, subscription_id::text, event_type, notice::text, test, status, execution_id::text, code, message,
       response_status, created_at, queued_at, started_at, ended_at
FROM event_deliveries
WHERE subscription_id = $1 AND workspace_id = $2 AND status = 'failed' AND NOT test AND notice IS NOT NULL
  AND created_at >= $3 AND ($4::timestamptz IS NULL OR created_at < $4)
ORDER BY created_at, id
LIMIT $5;

-- name: attempts_of
SELECT e.id::text AS execution_id, coalesce(max(n.attempts), 0) AS attempts, max((n.awaits ->> 'due')::bigint) AS next_try
FROM executions e
LEFT JOIN node_executions n ON n.execution_id = e.id AND n.queued_at = e.queued_at AND n.node_id = 'deliver'
WHERE e.id = ANY($1::uuid[]) AND e.workspace_id = $2
GROUP BY e.id;

-- name: list_redelivered
SELECT delivery_id::text, fingerprint FROM event_redeliveries WHERE id = ANY($1::uuid[]) AND workspace_id = $2;

-- name: version_of_active
SELECT coalesce(sum(hashtextextended(id::text || definition::text, 0)::numeric), 0)::text
FROM event_subscriptions WHERE status = 'active';
