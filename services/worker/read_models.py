"""Whether the read models have what the log has."""

from infra.log.port import Topic
from infra.postgres.pool import Pool

WAIT_SECONDS = 30.0
ASK_AGAIN_SECONDS = 0.05


class ReadModelsBehind(Exception):
    """A read model does not hold what the log does: nothing can be said by it. Ask again (retriable)."""

    code = "read_models_behind"


async def projected(pool: Pool, projection: str, partition: int, end: int) -> bool:
    """Whether the rows of a projection have all events of a partition that stand before offset `end`."""
    reached = await pool.fetchval(
        "SELECT next_offset FROM positions WHERE projection = $1 AND topic = $2 AND partition = $3",
        projection,
        str(Topic.EVENTS),
        partition,
    )
    return end == 0 or (reached is not None and reached >= end)
