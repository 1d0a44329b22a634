"""Connections to PostgreSQL."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    PooledConnection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection
    PooledConnection = asyncpg.pool.PoolConnectionProxy

SEARCH_PATH = "read, public"

CONNECTION_LOST: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a roll-back on a connection that the server ended in the middle of a statement
    asyncpg.OperatorInterventionError,  # starting, shutting down, cancelled
    asyncpg.InsufficientResourcesError,  # disk full, too many connections, out of memory
    asyncpg.ReadOnlySQLTransactionError,  # a standby, or somebody closed it for writing
    asyncpg.PostgresSystemError,  # its disk
)
"""PostgreSQL is away, starting, stopping, full or closed for writing: what was under way is rolled back or unknown; try
again later."""

DATABASE_AWAY: tuple[type[BaseException], ...] = (
    *CONNECTION_LOST,
    asyncpg.TransactionRollbackError,  # deadlocks
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # this process was stopped in the middle of a transaction
    asyncpg.UndefinedTableError,  # nobody has migrated or projected yet, or a rebuild has just changed the tables
    asyncpg.InvalidCachedStatementError,  # so it has
    asyncpg.InternalServerError,  # "could not open relation": so it has
    asyncpg.InvalidSchemaNameError,
    asyncpg.InvalidCatalogNameError,  # a backup is being restored
    asyncpg.InvalidAuthorizationSpecificationError,  # a password is being changed
)
"""What a statement that is in order raises while the database is not: whoever can wait tries again. Not among them:
what PostgreSQL says of a statement or of values that are wrong, which no waiting mends (see `waiting.waited_out`)."""


class Connections:
    """Counts those that a pool has made. After one more, PostgreSQL may be another than before: restored from a backup,
    or a standby that took over."""

    made = 0

    async def count(self, _: object) -> None:
        self.made += 1


async def open_pool(
    url: str,
    *,
    min_size: int = 1,
    max_size: int = 4,
    application_name: str = "linkflow",
    settings: Mapping[str, str] | None = None,
    connections: Connections | None = None,
    timeout: float = 10.0,  # noqa: ASYNC109
) -> Pool:
    """A pool whose queries find the read models and the operational tables by their names alone.

    `settings`: further PostgreSQL settings of each session. `connections`: counts them, before they are used.
    `timeout`: seconds for one connection to be made.
    Raises what CONNECTION_LOST lists if PostgreSQL cannot be reached. Close it with `close`.
    """
    return await asyncpg.create_pool(
        url,
        min_size=min_size,
        max_size=max_size,
        timeout=timeout,
        init=None if connections is None else connections.count,
        server_settings=_session(application_name, settings),
    )


async def close_pool(pool: Pool, seconds: float = 3.0) -> None:
    """Close it, by force after `seconds`: a server that does not answer must not keep a process from ending."""
    try:
        async with asyncio.timeout(seconds):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def open_connection(
    url: str,
    *,
    application_name: str = "linkflow",
    settings: Mapping[str, str] | None = None,
    timeout: float = 10.0,  # noqa: ASYNC109
) -> Connection:
    """One connection with the same session settings as the pool's."""
    return await asyncpg.connect(url, timeout=timeout, server_settings=_session(application_name, settings))


def _session(application_name: str, settings: Mapping[str, str] | None) -> dict[str, Any]:
    # No just-in-time compilation: every query here is short, and compiling costs more than running.
    return {"search_path": SEARCH_PATH, "application_name": application_name, "jit": "off", **(settings or {})}
