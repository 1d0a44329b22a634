"""Commands on their way into the log: encoded, appended, bounded in number, with a new writer after a failure."""

import asyncio
import time
from dataclasses import dataclass
from itertools import count
from secrets import token_hex
from typing import Any
from uuid import uuid4

from infra.blobs import BlobStore
from infra.failpoints import failpoint
from infra.log.clock import LogClock
from infra.log.port import Headers, Log, LogError, NewRecord, RecordTooLarge, Topic, Writer, WriterClosed
from infra.telemetry.logs import get_logger
from infra.telemetry.metrics import REFUSED
from schemas.envelope import KIND_COMMAND, encode, partition_of
from schemas.errors import UnencodableRecord
from schemas.payloads import BlobCollector
from schemas.registry import command_record
from services.api.problems import Problem, busy

MAX_WAITING = 4_000
MAX_WAITING_BYTES = 64_000_000
APPEND_SECONDS = 10.0
_REOPEN_PAUSE = 0.2

logger = get_logger(__name__)


def now_ms() -> int:
    """Wall clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Position:
    """Where an input stands in the log."""

    topic: Topic
    partition: int
    offset: int

    def json(self) -> dict[str, Any]:
        return {"topic": self.topic.value, "partition": self.partition, "offset": self.offset}


class Sender:
    """Appends commands. One writer a process; a failed append closes it and the next command opens another."""

    def __init__(self, log: Log, blobs: BlobStore, clock: LogClock) -> None:
        self._log = log
        self._clock = clock
        self._blobs = blobs
        self._writer: Writer | None = None
        self._opening = asyncio.Lock()
        self._opened_at = float("-inf")
        self._waiting = 0
        self._waiting_bytes = 0
        self._nonce_prefix = token_hex(6).encode()
        self._nonces = count()

    @property
    def waiting(self) -> int:
        """Appends under way."""
        return self._waiting

    def new_nonce(self) -> bytes:
        """A reply nonce: register it with the Follower before `send`."""
        return b"%s%x" % (self._nonce_prefix, next(self._nonces))

    async def send(
        self,
        topic: Topic,
        stream: str,
        command: Any,
        *,
        workspace: str,
        actor: str,
        made: int,
        reply: bytes | None = None,
        trace: bytes | None = None,
    ) -> Position:
        """Append `command` for `stream`; returns where it stands.

        `made`: when the caller looked at the read model, ms of the wall clock. Raises Problem: 503 where the log does
        not answer (the outcome is then unknown: an Idempotency-Key makes asking again safe) or too many wait, 413.
        """
        collector = BlobCollector(workspace)
        command_id = str(uuid4())
        try:
            value = encode(
                command_record(
                    command,
                    id=command_id,
                    stream=stream,
                    workspace=workspace,
                    made=self._clock.of_wall(made),
                    actor=actor,
                    spill=collector,
                )
            )
        except UnencodableRecord as error:
            raise Problem(400, error.code, "The request holds text that is not valid Unicode.") from None
        if collector.blobs:
            await self._blobs.put_many(workspace, collector.blobs)
        headers: Headers = (
            ("k", KIND_COMMAND),
            ("i", command_id.encode()),
            ("w", workspace.encode()),
            ("s", stream.encode()),
        )
        if reply is not None:
            headers += (("r", reply),)
        if trace is not None:
            headers += (("t", trace),)
        partition = partition_of(stream, self._log.partitions)
        record = NewRecord(value, headers, stream.encode())
        return Position(topic, partition, await self._append_bounded(topic, partition, record))

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    async def _append_bounded(self, topic: Topic, partition: int, record: NewRecord) -> int:
        size = len(record.value)
        if self._waiting >= MAX_WAITING or self._waiting_bytes + size > MAX_WAITING_BYTES:
            REFUSED.labels("log_busy").inc()
            raise busy("Too many requests wait for the log. Try again in a second.")
        self._waiting += 1
        self._waiting_bytes += size
        try:
            return await self._append(topic, partition, record)
        except RecordTooLarge as error:
            raise Problem(413, error.code, f"The request makes {error}.") from None
        except (LogError, TimeoutError) as error:
            REFUSED.labels("log_unavailable").inc()
            logger.warning("an append failed", topic=topic, partition=partition, reason=str(error) or "time-out")
            raise busy(
                "The log did not confirm the request: it may or may not have been taken. Sent again with the same "
                "Idempotency-Key, it is done once."
            ) from None
        finally:
            self._waiting -= 1
            self._waiting_bytes -= size

    async def _append(self, topic: Topic, partition: int, record: NewRecord) -> int:
        for last_try in (False, True):
            writer = self._writer or await self._open()
            try:
                async with asyncio.timeout(APPEND_SECONDS):
                    failpoint("api.before_append")
                    offset = await writer.append(topic, partition, (record,))
                    failpoint("api.after_append")
                    return offset
            except RecordTooLarge:
                raise
            except WriterClosed:
                # another append's failure closed it; the streams know the command's target by id, so once more is safe
                await self._discard(writer)
                if last_try:
                    raise
            except (LogError, TimeoutError):
                await self._discard(writer)
                raise
        raise AssertionError("unreachable")

    async def _open(self) -> Writer:
        async with self._opening:
            if self._writer is None:
                loop = asyncio.get_running_loop()
                if loop.time() - self._opened_at < _REOPEN_PAUSE:
                    await asyncio.sleep(_REOPEN_PAUSE)
                self._opened_at = loop.time()
                async with asyncio.timeout(APPEND_SECONDS):
                    self._writer = await self._log.writer()
            return self._writer

    async def _discard(self, writer: Writer) -> None:
        if self._writer is writer:
            self._writer = None
        await writer.close()
