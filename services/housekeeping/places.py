"""Below which offsets nobody reads the log again: not an owner that takes over, not the projector, not a follower."""

from infra.log.port import LogUnavailable, Topic
from services.housekeeping.jobs import Work

LANES = {Topic.EXECUTIONS: "executions", Topic.EVENTS: "aggregates"}
INPUTS = {Topic.EXECUTIONS: Topic.EXECUTION_COMMANDS, Topic.EVENTS: Topic.COMMANDS}
"""Of each commit topic, the topic that it answers."""


async def commits_read(work: Work, topic: Topic, partition: int) -> int:
    """All commits below it are in the checkpoint and in all rows, and followers are past them.

    What was read here may still be lost with a crash of the database (checkpoints and rows do not wait for the disk):
    record something durably before acting on it.
    """
    return int(
        await work.pool.fetchval(
            "SELECT least("
            "coalesce((SELECT next_offset FROM partition_checkpoints WHERE lane = $1 AND partition = $3), 0),"
            " coalesce((SELECT min(next_offset) FROM positions WHERE topic = $2 AND partition = $3), 0),"
            " (SELECT min(next_offset) FROM log_followers WHERE topic = $2 AND partition = $3))",  # null where none is
            LANES[topic],
            topic.value,
            partition,
        )
    )


async def inputs_answered(work: Work, topic: Topic, partition: int) -> int:
    """All inputs of the commit topic's lane below it have their answers, in the checkpoint and in all rows."""
    return int(
        await work.pool.fetchval(
            "SELECT least("
            "coalesce((SELECT answered FROM partition_checkpoints WHERE lane = $1 AND partition = $3), 0),"
            " coalesce((SELECT min(answered) FROM positions WHERE topic = $2 AND partition = $3), 0))",
            LANES[topic],
            topic.value,
            partition,
        )
    )


async def appended_at(work: Work, topic: Topic, partition: int, offset: int) -> int | None:
    """When the log took the first record at or above `offset` (ms since 1970); None: there is none. Raises LogError."""
    if offset >= await work.log.end_offset(topic, partition):
        return None
    reader = await work.log.reader()
    try:
        reader.seek(topic, partition, max(offset, await work.log.first_offset(topic, partition)))
        records = await reader.read(max_records=1, timeout=10.0)
    finally:
        await reader.close()
    if not records:
        raise LogUnavailable(f"{topic}/{partition} has records from {offset} on, and they do not come")
    return records[0].appended_at
