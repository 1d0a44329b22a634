"""Performs RedisCommand, through the egress guard."""

from typing import Any, Final

from domain.effects import EffectError, RedisCommand
from domain.integrations.errors import FORBIDDEN, REJECTED, UNAUTHORIZED, UNAVAILABLE
from infra.egress.guard import EgressGuard, EgressRefused
from services.worker.effects.credentials import Opened
from services.worker.effects.interpreter import EffectContext
from services.worker.effects.pools import Pools
from services.worker.effects.resp import ErrorReply, RespConnection, TooLarge
from services.worker.effects.server_effects import (
    CONNECT_SECONDS,
    BadResponse,
    NotConnected,
    Opener,
    Progress,
    Refused,
    connection_error,
    performed,
)
from services.worker.effects.tls import OFF, context_for

_GREETING_BYTES: Final = 10_000
_MOST_SCANS: Final = 2_000
_OF_CODE: Final = {
    "NOAUTH": UNAUTHORIZED,
    "WRONGPASS": UNAUTHORIZED,
    "NOPERM": FORBIDDEN,
    "BUSY": UNAVAILABLE,
    "LOADING": UNAVAILABLE,
    "MASTERDOWN": UNAVAILABLE,
    "CLUSTERDOWN": UNAVAILABLE,
    "TRYAGAIN": UNAVAILABLE,
    "READONLY": UNAVAILABLE,
    "OOM": UNAVAILABLE,
    "MISCONF": UNAVAILABLE,
}


class RedisEffects:
    """The Redis client of a worker."""

    def __init__(self, guard: EgressGuard, credentials: Opener) -> None:
        self._guard = guard
        self._credentials = credentials
        self._pools: Pools[RespConnection] = Pools(
            self._connect, lambda connection: connection.usable, lambda connection: connection.drop()
        )

    async def perform(self, effect: RedisCommand, context: EffectContext) -> dict[str, Any] | EffectError:
        """`{"reply"}`, or why not."""

        async def work(opened: Opened, progress: Progress) -> dict[str, Any]:
            refused: ErrorReply | None = None
            async with self._pools.connection(opened) as connection:
                progress.sent = True
                try:
                    if effect.scan is not None:
                        return {"reply": await _scan(connection, effect, effect.scan)}
                    return {"reply": await connection.call(effect.command, effect.max_bytes)}
                except ErrorReply as error:
                    refused = error
                except TooLarge:
                    much = f"the reply has over {effect.max_bytes:,} bytes; ask for less"
                    raise Refused(EffectError("response_too_large", much, retriable=False, unknown=True)) from None
            raise Refused(_server_error(refused))

        return await performed("redis", self._credentials, effect, context, work)

    async def close(self) -> None:
        self._pools.close()

    async def _connect(self, opened: Opened) -> RespConnection:
        """A connection that is logged in. Raises NotConnected, CredentialProblem."""
        fields = opened.fields
        host, port = fields["host"], int(fields.get("port") or 6379)
        context = context_for(fields, host, fields.get("tls") or OFF)
        try:
            connection = RespConnection(
                *await self._guard.open_connection(host, port, tls=context, seconds=CONNECT_SECONDS)
            )
        except (EgressRefused, OSError) as error:
            raise NotConnected(connection_error(error)) from None
        try:
            for words in _greeting(opened):
                await connection.call(words, _GREETING_BYTES)
        except ErrorReply as error:
            connection.drop()
            raise NotConnected(_server_error(error)) from None
        except (OSError, EOFError) as error:
            connection.drop()
            raise NotConnected(connection_error(OSError(f"the server hung up: {error}"))) from None
        except BaseException:
            connection.drop()
            raise
        return connection


def _greeting(opened: Opened) -> list[list[str]]:
    """What a new connection says first."""
    fields = opened.fields
    said = []
    if fields.get("password"):
        said.append(["AUTH", *([fields["user"]] if fields.get("user") else []), fields["password"]])
    if fields.get("database") and fields["database"] != "0":
        said.append(["SELECT", fields["database"]])
    return said or [["PING"]]


async def _scan(connection: RespConnection, effect: RedisCommand, most: int) -> list[str]:
    """The keys of SCAN over its cursor, without those that it tells twice."""
    keys: dict[str, None] = {}
    words = list(effect.command)
    for _ in range(_MOST_SCANS):
        reply = await connection.call(words, effect.max_bytes)
        if not (isinstance(reply, list) and len(reply) == 2 and isinstance(reply[1], list)):
            raise BadResponse("the answer to SCAN is not a cursor and keys")
        keys.update(dict.fromkeys(reply[1]))
        words[1] = str(reply[0])
        if words[1] == "0" or len(keys) >= most:
            break
    return list(keys)[:most]


def _server_error(error: ErrorReply | None) -> EffectError:
    text = str(error)
    code = _OF_CODE.get(error.code if error else "", REJECTED)
    if "invalid password" in text or "without any password" in text:
        code = UNAUTHORIZED
    return EffectError(code, f"Redis refused: {text}", retriable=code == UNAVAILABLE)
