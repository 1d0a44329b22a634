"""Workflows: their newest state."""

from projections.facts import (
    Commit,
    WorkflowActivated,
    WorkflowArchived,
    WorkflowCreated,
    WorkflowDeactivated,
    WorkflowVersionAdded,
    text,
)
from projections.operations import Insert, Operation, Table, Update, Values

VERSION = 1

WORKFLOWS = Table(
    name="workflows",
    key=("id",),
    columns={
        "id": "uuid",
        "workspace_id": "uuid",
        "name": "text",
        "status": "text",
        "version": "integer",
        "active_version": "integer",
        "created_at": "time",
        "updated_at": "time",
        "fingerprint": "text",
        "stream_version": "bigint",
    },
)
TABLES = (WORKFLOWS,)


def project(commit: Commit) -> list[Operation]:
    operations: list[Operation] = []
    for event, version, _ in commit.facts:
        if isinstance(event, WorkflowCreated):
            operations.append(Insert("workflows", (commit.id,), _created(commit, event, version)))
        elif (changes := _changes(event)) is not None:
            operations.append(Update("workflows", (commit.id,), {**changes, "stream_version": version}))
    return operations


def _created(commit: Commit, event: WorkflowCreated, version: int) -> Values:
    return {
        "workspace_id": commit.workspace,
        "name": text(event.name),
        "status": "draft",
        "version": 1,
        "active_version": None,
        "created_at": event.at,
        "updated_at": event.at,
        "fingerprint": text(event.fingerprint),
        "stream_version": version,
    }


def _changes(event: object) -> Values | None:
    match event:
        case WorkflowVersionAdded():
            return {"version": event.version, "name": text(event.name), "updated_at": event.at}
        case WorkflowActivated():
            return {"status": "active", "active_version": event.version, "updated_at": event.at}
        case WorkflowDeactivated():
            return {"status": "inactive", "active_version": None, "updated_at": event.at}
        case WorkflowArchived():
            return {"status": "archived", "active_version": None, "updated_at": event.at}
    return None
