"""Keeps the read models up with the log. One leads (advisory lock), others stand by; compare-and-set keeps two safe."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence

from infra.failpoints import failpoint
from infra.log.port import Log, LogUnavailable, Topic
from infra.postgres.pool import DATABASE_AWAY, Connection, open_connection, open_pool
from infra.telemetry.logs import get_logger
from infra.telemetry.metrics import (
    PROJECTED_COMMITS,
    PROJECTED_EVENTS,
    PROJECTION_LAG,
    PROJECTION_LAG_SECONDS,
    PROJECTION_SECONDS,
    VOID_RECORDS,
)
from projections.catalog import PROJECTIONS, Projection
from projections.positions import Place, load_positions
from schemas.envelope import KIND_COMMIT, header
from services.projector.batch import Entry, PartitionFold, PlaceKey
from services.projector.feed import Feed
from services.projector.rebuild import RebuildRefused, rebuild
from services.projector.schema import prepare
from services.projector.store import SESSION, PositionMoved, ProjectorStore
from services.projector.writing import DeadLetterOffice, fold_until, write_batch

REBUILD_AGAIN_SECONDS = 15.0
"""After one that was refused: another is under way, retention is, or history is missing."""
CHANNEL = "linkflow_projected"
"""NOTIFY goes there after rows have become visible."""

LEADING = 0x4C4B464C50524F4A
"""The advisory lock of who leads."""
_CONFIRM_SECONDS = 2.0
_ANSWER_SECONDS = 10.0
_LEADER_SESSION = {
    **SESSION,
    # A leader that is stopped asks nothing: the server ends its session, and another leads.
    "idle_session_timeout": "6s",
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
}
_WRITER_SESSION = {**SESSION, "idle_in_transaction_session_timeout": "6s"}
"""One that is stopped in the middle of a batch would keep the next one from moving the positions."""
_STAND_BY_SECONDS = 0.5
_NOTIFY_SECONDS = 0.02
_PACE_SECONDS = 0.01
"""Between the starts of two transactions: under load a batch is worth its round trips; when idle nothing waits."""
_WRITE_SECONDS = 120.0
"""A batch takes milliseconds: after this long the other side is gone without a word."""
_LAG_SECONDS = 5.0
_BACK_OFF_SECONDS = (0.1, 5.0)

TRANSIENT: tuple[type[BaseException], ...] = (
    *DATABASE_AWAY,
    LogUnavailable,
)
"""What passes by itself: begin anew from the stored positions."""

_log = get_logger("projector")


class Projector:
    """Follows both commit topics of `log` into the read models of `database_url`."""

    def __init__(self, log: Log, database_url: str, *, now: Callable[[], int] | None = None) -> None:
        self._log = log
        self._url = database_url
        self._now = now or (lambda: time.time_ns() // 1_000_000)
        self._notify = asyncio.Event()
        self.leading = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises GapInLog, OffsetOutOfRange and whatever else does not pass by waiting."""
        failures = 0
        while not stop.is_set():
            began = time.monotonic()
            try:
                await self._session(stop)
                failures = 0
            except PositionMoved as error:
                _log.warning("another projector is at work", reason=str(error))
                await _pause(stop, _STAND_BY_SECONDS)
            except TRANSIENT as error:
                failures = 0 if time.monotonic() - began > 10 * _BACK_OFF_SECONDS[1] else failures + 1
                least, most = _BACK_OFF_SECONDS
                delay = min(most, least * 2 ** min(failures, 10)) * random.uniform(0.5, 1)  # noqa: S311
                _log.warning("trying again", reason=f"{type(error).__name__}: {error}", seconds=round(delay, 2))
                await _pause(stop, delay)
            finally:
                self.leading = False

    async def _session(self, stop: asyncio.Event) -> None:
        """As long as the connections last, or until the set of projections has changed."""
        leading = await open_connection(self._url, application_name="linkflow projector", settings=_LEADER_SESSION)
        try:
            if not await self._lead(leading, stop):
                return
            self.leading = True
            telling = asyncio.create_task(self._tell(leading))
            try:
                await self._project(telling, stop)
            finally:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)
        finally:
            leading.terminate()

    async def _project(self, telling: "asyncio.Task[None]", stop: asyncio.Event) -> None:
        connection = await open_connection(self._url, application_name="linkflow projector", settings=_WRITER_SESSION)
        try:
            outdated = await prepare(connection, await self._first_offsets(), self._now())
            active, places = await self._places(connection, outdated)
            outdated = [name for name in PROJECTIONS if name not in {each.name for each in active}]
            _log.info("projecting", projections=[each.name for each in active], rebuilding=outdated)
            await self._follow(connection, telling, active, places, outdated, stop)
        finally:
            connection.terminate()

    async def _lead(self, connection: Connection, stop: asyncio.Event) -> bool:
        said = False
        while not stop.is_set():
            # Asked again and again instead of waited for: a waiting statement would hold back vacuum.
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEADING):
                return True
            if not said:
                _log.info("standing by: another projector leads")
                said = True
            await _pause(stop, _STAND_BY_SECONDS)
        return False

    async def _first_offsets(self) -> dict[PlaceKey, int]:
        topics = sorted({each.topic for each in PROJECTIONS.values()})
        keys = [(topic, partition) for topic in topics for partition in range(self._log.partitions)]
        return {(topic, part): await self._log.first_offset(Topic(topic), part) for topic, part in keys}

    async def _places(
        self, connection: Connection, outdated: Sequence[str]
    ) -> tuple[list[Projection], dict[PlaceKey, Place]]:
        """The projections that go on together, and from where. One that is behind the others catches up first."""
        stored: dict[str, dict[PlaceKey, Place]] = {}
        for position in await load_positions(connection):
            stored.setdefault(position.projection, {})[position.topic, position.partition] = position.place
        current = [each for each in PROJECTIONS.values() if each.name in stored and each.name not in outdated]
        places: dict[PlaceKey, Place] = {}
        for each in current:
            for key, place in stored[each.name].items():
                if key not in places or places[key].next_offset < place.next_offset:
                    places[key] = place
        active = []
        for each in current:
            if await self._catch_up(connection, each, stored[each.name], places):
                active.append(each)
            else:
                _log.error("does not agree with the others about the log: it is rebuilt", projection=each.name)
        return active, places

    async def _catch_up(
        self,
        connection: Connection,
        projection: Projection,
        own: Mapping[PlaceKey, Place],
        places: Mapping[PlaceKey, Place],
    ) -> bool:
        """Bring one projection to `places` (a rebuild left it a little behind); False if it does not arrive there."""
        if any(own[key] != places[key] for key in own):
            _log.info("catching up", projection=projection.name)
            folds = [PartitionFold(topic, partition, place, [projection]) for (topic, partition), place in own.items()]
            until = {key: places[key].next_offset for key in own}
            await fold_until(self._log, ProjectorStore(connection, [projection]), folds, until)
            own = {fold.key: fold.place for fold in folds}
        return all(own[key] == places[key] for key in own)

    async def _follow(
        self,
        connection: Connection,
        telling: "asyncio.Task[None]",
        active: Sequence[Projection],
        places: Mapping[PlaceKey, Place],
        outdated: Sequence[str],
        stop: asyncio.Event,
    ) -> None:
        reader = await self._log.reader()
        folds = [PartitionFold(topic, partition, place, active) for (topic, partition), place in places.items()]
        feed = Feed(reader, folds)
        office = DeadLetterOffice(self._log)
        writing = asyncio.create_task(self._write(feed, ProjectorStore(connection, active), office))
        tasks = [
            writing,
            asyncio.create_task(feed.gather()),
            telling,
            asyncio.create_task(self._measure(folds)),
            asyncio.create_task(stop.wait()),
        ]
        if outdated:
            tasks.append(asyncio.create_task(self._rebuild(outdated)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            feed.end()
            await asyncio.wait_for(writing, 5)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await reader.close()
            await office.close()

    async def _write(self, feed: Feed, store: ProjectorStore, office: DeadLetterOffice) -> None:
        while True:
            entries, start = await feed.take()
            if not entries:
                return
            failpoint("projector.after_read")
            began = time.monotonic()
            async with asyncio.timeout(_WRITE_SECONDS):
                await write_batch(store, entries, start, office)
            failpoint("projector.after_commit")
            self._notify.set()
            taken = time.monotonic() - began
            _count(entries, taken, self._now())
            if taken < _PACE_SECONDS:
                await asyncio.sleep(_PACE_SECONDS - taken)

    async def _tell(self, leading: Connection) -> None:
        """NOTIFY over the connection with the leader's lock, at most every 20 ms: its own lock is one for the whole
        server. Now and then it says that the leader lives. Raises what the lost connection raises."""
        while True:
            try:
                async with asyncio.timeout(_CONFIRM_SECONDS):  # wait_for may lose a cancellation (Python 3.11)
                    await self._notify.wait()
            except TimeoutError:
                await leading.execute("SELECT 1", timeout=_ANSWER_SECONDS)
                continue
            self._notify.clear()
            await leading.execute(f"NOTIFY {CHANNEL}")
            await asyncio.sleep(_NOTIFY_SECONDS)

    async def _measure(self, folds: Sequence[PartitionFold]) -> None:
        while True:
            for fold in folds:
                topic, partition = fold.key
                end = await self._log.end_offset(Topic(topic), partition)
                PROJECTION_LAG.labels(topic, str(partition)).set(max(0, end - fold.next_offset))
            await asyncio.sleep(_LAG_SECONDS)

    async def _rebuild(self, names: Sequence[str]) -> None:
        """Projections of another version, beside the live ones; when it is done a new session takes them along."""
        _log.info("rebuilding projections of another version", projections=list(names))
        pool = await open_pool(self._url, min_size=1, max_size=2, application_name="linkflow rebuild")
        try:
            while True:
                try:
                    report = await rebuild(self._log, pool, names)
                except RebuildRefused as error:  # the others go on meanwhile, and so do the old rows
                    _log.error("a rebuild has to wait", projections=list(names), reason=str(error))
                    await asyncio.sleep(REBUILD_AGAIN_SECONDS)
                else:
                    break
            _log.info("rebuilt", projections=report.names, events=report.events, seconds=round(report.seconds, 1))
        finally:
            pool.terminate()


def _count(entries: Sequence[Entry], taken: float, now: int) -> None:
    PROJECTION_SECONDS.observe(taken)
    PROJECTED_EVENTS.inc(sum(entry.events for entry in entries))
    PROJECTED_COMMITS.inc(sum(entry.accepted for entry in entries))
    void = sum(1 for entry in entries if not entry.accepted and header(entry.record.headers, "k") == KIND_COMMIT)
    if void:
        VOID_RECORDS.labels("projector").inc(void)
    oldest = min(entry.record.appended_at for entry in entries)
    PROJECTION_LAG_SECONDS.observe(max(0.0, (now - oldest) / 1000))


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
