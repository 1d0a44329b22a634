"""What the rows of subscriptions and deliveries should be, from the JSON of the log alone (see verify_history)."""

from typing import Any

from services.projector.verify_values import Row, digest, shown

COLUMNS: dict[str, tuple[int, dict[str, str]]] = {
    "event_subscriptions": (1, {"id": "uuid", "workspace_id": "uuid", "name": "", "channel": "", "status": "",
                                "reason": "", "definition": "json", "failures": "", "failing_since": "time",
                                "disabled_at": "time", "last_delivery_at": "time", "last_delivery_status": "",
                                "created_at": "time", "updated_at": "time", "fingerprint": "", "stream_version": ""}),
    "event_deliveries": (1, {"id": "uuid", "subscription_id": "uuid", "workspace_id": "uuid", "event_type": "",
                             "notice": "json", "test": "", "status": "", "execution_id": "uuid", "code": "",
                             "message": "", "response_status": "", "created_at": "time", "queued_at": "time",
                             "started_at": "time", "ended_at": "time"}),
    "event_redeliveries": (2, {"id": "uuid", "delivery_id": "uuid", "workspace_id": "uuid", "fingerprint": "",
                               "at": "time"}),
}  # fmt: skip

Tables = dict[str, dict[tuple[Any, ...], Row]]


def fold_subscription(tables: Tables, commit: Row, key: str, version: int, event: Row) -> bool:
    """False: the event follows nothing."""
    data, kind = event["data"], event["type"].removeprefix("subscription.")
    rows = tables["event_subscriptions"]
    if kind == "created":
        rows[key,] = {
            "workspace_id": commit["workspace"], **_defined(data["definition"]), "status": "active", "reason": "",
            "failures": 0, "failing_since": None, "disabled_at": None, "last_delivery_at": None,
            "last_delivery_status": None, "created_at": data["at"], "updated_at": data["at"],
            "fingerprint": shown(data.get("fingerprint", "")), "stream_version": version,
        }  # fmt: skip
        return True
    row = rows.get((key,))
    if row is None:
        return False
    row["stream_version"] = version
    if kind.startswith("delivery_"):
        return _delivery(tables, row, commit, key, kind, data)
    row["updated_at"] = data["at"]
    if kind == "changed":
        row.update(_defined(data["definition"]))
    elif kind == "paused":
        row.update(status="paused", reason=shown(data.get("reason", "")))
    elif kind == "resumed":
        row.update(status="active", reason="", failures=0, failing_since=None, disabled_at=None)
    elif kind == "disabled":
        said = data.get("message") or data["reason"]
        row.update(status="disabled", reason=shown(said), disabled_at=data["at"])
        if data.get("ends_waiting"):
            _end_waiting(tables["event_deliveries"], key, kind, data["at"])
    elif kind == "deleted":
        row.update(status="deleted", reason="")
        _end_waiting(tables["event_deliveries"], key, kind, data["at"])
    return True


def _end_waiting(rows: dict[tuple[Any, ...], Row], key: str, became: str, at: int) -> None:
    for row in rows.values():
        if row["subscription_id"] == key and row["status"] in ("waiting", "put_aside"):
            message = f"the subscription was {became} before it was sent"
            row.update(status="failed", code=f"subscription_{became}", message=message, ended_at=at)


def _defined(definition: Row) -> Row:
    return {
        "name": shown(definition["name"]),
        "channel": definition["channel"]["type"],
        "definition": digest(definition),
    }


def _delivery(tables: Tables, owner: Row, commit: Row, key: str, kind: str, data: Row) -> bool:
    rows = tables["event_deliveries"]
    at, name = data["at"], (data["delivery_id"],)
    if kind == "delivery_queued":
        rows[name] = {
            "subscription_id": key, "workspace_id": commit["workspace"], "event_type": data["notice"]["type"],
            "notice": digest(data["notice"]), "test": data.get("test", False), "status": "waiting",
            "execution_id": None, "code": None, "message": None, "response_status": None, "created_at": at,
            "queued_at": at, "started_at": None, "ended_at": None,
        }  # fmt: skip
        return True
    row = rows.get(name)
    if row is None:
        return False
    if kind == "delivery_requeued":
        row.update(
            status="waiting", queued_at=at, execution_id=None, code=None, message=None, response_status=None,
            started_at=None, ended_at=None, notice=digest(data["notice"]),
        )  # fmt: skip
        tables["event_redeliveries"][data["redelivery_id"], *name] = {
            "workspace_id": commit["workspace"], "fingerprint": shown(data.get("fingerprint", "")), "at": at,
        }  # fmt: skip
    elif kind == "delivery_started":
        row.update(status="sending", execution_id=data["execution_id"], started_at=at)
    elif kind == "delivery_dropped":
        row.update(status="put_aside", code=data["code"])
    elif kind == "delivery_ended":
        row.update(
            status=data["status"], code=shown(data.get("code", "")) or None,
            message=shown(data.get("message", "")) or None, response_status=data.get("response_status") or None,
            ended_at=at,
        )  # fmt: skip
        owner.update(
            failures=data.get("failures", 0), failing_since=data.get("failing_since") or None, last_delivery_at=at,
            last_delivery_status=data["status"],
        )  # fmt: skip
    return True
