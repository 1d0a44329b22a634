"""Taking a partition over: announce, claim the checkpoint, fold what lies behind it up to the own takeover.

Log protocol, rules 2, 3, 5 and 11. Errors: OwnershipLost, CheckpointRefused, LogError, GapInLog.
"""

from collections.abc import Sequence
from secrets import token_hex
from typing import Any

from infra.failpoints import failpoint
from infra.log.port import NewRecord, Record, Topic, Writer
from infra.telemetry.logs import get_logger
from schemas import registry
from schemas.envelope import (
    KIND_TAKEOVER,
    CommitRecord,
    Epoch,
    TakeoverRecord,
    decode_commit,
    decode_tick,
    encode,
    header,
)
from services.worker.clock import wall_ms
from services.worker.lanes import Lane
from services.worker.memory import PartitionMemory
from services.worker.surroundings import Surroundings
from services.worker.versions import GraphKey

READ_SECONDS = 10.0
TICKS_LOOKED_AT = 10

_log = get_logger("worker.recovery")

_Read = tuple[int, CommitRecord, bytes | None]


class OwnershipLost(Exception):
    """The log did not answer as an owner must expect: forget everything, take over anew."""

    code = "ownership_lost"


async def announce(writer: Writer, lane: Lane, partition: int, name: str) -> Epoch:
    """Append the takeover record; its offset and nonce are the epoch. Nothing else may be sent before this returns."""
    nonce = token_hex(8)
    record = TakeoverRecord(nonce=nonce, owner=name, time=wall_ms())
    announced = NewRecord(encode(record), (("k", KIND_TAKEOVER), ("o", nonce.encode())))
    failpoint("recovery.before_announce")
    offset = await writer.append(lane.commit_topic, partition, [announced])
    failpoint("recovery.after_announce")
    return Epoch(offset, nonce)


async def recover(around: Surroundings, lane: Lane, partition: int, epoch: Epoch) -> tuple[PartitionMemory, int]:
    """The partition's memory as of the own takeover `epoch`, and when the log took that (ms since 1970)."""
    await around.checkpoints.claim(lane.name, partition, epoch)
    failpoint("recovery.after_claim")
    memory = PartitionMemory(lane, await around.checkpoints.load(lane.name, partition), around.shares)
    await around.versions.load(memory.graphs_wanted())
    appended_at = await _fold_tail(around, memory, partition, epoch.offset)
    if memory.fence.epoch != epoch:
        raise OwnershipLost(f"the takeover at {epoch.offset} is not the one read back")
    return memory, appended_at


async def first_waiting(around: Surroundings, memory: PartitionMemory, partition: int) -> int:
    """The offset of the input that waits unanswered already at the takeover, or −1."""
    end = await around.log.end_offset(memory.lane.input_topic, partition)
    return memory.answered if end > memory.answered else -1


async def last_tick(around: Surroundings, partition: int) -> tuple[int, tuple[int, int] | None]:
    """Where the ticks go on, when the log took the newest one, and what time it was then (time, appended at).

    That is what those of the newest that came soonest say: the very last may have been sent long ago, by an old leader.
    """
    log = around.log
    end = await log.end_offset(Topic.TICKS, partition)
    start = max(await log.first_offset(Topic.TICKS, partition), end - TICKS_LOOKED_AT)
    if end <= start:
        return end, None
    found: list[tuple[int, int]] = []
    reader = await log.reader()
    try:
        reader.seek(Topic.TICKS, partition, start)
        while start < end:
            records = await reader.read(max_records=end - start, timeout=READ_SECONDS)
            if not records:
                break
            start += len(records)
            found += _ticks_of(records)
    finally:
        await reader.close()
    if not found:
        return end, None
    newest = max(appended_at for _, appended_at in found)
    return end, (newest + max(time - appended_at for time, appended_at in found), newest)


def _ticks_of(records: Sequence[Record]) -> list[tuple[int, int]]:
    """(time, appended at) of those that can be decoded."""
    ticks: list[tuple[int, int]] = []
    for record in records:
        try:
            ticks.append((decode_tick(record.value).time, record.appended_at))
        except Exception as error:  # noqa: BLE001 — garbage among the ticks stops nothing
            _log.warning("a tick cannot be decoded", partition=record.partition, reason=str(error))
    return ticks


async def _fold_tail(around: Surroundings, memory: PartitionMemory, partition: int, own_offset: int) -> int:
    """Fold up to the own takeover; when the log took that."""
    appended_at = 0
    if memory.fence.next_offset > own_offset:
        raise OwnershipLost(f"the checkpoint is beyond the own takeover at {own_offset}")
    reader = await around.log.reader()
    try:
        reader.seek(memory.lane.commit_topic, partition, memory.fence.next_offset)
        while memory.fence.next_offset <= own_offset:
            records = await reader.read(max_records=1_000, timeout=READ_SECONDS)
            if not records:
                raise OwnershipLost("the commits behind the checkpoint cannot be read")
            folded = [each for each in records if each.offset <= own_offset]
            await _fold_records(around, memory, folded)
            appended_at = folded[-1].appended_at
            failpoint("recovery.in_fold")
    finally:
        await reader.close()
    return appended_at


async def _fold_records(around: Surroundings, memory: PartitionMemory, records: Sequence[Record]) -> None:
    commits: list[_Read] = [
        (each.offset, decode_commit(each.value), header(each.headers, "t"))
        for each in records
        if memory.fence.accept(each.offset, each.headers)
    ]
    blobs = await load_blobs(around, [(c.workspace, blob) for _, c, _ in commits for blob in registry.blobs_of(c)])
    events = [[registry.decode_event(event, blobs) for event in commit.events] for _, commit, _ in commits]
    await around.versions.load(_graphs_of(memory, commits, events))
    for (offset, commit, trace), decoded in zip(commits, events, strict=True):
        memory.fold(offset, commit, decoded, trace)


def _graphs_of(memory: PartitionMemory, commits: Sequence[_Read], events: Sequence[Sequence[Any]]) -> set[GraphKey]:
    keys: set[GraphKey] = set()
    for (_, commit, _), decoded in zip(commits, events, strict=True):
        entry = memory.entries.get(commit.stream)
        key = entry.graph_key if entry is not None else memory.lane.key_of_first(commit.workspace, decoded)
        if key is not None:
            keys.add(key)
    return keys


async def load_blobs(around: Surroundings, wanted: Sequence[tuple[str, str]]) -> dict[str, bytes]:
    """Blob id → bytes for (workspace, blob id) pairs of accepted commits. Raises BlobsMissing."""
    found: dict[str, bytes] = {}
    for workspace, blobs in _by_workspace(wanted).items():
        found.update(await around.blobs.get_many(workspace, blobs))
    return found


async def find_blobs(around: Surroundings, wanted: Sequence[tuple[str, str]]) -> dict[str, bytes]:
    """As `load_blobs`, without those that are not there: an input that names one is refused when it is decoded."""
    found: dict[str, bytes] = {}
    for workspace, blobs in _by_workspace(wanted).items():
        found.update(await around.blobs.find_many(workspace, blobs))
    return found


def _by_workspace(wanted: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    by_workspace: dict[str, list[str]] = {}
    for workspace, blob in wanted:
        by_workspace.setdefault(workspace, []).append(blob)
    return by_workspace
