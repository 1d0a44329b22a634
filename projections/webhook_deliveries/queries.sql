-- name: get_delivery
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, node, endpoint_id, status, code, reason,
       duplicate_of::text, repeats, superseded_by::text, execution_id::text, due_at, more, excerpt, payload::text,
       received_at, fingerprint
FROM webhook_deliveries WHERE id = $1 AND workspace_id = $2;

-- name: get_direct
SELECT e.id::text, e.workspace_id::text, e.workflow_id::text, e.workflow_version, e.trigger_node AS node,
       coalesce(w.endpoint_id, '') AS endpoint_id, 'accepted' AS status, '' AS code, '' AS reason,
       NULL::text AS duplicate_of, false AS repeats, NULL::text AS superseded_by, e.id::text AS execution_id, NULL::timestamptz AS due_at,
       0 AS more, '' AS excerpt, NULL::text AS payload, e.queued_at AS received_at, '' AS fingerprint
FROM executions e LEFT JOIN webhooks w ON w.workflow_id = e.workflow_id AND w.node = e.trigger_node
WHERE e.id = $1 AND e.workspace_id = $2 AND e.delivery_id = e.id;

-- name: list_deliveries
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, node, endpoint_id, status, code, reason,
       duplicate_of::text, repeats, superseded_by::text, execution_id::text, due_at, more, excerpt,
       NULL::text AS payload, received_at, '' AS fingerprint
FROM (
    (SELECT id, workspace_id, workflow_id, workflow_version, node, endpoint_id, status, code, reason, duplicate_of,
            repeats, superseded_by, execution_id, due_at, more, excerpt, received_at
     FROM webhook_deliveries
     WHERE {filters}
     ORDER BY received_at DESC, id DESC LIMIT {limit})
    UNION ALL
    (SELECT e.id, e.workspace_id, e.workflow_id, e.workflow_version, e.trigger_node, coalesce(w.endpoint_id, ''),
            'accepted', '', '', NULL, false, NULL, e.id, NULL, 0, '', e.queued_at
     FROM executions e LEFT JOIN webhooks w ON w.workflow_id = e.workflow_id AND w.node = e.trigger_node
     WHERE {direct}
     ORDER BY e.queued_at DESC, e.id DESC LIMIT {limit})
) deliveries
ORDER BY received_at DESC, id DESC
LIMIT {limit};

-- name: has_delivery_with_key
SELECT EXISTS (SELECT FROM webhook_deliveries WHERE endpoint_id = $1 AND dedup_key = $2 AND received_at >= $3
               AND workspace_id = $4);
