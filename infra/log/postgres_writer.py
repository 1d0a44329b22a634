"""Group commit: everything that waits in a writer goes to PostgreSQL in one round trip and one transaction."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from infra.log.port import LogError, NewRecord, Topic, WriterClosed
from infra.log.postgres_connection import (
    TOPIC_IDS,
    UNAVAILABLE,
    Connection,
    disconnect,
    format_wake,
    log_error,
)
from infra.log.sizes import checked_bytes

logger = logging.getLogger(__name__)

FLUSH_BYTES = 8_000_000
FLUSH_RECORDS = 2_000

_APPEND = "CALL append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"

_pack_headers = msgspec.msgpack.Encoder().encode
_NO_HEADERS = _pack_headers(())


@dataclass(slots=True, eq=False)
class _Append:
    topic: int
    partition: int
    records: Sequence[NewRecord]
    size: int
    done: asyncio.Future[int]


class PostgresWriter:
    """A Writer on one connection. While one flush is under way the next gathers."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._waiting: deque[_Append] = deque()
        self._under_way: list[_Append] = []
        self._wake = asyncio.Event()
        self._closed: LogError | None = None
        self._flusher = asyncio.create_task(self._flush(), name="log writer")

    async def append(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> int:
        if self._closed is not None:
            raise WriterClosed(f"this writer is closed: {self._closed}")
        if not records:
            raise ValueError("an append needs at least one record")
        size = checked_bytes(records)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Append(TOPIC_IDS[topic], partition, records, size, done))
        self._wake.set()
        return await done

    async def close(self) -> None:
        self._fail(WriterClosed("this writer was closed"))
        self._flusher.cancel()
        await asyncio.gather(self._flusher, return_exceptions=True)
        await disconnect(self._connection)

    async def _flush(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    self._under_way = self._take()
                    await self._send(self._under_way)
        except UNAVAILABLE as error:
            self._fail(log_error(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            logger.exception("the log's writer failed")
            self._fail(log_error(error))
        finally:
            # Whatever is still under way must not hold a partition's row against the next owner.
            if self._closed is None or self._under_way:
                self._connection.terminate()

    def _take(self) -> list[_Append]:
        """What goes into the next transaction: in the order of the calls, bounded in bytes and records."""
        taken = [self._waiting.popleft()]
        size, count = taken[0].size, len(taken[0].records)
        while self._waiting:
            following = self._waiting[0]
            size += following.size
            count += len(following.records)
            if size > FLUSH_BYTES or count > FLUSH_RECORDS:
                break
            taken.append(self._waiting.popleft())
        return taken

    async def _send(self, appends: list[_Append]) -> None:
        runs: dict[tuple[int, int], list[_Append]] = {}
        for append in appends:
            runs.setdefault((append.topic, append.partition), []).append(append)
        order = sorted(runs)
        counts: list[int] = []
        run: list[int] = []
        rank: list[int] = []
        keys: list[bytes | None] = []
        headers: list[bytes] = []
        values: list[bytes] = []
        for number, place in enumerate(order, start=1):
            count = 0
            for append in runs[place]:
                for record in append.records:
                    run.append(number)
                    rank.append(count)
                    keys.append(record.key)
                    headers.append(_pack_headers(record.headers) if record.headers else _NO_HEADERS)
                    values.append(record.value)
                    count += 1
            counts.append(count)
        bases: list[int] = await self._connection.fetchval(
            _APPEND,
            [topic for topic, _ in order],
            [partition for _, partition in order],
            counts,
            run,
            rank,
            keys,
            headers,
            values,
            self._schema,
            format_wake(order),
            [0] * len(order),
        )
        self._under_way = []
        for place, base in zip(order, bases, strict=True):
            offset = base
            for append in runs[place]:
                if not append.done.done():
                    append.done.set_result(offset)
                offset += len(append.records)

    def _fail(self, error: LogError) -> None:
        if self._closed is None:
            self._closed = error
        for append in (*self._under_way, *self._waiting):
            if not append.done.done():
                append.done.set_exception(type(error)(*error.args))
        self._waiting.clear()
