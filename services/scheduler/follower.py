"""Tells subscriptions of events: follows both commit topics and sends each active subscription what it wants.

It reads what the read models have reached, so that whoever is told can look it up. A place is stored when everything
before it was sent; after a crash some is sent again, and a subscription knows what it has taken by the order of its
source. Where nobody has a subscription nothing is read at all.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec

from domain.subscription.commands import Notice, Redeliver, Redelivery, TellEvents
from domain.subscription.decider import STREAM
from infra.log.port import (
    MAX_APPEND_BYTES,
    Log,
    LogError,
    LogUnavailable,
    NewRecord,
    OffsetOutOfRange,
    Reader,
    Record,
    Topic,
    Writer,
)
from infra.postgres.pool import DATABASE_AWAY, Pool, open_pool
from infra.telemetry.logs import get_logger
from infra.telemetry.metrics import EVENTS_TOLD
from projections.subscriptions.queries import active_subscriptions, put_aside, version_of_active
from schemas.envelope import KIND_COMMAND, encode, partition_of
from schemas.fence import GapInLog
from schemas.registry import command_record
from services.in_parts import in_parts
from services.registration import DEFAULT_WORKSPACE, workspace_id_of
from services.scheduler.facts import Following, Interest, Interests
from services.scheduler.notices import NoticeMaker, of_one_command
from services.scheduler.places import COMMIT_TOPICS, Place, PlaceMoved, Places, Slot

NAME = "subscriptions"
ACTOR = "subscriptions"
IDLE_SECONDS = 1.0
"""Without subscriptions: how often it is looked whether there is one."""
STORE_SECONDS = 1.0
PACE_SECONDS = 0.1
"""Between the starts of two readings: many records at once cost little more than one."""
TAKE_UP_SECONDS = 1.0
ROOM_BELOW = 500
"""A subscription for which fewer deliveries wait has room for what it put aside."""
TAKEN_UP_AT_ONCE = 400
_READ_SECONDS = 1.0
_READ_AT_ONCE = 2_000
_PROJECTED_SECONDS = 0.02
_BACK_OFF_SECONDS = (0.2, 5.0)
_NEVER_STALE_MS = 3_600_000
"""Made so far ahead: its stream knows for ever what it has taken, so that no such command comes too late (rule 14)."""

TRANSIENT: tuple[type[BaseException], ...] = (
    LogError,
    PlaceMoved,
    *DATABASE_AWAY,
)

_notice = msgspec.json.Decoder(Notice).decode
_log = get_logger("scheduler.subscriptions")


class EventFollower:
    """Follows `log` on behalf of all subscriptions. `own_url`: this installation's address; `wall`: ms since 1970."""

    def __init__(
        self,
        log: Log,
        database_url: str,
        own_url: str,
        *,
        wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._log = log
        self._url = database_url
        self._own_url = own_url
        self._wall = wall
        self._operator = workspace_id_of(DEFAULT_WORKSPACE)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; whatever fails is tried again: time must not stand still because of it."""
        failures = 0
        while not stop.is_set():
            began = time.monotonic()
            try:
                await self._session(stop)
            except Exception as error:  # noqa: BLE001 — the scheduler goes on
                failures = 0 if time.monotonic() - began > 30 else failures + 1
                least, most = _BACK_OFF_SECONDS
                delay = min(most, least * 2 ** min(failures, 10)) * random.uniform(0.5, 1)  # noqa: S311
                said = _log.warning if isinstance(error, TRANSIENT) else _log.exception
                said("telling of events pauses", reason=f"{type(error).__name__}: {error}", seconds=round(delay, 2))
                await _pause(stop, delay)

    async def _session(self, stop: asyncio.Event) -> None:
        """As long as the connections last."""
        pool = await open_pool(self._url, min_size=1, max_size=2, application_name="linkflow subscriptions")
        try:
            places = Places(pool, NAME)
            stored = await places.load()
            while not stop.is_set():
                projected = await places.projected()
                if len(stored) < len(COMMIT_TOPICS) * self._log.partitions:
                    await _pause(stop, IDLE_SECONDS)
                    stored = await places.load()
                elif await active_subscriptions(pool):
                    stored = await self._follow(pool, places, stored, stop)
                else:  # whoever subscribes from now on does so behind what is projected
                    ahead = {slot: at for slot, at in projected.items() if at.next_offset > stored[slot].next_offset}
                    await places.store(ahead)
                    stored |= ahead
                    await _pause(stop, IDLE_SECONDS)
        finally:
            pool.terminate()

    async def _follow(
        self, pool: Pool, places: Places, stored: dict[Slot, Place], stop: asyncio.Event
    ) -> dict[Slot, Place]:
        """Until nobody wants to hear of anything any more; returns the places that are stored then."""
        slots = [(topic, number) for topic in COMMIT_TOPICS for number in range(self._log.partitions)]
        work = _Work(
            self._log,
            pool,
            places,
            Following(stored, slots),
            NoticeMaker(pool, self._own_url, self._operator),
            self._wall,
        )
        try:
            reader = await work.open(stored)
            _log.info("telling subscriptions of events")
            audience = _Audience(pool, self._operator)
            interests = await audience.as_of(stored)
            while not stop.is_set():
                began = time.monotonic()
                records = await reader.read(max_records=_READ_AT_ONCE, timeout=_READ_SECONDS)
                reached = await work.projected(records)
                if reached is not None:
                    # Asked for behind the records: who subscribed before one of them was written is among these.
                    interests = await audience.as_of(reached)
                await work.tell(records, interests)
                if not interests:
                    break
                await work.take_up()
                await asyncio.sleep(max(0.0, began + PACE_SECONDS - time.monotonic()))
            await work.store()
            return work.following.places
        except (OffsetOutOfRange, GapInLog) as error:
            _log.error("events were not told of: the log was cut before they were read", reason=str(error))
            await places.skip_to(await places.projected())
            raise LogUnavailable("begins anew behind the cut") from error
        finally:
            await work.close()


class _Audience:
    """All active subscriptions, read when they may have changed."""

    def __init__(self, pool: Pool, operator: str) -> None:
        self._pool = pool
        self._operator = operator
        self._interests = Interests((), operator)
        self._places: dict[Slot, Place] | None = None
        self._version = ""

    async def as_of(self, projected: Mapping[Slot, Place]) -> Interests:
        """At the latest as the read models at these places have them."""
        places = {slot: place for slot, place in projected.items() if slot[0] is Topic.EVENTS}
        if places == self._places:
            return self._interests  # nothing but commits of that topic changes a subscription
        version = await version_of_active(self._pool)
        if version != self._version:
            self._interests = Interests(await active_subscriptions(self._pool), self._operator)
        self._places, self._version = places, version
        return self._interests


class _Work:
    """One reading of the commit topics: what was read, sent and stored."""

    def __init__(
        self,
        log: Log,
        pool: Pool,
        places: Places,
        following: Following,
        maker: NoticeMaker,
        wall: Callable[[], int],
    ) -> None:
        self.following = following
        self._log = log
        self._pool = pool
        self._places = places
        self._maker = maker
        self._wall = wall
        self._reader: Reader | None = None
        self._writer: Writer | None = None
        self._stored_at = self._took_up_at = time.monotonic()

    async def open(self, places: Mapping[Slot, Place]) -> Reader:
        self._reader = await self._log.reader()
        for (topic, partition), place in places.items():
            self._reader.seek(topic, partition, place.next_offset)
        return self._reader

    async def projected(self, records: Sequence[Record]) -> dict[Slot, Place] | None:
        """Wait until the read models have all of these records; returns how far they are then, None for no records."""
        reached: dict[Slot, Place] | None = None
        wanted: dict[Slot, int] = {}
        for record in records:
            wanted[record.topic, record.partition] = record.offset
        while wanted:
            reached = await self._places.projected()
            wanted = {slot: offset for slot, offset in wanted.items() if reached[slot].next_offset <= offset}
            if wanted:
                await asyncio.sleep(_PROJECTED_SECONDS)
        return reached

    async def tell(self, records: Sequence[Record], interests: Interests) -> None:
        """Send what they hold for anybody, and store the places from time to time. Raises GapInLog, LogError."""
        facts = [found for record in records for found in self.following.take(record, interests)]
        if facts:
            told = await self._maker.tell(facts, self._wall())
            await self._send([_telling(each.interest, command) for each in told for command in each.commands])
            EVENTS_TOLD.inc(sum(len(command.notices) for each in told for command in each.commands))
        if time.monotonic() - self._stored_at >= STORE_SECONDS:
            await self.store()

    async def take_up(self) -> None:
        """Give subscriptions that have room again what they had put aside, from time to time."""
        if time.monotonic() - self._took_up_at < TAKE_UP_SECONDS:
            return
        self._took_up_at = time.monotonic()
        rows = await put_aside(self._pool, room_below=ROOM_BELOW, limit=TAKEN_UP_AT_ONCE)
        outgoing: list[_Outgoing] = []
        for (subscription, workspace), found in groupby(rows, key=lambda row: (row.subscription_id, row.workspace_id)):
            for part in of_one_command([Redelivery(row.id, _notice(row.notice)) for row in found]):
                name = str(uuid5(UUID(subscription), f"take up {part[0].delivery_id}"))
                outgoing.append(_Outgoing(subscription, workspace, name, Redeliver(name, part, self._wall())))
        await self._send(outgoing)

    async def store(self) -> None:
        await self._places.store(self.following.places)
        self._stored_at = time.monotonic()

    async def _send(self, outgoing: Sequence["_Outgoing"]) -> None:
        if not outgoing:
            return
        if self._writer is None:
            self._writer = await self._log.writer()
        by_partition: dict[int, list[NewRecord]] = {}
        for each in outgoing:
            partition = partition_of(STREAM + each.subscription, self._log.partitions)
            by_partition.setdefault(partition, []).append(self._record(each))
        for partition, records in by_partition.items():
            for part in in_parts(records, lambda record: len(record.value), MAX_APPEND_BYTES // 2):
                await self._writer.append(Topic.COMMANDS, partition, part)

    def _record(self, each: "_Outgoing") -> NewRecord:
        stream = STREAM + each.subscription
        record = command_record(
            each.command,
            id=each.id,
            stream=stream,
            workspace=each.workspace,
            made=self._wall() + _NEVER_STALE_MS,
            actor=ACTOR,
        )
        headers = (("k", KIND_COMMAND), ("i", each.id.encode()), ("w", each.workspace.encode()))
        return NewRecord(encode(record), (*headers, ("s", stream.encode())), stream.encode())

    async def close(self) -> None:
        for each in (self._reader, self._writer):
            if each is not None:
                with suppress(LogError, OSError, TimeoutError):
                    await each.close()


class _Outgoing(NamedTuple):
    """A command to a subscription. `id` is derived."""

    subscription: str
    workspace: str
    id: str
    command: TellEvents | Redeliver


def _telling(interest: Interest, command: TellEvents) -> _Outgoing:
    name = str(uuid5(UUID(interest.id), f"tell {command.notices[-1].notice.id}"))
    return _Outgoing(interest.id, interest.workspace, name, command)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
