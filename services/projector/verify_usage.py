"""What the rows of usage should be, from the JSON of the log alone (see verify_history)."""

from typing import Any

from services.projector.verify_values import Row

_COUNTS = ("queued", "started", "completed", "failed", "timed_out", "cancelled", "node_runs", "attempts", "deliveries")
COLUMNS = {"workspace_id": "uuid", "hour": "time", **dict.fromkeys(_COUNTS, "")}


def fold_usage(rows: dict[tuple[Any, ...], Row], commit: Row) -> None:
    """Count what `commit` says into the row of its workspace and hour."""
    events = commit.get("events", [])
    if commit.get("delivers"):
        names = ["deliveries" for event in events if event["type"] == "execution.queued"]
    else:
        names = [name for event in events if (name := _counted(event)) is not None]
    if not names:
        return
    key = (commit["workspace"], commit["time"] - commit["time"] % 3_600_000)
    row = rows.setdefault(key, dict.fromkeys(_COUNTS, 0))
    for name in names:
        row[name] += 1


def _counted(event: Row) -> str | None:
    kind = str(event["type"]).removeprefix("execution.")
    if kind in ("node_completed", "node_failed"):
        return None if event["data"].get("taken") else "node_runs"
    if kind == "node_attempted":
        return "attempts"
    return kind if kind in _COUNTS else None
