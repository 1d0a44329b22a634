"""Follow what LinkFlow records, from any program: an async iterator over the accepted commits of its log.

    async with subscribe("kafka://127.0.0.1:9092", cursor=stored) as commits:
        async for commit in commits:
            ...                        # handle it, then keep commits.cursor where your own results are
            stored = commits.cursor

Void records (docs/log-protocol.md) are left out; each partition's commits come in order. Whoever stores the cursor in
the transaction of what a commit caused handles each commit exactly once, otherwise at least once.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from infra.log import open_log
from infra.log.port import Log, LogUnavailable, Reader, Record, Topic
from infra.telemetry.logs import get_logger
from schemas.envelope import CommitRecord, Epoch, decode_commit, header
from schemas.errors import DECODING_ERRORS
from schemas.fence import Fence
from schemas.payloads import NO_BLOBS
from schemas.registry import decode_event, decode_event_bare

COMMIT_TOPICS = (Topic.EVENTS, Topic.EXECUTIONS)
_RETRY_SECONDS = 0.5

_log = get_logger("subscriber")


class InvalidCursor(ValueError):
    """A cursor that is not one, or one of another log."""

    code = "invalid_cursor"


class _Place(msgspec.Struct, array_like=True):
    topic: str
    partition: int
    next_offset: int
    epoch: Epoch | None
    next_n: int


class AcceptedCommit(msgspec.Struct, frozen=True):
    """A commit that happened, and where it stands in the log. `appended_at`: the log's own time, ms since 1970."""

    topic: Topic
    partition: int
    offset: int
    appended_at: int
    commit: CommitRecord

    def events(self, blobs: Mapping[str, bytes] = NO_BLOBS) -> list[Any]:
        """Its events. `blobs`: blob id → bytes, of `schemas.registry.blobs_of(commit)`. Raises SchemaError."""
        return [decode_event(event, blobs) for event in self.commit.events]

    def bare_events(self) -> list[Any]:
        """Its events, with the fields that are stored outside left empty. Raises SchemaError."""
        return [decode_event_bare(event) for event in self.commit.events]


class Subscriber:
    """Iterate over it once. `cursor` is the place behind the last commit that was handed out."""

    def __init__(
        self,
        log: Log,
        *,
        cursor: str | None = None,
        topics: Sequence[Topic] = COMMIT_TOPICS,
        workspace: str | None = None,
    ) -> None:
        """Start at `cursor`, or where the log begins. `workspace`: only its commits. Raises InvalidCursor."""
        self._log = log
        self._reader: Reader | None = None
        self._workspace = workspace.encode() if workspace is not None else None
        self._fences = {(topic, partition): Fence() for topic in topics for partition in range(log.partitions)}
        for place in _places(cursor) if cursor else ():
            try:
                key = (Topic(place.topic), place.partition)
            except ValueError:
                raise InvalidCursor(f"the cursor names a topic {place.topic!r}") from None
            if place.partition >= log.partitions:
                raise InvalidCursor(f"the cursor names partition {place.partition}, the log has {log.partitions}")
            if key in self._fences:
                self._fences[key] = Fence(place.next_offset, place.epoch, place.next_n)

    @property
    def cursor(self) -> str:
        """Where to go on: text to be stored and given back, not to be read."""
        places = [
            _Place(topic, partition, fence.next_offset, fence.epoch, fence.next_n)
            for (topic, partition), fence in self._fences.items()
            if fence.next_offset
        ]
        return base64.urlsafe_b64encode(msgspec.json.encode(places)).decode()

    async def __aiter__(self) -> AsyncIterator[AcceptedCommit]:
        """Commits as they are appended, for ever. Raises GapInLog, OffsetOutOfRange where the log was cut."""
        self._reader = reader = await self._log.reader()
        try:
            for (topic, partition), fence in self._fences.items():
                reader.seek(topic, partition, fence.next_offset)
            while True:
                for record in await _read(reader):
                    accepted = self._accept(record)
                    if accepted is not None:
                        yield accepted
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop reading; `subscribe` does it. The cursor stays."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.close()

    def _accept(self, record: Record) -> AcceptedCommit | None:
        if not self._fences[record.topic, record.partition].accept(record.offset, record.headers):
            return None
        if self._workspace is not None and header(record.headers, "w") != self._workspace:
            return None
        try:
            commit = decode_commit(record.value)
        except DECODING_ERRORS as error:
            place = {"topic": record.topic.value, "partition": record.partition, "offset": record.offset}
            _log.warning("a commit cannot be decoded and is left out", **place, reason=str(error))
            return None
        return AcceptedCommit(record.topic, record.partition, record.offset, record.appended_at, commit)


@asynccontextmanager
async def subscribe(
    log: str = "postgres",
    *,
    database_url: str | None = None,
    prefix: str = "",
    cursor: str | None = None,
    topics: Iterable[Topic] = COMMIT_TOPICS,
    workspace: str | None = None,
) -> AsyncIterator[Subscriber]:
    """Open the log as LINKFLOW_LOG names it and follow it. Raises as `infra.log.open_log` does, and InvalidCursor."""
    opened = await open_log(log, database_url=database_url, prefix=prefix)
    try:
        subscriber = Subscriber(opened, cursor=cursor, topics=tuple(topics), workspace=workspace)
        try:
            yield subscriber
        finally:
            await subscriber.close()
    finally:
        await opened.close()


async def _read(reader: Reader) -> list[Record]:
    while True:
        try:
            return await reader.read()
        except LogUnavailable as error:
            _log.warning("the log cannot be read, again soon", reason=str(error))
            await asyncio.sleep(_RETRY_SECONDS)


def _places(cursor: str) -> list[_Place]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode()), type=list[_Place])
    except (*DECODING_ERRORS, binascii.Error, ValueError) as error:
        raise InvalidCursor(f"not a cursor: {error}") from error
