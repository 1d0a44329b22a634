"""The log as the checkers see it: decoded and fenced by code of their own.

A takeover (header k=o) at offset F with nonce N (header o) begins epoch "F:N" of its partition. A commit (k=m) counts
if its header e is the epoch in force and its header n the next ordinal, from 0. Everything else is void.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.torture.raw_log import RawRecord

COMMIT_TOPICS = {"events": "commands", "executions": "execution-commands"}
"""Commit topic → the input topic that it answers."""

TERMINAL = frozenset({"execution.completed", "execution.failed", "execution.cancelled", "execution.timed_out"})


@dataclass(frozen=True, slots=True)
class Commit:
    """An accepted commit. `epoch`: offset of its takeover; `value`: the record's JSON."""

    topic: str
    partition: int
    offset: int
    at: int
    epoch: int
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """`at`: when the log took it (ms); `version`: place in its stream; `queued_at`: as its commit says."""

    type: str
    data: dict[str, Any]
    version: int
    at: int
    commit: Commit


@dataclass(frozen=True, slots=True)
class Takeover:
    topic: str
    partition: int
    offset: int
    at: int
    owner: str


@dataclass(slots=True)
class Facts:
    """`inputs`: (input topic, partition) → offsets that hold a record. `problems`: gaps, records that do not decode."""

    commits: list[Commit] = field(default_factory=list)
    takeovers: list[Takeover] = field(default_factory=list)
    void: list[RawRecord] = field(default_factory=list)
    inputs: dict[tuple[str, int], list[RawRecord]] = field(default_factory=lambda: defaultdict(list))
    dead_letters: list[RawRecord] = field(default_factory=list)
    streams: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)

    def executions(self) -> dict[str, list[Event]]:
        """Execution id → its events."""
        prefix = "execution-"
        return {name[len(prefix) :]: events for name, events in self.streams.items() if name.startswith(prefix)}


def understand(records: list[RawRecord]) -> Facts:
    """Fence and decode; records must be in order within each partition."""
    facts = Facts()
    partitions: dict[tuple[str, int], list[RawRecord]] = defaultdict(list)
    for record in records:
        partitions[record.topic, record.partition].append(record)
    for (topic, partition), content in sorted(partitions.items()):
        _check_offsets(facts, topic, partition, content)
        if topic in COMMIT_TOPICS:
            _fence(facts, content)
        elif topic == "dead-letters":
            facts.dead_letters += content
        else:
            facts.inputs[topic, partition] = content
    return facts


def _check_offsets(facts: Facts, topic: str, partition: int, content: list[RawRecord]) -> None:
    for place, record in enumerate(content):
        if record.offset != place:
            facts.problems.append(f"{topic}/{partition}: record {place} has offset {record.offset}")
            return


def _fence(facts: Facts, content: list[RawRecord]) -> None:
    epoch, began, following = b"", -1, 0
    for record in content:
        kind = record.headers.get("k")
        if kind == b"o":
            epoch = b"%d:%s" % (record.offset, record.headers.get("o", b""))
            began, following = record.offset, 0
            owner = json.loads(record.value).get("owner", "")
            facts.takeovers.append(Takeover(record.topic, record.partition, record.offset, record.appended_at, owner))
        elif kind == b"m" and record.headers.get("e") == epoch and record.headers.get("n") == b"%d" % following:
            following += 1
            _take(facts, record, began)
        else:
            facts.void.append(record)


def _take(facts: Facts, record: RawRecord, epoch: int) -> None:
    value = json.loads(record.value)
    commit = Commit(record.topic, record.partition, record.offset, record.appended_at, epoch, value)
    facts.commits.append(commit)
    for place, event in enumerate(value.get("events", ())):
        facts.streams[value["stream"]].append(
            Event(event["type"], event["data"], value["version"] + place, record.appended_at, commit)
        )


def start_of(events: list[Event]) -> tuple[str, str]:
    """(key, canary) that an execution was started with; ("", "") if its first event says nothing of the kind."""
    first = events[0]
    if first.type != "execution.queued" or not first.data.get("items"):
        return "", ""
    content = first.data["items"][0].get("json", {})
    for inside in ("body", "input_data"):  # a webhook's, a schedule's
        if isinstance(content.get(inside), dict):
            content = content[inside]
    return str(content.get("key", "")), str(content.get("canary", ""))
