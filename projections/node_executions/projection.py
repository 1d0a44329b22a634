"""Node runs: one row for each run of a node, keyed by (queued_at, execution, node, run).

Times are those of the commits that began and ended the run; a pure run begins and ends in one.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from projections.facts import (
    ChildrenStarted,
    Commit,
    ExecutionQueued,
    NodeAttempted,
    NodeCancelled,
    NodeCompleted,
    NodeFailed,
    NodeOutcomeUnknown,
    NodeWaiting,
    RetryScheduled,
    VerdictGiven,
    payload,
    text,
)
from projections.operations import Insert, Key, Operation, Table, Upsert, Values

VERSION = 5

NODE_EXECUTIONS = Table(
    name="node_executions",
    key=("queued_at", "execution_id", "node_id", "run"),
    columns={
        "queued_at": "time",
        "execution_id": "uuid",
        "node_id": "text",
        "run": "integer",
        "seq": "bigint",
        "status": "text",
        "attempts": "integer",
        "sources": "json",
        "output": "json",
        "error": "json",
        "asked": "json",
        "awaits": "json",
        "taken": "boolean",
        "ended_seq": "bigint",
        "logs": "json",
        "started_at": "time",
        "completed_at": "time",
    },
    defaults={"attempts": 0, "taken": False},
    lasting=frozenset({"seq", "started_at"}),
    months=True,
    family=2,
)
TABLES = (NODE_EXECUTIONS,)

_encode = msgspec.json.Encoder().encode


def project(commit: Commit) -> list[Operation]:
    """One operation for each event of a run. `seq` is the event's version in the stream: the order of appearance."""
    operations: list[Operation] = []
    queued_at, execution = commit.queued_at, commit.id
    begins = False
    seen: set[Key] = set()
    for event, version, blobs in commit.facts:
        row = _ROWS.get(type(event))
        if row is None:
            begins = begins or type(event) is ExecutionQueued
            continue
        values = row(event, commit.time, blobs)
        values["seq"] = version
        if type(event) is NodeCompleted:
            values["ended_seq"] = version
        key = (queued_at, execution, text(event.node), event.run)
        if begins and key not in seen:
            seen.add(key)
            operations.append(Insert("node_executions", key, values))
        else:
            operations.append(Upsert("node_executions", key, values))
    return operations


def _attempted(event: NodeAttempted, at: int, _: dict[str, str]) -> Values:
    values: Values = {"status": "running", "attempts": event.attempt, "started_at": at, "completed_at": None}
    if event.attempt > 1:
        values["awaits"] = None  # its next try has come
    return _with_sources(values, event.sources)


def _waiting(event: NodeWaiting, at: int, _: dict[str, str]) -> Values:
    call = event.call
    awaits = {"due": event.due, "kind": call.kind, "title": call.title, "message": call.message}
    values = {"status": "waiting", "awaits": _encode(awaits).decode(), "started_at": at, "completed_at": None}
    return _with_sources(values, event.sources)


def _children_started(event: ChildrenStarted, at: int, _: dict[str, str]) -> Values:
    return _with_sources({"status": "running", "started_at": at, "completed_at": None}, event.sources)


def _retry_scheduled(event: RetryScheduled, at: int, _: dict[str, str]) -> Values:
    awaits = {"due": event.due, "kind": "retry", "title": "", "message": ""}
    return {"status": "waiting", "awaits": _encode(awaits).decode(), "started_at": at, "completed_at": None}


def _completed(event: NodeCompleted, at: int, blobs: dict[str, str]) -> Values:
    values = {
        "status": "completed",
        "output": payload(event.outputs, "outputs", blobs),
        "asked": None,
        "awaits": None,
        "started_at": at,
        "completed_at": at,
    }
    if event.taken:
        values["taken"] = True
    return _ended(values, event)


def _failed(event: NodeFailed, at: int, _: dict[str, str]) -> Values:
    values = {
        # A run that ends because nobody knows what became of its effect keeps saying so.
        "status": "outcome_unknown" if event.error.code == "outcome_unknown" else "failed",
        "error": _encode(event.error).decode(),
        "asked": None,
        "awaits": None,
        "started_at": at,
        "completed_at": at,
    }
    return _ended(values, event)


def _outcome_unknown(event: NodeOutcomeUnknown, at: int, _: dict[str, str]) -> Values:
    values = {"status": "outcome_unknown", "attempts": event.attempt, "started_at": at, "completed_at": None}
    if event.waiting_for:
        values["asked"] = _encode(event.waiting_for).decode()
    return values


def _verdict_given(event: VerdictGiven, _at: int, _: dict[str, str]) -> Values:
    return {"asked": _encode(event.left).decode() if event.left else None}


def _cancelled(_event: NodeCancelled, at: int, _: dict[str, str]) -> Values:
    return {"status": "cancelled", "completed_at": at, "asked": None, "awaits": None}


def _ended(values: Values, event: NodeCompleted | NodeFailed) -> Values:
    if event.attempts:
        values["attempts"] = event.attempts
    logs = str(event.logs, "utf-8")
    if logs != "[]":
        values["logs"] = logs
    return _with_sources(values, event.sources)


def _with_sources(values: Values, sources: msgspec.Raw) -> Values:
    """An event that names no sources (they stood in an earlier one) changes nothing about them."""
    known = str(sources, "utf-8")
    if known != "[]":
        values["sources"] = known
    return values


_ROWS: dict[type, Callable[[Any, int, dict[str, str]], Values]] = {
    NodeAttempted: _attempted,
    NodeWaiting: _waiting,
    ChildrenStarted: _children_started,
    RetryScheduled: _retry_scheduled,
    NodeCompleted: _completed,
    NodeFailed: _failed,
    NodeOutcomeUnknown: _outcome_unknown,
    VerdictGiven: _verdict_given,
    NodeCancelled: _cancelled,
}
