"""What queries need of a database connection: asyncpg's Connection and Pool both fit."""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID


class Row(Protocol):
    def __getitem__(self, key: str, /) -> Any: ...


class Connection(Protocol):
    """Runs one query. A pool does as well: it takes a connection for the call."""

    async def fetch(self, query: str, *args: Any) -> Sequence[Any]: ...

    async def fetchrow(self, query: str, *args: Any) -> Any: ...

    async def fetchval(self, query: str, *args: Any) -> Any: ...


def as_uuid(text: str) -> UUID | None:
    """None for what is no uuid: such an id names nothing, which is an answer and not an error."""
    try:
        return UUID(text)
    except ValueError:
        return None
