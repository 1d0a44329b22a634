"""What the rows of blob uses should be, from the JSON of the log alone (see verify_history)."""

from typing import Any

from services.projector.verify_values import Row

COLUMNS = {"execution_id": "uuid", "blob_id": "", "queued_at": "time", "workspace_id": "uuid"}


def fold_blob_uses(rows: dict[tuple[Any, ...], Row], commit: Row) -> None:
    """Note what `commit` names, in its events and in the commands that it sends."""
    if not commit.get("events"):
        return
    key = commit["stream"].partition("-")[2]
    for part in (*commit["events"], *commit.get("commands", ())):
        for blob in part.get("blobs", {}).values():
            rows[key, blob] = {"queued_at": commit.get("queued_at"), "workspace_id": commit["workspace"]}
