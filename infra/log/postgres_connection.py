"""Connections to the PostgreSQL that holds the log, and the one that each process listens on."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import asyncpg

from infra.log.port import LogError, LogMismatch, LogUnavailable, Topic
from infra.postgres.pool import CONNECTION_LOST

logger = logging.getLogger(__name__)

TOPICS: tuple[Topic, ...] = (
    Topic.COMMANDS,
    Topic.EVENTS,
    Topic.EXECUTION_COMMANDS,
    Topic.EXECUTIONS,
    Topic.TICKS,
    Topic.DEAD_LETTERS,
)
"""A topic's place is its number in the tables: never reorder."""

TOPIC_IDS = {topic: number for number, topic in enumerate(TOPICS)}

T = TypeVar("T")

CONNECT_SECONDS = 5.0
CALL_SECONDS = 10.0
OUTAGE_SECONDS = 2.0

UNAVAILABLE: tuple[type[BaseException], ...] = (*CONNECTION_LOST, asyncpg.PostgresError)
"""What a call may raise that leaves its outcome open. That includes what PostgreSQL says of a statement that is wrong:
the port knows no such error, and whoever asked tells of it."""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

Woken = Callable[[frozenset[tuple[int, int]] | None], None]
"""Called with the (topic number, partition) that grew; None: any may have (the listening was interrupted)."""


def log_error(error: BaseException) -> LogError:
    """The error of the port that `error` of the driver means."""
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedFunctionError | asyncpg.InvalidSchemaNameError):
        return LogMismatch("this database has no log yet: create its topics first")
    if isinstance(error, asyncpg.NoDataFoundError):
        return LogMismatch(str(error))
    return LogUnavailable(f"PostgreSQL did not answer: {type(error).__name__}: {error}")


async def connect(url: str, schema: str) -> Connection:
    """A connection whose names are those of the log in `schema`; raises what the driver raises."""
    return await asyncpg.connect(
        url,
        timeout=CONNECT_SECONDS,
        command_timeout=CALL_SECONDS,
        # One statement a role of the connection: planned once. Durability is the log's promise, not a setting's.
        server_settings={
            "application_name": "linkflow log",
            "search_path": f'"{schema}"',
            "plan_cache_mode": "force_generic_plan",
            "jit": "off",
            "synchronous_commit": "on",
        },
    )


async def disconnect(connection: Connection) -> None:
    """Close `connection`, politely if that is quick."""
    with contextlib.suppress(*UNAVAILABLE):
        if not connection.is_closed():
            await connection.close(timeout=1)


class Control:
    """The connection a process listens on, also used for its small calls. It comes back when it is lost."""

    def __init__(self, url: str, schema: str) -> None:
        self.schema = schema
        self._url = url
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self._up = asyncio.Event()
        self._lock = asyncio.Lock()
        self._woken: set[Woken] = set()
        self._groups: dict[str, set[Callable[[], None]]] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect for the first time; raises LogUnavailable."""
        try:
            await self._connect()
        except UNAVAILABLE as error:
            raise log_error(error) from error
        self._keeper = asyncio.create_task(self._keep(), name="log control connection")

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        if self._connection is not None:
            await disconnect(self._connection)
            self._connection = None

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Run one statement; raises LogUnavailable or LogMismatch."""
        return await self._run(lambda connection: connection.fetch(query, *args))

    async def fetchval(self, query: str, *args: object) -> Any:
        """Run one statement and return its first value; raises LogUnavailable or LogMismatch."""
        return await self._run(lambda connection: connection.fetchval(query, *args))

    async def executemany(self, query: str, args: Sequence[Sequence[object]]) -> None:
        await self._run(lambda connection: connection.executemany(query, args))

    async def _run(self, call: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._lock:
            connection = self._connection or await self._wait_connected()
            try:
                return await call(connection)
            except UNAVAILABLE as error:
                if not isinstance(error, asyncpg.PostgresError):
                    # An answer may be on its way still: this connection is of no more use.
                    connection.terminate()
                raise log_error(error) from error

    async def _wait_connected(self) -> Connection:
        """The next connection, if it comes soon: a short outage is no error to whoever asks in it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OUTAGE_SECONDS):
                await self._up.wait()
        if self._connection is None:
            raise LogUnavailable("PostgreSQL cannot be reached")
        return self._connection

    def on_append(self, woken: Woken) -> None:
        self._woken.add(woken)

    def off_append(self, woken: Woken) -> None:
        self._woken.discard(woken)

    def on_group(self, group: str, changed: Callable[[], None]) -> None:
        self._groups.setdefault(group, set()).add(changed)

    def off_group(self, group: str, changed: Callable[[], None]) -> None:
        self._groups.get(group, set()).discard(changed)

    async def _connect(self) -> None:
        connection = await connect(self._url, self.schema)
        try:
            connection.add_termination_listener(self._terminated)
            await connection.add_listener(self.schema, self._notified)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        self._up.set()

    async def _keep(self) -> None:
        """Connect again whenever the connection is lost; then everybody looks for what was missed."""
        delay = 0.05
        while True:
            await self._lost.wait()
            try:
                await self._connect()
            except UNAVAILABLE as error:
                logger.warning("the log's PostgreSQL cannot be reached: %s", error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)
                continue
            self._lost.clear()
            delay = 0.05
            self._wake(None)
            for changed in [changed for group in self._groups.values() for changed in group]:
                changed()

    def _terminated(self, connection: object) -> None:
        if connection is self._connection or self._connection is None:
            self._connection = None
            self._up.clear()
            self._lost.set()

    def _wake(self, grown: frozenset[tuple[int, int]] | None) -> None:
        for woken in tuple(self._woken):
            woken(grown)

    def _notified(self, connection: object, pid: int, channel: str, payload: object) -> None:
        kind, _, rest = str(payload).partition(" ")
        if kind == "g":
            for changed in tuple(self._groups.get(rest, ())):
                changed()
        else:
            self._wake(parse_wake(rest))


def format_wake(grown: Sequence[tuple[int, int]]) -> str:
    """The payload of a wake-up: `a 3:0 3:5`; `a *` where a list would be too long for NOTIFY."""
    if len(grown) > 500:
        return "a *"
    return "a " + " ".join(f"{topic}:{partition}" for topic, partition in grown)


def parse_wake(text: str) -> frozenset[tuple[int, int]] | None:
    if text == "*":
        return None
    pairs = (pair.split(":") for pair in text.split())
    return frozenset((int(topic), int(partition)) for topic, partition in pairs)
