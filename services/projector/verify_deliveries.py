"""What the rows of deliveries should be, from the JSON of the log alone (see verify_history)."""

from typing import Any

from services.projector.verify_values import Row, digest, shown

COLUMNS: dict[str, tuple[int, dict[str, str]]] = {
    "webhook_deliveries": (1, {"id": "uuid", "workspace_id": "uuid", "workflow_id": "uuid", "workflow_version": "",
                               "node": "", "endpoint_id": "", "dedup_key": "", "status": "", "code": "", "reason": "",
                               "duplicate_of": "uuid", "repeats": "", "superseded_by": "uuid", "execution_id": "uuid",
                               "due_at": "time", "more": "", "excerpt": "", "payload": "json", "received_at": "time",
                               "fingerprint": "", "updated_at": "time", "stream_version": ""}),
}  # fmt: skip
_STATUS = {
    "inbox.accepted": "accepted",
    "inbox.held": "held",
    "inbox.duplicated": "duplicate",
    "inbox.refused": "refused",
}


def fold_delivery(rows: dict[tuple[Any, ...], Row], commit: Row, version: int, event: Row) -> bool:
    """False: the event follows nothing."""
    data, kind = event["data"], event["type"]
    if kind == "inbox.cleared":
        return True
    if kind in _STATUS:
        whole = data["delivery"]
        rows[whole["id"],] = {
            "workspace_id": commit["workspace"], "workflow_id": whole["workflow_id"],
            "workflow_version": whole["workflow_version"], "node": shown(whole["node"]),
            "endpoint_id": shown(whole["endpoint_id"]), "dedup_key": _dedup_key(data),
            "status": _STATUS[kind], "code": shown(data.get("code", "")), "reason": shown(data.get("reason", "")),
            "duplicate_of": data.get("first"), "repeats": data.get("same", False), "superseded_by": None,
            "execution_id": data.get("execution_id"), "due_at": data.get("due", data.get("retry_at")),
            "more": data.get("more", 0), "excerpt": shown(data.get("excerpt", "")),
            "payload": _items(kind, data, event.get("blobs", {})), "received_at": whole["received_at"],
            "fingerprint": shown(whole.get("fingerprint", "")),
            "updated_at": data["at"], "stream_version": version,
        }  # fmt: skip
        return True
    row = rows.get((data["delivery_id"],))
    if row is None or row["status"] != "held":
        return False
    row.update(due_at=None, updated_at=data["at"], stream_version=version)
    if kind == "inbox.begun":
        row.update(status="accepted", execution_id=data["execution_id"])
    elif kind == "inbox.superseded":
        row.update(status="superseded", superseded_by=data["by"])
    return True


def _dedup_key(data: Row) -> Any:
    dedup = data.get("gates", {}).get("dedup")
    return dedup["key"] if dedup else None


def _items(kind: str, data: Row, blobs: Row) -> bytes | None:
    if kind == "inbox.accepted" or data.get("same"):
        return None
    return digest({"$blob": blobs["items"]} if "items" in blobs else data.get("items", []))
