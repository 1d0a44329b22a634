"""The credentials that this worker may need, as ciphertext, from the read model; and the lock for renewing tokens."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol

from infra.postgres.pool import DATABASE_AWAY, Pool
from projections.credentials.queries import SealedCredential, sealed_credential


class CredentialRows(Protocol):
    async def find(self, workspace: str, credential_id: str) -> SealedCredential | None:
        """None where this workspace has no such credential. Raises what DATABASE_AWAY lists."""
        ...

    def alone(self, credential_id: str) -> AbstractAsyncContextManager[None]:
        """While inside, no other worker is, for this credential. Raises what DATABASE_AWAY lists."""
        ...


class PostgresCredentialRows:
    """`connect` opens a connection for a lock: it is held while a provider is asked, and ends with the connection."""

    def __init__(self, pool: Pool, connect: Callable[[], Awaitable[Any]]) -> None:
        self._pool = pool
        self._connect = connect

    async def find(self, workspace: str, credential_id: str) -> SealedCredential | None:
        found = await sealed_credential(self._pool, workspace, credential_id)
        return found if found is not None and found.id == credential_id else None

    @asynccontextmanager
    async def alone(self, credential_id: str) -> AsyncIterator[None]:
        connection = await self._connect()
        try:
            await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", f"credential-{credential_id}")
            yield
        finally:
            with suppress(*DATABASE_AWAY):
                await connection.close(timeout=2)
