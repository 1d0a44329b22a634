"""Checkpoints of partition owners (log protocol, rule 11).

A checkpoint holds accepted state only. It is written in one transaction that is refused where the stored owner is
another one, the stored offset is higher, or the stored checkpoint is not one that the change builds on; it is loaded in
one snapshot. A takeover claims the row first.

A save does not wait for the disk, so a crash of the database may take back one that was acknowledged. The log has
everything of it; but the next change, on top of what is left, would leave a gap: closed streams would stay open.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import asyncpg

from infra.failpoints import failpoint
from schemas.envelope import Epoch
from schemas.fence import Fence


class CheckpointRefused(Exception):
    """Somebody with a higher epoch owns this partition now: give it up."""

    code = "checkpoint_refused"


@dataclass(frozen=True, slots=True)
class StoredState:
    """One stream's state as bytes. `due`: owner's time in ms at which it wants to be woken."""

    stream: str
    workspace: str
    version: int
    due: int | None
    parked: bool
    state: bytes


@dataclass(frozen=True, slots=True)
class StoredGeneration:
    """Ids of closed streams, packed; droppable some time after the read model has passed `until_offset`."""

    generation: int
    ids: bytes
    until_offset: int


@dataclass(slots=True)
class Checkpoint:
    """Everything an owner starts from."""

    fence: Fence = field(default_factory=Fence)
    answered: int = 0
    unsent: bytes = b""
    suspect_offset: int = -1
    suspect_count: int = 0
    states: list[StoredState] = field(default_factory=list)
    remembered: list[StoredGeneration] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckpointChange:
    """What has changed since the last save. `after`: where the stored checkpoint must stand (its next offset); more
    than one where nobody knows whether the last save was done."""

    after: Collection[int]
    fence: Fence
    answered: int
    unsent: bytes
    states: Sequence[StoredState] = ()
    gone: Sequence[str] = ()
    remembered: Sequence[StoredGeneration] = ()
    forgotten: Sequence[int] = ()


class Checkpoints(Protocol):
    """Where owners keep their checkpoints."""

    async def claim(self, lane: str, partition: int, epoch: Epoch) -> None:
        """Raise the stored owner to `epoch`; raises CheckpointRefused if a higher one is stored."""
        ...

    async def load(self, lane: str, partition: int) -> Checkpoint: ...

    async def save(self, lane: str, partition: int, epoch: Epoch, change: CheckpointChange) -> None:
        """Write `change`; raises CheckpointRefused if the owner is another, the stored offset is higher, or the change
        does not build on what is stored."""
        ...

    async def suspect(self, lane: str, partition: int, offset: int) -> int:
        """Note that a takeover found the input at `offset` unanswered; how often in a row it was the same one."""
        ...


class PostgresCheckpoints:
    """Checkpoints in PostgreSQL (migration 0001)."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def claim(self, lane: str, partition: int, epoch: Epoch) -> None:
        claimed = await self._pool.fetchval(
            """
            INSERT INTO partition_checkpoints AS stored (lane, partition, owner_offset, owner_nonce)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (lane, partition) DO UPDATE SET owner_offset = $3, owner_nonce = $4
                WHERE stored.owner_offset < $3 OR (stored.owner_offset = $3 AND stored.owner_nonce = $4)
            RETURNING true
            """,
            lane,
            partition,
            epoch.offset,
            epoch.nonce,
        )
        if not claimed:
            raise CheckpointRefused(f"{lane}/{partition}: a newer owner than epoch {epoch.offset} is stored")

    async def load(self, lane: str, partition: int) -> Checkpoint:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(
                "SELECT * FROM partition_checkpoints WHERE lane = $1 AND partition = $2", lane, partition
            )
            states = await connection.fetch(
                "SELECT stream, workspace, version, due, parked, state FROM stream_states"
                " WHERE lane = $1 AND partition = $2",
                lane,
                partition,
            )
            remembered = await connection.fetch(
                "SELECT generation, ids, until_offset FROM remembered_ids"
                " WHERE lane = $1 AND partition = $2 ORDER BY generation",
                lane,
                partition,
            )
        if row is None:
            return Checkpoint()
        epoch = None if row["fence_offset"] is None else Epoch(row["fence_offset"], row["fence_nonce"])
        return Checkpoint(
            fence=Fence(row["next_offset"], epoch, row["next_n"]),
            answered=row["answered"],
            unsent=row["unsent"],
            suspect_offset=row["suspect_offset"],
            suspect_count=row["suspect_count"],
            states=[StoredState(*each) for each in states],
            remembered=[StoredGeneration(*each) for each in remembered],
        )

    async def save(self, lane: str, partition: int, epoch: Epoch, change: CheckpointChange) -> None:
        fence = change.fence
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL synchronous_commit = off")
            saved = await connection.fetchval(
                """
                UPDATE partition_checkpoints SET next_offset = $5, fence_offset = $6, fence_nonce = $7, next_n = $8,
                    answered = $9, unsent = $10, saved_at = now()
                WHERE lane = $1 AND partition = $2 AND owner_offset = $3 AND owner_nonce = $4 AND next_offset <= $5
                    AND next_offset = ANY($11::bigint[])
                RETURNING true
                """,
                lane,
                partition,
                epoch.offset,
                epoch.nonce,
                fence.next_offset,
                fence.epoch.offset if fence.epoch else None,
                fence.epoch.nonce if fence.epoch else None,
                fence.next_n,
                change.answered,
                change.unsent,
                list(change.after),
            )
            if not saved:
                raise _refused(lane, partition, epoch, change)
            failpoint("checkpoint.in_transaction")
            await _save_states(connection, lane, partition, change)
            await _save_remembered(connection, lane, partition, change)

    async def suspect(self, lane: str, partition: int, offset: int) -> int:
        count = await self._pool.fetchval(
            """
            UPDATE partition_checkpoints SET suspect_offset = $3,
                suspect_count = CASE WHEN suspect_offset = $3 THEN suspect_count + 1 ELSE 1 END
            WHERE lane = $1 AND partition = $2 RETURNING suspect_count
            """,
            lane,
            partition,
            offset,
        )
        return int(count or 0)


def _refused(lane: str, partition: int, epoch: Epoch, change: CheckpointChange) -> CheckpointRefused:
    return CheckpointRefused(
        f"{lane}/{partition}: epoch {epoch.offset} is not the stored owner any more, or the stored checkpoint does not"
        f" stand at {sorted(change.after)}"
    )


async def _save_states(
    connection: asyncpg.pool.PoolConnectionProxy, lane: str, partition: int, change: CheckpointChange
) -> None:
    if change.states:
        await connection.execute(
            """
            INSERT INTO stream_states (lane, partition, stream, workspace, version, due, parked, state)
            SELECT $1, $2, s.* FROM unnest($3::text[], $4::text[], $5::int[], $6::bigint[], $7::bool[], $8::bytea[])
                AS s (stream, workspace, version, due, parked, state)
            ON CONFLICT (lane, partition, stream) DO UPDATE SET workspace = excluded.workspace,
                version = excluded.version, due = excluded.due, parked = excluded.parked, state = excluded.state
            """,
            lane,
            partition,
            [s.stream for s in change.states],
            [s.workspace for s in change.states],
            [s.version for s in change.states],
            [s.due for s in change.states],
            [s.parked for s in change.states],
            [s.state for s in change.states],
        )
    if change.gone:
        await connection.execute(
            "DELETE FROM stream_states WHERE lane = $1 AND partition = $2 AND stream = ANY($3::text[])",
            lane,
            partition,
            list(change.gone),
        )


async def _save_remembered(
    connection: asyncpg.pool.PoolConnectionProxy, lane: str, partition: int, change: CheckpointChange
) -> None:
    for each in change.remembered:
        await connection.execute(
            """
            INSERT INTO remembered_ids (lane, partition, generation, ids, until_offset) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (lane, partition, generation) DO UPDATE SET ids = $4, until_offset = $5
            """,
            lane,
            partition,
            each.generation,
            each.ids,
            each.until_offset,
        )
    if change.forgotten:
        await connection.execute(
            "DELETE FROM remembered_ids WHERE lane = $1 AND partition = $2 AND generation = ANY($3::bigint[])",
            lane,
            partition,
            list(change.forgotten),
        )


@dataclass(slots=True)
class _Stored:
    owner: Epoch
    checkpoint: Checkpoint


class MemoryCheckpoints:
    """The same in memory, for simulation and tests."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], _Stored] = {}

    async def claim(self, lane: str, partition: int, epoch: Epoch) -> None:
        row = self._rows.get((lane, partition))
        if row is None:
            self._rows[lane, partition] = _Stored(epoch, Checkpoint())
        elif row.owner.offset < epoch.offset or row.owner == epoch:
            row.owner = epoch
        else:
            raise CheckpointRefused(f"{lane}/{partition}: a newer owner than epoch {epoch.offset} is stored")

    async def load(self, lane: str, partition: int) -> Checkpoint:
        row = self._rows.get((lane, partition))
        if row is None:
            return Checkpoint()
        stored = row.checkpoint
        return Checkpoint(
            fence=Fence(stored.fence.next_offset, stored.fence.epoch, stored.fence.next_n),
            answered=stored.answered,
            unsent=stored.unsent,
            suspect_offset=stored.suspect_offset,
            suspect_count=stored.suspect_count,
            states=list(stored.states),
            remembered=list(stored.remembered),
        )

    async def save(self, lane: str, partition: int, epoch: Epoch, change: CheckpointChange) -> None:
        row = self._rows.get((lane, partition))
        reached = -1 if row is None else row.checkpoint.fence.next_offset
        if row is None or row.owner != epoch or reached > change.fence.next_offset or reached not in change.after:
            raise _refused(lane, partition, epoch, change)
        states = {s.stream: s for s in row.checkpoint.states}
        states.update((s.stream, s) for s in change.states)
        for stream in change.gone:
            states.pop(stream, None)
        generations = {g.generation: g for g in row.checkpoint.remembered}
        generations.update((g.generation, g) for g in change.remembered)
        for number in change.forgotten:
            generations.pop(number, None)
        row.checkpoint = Checkpoint(
            fence=change.fence,
            answered=change.answered,
            unsent=change.unsent,
            suspect_offset=row.checkpoint.suspect_offset,
            suspect_count=row.checkpoint.suspect_count,
            states=list(states.values()),
            remembered=sorted(generations.values(), key=lambda g: g.generation),
        )

    async def suspect(self, lane: str, partition: int, offset: int) -> int:
        stored = self._rows[lane, partition].checkpoint
        stored.suspect_count = stored.suspect_count + 1 if stored.suspect_offset == offset else 1
        stored.suspect_offset = offset
        return stored.suspect_count
