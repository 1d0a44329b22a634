"""Waiting until the read models have what was asked for: one watcher a process, woken by the projector."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import asyncpg

from infra.log.port import LogError, Topic
from infra.postgres.pool import DATABASE_AWAY
from infra.postgres.waiting import waited_out
from infra.telemetry.logs import get_logger
from services.api.commands import Position
from services.api.problems import Problem, busy

CHANNEL = "linkflow_projected"
WAIT_SECONDS = 5.0
_POLL_SECONDS = 1.0
_INPUTS = {topic.value: topic for topic in (Topic.COMMANDS, Topic.EXECUTION_COMMANDS)}

logger = get_logger(__name__)
Slot = tuple[Topic, int]
Found = TypeVar("Found")


class Positions:
    """`answered[(input topic, partition)]`: inputs below it have their answers in the rows."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        load_answered: Callable[[], Awaitable[dict[tuple[str, int], int]]],
    ) -> None:
        self._connect = connect
        self._load_answered = load_answered
        self._projected = asyncio.Event()
        self._moved = asyncio.Event()
        self._watchers = 0
        self._wanted = asyncio.Event()
        self.answered: dict[Slot, int] = {}

    async def run(self) -> None:
        """Watch until cancelled; while nobody waits, nothing is asked of the database."""
        connection: asyncpg.Connection[Any] | None = None
        try:
            while True:
                with waited_out(logger, "the database is away") as watching:
                    if connection is None or connection.is_closed():
                        connection = await self._connect()
                        await connection.add_listener(CHANNEL, self._on_notify)
                    await self._watch(connection)
                if watching.failed:
                    if connection is not None:
                        connection.terminate()
                        connection = None
                    await asyncio.sleep(0.5)
        finally:
            if connection is not None:
                with suppress(*DATABASE_AWAY):
                    await connection.close(timeout=2)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """While inside, `moved` comes back as soon as the read models moved on."""
        self._watchers += 1
        self._wanted.set()
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._wanted.clear()

    async def moved(self) -> None:
        """Wait for the next move (or the fallback poll). Call inside `watch`, under a time-out."""
        await self._moved.wait()

    async def looked_up(
        self, look: Callable[[], Awaitable[Found]], wanted: Callable[[Found], bool], seconds: float
    ) -> Found:
        """What `look` finds in the read models, asked again as they move on until it is `wanted`; after `seconds` what
        was found last."""
        found = await look()
        if not wanted(found):
            with self.watch(), suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not wanted(found):
                        await self.moved()
                        found = await look()
        return found

    def has(self, topic: Topic, partition: int, offset: int) -> bool:
        return self.answered.get((topic, partition), 0) > offset

    async def wait_for(self, position: Position, seconds: float = WAIT_SECONDS) -> bool:
        """Whether the rows have the answer to this input within `seconds`."""
        if self.has(position.topic, position.partition, position.offset):
            return True
        with self.watch(), suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.has(position.topic, position.partition, position.offset):
                    await self.moved()
                return True
        return False

    async def require(self, position: Position, seconds: float = WAIT_SECONDS) -> None:
        """As `wait_for`; Problem 503 if the rows do not get there in time."""
        if not await self.wait_for(position, seconds):
            raise busy(f"The read side has not reached {position.topic}:{position.partition}:{position.offset} yet.")

    def _on_notify(self, *_: object) -> None:
        self._projected.set()

    async def _watch(self, connection: "asyncpg.Connection[Any]") -> None:
        while not connection.is_closed():
            await self._wanted.wait()
            self._projected.clear()
            for (topic, partition), answered in (await self._load_answered()).items():
                self.answered[Topic(topic), partition] = answered
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._projected.wait()


def parse_position(text: str, partitions: int) -> Position:
    """`?min_position=`: an answer's `position` (JSON), or `topic:partition:offset`. Problem 400 otherwise."""
    try:
        if text.lstrip().startswith("{"):
            data = json.loads(text)
            topic, partition, offset = data["topic"], data["partition"], data["offset"]
        else:
            topic, raw_partition, raw_offset = text.split(":")
            partition, offset = int(raw_partition), int(raw_offset)
        position = Position(_INPUTS[topic], partition, offset)
        if type(partition) is int and type(offset) is int and 0 <= partition < partitions and 0 <= offset < 2**63:
            return position
    except (ValueError, KeyError, TypeError, LogError, RecursionError):
        pass
    raise Problem(
        400,
        "invalid_position",
        'min_position takes what a reply gave as "position": JSON or topic:partition:offset.',
        [("min_position", "is not a position of an input in this log")],
    )
