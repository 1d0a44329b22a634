"""Connections to servers that credentials name: a few for each, kept for a moment after use.

Keyed by what the credential holds, so that a changed credential never meets a connection of the old one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Final, Generic, TypeVar

from services.worker.effects.credentials import Opened

MOST_AT_ONCE: Final = 8
"""Connections of one credential; who wants more waits."""
MOST_IDLE: Final = 32
"""Of all credentials together."""
IDLE_SECONDS: Final = 30.0

Connection = TypeVar("Connection")


class _Idle(Generic[Connection]):
    __slots__ = ("connection", "expiry", "key")

    expiry: asyncio.TimerHandle

    def __init__(self, key: bytes, connection: Connection) -> None:
        self.key = key
        self.connection = connection


class Pools(Generic[Connection]):
    """`usable` says whether a connection that lay idle can still be used; `drop` gives a connection up, at once."""

    def __init__(
        self,
        connect: Callable[[Opened], Awaitable[Connection]],
        usable: Callable[[Connection], bool],
        drop: Callable[[Connection], None],
        *,
        most_at_once: int = MOST_AT_ONCE,
        most_idle: int = MOST_IDLE,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._connect = connect
        self._usable = usable
        self._drop = drop
        self._most_at_once = most_at_once
        self._most_idle = most_idle
        self._idle_seconds = idle_seconds
        self._idle: deque[_Idle[Connection]] = deque()
        self._places: dict[bytes, tuple[asyncio.Semaphore, int]] = {}
        self._closed = False

    @property
    def idle(self) -> int:
        return len(self._idle)

    @asynccontextmanager
    async def connection(self, opened: Opened) -> AsyncIterator[Connection]:
        """A connection for one use. It is kept if the block ends well, and dropped if it raises."""
        key = _key(opened)
        async with self._place(key):
            connection = self._taken(key)
            if connection is None:
                connection = await self._connect(opened)
            try:
                yield connection
            except BaseException:
                self._drop(connection)
                raise
            self._keep(key, connection)

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._forget(self._idle[0])

    @asynccontextmanager
    async def _place(self, key: bytes) -> AsyncIterator[None]:
        """One of the places of a credential; the places are forgotten with the last one who wants them."""
        semaphore, wanted = self._places.get(key) or (asyncio.Semaphore(self._most_at_once), 0)
        self._places[key] = (semaphore, wanted + 1)
        try:
            async with semaphore:
                yield
        finally:
            semaphore, wanted = self._places.pop(key)
            if wanted > 1:
                self._places[key] = (semaphore, wanted - 1)

    def _taken(self, key: bytes) -> Connection | None:
        """The connection of this credential that was used last and can be used."""
        for idle in reversed([each for each in self._idle if each.key == key]):
            if self._usable(idle.connection):
                self._idle.remove(idle)
                idle.expiry.cancel()
                return idle.connection
            self._forget(idle)
        return None

    def _keep(self, key: bytes, connection: Connection) -> None:
        if self._closed or not self._usable(connection):
            self._drop(connection)
            return
        idle = _Idle(key, connection)
        idle.expiry = asyncio.get_running_loop().call_later(self._idle_seconds, self._forget, idle)
        self._idle.append(idle)
        if len(self._idle) > self._most_idle:
            self._forget(self._idle[0])

    def _forget(self, idle: _Idle[Connection]) -> None:
        idle.expiry.cancel()
        self._idle.remove(idle)
        self._drop(idle.connection)


def _key(opened: Opened) -> bytes:
    parts = (opened.workspace, opened.id, *(part for item in sorted(opened.fields.items()) for part in item))
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
