-- name: get_variable
SELECT workspace_id::text, name, value::text, description, version, fingerprint, created_at, updated_at
FROM variables WHERE workspace_id = $1 AND name = $2;

-- name: find_requested
SELECT workspace_id::text, name, value::text, description, version, fingerprint, created_at, updated_at
FROM variables WHERE workspace_id = $1 AND request_id = $2;

-- name: list_variables
SELECT workspace_id::text, name, value::text, description, version, fingerprint, created_at, updated_at
FROM variables WHERE workspace_id = $1 AND name > $2 ORDER BY name LIMIT $3;

-- name: load_values
SELECT v.workspace_id::text, v.name, v.value::text
FROM unnest($1::uuid[], $2::text[]) AS w (workspace_id, name)
JOIN variables v ON v.workspace_id = w.workspace_id AND (w.name IS NULL OR v.name = w.name);
