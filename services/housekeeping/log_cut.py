"""Cuts the log: commits of executions of which nothing is kept, inputs that were answered some time ago, old letters.

A partition is cut from its beginning up to the first commit that is younger than its workspace's horizon, or of an
execution that is open or has a row: that pins what comes behind it, so that rows can always be rebuilt. What is cut is
summed up first (the fence's place, the usage), in one durable transaction. The topic of the other aggregates,
`linkflow.events`, is never cut.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from domain.schedule.zones import instant_of, moment_of
from infra.log.port import Record, Topic
from infra.postgres.pool import PooledConnection
from projections.connection import as_uuid
from projections.facts import by_log_where_off, read_commit
from projections.operations import Add
from projections.positions import Place
from projections.retention import HistoryMissing, begin_of_history, load_cuts, load_horizons
from projections.usage.projection import COUNTED
from projections.usage.projection import project as count_usage
from schemas.envelope import KIND_COMMIT, CommitRecord, decode_commit, header
from schemas.errors import DECODING_ERRORS
from schemas.fence import Fence
from services.housekeeping.jobs import Work
from services.housekeeping.places import INPUTS, LANES, appended_at, commits_read, inputs_answered
from services.housekeeping.retention import batch, forget_uses

COMMITS_KEPT_MS: Final = 86_400_000
INPUTS_KEPT_MS: Final = 2 * 86_400_000
LETTERS_KEPT_MS: Final = 90 * 86_400_000
"""Answered inputs and the topic of dead letters are read by nobody (each letter is a stream of its own, too); people
may want to look at them for a while."""
READ_AT_ONCE: Final = 1_000
_PAUSE_SECONDS: Final = 0.05
_READ_SECONDS: Final = 10.0
_WORTH_A_VACUUM: Final = 5_000

Usage = dict[tuple[str, int], Counter[str]]
"""Workspace and hour (ms) → counts."""


async def cut_log(work: Work) -> None:
    """Figures: commits, inputs, letters (records cut); pinned (partitions that an open execution holds on to), refused
    (why a partition is left alone)."""
    work.figures.update(commits=0, inputs=0, letters=0, pinned=0)
    await forget_uses(work)  # what is cut can say no more that there is nothing to them
    for partition in range(work.log.partitions):
        try:
            await _cut_commits(work, partition)
        except HistoryMissing as error:
            work.figures.setdefault("refused", []).append(str(error))
        for commits, inputs in INPUTS.items():
            answered = await inputs_answered(work, commits, partition)
            await _cut_older(work, "inputs", inputs, partition, answered, INPUTS_KEPT_MS)
        end = await work.log.end_offset(Topic.DEAD_LETTERS, partition)
        await _cut_older(work, "letters", Topic.DEAD_LETTERS, partition, end, LETTERS_KEPT_MS)
    if work.log_schema and work.figures["commits"] + work.figures["inputs"] >= _WORTH_A_VACUUM:
        for table in ("executions", "execution_commands", "commands"):
            await work.pool.execute(f'VACUUM (ANALYZE) "{work.log_schema}".{table}')


async def _cut_commits(work: Work, partition: int) -> None:
    topic = Topic.EXECUTIONS
    key = (topic.value, partition)
    first = await work.log.first_offset(topic, partition)
    place = begin_of_history(key, first, await load_cuts(work.pool))
    # The last record stays: a client's cursor begins there (services/api/answers.py, find_anchor).
    horizons = {name: instant_of(each.ended_before) for name, each in (await load_horizons(work.pool)).items()}
    until = min(await commits_read(work, topic, partition), await work.log.end_offset(topic, partition) - 1)
    reader = await work.log.reader()
    try:
        if place.next_offset < until:
            reader.seek(topic, partition, max(first, place.next_offset))
        while place.next_offset < until:
            records = await reader.read(max_records=READ_AT_ONCE, timeout=_READ_SECONDS)
            chunk = _ripe(work, [each for each in records if each.offset < until])
            commits = [(each, _commit_of(each)) for each in chunk]
            kept = await _kept_streams(work, partition, [commit for _, commit in commits if commit is not None])
            passed = _Passed(place, horizons)
            pin = next((stream for each in commits if (stream := passed.take(*each, kept)) is not None), None)
            if passed.place.next_offset > place.next_offset:
                await _record_cut(work, key, place, passed)
                place = passed.place
            if pin is not None:
                work.count("pinned", kept.get(pin, False))
            if not chunk or pin is not None:
                break
            await asyncio.sleep(_PAUSE_SECONDS)
    finally:
        await reader.close()
    if place.next_offset > first:
        await work.log.delete_before(topic, partition, place.next_offset)
        work.count("commits", place.next_offset - first)


def _ripe(work: Work, records: Sequence[Record]) -> list[Record]:
    """Those at the beginning that are old enough."""
    ripe = []
    for record in records:
        if record.appended_at > work.now - COMMITS_KEPT_MS:
            break
        ripe.append(record)
    return ripe


def _commit_of(record: Record) -> CommitRecord | None:
    """None for what changed no row: a takeover, or what cannot be decoded (it has a dead letter)."""
    if header(record.headers, "k") != KIND_COMMIT:
        return None
    try:
        return decode_commit(record.value)
    except DECODING_ERRORS:
        return None


async def _kept_streams(work: Work, partition: int, commits: Sequence[CommitRecord]) -> dict[str, bool]:
    """The executions among those of `commits` that have a row, or are open by a checkpoint; whether they are open."""
    streams = {as_uuid(commit.stream.removeprefix("execution-")): commit.stream for commit in commits}
    rows = await work.pool.fetch(
        "SELECT id, completed_at IS NULL AS open FROM executions WHERE id = ANY($1::uuid[])",
        [key for key in streams if key is not None],
    )
    opened = await work.pool.fetch(
        "SELECT stream FROM stream_states WHERE lane = $1 AND partition = $2 AND stream = ANY($3::text[])",
        LANES[Topic.EXECUTIONS],
        partition,
        list(streams.values()),
    )
    return {streams[row["id"]]: row["open"] for row in rows} | {row["stream"]: True for row in opened}


class _Passed:
    """What lies before a cut: the place of a reader behind it, and the usage that was counted in it."""

    def __init__(self, place: Place, horizons: Mapping[str, int]) -> None:
        self._fence = Fence(place.next_offset, place.epoch, place.next_n)
        self._answered = place.answered
        self._horizons = horizons
        self.usage: Usage = {}

    @property
    def place(self) -> Place:
        return Place(self._fence.next_offset, self._fence.epoch, self._fence.next_n, self._answered)

    def take(self, record: Record, commit: CommitRecord | None, kept: Collection[str]) -> str | None:
        """Pass the record. If something of its stream is kept, or it is too young for that to be retention's doing
        (rows that were lost otherwise are rebuilt from here), nothing is passed: the stream."""
        if commit is not None and commit.events:
            # The owner's clock, which stands in the commit, may be years back, or ahead.
            over = by_log_where_off(commit.time, record.appended_at) < self._horizons.get(commit.workspace, 0)
            if commit.stream in kept or not over:
                return commit.stream
        if self._fence.accept(record.offset, record.headers) and commit is not None:
            self._count(commit)
        return None

    def _count(self, commit: CommitRecord) -> None:
        if commit.answers is not None:
            self._answered = max(self._answered, commit.answers.offset + 1)
        if commit.events and commit.queued_at is not None:
            read, _ = read_commit(commit)
            for each in count_usage(read) if read.kind == "execution" else []:
                if isinstance(each, Add):
                    self.usage.setdefault((each.key[0], each.key[1]), Counter()).update(each.amounts)


async def _record_cut(work: Work, key: tuple[str, int], before: Place, passed: _Passed) -> None:
    """Durably, and only if nobody was faster."""
    place = passed.place
    epoch = (None, None) if place.epoch is None else (place.epoch.offset, place.epoch.nonce)
    async with batch(work) as connection:
        await connection.execute("SET LOCAL synchronous_commit = on")
        moved = await connection.fetchval(
            "INSERT INTO log_cuts AS c VALUES ($1, $2, $3, $4, $5, $6, $7)"
            " ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset,"
            " epoch_offset = excluded.epoch_offset, epoch_nonce = excluded.epoch_nonce, next_n = excluded.next_n,"
            " answered = excluded.answered WHERE c.next_offset = $8 RETURNING true",
            *key,
            place.next_offset,
            *epoch,
            place.next_n,
            place.answered,
            before.next_offset,
        )
        if not moved:
            raise HistoryMissing(f"{key[0]}/{key[1]} was cut by somebody else meanwhile")
        await _add_usage(connection, passed.usage)


async def _add_usage(connection: PooledConnection, usage: Usage) -> None:
    rows: list[tuple[str, datetime, *tuple[Any, ...]]] = [
        (workspace, moment_of(hour), *(counts[name] for name in COUNTED)) for (workspace, hour), counts in usage.items()
    ]
    grown = ", ".join(f"{name} = u.{name} + excluded.{name}" for name in COUNTED)
    values = ", ".join(f"${number}" for number in range(1, len(COUNTED) + 3))
    await connection.executemany(
        f"INSERT INTO usage_before_cuts AS u (workspace_id, hour, {', '.join(COUNTED)}) VALUES ({values})"  # noqa: S608
        f" ON CONFLICT (workspace_id, hour) DO UPDATE SET {grown}",
        rows,
    )


async def _cut_older(work: Work, figure: str, topic: Topic, partition: int, until: int, kept_ms: int) -> None:
    """Cut what the log took more than `kept_ms` ago, up to offset `until`."""
    low = first = await work.log.first_offset(topic, partition)
    high = until
    before = work.now - kept_ms
    while low < high:  # the first one that is too young
        middle = (low + high) // 2
        at = await appended_at(work, topic, partition, middle)
        if at is not None and at < before:
            low = middle + 1
        else:
            high = middle
    if low > first:
        await work.log.delete_before(topic, partition, low)
        work.count(figure, low - first)
