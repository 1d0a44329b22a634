"""Signs of life of the processes, with what they hold, in one small table. By PostgreSQL's clock, so that clocks of
machines need not agree."""

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from secrets import token_hex
from typing import Any, Protocol

import msgspec

from infra.postgres.pool import Pool
from infra.postgres.waiting import waited_out
from infra.telemetry.logs import get_logger

ALIVE_SECONDS = 10.0
FORGOTTEN_SECONDS = 3_600.0
BEAT_SECONDS = 2.0

LOOP_STARTS = 3
LOOP_SECONDS = 60.0
STEADY_SECONDS = 10.0
"""A process that began LOOP_STARTS times within LOOP_SECONDS, the last time less than STEADY_SECONDS ago, crashes again
and again."""

_END_SECONDS = 2.0

_log = get_logger("heartbeats")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`age`: seconds since the process said `facts`. `starts`: seconds since each of its latest beginnings, the last
    one last. `process`: host and process id."""

    member: str
    role: str
    age: float
    facts: dict[str, Any]
    process: str = ""
    version: str = ""
    starts: tuple[float, ...] = ()

    @property
    def state(self) -> str:
        """alive, restarting (it begins again and again), or silent."""
        if self.age >= ALIVE_SECONDS:
            return "silent"
        again = sum(1 for since in self.starts if since < LOOP_SECONDS) >= LOOP_STARTS
        return "restarting" if again and self.starts[-1] < STEADY_SECONDS else "alive"


class Heartbeats(Protocol):
    async def beat(self, member: str, role: str, facts: dict[str, Any]) -> None: ...

    async def all(self) -> list[Heartbeat]:
        """Of all processes, by member; those that have been silent for an hour are forgotten."""
        ...


class PostgresHeartbeats:
    """The heart of this process, and what is known of the others'."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._process = f"{platform.node()}:{os.getpid()}"
        self._token = f"{self._process}:{token_hex(4)}"
        self._version = installed_version("linkflow")

    async def beat(self, member: str, role: str, facts: dict[str, Any]) -> None:
        await self._pool.execute(
            "INSERT INTO heartbeats AS h (member, role, facts, process, version, starts)"
            " VALUES ($1, $2, $3::text::jsonb, $4, $5, ARRAY[now()])"
            " ON CONFLICT (member, role) DO UPDATE SET at = now(), facts = excluded.facts, process = excluded.process,"
            " version = excluded.version, starts = CASE WHEN h.process = excluded.process THEN h.starts"
            " ELSE (h.starts || now())[greatest(1, cardinality(h.starts) - 3):] END",
            member,
            role,
            msgspec.json.encode(facts).decode(),
            self._token,
            self._version,
        )

    async def leave(self, member: str, role: str) -> None:
        """This process ends as it should: nobody need miss it."""
        await self._pool.execute(
            "DELETE FROM heartbeats WHERE member = $1 AND role = $2 AND process = $3", member, role, self._token
        )

    async def keep_beating(self, member: str, role: str, facts: Callable[[], dict[str, Any]]) -> None:
        """Beat every BEAT_SECONDS until cancelled; then leave. A database that is away is waited for."""
        try:
            while True:
                with waited_out(_log, "no sign of life can be given", quiet=True):
                    await self.beat(member, role, facts())
                await asyncio.sleep(BEAT_SECONDS)
        finally:
            with waited_out(_log, "nobody can be told of the end", quiet=True):
                async with asyncio.timeout(1):
                    await self.leave(member, role)

    @asynccontextmanager
    async def beating(self, member: str, role: str, facts: Callable[[], dict[str, Any]]) -> AsyncIterator[None]:
        """Beat as long as the block goes on. Its end is not held up by a database that does not answer."""
        task = asyncio.create_task(self.keep_beating(member, role, facts))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=_END_SECONDS)

    async def all(self) -> list[Heartbeat]:
        rows = await self._pool.fetch(
            "SELECT member, role, extract(epoch FROM now() - at)::float8 AS age, facts::text AS facts, process,"
            " version, ARRAY(SELECT extract(epoch FROM now() - since)::float8 FROM unnest(starts) AS since) AS starts"
            " FROM heartbeats WHERE at > now() - make_interval(secs => $1) ORDER BY member, role",
            FORGOTTEN_SECONDS,
        )
        return [
            Heartbeat(
                row["member"],
                row["role"],
                row["age"],
                msgspec.json.decode(row["facts"]),
                row["process"].rpartition(":")[0],
                row["version"],
                tuple(row["starts"]),
            )
            for row in rows
        ]

    async def forget_silent(self) -> int:
        """Remove those that `all` does not show any more; how many."""
        done = await self._pool.execute(
            "DELETE FROM heartbeats WHERE at <= now() - make_interval(secs => $1)", FORGOTTEN_SECONDS
        )
        return int(done.rpartition(" ")[2])
