"""Usage: what each workspace did in each hour. The hour is that of the commit that says so."""

from projections.facts import (
    Commit,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionQueued,
    ExecutionStarted,
    ExecutionTimedOut,
    NodeAttempted,
    NodeCompleted,
    NodeFailed,
)
from projections.operations import Add, Operation, Table, Values

VERSION = 2

HOUR_MS = 3_600_000
COUNTED = ("queued", "started", "completed", "failed", "timed_out", "cancelled", "node_runs", "attempts", "deliveries")
"""Executions by what happened to them; runs of nodes that ended well or badly; attempts of effects. Deliveries to
subscriptions are executions of the system's own: they count here only, when they begin."""

USAGE_HOURS = Table(
    name="usage_hours",
    key=("workspace_id", "hour"),
    columns={"workspace_id": "uuid", "hour": "time", **dict.fromkeys(COUNTED, "bigint")},
    defaults=dict.fromkeys(COUNTED, 0),
)
TABLES = (USAGE_HOURS,)

_COLUMN: dict[type, str] = {
    ExecutionQueued: "queued",
    ExecutionStarted: "started",
    ExecutionCompleted: "completed",
    ExecutionFailed: "failed",
    ExecutionTimedOut: "timed_out",
    ExecutionCancelled: "cancelled",
    NodeCompleted: "node_runs",
    NodeFailed: "node_runs",
    NodeAttempted: "attempts",
}


def project(commit: Commit) -> list[Operation]:
    if commit.delivers:
        begun = sum(isinstance(event, ExecutionQueued) for event, _, _ in commit.facts)
        return [Add("usage_hours", _hour(commit), {"deliveries": begun})] if begun else []
    amounts: Values = {}
    for event, _, _ in commit.facts:
        column = _COLUMN.get(type(event))
        if column is None or (column == "node_runs" and getattr(event, "taken", False)):
            continue  # a run that was taken over ran in another execution, and was counted there
        amounts[column] = amounts.get(column, 0) + 1
    if not amounts:
        return []
    return [Add("usage_hours", _hour(commit), amounts)]


def _hour(commit: Commit) -> tuple[str, int]:
    return commit.workspace, commit.time // HOUR_MS * HOUR_MS
