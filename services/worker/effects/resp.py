"""The wire protocol of Redis (RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec/), client side.

A dozen lines each way, bounded in size and depth; a reply is text, a whole number, a list of replies, or None.
"""

import asyncio
from typing import Any, Final

from services.worker.effects.server_effects import BadResponse

_DEEPEST: Final = 8
_LONGEST_LINE: Final = 4_096


class ErrorReply(Exception):
    """The server refused the command. `code`: the first word, in capitals where it is one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        first = text.partition(" ")[0]
        self.code = first if first.isupper() else ""


class TooLarge(Exception):
    """The reply has more than the bytes that were allowed; the connection cannot be used any more."""


def encode(words: list[str]) -> bytes:
    """A command: its words cannot become others, whatever stands in them."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word.encode("utf-8", "surrogatepass")
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


class RespConnection:
    """One connection; one command at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def usable(self) -> bool:
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def call(self, words: list[str], most_bytes: int) -> Any:
        """Raises ErrorReply (the connection is still good), BadResponse, TooLarge, OSError, EOFError."""
        self._writer.write(encode(words))
        await self._writer.drain()
        reply = await self._reply(_Budget(most_bytes), 0)
        if isinstance(reply, ErrorReply):
            raise reply
        return reply

    def drop(self) -> None:
        self._writer.transport.abort()

    async def _reply(self, budget: "_Budget", depth: int) -> Any:
        line = await self._line()
        budget.spend(len(line))
        kind, rest = line[:1], line[1:]
        match kind:
            case b"+":
                return _text(rest)
            case b"-":
                return ErrorReply(_text(rest))
            case b":":
                return _number(rest)
            case b"$":
                length = _number(rest)
                if length < 0:
                    return None
                budget.spend(length)
                data = await self._reader.readexactly(length + 2)
                return _text(data[:-2])
            case b"*":
                count = _number(rest)
                if depth >= _DEEPEST:
                    raise BadResponse("the reply is nested too deeply")
                budget.spend(max(count, 0))
                return None if count < 0 else [await self._element(budget, depth + 1) for _ in range(count)]
            case _:
                raise BadResponse("the server does not speak the Redis protocol")

    async def _element(self, budget: "_Budget", depth: int) -> Any:
        reply = await self._reply(budget, depth)
        return str(reply) if isinstance(reply, ErrorReply) else reply

    async def _line(self) -> bytes:
        try:
            line = await self._reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError:
            raise BadResponse("the server does not speak the Redis protocol") from None
        if len(line) > _LONGEST_LINE:
            raise BadResponse("a line of the reply is too long")
        return line[:-2]


class _Budget:
    __slots__ = ("_left",)

    def __init__(self, most: int) -> None:
        self._left = most

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLarge


def _number(data: bytes) -> int:
    try:
        return int(data)
    except ValueError:
        raise BadResponse("the server does not speak the Redis protocol") from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
