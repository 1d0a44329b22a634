-- name: get_version
SELECT workflow_id::text, version, workspace_id::text, name, document::text, created_at
FROM workflow_versions WHERE workspace_id = $1 AND workflow_id = $2 AND version = $3;

-- name: list_versions
SELECT workflow_id::text, version, workspace_id::text, name, NULL::text AS document, created_at
FROM workflow_versions
WHERE workspace_id = $1 AND workflow_id = $2 AND ($3::integer IS NULL OR version < $3)
ORDER BY version DESC
LIMIT $4;
