-- name: get_workspace
SELECT id::text, name, created_at, weight, concurrent, retention_days, payload_retention_days FROM workspaces WHERE id = $1;

-- name: find_workspaces_by_name
SELECT id::text, name, created_at, weight, concurrent, retention_days, payload_retention_days
FROM workspaces WHERE name = $1 ORDER BY created_at, id LIMIT 100;

-- name: list_workspaces
SELECT id::text, name, created_at, weight, concurrent, retention_days, payload_retention_days FROM workspaces
WHERE id > $1 ORDER BY id LIMIT $2;

-- name: load_shares
SELECT id::text, weight, concurrent FROM workspaces WHERE weight <> 1 OR concurrent IS NOT NULL;

-- name: find_api_key
SELECT key_hash, key_id::text, workspace_id::text, prefix, name, created_at, revoked_at
FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL;

-- name: list_api_keys
SELECT key_hash, key_id::text, workspace_id::text, prefix, name, created_at, revoked_at
FROM api_keys WHERE workspace_id = $1 ORDER BY created_at, key_id LIMIT 1000;
