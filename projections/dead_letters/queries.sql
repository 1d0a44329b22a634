-- name: get_dead_letter
SELECT id::text, workspace_id::text, topic, partition, position, code, reason, command, stream, excerpt, body::text,
       status, attempts, last_stream, last_by, discard_reason, reviewed_at, created_at, updated_at
FROM dead_letters WHERE id = $1 AND (workspace_id = $2 OR $3 AND workspace_id IS NULL);

-- name: list_dead_letters
SELECT id::text, workspace_id::text, topic, partition, position, code, reason, command, stream, excerpt,
       NULL::text AS body, status, attempts, last_stream, last_by, discard_reason, reviewed_at, created_at, updated_at
FROM dead_letters
WHERE (workspace_id = $1 OR $2 AND workspace_id IS NULL)
  AND ($3::text IS NULL OR status = $3)
  AND ($4::text IS NULL OR code = $4)
  AND ($5::text IS NULL OR command = $5)
  AND ($6::timestamptz IS NULL OR created_at >= $6)
  AND ($7::timestamptz IS NULL OR created_at < $7)
  AND ($8::timestamptz IS NULL OR (created_at, id) < ($8, $9::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $10;

-- name: count_dead_letters
SELECT count(*) FROM dead_letters
WHERE (workspace_id = $1 OR $2 AND workspace_id IS NULL)
  AND ($3::text IS NULL OR status = $3)
  AND ($4::text IS NULL OR code = $4)
  AND ($5::text IS NULL OR command = $5)
  AND ($6::timestamptz IS NULL OR created_at >= $6)
  AND ($7::timestamptz IS NULL OR created_at < $7);
