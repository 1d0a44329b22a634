"""Folds read models anew from the first record, beside the live ones, and switches when it has caught up."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from infra.log.port import Log, Topic
from infra.postgres.pool import Pool, PooledConnection
from projections.catalog import PROJECTIONS, Projection
from projections.retention import REBUILDING, HistoryMissing, begin_of_history, expire, load_cuts
from services.projector.batch import Entry, PartitionFold, PlaceKey
from services.projector.locks import lock_held
from services.projector.schema import LIVE, NEXT, create, ensure_months, prepare, set_places
from services.projector.statements import month_of, qualified
from services.projector.store import SESSION, ProjectorStore
from services.projector.writing import fold_until

ALL = "all"
Progress = Callable[[int, int], None]
"""Called with (records folded, records to fold)."""

_CLOSE_ENOUGH = 2_000
"""Records that may be left when the projector is made to wait for the switch."""
_LOCK_TIMEOUT = "500ms"
_SWITCH_ATTEMPTS = 40


class RebuildRefused(Exception):
    """A rebuild that cannot be done; the message says why and what to do."""

    code = "rebuild_refused"


@dataclass(frozen=True, slots=True)
class RebuildReport:
    names: list[str]
    records: int
    events: int
    seconds: float

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds if self.seconds else 0.0


async def rebuild(
    log: Log, pool: Pool, names: str | Sequence[str], progress: Progress = lambda done, total: None
) -> RebuildReport:
    """Rebuild the projections `names` ("all": every one) while the system serves. Uses two connections of `pool`.

    Raises RebuildRefused (unknown name, one is under way, the log does not begin at its beginning any more, readers
    hold the tables for too long); what was live stays live then.
    """
    wanted = _named(names)
    began = time.monotonic()
    async with (
        pool.acquire() as guard,
        pool.acquire() as connection,
        lock_held(guard, REBUILDING) as alone,  # retention has it for one batch at a time
    ):
        if not alone:
            raise RebuildRefused("another rebuild, or retention, is under way: wait for its end")
        for name, value in SESSION.items():
            await connection.execute("SELECT set_config($1, $2, false)", name, value)
        work = _Rebuild(log, guard, connection, wanted, progress)
        await work.begin()
        await work.catch_up()
        await work.expire()
        await work.analyze()
        await work.switch()
    return RebuildReport([each.name for each in wanted], work.records, work.events, time.monotonic() - began)


def _named(names: str | Sequence[str]) -> list[Projection]:
    if names == ALL:
        return list(PROJECTIONS.values())
    asked = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in asked if name not in PROJECTIONS]
    if unknown:
        raise RebuildRefused(f"no projection {', '.join(unknown)}; there are: {', '.join(PROJECTIONS)}, {ALL}")
    return [PROJECTIONS[name] for name in asked]


class _Rebuild:
    def __init__(
        self,
        log: Log,
        guard: PooledConnection,
        connection: PooledConnection,
        projections: Sequence[Projection],
        progress: Progress,
    ) -> None:
        self._log = log
        self._guard = guard
        self._connection = connection
        self._projections = projections
        self._progress = progress
        self._store = ProjectorStore(connection, projections, NEXT)
        self._folds: list[PartitionFold] = []
        self.records = 0
        self.events = 0

    async def begin(self) -> None:
        topics = sorted({each.topic for each in PROJECTIONS.values()})
        keys = [(topic, partition) for topic in topics for partition in range(self._log.partitions)]
        first = {(topic, part): await self._log.first_offset(Topic(topic), part) for topic, part in keys}
        now = time.time_ns() // 1_000_000
        await prepare(self._connection, first, now)
        own = {key: at for key, at in first.items() if key[0] in {each.topic for each in self._projections}}
        cuts = await load_cuts(self._connection)
        try:
            places = {key: begin_of_history(key, at, cuts) for key, at in own.items()}
        except HistoryMissing as error:
            raise RebuildRefused(
                f"{error}; the live rows stay as they are. If a backup was restored: linkflow restored (docs/backup.md)"
            ) from error
        async with self._connection.transaction():
            await self._connection.execute(f"DROP SCHEMA IF EXISTS {NEXT} CASCADE; CREATE SCHEMA {NEXT}")
            await create(self._connection, NEXT, self._projections, places)
            if any(each.name == "usage" for each in self._projections):
                await self._connection.execute(
                    f"INSERT INTO {qualified(NEXT, 'usage_hours')} SELECT * FROM {qualified(LIVE, 'usage_before_cuts')}"  # noqa: S608
                )
        tables = [table for each in self._projections for table in each.tables if table.months]
        await ensure_months(self._connection, NEXT, tables, {month_of(now)})
        self._folds = [PartitionFold(topic, part, place, self._projections) for (topic, part), place in places.items()]

    async def catch_up(self) -> None:
        """Until little is left between here and where the live rows stand."""
        while True:
            live = await self._live_offsets(self._connection)
            left = sum(live[fold.key] - fold.next_offset for fold in self._folds)
            if left <= _CLOSE_ENOUGH:
                return
            await self._fold_to(live)

    async def expire(self) -> None:
        """Take away what retention has taken from the live rows. It stands still as long as a rebuild goes on, and what
        is folded after this did not end long ago."""
        if not await self._connection.fetchval(f"SELECT EXISTS (SELECT FROM {qualified(LIVE, 'horizons')})"):  # noqa: S608
            return
        await self._fold_to(await self._live_offsets(self._connection))
        names = [table.name for each in self._projections for table in each.tables]
        kept = qualified(NEXT if "executions" in names else LIVE, "executions")
        async with self._connection.transaction():
            for setting in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan"):
                await self._connection.execute(f"SET LOCAL {setting} = on")
            for statement in expire(kept, names, NEXT):
                await self._connection.execute(statement)

    async def analyze(self) -> None:
        """Give the planner its statistics before the first query comes, not a minute after."""
        for table in (table for each in self._projections for table in each.tables):
            await self._connection.execute(f"ANALYZE {qualified(NEXT, table.name)}")

    async def switch(self) -> None:
        """Put the new tables in the place of the old ones, at a moment at which both stand at the same positions."""
        for attempt in range(_SWITCH_ATTEMPTS):
            try:
                async with self._guard.transaction():
                    await self._switch()
                return
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await asyncio.sleep(min(0.05 * 2**attempt, 2.0))
                await self.catch_up()
        raise RebuildRefused("somebody reads the live tables in one long transaction: try again when it has ended")

    async def _switch(self) -> None:
        # The projector moves the positions first in its transactions: with them locked it stands still, briefly.
        await self._guard.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        await self._guard.execute(f"LOCK TABLE {qualified(LIVE, 'positions')} IN EXCLUSIVE MODE")
        await self._fold_to(await self._live_offsets(self._guard))
        await self._guard.execute(f"DROP TABLE {qualified(NEXT, 'positions')}, {qualified(NEXT, 'projections')}")
        for table in (table for each in self._projections for table in each.tables):
            await self._guard.execute(f"DROP TABLE IF EXISTS {qualified(LIVE, table.name)} CASCADE")
        for row in await self._guard.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", NEXT):
            await self._guard.execute(f"ALTER TABLE {qualified(NEXT, row['tablename'])} SET SCHEMA {LIVE}")
        for each in self._projections:
            await set_places(self._guard, LIVE, each, {fold.key: fold.place for fold in self._folds})
            await self._guard.execute(
                f"INSERT INTO {qualified(LIVE, 'projections')} (name, version) VALUES ($1, $2) "  # noqa: S608
                "ON CONFLICT (name) DO UPDATE SET version = excluded.version",
                each.name,
                each.version,
            )
        await self._guard.execute(f"DROP SCHEMA {NEXT}")

    async def _live_offsets(self, connection: PooledConnection) -> dict[PlaceKey, int]:
        """Where the live rows of each topic stand: one that is outdated stands behind the others."""
        rows = await connection.fetch(
            f"SELECT topic, partition, max(next_offset) AS at FROM {qualified(LIVE, 'positions')} GROUP BY 1, 2"  # noqa: S608
        )
        live = {(row["topic"], row["partition"]): row["at"] for row in rows}
        return {fold.key: live.get(fold.key, 0) for fold in self._folds}

    async def _fold_to(self, until: Mapping[PlaceKey, int]) -> None:
        total = self.records + sum(until[fold.key] - fold.next_offset for fold in self._folds)

        def written(entries: Sequence[Entry]) -> None:
            self.records += len(entries)
            self.events += sum(entry.events for entry in entries)
            self._progress(self.records, total)

        await fold_until(self._log, self._store, self._folds, until, written)
