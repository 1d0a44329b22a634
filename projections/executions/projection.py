"""Executions: one row each, keyed by (queued_at, id), which every commit of an execution carries."""

from typing import Any

from projections.facts import (
    Commit,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionParked,
    ExecutionQueued,
    ExecutionRecovered,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionTimedOut,
    ResponseGiven,
    happened_at,
    payload,
    text,
)
from projections.operations import Insert, Operation, Table, Update, Values

VERSION = 5

EXECUTIONS = Table(
    name="executions",
    key=("queued_at", "id"),
    columns={
        "queued_at": "time",
        "id": "uuid",
        "workspace_id": "uuid",
        "workflow_id": "uuid",
        "workflow_version": "integer",
        "status": "text",
        "trigger_type": "text",
        "trigger_node": "text",
        "priority": "text",
        "fingerprint": "text",
        "retry_of": "uuid",
        "retry_count": "integer",
        "parent_id": "uuid",
        "delivery_id": "uuid",
        "recoveries": "integer",
        "variables": "json",
        "input": "json",
        "output": "json",
        "error": "json",
        "response": "json",
        "started_at": "time",
        "completed_at": "time",
        "stream_version": "bigint",
    },
    defaults={"recoveries": 0},
    months=True,
    family=2,
)
TABLES = (EXECUTIONS,)


def project(commit: Commit) -> list[Operation]:
    """One operation a commit: the row as it is after all of its events."""
    values: Values = {}
    new = False
    for event, _, blobs in commit.facts:
        match event:
            case ExecutionQueued():
                new = True
                values = _queued(commit, event, blobs)
            case ExecutionStarted():
                values["status"] = "running"
                values["started_at"] = happened_at(commit, event.started_at)
            case ExecutionCompleted():
                values.update(status="completed", completed_at=happened_at(commit, event.at))
                values["output"] = payload(event.output, "output", blobs)
            case _:
                _change(values, event, blobs, commit)
    if not values and commit.kind != "execution":
        return []
    values["stream_version"] = commit.version
    key = (commit.queued_at, commit.id)
    return [Insert("executions", key, values) if new else Update("executions", key, values)]


def _queued(commit: Commit, event: ExecutionQueued, blobs: dict[str, str]) -> Values:
    return {
        "workspace_id": commit.workspace,
        "workflow_id": event.workflow_id,
        "workflow_version": event.workflow_version,
        "status": "queued",
        "trigger_type": text(event.trigger_type),
        "trigger_node": text(event.trigger_node),
        "priority": text(event.priority),
        "fingerprint": text(event.fingerprint),
        "retry_of": event.retry_of,
        "retry_count": event.retry_count,
        "parent_id": _parent(event),
        "delivery_id": _delivery(commit, event),
        "variables": payload(event.variables, "variables", blobs),
        "input": payload(event.items, "items", blobs),
    }


def _parent(event: ExecutionQueued) -> str | None:
    """The execution that waits for this one."""
    origin = event.origin
    return origin.stream.removeprefix("execution-") if origin is not None and origin.kind == "parent" else None


def _delivery(commit: Commit, event: ExecutionQueued) -> str | None:
    """The delivery that it comes from: one of an inbox, or it was one itself, of an endpoint that has no inbox."""
    if event.origin is not None:  # other deliveries go out, for a subscription
        return event.origin.ref if event.origin.stream.startswith("inbox-") else None
    return commit.id if event.trigger_type == "webhook" and commit.actor.startswith("webhook:") else None


def _change(values: Values, event: Any, blobs: dict[str, str], commit: Commit) -> None:
    match event:
        case ResponseGiven():
            values["response"] = _response(event, blobs)
        case ExecutionParked():
            values["status"] = "waiting"
        case ExecutionResumed():
            values["status"] = "running"
        case ExecutionRecovered():
            values["recoveries"] = event.count
        case ExecutionFailed():
            values.update(status="failed", error=str(event.error, "utf-8"))
            values["completed_at"] = happened_at(commit, event.at)
        case ExecutionTimedOut():
            values.update(status="timeout", error=str(event.error, "utf-8"))
            values["completed_at"] = happened_at(commit, event.at)
        case ExecutionCancelled():
            values.update(status="cancelled", completed_at=happened_at(commit, event.at))


def _response(event: ResponseGiven, blobs: dict[str, str]) -> str:
    """What a respond node answered; a body that is stored outside is named apart, so that no body can look like it."""
    body = f'"body_blob":"{blobs["body"]}"' if "body" in blobs else f'"body":{str(event.body, "utf-8")}'
    return f'{{"status":{event.status},"headers":{str(event.headers, "utf-8")},{body}}}'
