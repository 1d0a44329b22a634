-- name: get_workflow
SELECT id::text, workspace_id::text, name, status, version, active_version, created_at, updated_at, fingerprint, stream_version
FROM workflows WHERE workspace_id = $1 AND id = $2;

-- name: list_workflows
SELECT id::text, workspace_id::text, name, status, version, active_version, created_at, updated_at, fingerprint, stream_version
FROM workflows
WHERE workspace_id = $1
  AND ($2::text IS NULL AND status <> 'archived' OR status = $2)
  AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $5;
