-- name: usage_of_workspace
SELECT date_trunc($2, hour, 'UTC') AS since, sum(queued)::bigint AS queued, sum(started)::bigint AS started,
       sum(completed)::bigint AS completed, sum(failed)::bigint AS failed, sum(timed_out)::bigint AS timed_out,
       sum(cancelled)::bigint AS cancelled, sum(node_runs)::bigint AS node_runs, sum(attempts)::bigint AS attempts,
       sum(deliveries)::bigint AS deliveries
FROM usage_hours WHERE workspace_id = $1 AND hour >= $3 AND hour < $4
GROUP BY 1 ORDER BY 1 LIMIT $5;

-- name: usage_of_all
SELECT workspace_id::text, date_trunc($1, hour, 'UTC') AS since, sum(queued)::bigint AS queued,
       sum(started)::bigint AS started, sum(completed)::bigint AS completed, sum(failed)::bigint AS failed,
       sum(timed_out)::bigint AS timed_out, sum(cancelled)::bigint AS cancelled, sum(node_runs)::bigint AS node_runs,
       sum(attempts)::bigint AS attempts, sum(deliveries)::bigint AS deliveries
FROM usage_hours WHERE hour >= $2 AND hour < $3
GROUP BY 1, 2 ORDER BY 2, 1 LIMIT $4;
