-- name: get_credential
SELECT id::text, workspace_id::text, type, name, description, fields::text, array(SELECT json_object_keys(sealed)) AS secrets,
  version, access_token IS NOT NULL AS connected, expires_at, scope, connection_error::text, last_used_at, last_test::text,
  created_at, updated_at, fingerprint, stream_version
FROM credentials WHERE workspace_id = $1 AND id = $2;

-- name: list_credentials
SELECT id::text, workspace_id::text, type, name, description, fields::text, array(SELECT json_object_keys(sealed)) AS secrets,
  version, access_token IS NOT NULL AS connected, expires_at, scope, connection_error::text, last_used_at, last_test::text,
  created_at, updated_at, fingerprint, stream_version
FROM credentials
WHERE workspace_id = $1
  AND ($2::text IS NULL OR type = $2)
  AND ($3::text IS NULL OR position(lower($3) IN lower(name)) > 0)
  AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $6;

-- name: credential_types
SELECT id::text, type FROM credentials WHERE workspace_id = $1 AND id = ANY($2::uuid[]);

-- name: sealed_credential
SELECT id::text, type, fields::text, sealed::text, access_token, refresh_token, generation, expires_at, last_used_at,
  stream_version
FROM credentials WHERE workspace_id = $1 AND id = $2;

-- name: sealed_credentials
SELECT id::text, workspace_id::text, sealed::text, access_token, refresh_token, stream_version
FROM credentials WHERE id > $1 ORDER BY id LIMIT $2;

-- name: workflows_that_may_use
SELECT w.id::text AS workflow_id, w.name, w.status, v.version, v.version = w.active_version AS active, v.document::text
FROM workflows w
JOIN workflow_versions v ON v.workflow_id = w.id AND (v.version = w.version OR v.version = w.active_version)
WHERE w.workspace_id = $1 AND w.status <> 'archived'
  AND (v.document::text LIKE '%' || $2::text || '%' OR v.document::text LIKE '{"$blob"%')
ORDER BY w.created_at, w.id, v.version
LIMIT 1000;
