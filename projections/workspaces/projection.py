"""Workspaces and their API keys."""

from projections.facts import ApiKeyAdded, ApiKeyRevoked, Commit, RetentionSet, ShareSet, WorkspaceCreated, text
from projections.operations import Insert, Operation, Table, Update, UpdateWhere

VERSION = 3

WORKSPACES = Table(
    name="workspaces",
    key=("id",),
    columns={
        "id": "uuid",
        "name": "text",
        "created_at": "time",
        "weight": "float",
        "concurrent": "integer",
        "retention_days": "integer",
        "payload_retention_days": "integer",
    },
)
API_KEYS = Table(
    name="api_keys",
    key=("key_hash",),
    columns={
        "key_hash": "text",
        "key_id": "uuid",
        "workspace_id": "uuid",
        "prefix": "text",
        "name": "text",
        "created_at": "time",
        "revoked_at": "time",
    },
)
TABLES = (WORKSPACES, API_KEYS)


def project(commit: Commit) -> list[Operation]:
    operations: list[Operation] = []
    for event, _, _ in commit.facts:
        match event:
            case WorkspaceCreated():
                workspace = {"name": text(event.name), "created_at": event.at, "weight": 1.0}
                operations.append(Insert("workspaces", (commit.id,), workspace))
            case ShareSet():
                share = {"weight": event.weight, "concurrent": event.concurrent}
                operations.append(Update("workspaces", (commit.id,), share))
            case RetentionSet():
                kept = {"retention_days": event.days, "payload_retention_days": event.payload_days}
                operations.append(Update("workspaces", (commit.id,), kept))
            case ApiKeyAdded():
                values = {
                    "key_id": event.key_id,
                    "workspace_id": commit.id,
                    "prefix": text(event.prefix),
                    "name": text(event.name),
                    "created_at": event.at,
                }
                operations.append(Insert("api_keys", (text(event.key_hash),), values))
            case ApiKeyRevoked():
                where = {"workspace_id": commit.id, "key_id": event.key_id}
                operations.append(UpdateWhere("api_keys", where, {"revoked_at": event.at}))
    return operations
