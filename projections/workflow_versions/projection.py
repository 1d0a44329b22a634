"""The immutable versions of workflows, with their documents."""

from projections.facts import Commit, WorkflowCreated, WorkflowVersionAdded, payload, text
from projections.operations import Insert, Operation, Table

VERSION = 1

WORKFLOW_VERSIONS = Table(
    name="workflow_versions",
    key=("workflow_id", "version"),
    columns={
        "workflow_id": "uuid",
        "version": "integer",
        "workspace_id": "uuid",
        "name": "text",
        "document": "json",
        "created_at": "time",
    },
)
TABLES = (WORKFLOW_VERSIONS,)


def project(commit: Commit) -> list[Operation]:
    operations: list[Operation] = []
    for event, _, blobs in commit.facts:
        match event:
            case WorkflowCreated():
                version = 1
            case WorkflowVersionAdded():
                version = event.version
            case _:
                continue
        values = {
            "workspace_id": commit.workspace,
            "name": text(event.name),
            "document": payload(event.document, "document", blobs),
            "created_at": event.at,
        }
        operations.append(Insert("workflow_versions", (commit.id, version), values))
    return operations
