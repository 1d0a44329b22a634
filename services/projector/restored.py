"""After a backup of the database was restored beside a log that went on: retention has cut the log since, and the
record of it is lost. `look` says what is missing, `adopt` records anew where history begins, so that rows can be
rebuilt and verified again (docs/backup.md).

What retention had cut had ended before its horizon: rows that the backup brought back of it go again.
"""
# ruff: noqa: S608 - names of our own

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import asyncpg

from domain.schedule.zones import moment_of
from infra.log.port import Log, Record, Topic
from infra.postgres.pool import Pool, PooledConnection
from projections.facts import read_commit
from projections.operations import Add
from projections.positions import Place, load_positions
from projections.retention import REBUILDING, load_cuts
from projections.usage.projection import COUNTED
from projections.usage.projection import project as count_usage
from schemas.envelope import KIND_COMMIT, KIND_TAKEOVER, Epoch, decode_commit, header, partition_of
from schemas.errors import DECODING_ERRORS
from schemas.fence import Fence
from services.projector.locks import lock_held
from services.projector.projector import LEADING
from services.projector.schema import make_own_tables

TOPIC: Final = Topic.EXECUTIONS
"""The only commit topic that retention cuts."""
_READ_AT_ONCE: Final = 2_000
_READ_SECONDS: Final = 10.0


class RestoreRefused(Exception):
    """What is missing was not cut by retention, or the backup is too old for this log; the message says which."""

    code = "restore_refused"


@dataclass(slots=True)
class Missing:
    """`partitions`: partition → (offset at which the database says that history begins, at which the log does).
    `executions`: rows whose history is gone; `newest`: when the last of them ended (ms since 1970)."""

    partitions: dict[int, tuple[int, int]] = field(default_factory=dict)
    executions: int = 0
    newest: int | None = None


@dataclass(slots=True)
class _Kept:
    """What the log has of one partition, up to where the rows stand."""

    place: Place
    first_answer: int | None = None
    headless: bool = False
    begun: set[str] = field(default_factory=set)
    usage: Counter[tuple[str, int, str]] = field(default_factory=Counter)


async def look(log: Log, pool: Pool) -> Missing:
    """What is missing; nothing of it is changed. Raises RestoreRefused, LogError."""
    return await _restore(log, pool, adopt=False)


async def adopt(log: Log, pool: Pool) -> Missing:
    """Record that history begins where the log does, and take away the rows whose history is gone. Nobody else may be
    at work on this database: RestoreRefused where somebody is seen. Raises RestoreRefused, LogError."""
    return await _restore(log, pool, adopt=True)


async def _restore(log: Log, pool: Pool, *, adopt: bool) -> Missing:
    async with pool.acquire() as connection, _alone(connection, adopt=adopt):
        async with connection.transaction():  # in a backup of an older version there may be none, or others
            await make_own_tables(connection)
        try:
            # As of one moment: what somebody writes all the same is not taken for what has no history.
            async with connection.transaction(isolation="repeatable_read"):
                return await _restore_at_once(log, connection, adopt=adopt)
        except asyncpg.SerializationError as error:
            raise RestoreRefused("somebody is at work on this database: stop everything first") from error


@asynccontextmanager
async def _alone(connection: PooledConnection, *, adopt: bool) -> AsyncIterator[None]:
    """Nobody rebuilds meanwhile, nor does retention take anything; and nobody projects while it is adopted."""
    busy = {LEADING: "a projector is at work on this database"} if adopt else {}
    busy[REBUILDING] = "a rebuild, or retention, is under way"
    async with AsyncExitStack() as stack:
        for key, reason in busy.items():
            if not await stack.enter_async_context(lock_held(connection, key)):
                raise RestoreRefused(f"{reason}: stop everything first")
        yield


async def _restore_at_once(log: Log, connection: PooledConnection, *, adopt: bool) -> Missing:
    cuts = {partition: place for (topic, partition), place in (await load_cuts(connection)).items() if topic == TOPIC}
    missing = Missing()
    for partition in range(log.partitions):
        begin, first = cuts.get(partition, Place()).next_offset, await log.first_offset(TOPIC, partition)
        if first > begin:
            missing.partitions[partition] = (begin, first)
    if not missing.partitions:
        return missing
    kept = {number: await _read(log, connection, number, cuts, missing) for number in range(log.partitions)}
    await _find_rows(connection, log.partitions, kept, missing)
    behind = [number for number in missing.partitions if await _owner_is_behind(connection, number, kept[number])]
    if adopt:
        await _record(connection, kept, missing)
        for number in behind:
            await _move_owner(connection, number, kept[number].place)
    return missing


async def _read(
    log: Log, connection: PooledConnection, partition: int, cuts: dict[int, Place], missing: Missing
) -> _Kept:
    stands = await _rows_stand_at(connection, partition)
    first, until = sorted(stands.values(), key=lambda place: place.next_offset)
    cut = missing.partitions.get(partition)
    if cut is not None and first.next_offset < cut[1]:
        raise RestoreRefused(
            f"{TOPIC}/{partition}: the rows stand at offset {first.next_offset}, but the log begins at {cut[1]}: what"
            " lies between is lost. Restore a newer backup, one that is younger than the shortest retention"
        )
    place = cuts.get(partition, Place())
    if cut is not None:
        place = await _begin(log, partition, cut[1], until)
    fence = Fence(place.next_offset, place.epoch, place.next_n)
    kept = _Kept(place)
    passed = False
    async for record in _records(log, partition, place.next_offset, until):
        if not passed and record.offset >= first.next_offset:
            _check(partition, fence, first)
            passed = True
        if fence.accept(record.offset, record.headers):
            _count(kept, record, used=record.offset < stands["usage"].next_offset)
    for stand in (until,) if passed else (first, until):
        _check(partition, fence, stand)
    if cut is not None:
        answered = until.answered if kept.first_answer is None else kept.first_answer
        kept.place = Place(place.next_offset, place.epoch, place.next_n, answered)
    return kept


def _check(partition: int, fence: Fence, place: Place) -> None:
    if (fence.epoch, fence.next_n) != (place.epoch, place.next_n):
        raise RestoreRefused(f"{TOPIC}/{partition}: the rows do not stand where this log leads: is it another one's?")


async def _rows_stand_at(connection: PooledConnection, partition: int) -> dict[str, Place]:
    """Projection → place, of the two that are looked at. They differ where one was of another version when the backup
    was made: it stood still until it was rebuilt."""
    places = {
        each.projection: each.place
        for each in await load_positions(connection)
        if (each.topic, each.partition) == (TOPIC, partition) and each.projection in ("executions", "usage")
    }
    if len(places) != 2:
        raise RestoreRefused("there are no executions, or no usage, in this database: restore a whole backup")
    return places


async def _records(log: Log, partition: int, begin: int, until: Place) -> AsyncIterator[Record]:
    if begin >= until.next_offset:
        return
    reader = await log.reader()
    try:
        reader.seek(TOPIC, partition, begin)
        while True:
            records = await reader.read(max_records=_READ_AT_ONCE, timeout=_READ_SECONDS)
            if not records:
                raise RestoreRefused(f"{TOPIC}/{partition} ends before the rows do: this log is older than the backup")
            for record in records:
                if record.offset < until.next_offset:
                    yield record
            if records[-1].offset + 1 >= until.next_offset:
                return
    finally:
        await reader.close()


async def _begin(log: Log, partition: int, first: int, until: Place) -> Place:
    """The place at the beginning of the log, whose epoch began in what was cut off.

    Where no takeover follows it is the epoch in which the rows stand. Otherwise it is the newest that commits in front
    of the takeover name: those of older epochs are void. If they name none, nothing counts before the takeover.
    """
    seen: dict[Epoch, int] = {}
    async for record in _records(log, partition, first, until):
        kind = header(record.headers, "k")
        if kind == KIND_TAKEOVER:
            break
        epoch, n = _mark(record) if kind == KIND_COMMIT else (None, 0)
        if epoch is not None:
            seen.setdefault(epoch, n)
    else:
        return Place(first, until.epoch, until.next_n if until.epoch is None else seen.get(until.epoch, until.next_n))
    if not seen:
        return Place(first)
    newest = max(seen, key=lambda epoch: epoch.offset)
    return Place(first, newest, seen[newest])


def _mark(record: Record) -> tuple[Epoch | None, int]:
    """Epoch and ordinal that a commit names; None: nonsense."""
    offset, _, nonce = (header(record.headers, "e") or b"").partition(b":")
    n = header(record.headers, "n") or b""
    if not offset.isdigit() or not n.isdigit() or not nonce.isascii():
        return None, 0
    return Epoch(int(offset), nonce.decode()), int(n)


def _count(kept: _Kept, record: Record, *, used: bool) -> None:
    """`used`: the rows of usage have it."""
    try:
        commit = decode_commit(record.value)
    except DECODING_ERRORS:
        return
    if commit.answers is not None and kept.first_answer is None:
        kept.first_answer = commit.answers.offset
    if not commit.events or commit.queued_at is None:
        return
    name = commit.stream.removeprefix("execution-")
    if commit.version == 1:
        kept.begun.add(name)
    kept.headless |= name not in kept.begun
    if not used:
        return
    read, _ = read_commit(commit)
    for each in count_usage(read) if read.kind == "execution" else []:
        if isinstance(each, Add):
            for name, number in each.amounts.items():
                kept.usage[each.key[0], each.key[1], name] += number


async def _find_rows(connection: PooledConnection, partitions: int, kept: dict[int, _Kept], missing: Missing) -> None:
    """Rows whose history is gone, into a table of this transaction. Raises RestoreRefused where one is open."""
    await connection.execute(
        "CREATE TEMP TABLE history_gone (queued_at timestamptz, id uuid, workspace_id uuid, ended timestamptz)"
        " ON COMMIT DROP"
    )
    gone: list[tuple[Any, ...]] = []
    async for row in connection.cursor(
        "SELECT queued_at, id, workspace_id, completed_at FROM read.executions", prefetch=_READ_AT_ONCE
    ):
        name = str(row["id"])
        partition = partition_of(f"execution-{name}", partitions)
        if partition not in missing.partitions or name in kept[partition].begun:
            continue
        if row["completed_at"] is None:
            raise RestoreRefused(
                f"execution {name} is open, and the log has its beginning no more: that was not cut by retention"
            )
        gone.append((row["queued_at"], row["id"], row["workspace_id"], row["completed_at"]))
    await connection.executemany("INSERT INTO history_gone VALUES ($1, $2, $3, $4)", gone)
    missing.executions = len(gone)
    newest = max((row[3] for row in gone), default=None)
    missing.newest = None if newest is None else int(newest.timestamp() * 1_000)


async def _owner_is_behind(connection: PooledConnection, partition: int, kept: _Kept) -> bool:
    """Whether the owner's checkpoint lies before the log: in a backup made seconds after the first commits."""
    stands_at = await connection.fetchval(
        "SELECT next_offset FROM partition_checkpoints WHERE lane = 'executions' AND partition = $1", partition
    )
    if (stands_at or 0) >= kept.place.next_offset:
        return False
    if kept.headless:
        raise RestoreRefused(
            f"{TOPIC}/{partition}: the owner's checkpoint stands at {stands_at or 0}, before the log, and there are"
            " executions whose beginnings are gone: restore another backup"
        )
    return True


async def _move_owner(connection: PooledConnection, partition: int, place: Place) -> None:
    """What the checkpoint has open had ended before the log was cut."""
    await connection.execute("DELETE FROM stream_states WHERE lane = 'executions' AND partition = $1", partition)
    await connection.execute(
        "INSERT INTO partition_checkpoints AS c (lane, partition, owner_offset, owner_nonce, next_offset, fence_offset,"
        " fence_nonce, next_n, answered) VALUES ('executions', $1, -1, '', $2, $3, $4, $5, $6)"
        " ON CONFLICT (lane, partition) DO UPDATE SET next_offset = $2, fence_offset = $3, fence_nonce = $4,"
        " next_n = $5, answered = greatest(c.answered, $6)",
        partition,
        place.next_offset,
        *((None, None) if place.epoch is None else (place.epoch.offset, place.epoch.nonce)),
        place.next_n,
        place.answered,
    )


async def _record(connection: PooledConnection, kept: dict[int, _Kept], missing: Missing) -> None:
    """Durably: the horizons that the lost record must have had at least, the usage that is not in the log, the cuts."""
    await connection.execute("SET LOCAL synchronous_commit = on")
    for workspace, ended in await connection.fetch("SELECT workspace_id, max(ended) FROM history_gone GROUP BY 1"):
        await connection.execute(
            "INSERT INTO read.horizons AS h VALUES ($1, $2, $2) ON CONFLICT (workspace_id) DO UPDATE SET"
            " ended_before = greatest(h.ended_before, $2), payloads_before = greatest(h.payloads_before, $2)",
            workspace,
            ended + timedelta(milliseconds=1),
        )
    for table, key in (("node_executions", "execution_id"), ("blob_uses", "execution_id"), ("executions", "id")):
        await connection.execute(
            f"DELETE FROM read.{table} x USING history_gone g WHERE x.{key} = g.id AND x.queued_at = g.queued_at"
        )
    await _record_usage(connection, kept)
    for partition in missing.partitions:
        place = kept[partition].place
        epoch = (None, None) if place.epoch is None else (place.epoch.offset, place.epoch.nonce)
        await connection.execute(
            "INSERT INTO read.log_cuts VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (topic, partition) DO UPDATE SET"
            " next_offset = $3, epoch_offset = $4, epoch_nonce = $5, next_n = $6, answered = $7",
            TOPIC.value,
            partition,
            place.next_offset,
            *epoch,
            place.next_n,
            place.answered,
        )


async def _record_usage(connection: PooledConnection, kept: dict[int, _Kept]) -> None:
    """What the rows have counted and the log does not show any more was counted before the cuts."""
    in_log: Counter[tuple[str, int, str]] = sum((each.usage for each in kept.values()), Counter())
    # As JSON: what rows of an older version did not count yet is missing there, and was none.
    counts = ", ".join(f"coalesce((to_jsonb(u)->>'{name}')::bigint, 0) AS {name}" for name in COUNTED)
    rows = await connection.fetch(
        "SELECT workspace_id::text AS workspace, (extract(epoch FROM hour) * 1000)::bigint AS hour,"
        f" {counts} FROM read.usage_hours u"
    )
    before = []
    for row in rows:
        left = [row[name] - in_log.pop((row["workspace"], row["hour"], name), 0) for name in COUNTED]
        if min(left) < 0:
            raise RestoreRefused("the log counts more than the rows do: it is not the one that they were made from")
        if any(left):
            before.append((row["workspace"], moment_of(row["hour"]), *left))
    if any(in_log.values()):
        raise RestoreRefused("the log counts what the rows do not: it is not the one that they were made from")
    names = ", ".join(COUNTED)
    values = ", ".join(f"${number}" for number in range(1, len(COUNTED) + 3))
    await connection.execute("DELETE FROM read.usage_before_cuts")
    await connection.executemany(
        f"INSERT INTO read.usage_before_cuts (workspace_id, hour, {names}) VALUES ({values})", before
    )
