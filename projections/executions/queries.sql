-- name: get_execution
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, status, trigger_type, trigger_node, priority,
       fingerprint, retry_of::text, retry_count, parent_id::text, delivery_id::text, recoveries, variables::text, input::text, output::text, error::text, response::text, queued_at, started_at, completed_at, stream_version
FROM executions WHERE id = $1 AND workspace_id = $2;

-- name: find_fingerprint
SELECT fingerprint FROM executions WHERE id = $1 AND workspace_id = $2;

-- name: list_repeats
SELECT id::text FROM executions WHERE retry_of = $1 AND workspace_id = $2 ORDER BY queued_at, id LIMIT 100;

-- name: list_of_delivery
SELECT id::text FROM executions WHERE delivery_id = $1 AND delivery_id <> id AND workspace_id = $2
ORDER BY queued_at, id LIMIT 100;

-- name: list_executions
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, status, trigger_type, trigger_node, priority,
       retry_of::text, retry_count, parent_id::text, delivery_id::text, recoveries, error::text, queued_at, started_at, completed_at
FROM executions
WHERE {filters}
ORDER BY queued_at DESC, id DESC
LIMIT {limit};

-- name: find_failures
SELECT id::text, queued_at FROM executions
WHERE {filters} AND NOT EXISTS (SELECT FROM executions again WHERE again.retry_of = executions.id)
ORDER BY queued_at, id
LIMIT {limit};
