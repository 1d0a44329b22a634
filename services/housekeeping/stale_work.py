"""Work that should go on and does not. Nothing is mended here: owners and deciders do that. What is found is told."""

from typing import Final

from services.housekeeping.jobs import Work

STALE_MS: Final = 600_000
SHOWN: Final = 20

# Open streams stand in the checkpoints with the time at which they want to be woken. Overdue: that was long ago. Idle:
# they want nothing, have nothing under way, and wait neither for a call, a verdict, a child nor a place.
_FIND = """
WITH open AS (
    SELECT stream, due, substr(stream, 11)::uuid AS id FROM stream_states
    WHERE lane = 'executions' AND stream ~ '^execution-[0-9a-f-]{36}$' AND (due IS NULL OR due < $1)
), seen AS (
    SELECT o.stream, o.due, e.status, e.workspace_id, e.queued_at, e.id,
        greatest(e.queued_at, e.started_at, (
            SELECT max(greatest(n.started_at, n.completed_at)) FROM node_executions n
            WHERE n.queued_at = e.queued_at AND n.execution_id = e.id
        )) AS moved_at
    FROM open o JOIN executions e ON e.id = o.id WHERE e.completed_at IS NULL
)
SELECT s.id::text AS id, s.workspace_id::text AS workspace_id, s.status,
    CASE WHEN s.due IS NULL THEN 'idle' ELSE 'overdue' END AS kind,
    extract(epoch FROM s.moved_at)::bigint AS moved_at,
    (SELECT count(*) FROM node_executions n
     WHERE n.queued_at = s.queued_at AND n.execution_id = s.id AND n.status = 'running') AS in_flight
FROM seen s
WHERE s.moved_at < to_timestamp($1 / 1000.0) AND (s.due IS NOT NULL OR s.status <> 'queued' AND NOT EXISTS (
    SELECT FROM node_executions n WHERE n.queued_at = s.queued_at AND n.execution_id = s.id
        AND (n.status IN ('running', 'waiting') OR n.asked IS NOT NULL)))
ORDER BY s.moved_at
"""


async def find_stale_work(work: Work) -> None:
    """Figures: idle, overdue (executions), attempts (theirs, in flight past their time), executions (some of them)."""
    rows = await work.pool.fetch(_FIND, work.now - STALE_MS)
    work.figures.update(
        idle=sum(row["kind"] == "idle" for row in rows),
        overdue=sum(row["kind"] == "overdue" for row in rows),
        attempts=sum(row["in_flight"] for row in rows),
    )
    if rows:
        shown = ("id", "workspace_id", "status", "kind")
        work.figures["executions"] = [{name: row[name] for name in shown} for row in rows[:SHOWN]]
