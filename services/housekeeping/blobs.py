"""Deletes values that are stored outside and that nothing kept names any more."""

from datetime import datetime, timedelta
from typing import Final

from domain.schedule.zones import moment_of
from services.housekeeping.jobs import Work
from services.housekeeping.places import INPUTS, LANES, appended_at, commits_read, inputs_answered
from services.housekeeping.retention import batch, forget_uses

YOUNGEST: Final = timedelta(days=1)
"""What was stored later may be named by something that is on its way."""
BATCH: Final = 500

# Other aggregates are few and kept for ever, and so are their values.
_OTHERS = (
    "SELECT document->>'$blob' FROM workflow_versions WHERE document::text LIKE '{\"$blob\"%'"
    " UNION ALL SELECT body->>'$blob' FROM dead_letters WHERE body::text LIKE '{\"$blob\"%'"
    " UNION ALL SELECT payload->>'$blob' FROM webhook_deliveries WHERE payload::text LIKE '{\"$blob\"%'"
    " UNION ALL SELECT named.value FROM dead_letters, json_each_text(outside) AS named WHERE status <> 'discarded'"
)


async def delete_blobs(work: Work) -> None:
    """Figures: blobs, bytes; uses that were forgotten on the way."""
    work.figures.update(uses=0, blobs=0, bytes=0)
    await forget_uses(work)
    before = await _stored_before(work)
    others = [row[0] for row in await work.pool.fetch(_OTHERS) if row[0]]
    while await _delete_some(work, before, others) == BATCH:
        pass


async def _stored_before(work: Work) -> datetime:
    """What was stored before that, and is named by no row, is named by nothing: neither by an input that waits for its
    decision, nor by a commit that an owner or the projector has still to read."""
    oldest = work.now
    for topic in LANES:
        for partition in range(work.log.partitions):
            answered = await inputs_answered(work, topic, partition)
            read = await commits_read(work, topic, partition)
            waiting = await appended_at(work, INPUTS[topic], partition, answered)
            unread = await appended_at(work, topic, partition, read)
            oldest = min(oldest, *(at for at in (waiting, unread) if at is not None), work.now)
    now: datetime = await work.pool.fetchval("SELECT now()")
    return min(moment_of(oldest), now) - YOUNGEST


async def _delete_some(work: Work, before: datetime, others: list[str]) -> int:
    """The condition on the age is looked at again under the row's lock: storing it meanwhile saves it."""
    async with batch(work) as connection:
        row = await connection.fetchrow(
            "WITH gone AS (DELETE FROM blobs WHERE stored_at < $1 AND id IN ("
            "  SELECT b.id FROM blobs b JOIN horizons h ON h.workspace_id::text = b.workspace"
            "  WHERE b.stored_at < least($1, h.payloads_before) AND b.id <> ALL ($2::text[])"
            "  AND NOT EXISTS (SELECT FROM blob_uses u WHERE u.blob_id = b.id) ORDER BY b.stored_at LIMIT $3"
            ") RETURNING length(content) AS size) SELECT count(*) AS count, coalesce(sum(size), 0) AS bytes FROM gone",
            before,
            others,
            BATCH,
        )
    count = int(row["count"]) if row is not None else 0
    work.count("blobs", count)
    work.count("bytes", int(row["bytes"]) if row is not None else 0)
    return count
