"""Which of several schedulers leads: the one that holds an advisory lock of PostgreSQL on a connection of its own.

The lock is a convenience, not a fence: two leaders at once only write ticks twice, which does nothing.
"""

import asyncio
from zlib import crc32

from infra.postgres.pool import DATABASE_AWAY, Connection, open_connection

CHECK_SECONDS = 2.0
"""How long the server may take to say that the lock is still ours."""

_LOCK_SPACE = 0x4C4B_5343  # "LKSC"
_SESSION = {
    # A leader that is paused asks nothing; the server ends its session and with it the lock.
    "idle_session_timeout": "5s",
    # A leader whose machine is gone.
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
}


class Leadership:
    """A candidate, and the leader once `try_win` said so. `prefix` keeps installations in one database apart."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection = connection
        self._lock = crc32(prefix.encode()) - 2**31

    @staticmethod
    async def open(url: str, prefix: str = "") -> "Leadership":
        """Raises what `infra.postgres.pool.DATABASE_AWAY` lists."""
        connection = await open_connection(url, application_name="linkflow scheduler", settings=_SESSION)
        return Leadership(connection, prefix)

    async def try_win(self) -> bool:
        """Whether the lock is ours now. To be asked again every second: the session ends otherwise."""
        async with asyncio.timeout(CHECK_SECONDS):
            return bool(await self._connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK_SPACE, self._lock))

    async def confirm(self) -> None:
        """Return if the lock is still ours; raises as `open` does, or TimeoutError, if that cannot be said."""
        async with asyncio.timeout(CHECK_SECONDS):
            await self._connection.fetchval("SELECT 1")

    async def close(self) -> None:
        """Give the lock up, so that another leads at once."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._connection.close()
        except DATABASE_AWAY:
            self._connection.terminate()
