"""What retention knows of the clocks (migration 0007): the readings that its time is judged by."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from infra.postgres.pool import Pool

Kind = Literal["believed", "suspected", "seen"]
"""When the clocks were last believed; while they are not: when they last leapt, and when they were last looked at."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What three witnesses of the passing of time said at one moment. `ticks`: how many were written, about one a
    second whatever any clock says."""

    log_time: datetime
    database: datetime
    ticks: int


class RetentionClock:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read(self, log_time: datetime, ticks: int) -> Reading:
        """The reading of now: with the database's own clock."""
        return Reading(log_time, await self._pool.fetchval("SELECT clock_timestamp()"), ticks)

    async def load(self) -> dict[Kind, Reading]:
        rows = await self._pool.fetch(
            "SELECT kind, log_time, database, ticks FROM retention_clock WHERE kind <> 'trusted'"
        )
        return {row["kind"]: Reading(row["log_time"], row["database"], row["ticks"]) for row in rows}

    async def store(self, kind: Kind, reading: Reading) -> None:
        """To believe a reading ends suspicion."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO retention_clock (kind, log_time, database, ticks) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT (kind) DO UPDATE SET log_time = $2, database = $3, ticks = $4",
                kind,
                reading.log_time,
                reading.database,
                reading.ticks,
            )
            if kind == "believed":
                await connection.execute("DELETE FROM retention_clock WHERE kind <> 'believed'")

    async def trust(self, actor: str) -> None:
        """An operator says that the clocks are right: the next reading is believed, whatever it says."""
        await self._pool.execute(
            "INSERT INTO retention_clock (kind, actor) VALUES ('trusted', $1)"
            " ON CONFLICT (kind) DO UPDATE SET actor = $1, database = clock_timestamp()",
            actor,
        )

    async def trusted_by(self) -> str | None:
        actor: str | None = await self._pool.fetchval("SELECT actor FROM retention_clock WHERE kind = 'trusted'")
        return actor
