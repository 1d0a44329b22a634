-- name: find_webhook
SELECT endpoint_id, workspace_id::text, workflow_id::text, workflow_version, node, method, respond, active
FROM webhooks WHERE endpoint_id = $1;

-- name: list_webhooks
SELECT endpoint_id, workspace_id::text, workflow_id::text, workflow_version, node, method, respond, active
FROM webhooks WHERE workspace_id = $1 AND workflow_id = $2 ORDER BY active DESC, node, endpoint_id;
