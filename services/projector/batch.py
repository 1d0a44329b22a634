"""What is gathered while the batch before is written."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from infra.log.port import Record
from projections.catalog import Projection
from projections.facts import read_commit
from projections.operations import Operation
from projections.positions import Place
from schemas.envelope import (
    KIND_COMMIT,
    KIND_TAKEOVER,
    CommitRecord,
    DeadLetterRecord,
    decode_commit,
    header,
)
from schemas.errors import DECODING_ERRORS
from schemas.fence import Fence

PlaceKey: TypeAlias = tuple[str, int]
"""Commit topic and partition."""


class Entry(msgspec.Struct, gc=False):
    """One record: where a reader stands behind it, and what it does to the rows (nothing, if it does not count)."""

    key: PlaceKey
    place: Place
    record: Record
    operations: list[Operation]
    events: int = 0
    letters: list[DeadLetterRecord] = []
    accepted: bool = False


class PartitionFold:
    """Folds one partition of a commit topic: record → Entry. `place` is where it stands."""

    def __init__(self, topic: str, partition: int, start: Place, projections: Sequence[Projection]) -> None:
        self.key: PlaceKey = (topic, partition)
        self._fence = Fence(start.next_offset, start.epoch, start.next_n)
        self._answered = start.answered
        self._by_kind: dict[str, list[Callable[..., list[Operation]]]] = {}
        for each in projections:
            if each.topic == topic:
                self._by_kind.setdefault(each.kind, []).append(each.project)

    @property
    def next_offset(self) -> int:
        return self._fence.next_offset

    @property
    def place(self) -> Place:
        fence = self._fence
        return Place(fence.next_offset, fence.epoch, fence.next_n, self._answered)

    def fold(self, record: Record) -> Entry:
        """Raises GapInLog if a record is missing."""
        operations: list[Operation] = []
        letters: list[DeadLetterRecord] = []
        events = 0
        accepted = self._fence.accept(record.offset, record.headers)
        if accepted:
            try:
                commit = decode_commit(record.value)
            except DECODING_ERRORS as error:
                letters.append(dead_letter(record, "malformed_record", f"a commit that cannot be decoded: {error}"))
            else:
                events = len(commit.events)
                operations = self._project(record, commit, letters)
                if commit.answers is not None:
                    self._answered = max(self._answered, commit.answers.offset + 1)
        elif header(record.headers, "k") not in (KIND_COMMIT, KIND_TAKEOVER):
            letters.append(dead_letter(record, "unknown_record", "neither a commit nor a takeover"))
        return Entry(self.key, self.place, record, operations, events, letters, accepted)

    def _project(self, record: Record, commit: CommitRecord, letters: list[DeadLetterRecord]) -> list[Operation]:
        if not commit.events:
            return []
        read, broken = read_commit(commit)
        for event, error in broken:
            letters.append(dead_letter(record, error.code, f"event {event.type}: {error}", commit.workspace))
        if read.kind == "execution" and commit.queued_at is None:
            letters.append(dead_letter(record, "malformed_record", "an execution without queued_at", commit.workspace))
            return []
        if broken and not read.facts:
            return []
        operations: list[Operation] = []
        for project in self._by_kind.get(read.kind, ()):
            operations.extend(project(read))
        return operations


def dead_letter(record: Record, code: str, reason: str, workspace: str = "") -> DeadLetterRecord:
    """The letter about a record that is passed over. Its time is the record's own."""
    headers: list[Any] = [(name, value) for name, value in record.headers]
    return DeadLetterRecord(
        topic=record.topic.value,
        partition=record.partition,
        offset=record.offset,
        code=code,
        reason=reason[:2000],
        time=record.appended_at,
        value=record.value,
        headers=headers,
        workspace=workspace,
    )
