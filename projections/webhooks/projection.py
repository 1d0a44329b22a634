"""Webhook endpoints: which workflow and node answers there."""

from projections.facts import Commit, WorkflowActivated, WorkflowArchived, WorkflowDeactivated, text
from projections.operations import Operation, Table, UpdateWhere, Upsert

VERSION = 1

WEBHOOKS = Table(
    name="webhooks",
    key=("endpoint_id",),
    columns={
        "endpoint_id": "text",
        "workspace_id": "uuid",
        "workflow_id": "uuid",
        "workflow_version": "integer",
        "node": "text",
        "method": "text",
        "respond": "text",
        "active": "boolean",
    },
    # An endpoint belongs to one workflow for ever: nobody can take over somebody else's.
    lasting=frozenset({"workspace_id", "workflow_id"}),
)
TABLES = (WEBHOOKS,)


def project(commit: Commit) -> list[Operation]:
    operations: list[Operation] = []
    for event, _, _ in commit.facts:
        match event:
            case WorkflowActivated():
                operations.append(_silence(commit))
                operations.extend(
                    Upsert(
                        "webhooks",
                        (text(binding.endpoint_id),),
                        {
                            "workspace_id": commit.workspace,
                            "workflow_id": commit.id,
                            "workflow_version": event.version,
                            "node": text(binding.node),
                            "method": text(binding.method),
                            "respond": text(binding.respond),
                            "active": True,
                        },
                    )
                    for binding in event.webhooks
                )
            case WorkflowDeactivated() | WorkflowArchived():
                operations.append(_silence(commit))
    return operations


def _silence(commit: Commit) -> Operation:
    return UpdateWhere("webhooks", {"workflow_id": commit.id}, {"active": False})
