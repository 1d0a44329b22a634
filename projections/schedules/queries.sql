-- name: get_schedule
SELECT id::text, workspace_id::text, workflow_id::text, node, of_workflow, name, status, reason, definition::text,
       next_run_at, last_run_at, last_execution_id::text, run_count, created_at, updated_at, fingerprint
FROM schedules WHERE workspace_id = $1 AND id = $2;

-- name: list_schedules
SELECT id::text, workspace_id::text, workflow_id::text, node, of_workflow, name, status, reason, definition::text,
       next_run_at, last_run_at, last_execution_id::text, run_count, created_at, updated_at, fingerprint
FROM schedules
WHERE workspace_id = $1
  AND ($2::uuid IS NULL OR workflow_id = $2)
  AND ($3::text IS NULL AND status <> 'deleted' OR status = $3)
  AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $6;

-- name: list_firings
SELECT id::text, due_at, last_due_at, local_time, last_local_time, outcome, reason, dst, count, more, late_by, jitter,
       execution_id::text, execution_status, message, backfill_id::text, at
FROM schedule_firings
WHERE workspace_id = $1 AND schedule_id = $2
  AND ($3::timestamptz IS NULL OR last_due_at >= $3)
  AND ($4::timestamptz IS NULL OR due_at < $4)
  AND ($5::text IS NULL OR outcome = $5)
  AND ($6::uuid IS NULL OR backfill_id = $6)
  AND ($7::timestamptz IS NULL OR (due_at, id) < ($7, $8::uuid))
ORDER BY due_at DESC, id DESC
LIMIT $9;

-- name: list_backfills
SELECT id::text, since, until, total, fired, per_minute, status, started_at, ended_at, fingerprint
FROM schedule_backfills
WHERE workspace_id = $1 AND schedule_id = $2
  AND ($3::timestamptz IS NULL OR (started_at, id) < ($3, $4::uuid))
ORDER BY started_at DESC, id DESC
LIMIT $5;

-- name: get_backfill
SELECT id::text, since, until, total, fired, per_minute, status, started_at, ended_at, fingerprint
FROM schedule_backfills WHERE workspace_id = $1 AND schedule_id = $2 AND id = $3;
