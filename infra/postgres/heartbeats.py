"""Signs of life of the processes, with what they hold, in one small table. By PostgreSQL's clock, so that clocks of
machines need not agree."""

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from infra.postgres.pool import Pool

ALIVE_SECONDS = 10.0
FORGOTTEN_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`age`: seconds since the process said `facts`."""

    member: str
    role: str
    age: float
    facts: dict[str, Any]


class Heartbeats(Protocol):
    async def beat(self, member: str, role: str, facts: dict[str, Any]) -> None: ...

    async def all(self) -> list[Heartbeat]:
        """Of all processes, by member; those that have been silent for an hour are forgotten."""
        ...


class PostgresHeartbeats:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def beat(self, member: str, role: str, facts: dict[str, Any]) -> None:
        await self._pool.execute(
            "INSERT INTO heartbeats (member, role, facts) VALUES ($1, $2, $3::text::jsonb)"
            " ON CONFLICT (member) DO UPDATE SET role = excluded.role, at = now(), facts = excluded.facts",
            member,
            role,
            msgspec.json.encode(facts).decode(),
        )

    async def all(self) -> list[Heartbeat]:
        rows = await self._pool.fetch(
            "SELECT member, role, extract(epoch FROM now() - at)::float8 AS age, facts::text AS facts FROM heartbeats"
            " WHERE at > now() - make_interval(secs => $1) ORDER BY member",
            FORGOTTEN_SECONDS,
        )
        return [Heartbeat(row["member"], row["role"], row["age"], msgspec.json.decode(row["facts"])) for row in rows]
