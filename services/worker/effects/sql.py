"""Performs SqlQuery on PostgreSQL, through the egress guard.

A statement runs in a transaction of its own, so that whatever ends it before the commit was sent undoes it: only after
that an outcome is unknown. Values are bound; a statement is one statement (the server refuses more).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec

from domain.effects import EffectError, SqlQuery
from domain.integrations.errors import CONFLICT, FORBIDDEN, NOT_FOUND, REJECTED, UNAUTHORIZED, UNAVAILABLE
from infra.egress.guard import EgressGuard, EgressRefused
from services.worker.effects.credentials import Opened
from services.worker.effects.interpreter import EffectContext
from services.worker.effects.pools import Pools
from services.worker.effects.server_effects import (
    CONNECT_SECONDS,
    NotConnected,
    Opener,
    Progress,
    Refused,
    connection_error,
    performed,
)
from services.worker.effects.sql_values import BadValue, bound, row_reader
from services.worker.effects.tls import context_for

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

_AT_ONCE: Final = 200
"""Rows fetched at a time: what is too much is noticed early."""
_RESET_SECONDS: Final = 5.0

_OF_STATE: Final = {
    "28": UNAUTHORIZED,
    "42501": FORBIDDEN,
    "3D000": NOT_FOUND,
    "3F000": NOT_FOUND,
    "42P01": NOT_FOUND,
    "42703": NOT_FOUND,
    "42883": NOT_FOUND,
    "23": CONFLICT,
    "40": CONFLICT,
    "55P03": CONFLICT,
    "53": UNAVAILABLE,
    "57P": UNAVAILABLE,
    "58": UNAVAILABLE,
    "XX": UNAVAILABLE,
    "57014": "timeout",
}
"""The server's codes (SQLSTATE) or their beginnings, and what they mean to a workflow."""
_AGAIN: Final = ("40", "53", "55P03", "57")
"""What may work a moment later: serialisation, deadlocks, locks, no room, a server that starts or stops."""


class SqlEffects:
    """The PostgreSQL client of a worker."""

    def __init__(self, guard: EgressGuard, credentials: Opener) -> None:
        self._guard = guard
        self._credentials = credentials
        self._pools: Pools[Connection] = Pools(
            self._connect, lambda connection: not connection.is_closed(), lambda connection: connection.terminate()
        )

    async def perform(self, effect: SqlQuery, context: EffectContext) -> dict[str, Any] | EffectError:
        """`{"rows", "count"}`, or why not."""

        async def work(opened: Opened, progress: Progress) -> dict[str, Any]:
            async with self._pools.connection(opened) as connection:
                try:
                    return await _transaction(connection, effect, progress)
                except Refused:
                    await _roll_back(connection)
                    raise

        return await performed("sql", self._credentials, effect, context, work)

    async def close(self) -> None:
        self._pools.close()

    async def _connect(self, opened: Opened) -> Connection:
        """Raises NotConnected, CredentialProblem."""
        fields = opened.fields
        host, port = fields["host"], int(fields.get("port") or 5432)
        context = context_for(fields, host)
        failed: Exception | None = None
        try:
            for address in await self._guard.resolve(host, port):
                try:
                    return await asyncpg.connect(
                        host=address.ip,
                        port=address.port,
                        user=fields.get("user", ""),
                        password=fields.get("password", ""),
                        database=fields.get("database", ""),
                        ssl=context or False,
                        timeout=CONNECT_SECONDS,
                        statement_cache_size=0,
                        server_settings={"application_name": "LinkFlow"},
                    )
                except (OSError, TimeoutError) as error:
                    failed = error
        except asyncpg.PostgresError as error:
            raise NotConnected(_server_error(error)) from None
        except (EgressRefused, OSError, asyncpg.InterfaceError) as error:
            failed = error
        raise NotConnected(connection_error(failed or OSError(f"{host} has no address"))) from None


async def _transaction(connection: Connection, effect: SqlQuery, progress: Progress) -> dict[str, Any]:
    """Raises Refused for what the server or the values say, with the transaction still open or failed."""
    milliseconds = max(1, round(effect.timeout_seconds * 1000))
    begin = "BEGIN READ ONLY" if effect.read_only else "BEGIN"
    try:
        await connection.execute(f"{begin}; SET LOCAL statement_timeout = {milliseconds}")
        prepared = await connection.prepare(effect.statement)
        arguments = bound(effect.arguments, prepared.get_parameters())
        answer = await _answer(prepared, arguments, effect)
    except asyncpg.PostgresConnectionError as error:
        raise ConnectionError(str(error)) from None
    except asyncpg.PostgresError as error:
        raise Refused(_server_error(error)) from None
    except BadValue as error:
        raise Refused(EffectError(REJECTED, str(error), retriable=False)) from None
    except asyncpg.InterfaceError as error:
        raise ConnectionError(str(error)) from None
    progress.sent = not effect.read_only
    try:
        await connection.execute("COMMIT")
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        raise ConnectionError(str(error)) from None
    except asyncpg.PostgresError as error:
        raise Refused(_server_error(error)) from None
    progress.sent = False
    await _reset(connection)
    return answer


async def _answer(prepared: Any, arguments: list[Any], effect: SqlQuery) -> dict[str, Any]:
    attributes = prepared.get_attributes()
    if not attributes:
        await prepared.fetch(*arguments)
        return {"rows": None, "count": _count(prepared.get_statusmsg())}
    read = row_reader(attributes)
    cursor = await prepared.cursor(*arguments)
    rows: list[dict[str, Any]] = []
    size = 0
    while records := await cursor.fetch(_AT_ONCE):
        fetched = [read(record) for record in records]
        size += len(msgspec.json.encode(fetched))
        rows += fetched
        if len(rows) > effect.max_rows or size > effect.max_bytes:
            much = (
                f"more than {effect.max_rows:,} rows"
                if len(rows) > effect.max_rows
                else f"over {effect.max_bytes:,} bytes"
            )
            raise Refused(
                EffectError("response_too_large", f"the statement gives {much}; ask for less", retriable=False)
            )
        if len(records) < _AT_ONCE:
            break
    return {"rows": rows, "count": len(rows)}


def _count(status: str) -> int:
    """The rows of `INSERT 0 3`, `UPDATE 2`, …"""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdecimal() else 0


async def _reset(connection: Connection) -> None:
    """Forget what a statement did to its session, so that the next one finds a new one; or give the connection up."""
    try:
        await connection.reset(timeout=_RESET_SECONDS)
    except Exception:  # noqa: BLE001 — the answer is there and stands
        connection.terminate()


async def _roll_back(connection: Connection) -> None:
    """The statement is undone; a connection that cannot even do that is given up by whoever lent it."""
    with suppress(Exception):
        await connection.execute("ROLLBACK")


def _server_error(error: asyncpg.PostgresError) -> EffectError:
    state = str(error.sqlstate or "")
    code = next((_OF_STATE[state[:length]] for length in (5, 3, 2) if state[:length] in _OF_STATE), REJECTED)
    parts = [getattr(error, "message", None) or str(error), getattr(error, "detail", None)]
    told = " – ".join(" ".join(part.split()) for part in parts if part)
    return EffectError(code, f"PostgreSQL refused ({state}): {told}", retriable=state.startswith(_AGAIN))
