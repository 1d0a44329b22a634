-- name: list_node_executions
SELECT node_id, run, seq, status, attempts, sources::text, output::text, error::text, asked::text, awaits::text, taken, ended_seq,
       started_at, completed_at
FROM node_executions
WHERE queued_at = $1 AND execution_id = $2
  AND EXISTS (SELECT FROM executions WHERE id = $2 AND queued_at = $1 AND workspace_id = $3)
ORDER BY seq;

-- name: list_logs
SELECT node_id, run, seq, logs::text, completed_at
FROM node_executions
WHERE queued_at = $1 AND execution_id = $2 AND logs IS NOT NULL AND seq > $4
  AND EXISTS (SELECT FROM executions WHERE id = $2 AND queued_at = $1 AND workspace_id = $3)
ORDER BY seq
LIMIT $5;
