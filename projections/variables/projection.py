"""Variables: the values that all workflows of a workspace may read as `$vars`."""

from projections.facts import Commit, VariableChanged, VariableCreated, VariableDeleted, payload, text
from projections.operations import Delete, Insert, Operation, Table, Update, Values

VERSION = 1

VARIABLES = Table(
    name="variables",
    key=("workspace_id", "name"),
    columns={
        "workspace_id": "uuid",
        "name": "text",
        "value": "json",
        "description": "text",
        "version": "bigint",
        "request_id": "uuid",
        "fingerprint": "text",
        "created_at": "time",
        "updated_at": "time",
    },
    durable=True,  # workers decide starts by it: what a change's answer promised has to stay
)
TABLES = (VARIABLES,)


def project(commit: Commit) -> list[Operation]:
    operations: list[Operation] = []
    for event, _, _ in commit.facts:
        match event:
            case VariableCreated():
                made = {
                    "request_id": event.request_id or None,
                    "fingerprint": text(event.fingerprint),
                    "created_at": event.at,
                }
                operations.append(Insert("variables", (commit.id, text(event.name)), _described(event) | made))
            case VariableChanged():
                operations.append(Update("variables", (commit.id, text(event.name)), _described(event)))
            case VariableDeleted():
                operations.append(Delete("variables", (commit.id, text(event.name))))
    return operations


def _described(event: VariableCreated | VariableChanged) -> Values:
    return {
        "value": payload(event.value, "value", {}),
        "description": text(event.description),
        "version": event.version,
        "updated_at": event.at,
    }
