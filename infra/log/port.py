"""The log as the product sees it: append, read from an offset, who owns what, group offsets, wake-up.

Three implementations (`kafka`, `postgres`, `memory`) pass the one contract suite in tests/contracts/log.
The rules that make it safe are docs/log-protocol.md; this port only promises what all three can keep:

* offsets of a partition are gapless and become visible in order;
* one `append` call lands as one contiguous run in order, or not at all, or its outcome is unknown;
* a reader sees every record behind its offset, in order, and is woken without a polling delay.

Errors
    LogError
    ├── LogUnavailable    the outcome of the call is unknown; ask again (retriable)
    ├── RecordTooLarge    nothing was appended; `size` and `limit` say by how much (bytes)
    ├── OffsetOutOfRange  the records asked for are gone (retention) or do not exist
    ├── LogMismatch       topics are missing or have another partition count or configuration
    └── WriterClosed      the writer was closed, by `close` or after an error
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Topic(StrEnum):
    """The topics of design.md 4. All have the same number of partitions."""

    COMMANDS = "linkflow.commands"
    EVENTS = "linkflow.events"
    EXECUTION_COMMANDS = "linkflow.execution-commands"
    EXECUTIONS = "linkflow.executions"
    TICKS = "linkflow.ticks"
    DEAD_LETTERS = "linkflow.dead-letters"


Headers = tuple[tuple[str, bytes], ...]

MAX_RECORD_BYTES = 1_000_000
"""Value and headers together. Payloads over 64 KB are stored outside before the append, so that this is never near."""

MAX_APPEND_BYTES = 4_000_000
"""All records of one append call together: a call lands as one contiguous run, on Kafka as one batch."""


@dataclass(frozen=True, slots=True)
class NewRecord:
    """What is appended. `key` is the stream id (for people and tools; placement is explicit)."""

    value: bytes
    headers: Headers = ()
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What is read. `appended_at` is the log's own time of append in milliseconds since 1970."""

    topic: Topic
    partition: int
    offset: int
    appended_at: int
    value: bytes
    headers: Headers
    key: bytes | None = None


class LogError(Exception):
    """Something the log could not do."""

    retriable = False
    code = "log_error"


class LogUnavailable(LogError):
    """The log did not answer in time or refused the connection: whether the append landed is unknown."""

    retriable = True
    code = "log_unavailable"


class RecordTooLarge(LogError):
    """A record is larger than the log takes; nothing of the call was appended."""

    code = "record_too_large"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a record of {size} bytes is over the log's limit of {limit} bytes")
        self.size = size
        self.limit = limit


class OffsetOutOfRange(LogError):
    """The offset asked for is below the first record kept or above the end: the log was cut or truncated."""

    code = "offset_out_of_range"


class LogMismatch(LogError):
    """The topics of this log are not the ones this installation was made with."""

    code = "log_mismatch"


class WriterClosed(LogError):
    """This writer takes no more records: open a new one (and announce yourself anew, rule 5)."""

    code = "writer_closed"


class Writer(Protocol):
    """Appends records. Closing it gives up everything under way (rule 4)."""

    async def append(self, topic: Topic, partition: int, records: Sequence[NewRecord]) -> int:
        """Append `records` as one contiguous run and return the offset of the first.

        Many calls may be under way at once, for one partition too: they land in the order of the calls, and the
        implementation packs them together. Raises RecordTooLarge, LogUnavailable, WriterClosed.
        """
        ...

    async def close(self) -> None: ...


class Reader(Protocol):
    """Reads chosen partitions from chosen offsets. Used by one task."""

    def seek(self, topic: Topic, partition: int, offset: int) -> None:
        """Read this partition from `offset` on (adds it, or moves it)."""
        ...

    def forget(self, topic: Topic, partition: int) -> None:
        """Read this partition no more."""
        ...

    def pause(self, topic: Topic, partition: int) -> None:
        """Keep the place but fetch nothing (back-pressure)."""
        ...

    def resume(self, topic: Topic, partition: int) -> None: ...

    async def read(self, *, max_records: int = 500, timeout: float | None = None) -> list[Record]:
        """The next records, of one or several partitions, each partition's in order; waits until there are some.

        `timeout` in seconds (None: for ever) → an empty list. A `seek` or `resume` by another task wakes it. Each
        partition gets a share of `max_records`, so that none starves. Raises OffsetOutOfRange, LogUnavailable (the
        place is kept: call again).
        """
        ...

    async def close(self) -> None: ...


class Membership(Protocol):
    """Which partitions this member of the group has been given. A hint: correctness is the epoch's business."""

    async def assigned(self) -> frozenset[int]:
        """Wait for the next change of the assignment and return it. The first call returns the first assignment."""
        ...

    def current(self) -> frozenset[int]:
        """The assignment as last seen."""
        ...

    async def close(self) -> None:
        """Leave politely, so that others take over at once."""
        ...


class Log(Protocol):
    """One log. Made by `infra.log.open_log`."""

    partitions: int

    async def writer(self) -> Writer: ...

    async def reader(self) -> Reader: ...

    async def membership(self, group: str, member: str) -> Membership:
        """Join `group` under the stable name `member` (static membership: a restart gets its partitions back)."""
        ...

    async def end_offset(self, topic: Topic, partition: int) -> int:
        """The offset that the next record will get."""
        ...

    async def first_offset(self, topic: Topic, partition: int) -> int:
        """The offset of the oldest record kept (equal to the end if there is none)."""
        ...

    async def group_offsets(self, group: str) -> dict[tuple[Topic, int], int]:
        """The group's remembered offsets: a hint for tools (lag), never the truth (rule 6)."""
        ...

    async def commit_group_offsets(self, group: str, offsets: Mapping[tuple[Topic, int], int]) -> None: ...

    async def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        """Retention: drop records below `offset`. Offsets of the others do not change."""
        ...

    async def close(self) -> None: ...


class LogAdmin(Protocol):
    """Makes and checks the topics. `partitions` is part of the log's identity: fixed at creation."""

    async def create_topics(self, partitions: int) -> None:
        """Make what is missing; raises LogMismatch if what is there differs (count, compaction, min ISR)."""
        ...

    async def describe(self) -> dict[Topic, dict[str, str | int]]:
        """What each topic is like: at least `partitions`."""
        ...

    async def close(self) -> None: ...
