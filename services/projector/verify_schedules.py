"""What the rows of schedules should be, from the JSON of the log alone (see verify_history)."""

from typing import Any

from services.projector.verify_values import Row, digest, shown

TABLES = ("schedules", "schedule_firings", "schedule_backfills")
COLUMNS: dict[str, tuple[int, dict[str, str]]] = {
    "schedules": (1, {"id": "uuid", "workspace_id": "uuid", "workflow_id": "uuid", "node": "", "of_workflow": "",
                      "name": "", "status": "", "reason": "", "definition": "json", "next_run_at": "time",
                      "last_run_at": "time", "last_execution_id": "uuid", "run_count": "", "created_at": "time",
                      "updated_at": "time", "fingerprint": "", "stream_version": ""}),
    "schedule_firings": (1, {"id": "uuid", "schedule_id": "uuid", "workspace_id": "uuid", "due_at": "time",
                             "last_due_at": "time", "local_time": "", "last_local_time": "", "outcome": "",
                             "reason": "", "dst": "", "count": "", "more": "", "late_by": "", "jitter": "",
                             "execution_id": "uuid", "execution_status": "", "message": "", "backfill_id": "uuid",
                             "at": "time"}),
    "schedule_backfills": (1, {"id": "uuid", "schedule_id": "uuid", "workspace_id": "uuid", "since": "time",
                               "until": "time", "total": "", "fired": "", "per_minute": "", "status": "",
                               "started_at": "time", "ended_at": "time", "fingerprint": ""}),
}  # fmt: skip
_ENDS = {"schedule.paused": "paused", "schedule.ended": "ended", "schedule.deleted": "deleted"}
_LATE = 5_000


class ScheduleHistory:
    """Folds the events of `schedule-…` streams into `tables`."""

    def __init__(self, tables: dict[str, dict[tuple[Any, ...], Row]]) -> None:
        self._rows = tables["schedules"]
        self._firings = tables["schedule_firings"]
        self._backfills = tables["schedule_backfills"]

    def fold(self, commit: Row, key: str, version: int, event: Row) -> bool:
        """False: the event follows nothing."""
        kind, data = event["type"], event["data"]
        if kind == "schedule.created":
            self._rows[key,] = {
                "workspace_id": commit["workspace"], **self._defined(data["definition"]), "status": "active",
                "reason": "", "next_run_at": None, "last_run_at": None, "last_execution_id": None, "run_count": 0,
                "created_at": data["at"], "updated_at": data["at"],
                "fingerprint": shown(data.get("fingerprint", "")),
            }  # fmt: skip
        row = self._rows.get((key,))
        if row is None:
            return False
        row["stream_version"] = version
        self._own(row, kind, data)
        self._beside(commit["workspace"], key, kind, data)
        return True

    def _defined(self, definition: Row) -> Row:
        return {
            "workflow_id": definition["workflow_id"], "node": shown(definition.get("node", "")),
            "of_workflow": definition.get("of_workflow", False), "name": shown(definition["name"]),
            "definition": digest(definition),
        }  # fmt: skip

    def _own(self, row: Row, kind: str, data: Row) -> None:
        if kind in _ENDS:
            reason = shown(data.get("reason", "")) if kind != "schedule.deleted" else ""
            row.update(status=_ENDS[kind], reason=reason, next_run_at=None, updated_at=data["at"])
        elif kind == "schedule.resumed":
            row.update(status="active", reason="", updated_at=data["at"])
        elif kind == "schedule.changed":
            row.update(self._defined(data["definition"]), updated_at=data["at"])
            if data.get("again"):
                row.update(status="active", reason="")
        elif kind == "schedule.armed":
            row["next_run_at"] = data.get("due")
        elif kind == "schedule.fired":
            row.update(last_run_at=data["at"], last_execution_id=data["execution_id"])
            if not data.get("backfill"):
                row["run_count"] = data["number"]

    def _beside(self, workspace: str, key: str, kind: str, data: Row) -> None:
        if kind in ("schedule.fired", "schedule.firing_deferred", "schedule.firings_skipped",
                    "schedule.firing_suppressed"):  # fmt: skip
            self._firings[data["firing_id"],] = _firing(workspace, key, kind, data)
        if kind == "schedule.fired" and data.get("backfill"):
            self._backfills[data["backfill"],]["fired"] = data["number"]
        elif kind == "schedule.execution_noted":
            firing = self._firings.get((data["firing_id"],))
            if firing is not None:
                message = shown(data.get("message", ""))
                firing.update(execution_status=shown(data["status"]), message=message)
        elif kind == "schedule.backfill_started":
            self._backfills[data["backfill_id"],] = {
                "schedule_id": key, "workspace_id": workspace, "since": data["since"], "until": data["until"],
                "total": data["total"], "fired": 0, "per_minute": data["per_minute"], "status": "running",
                "started_at": data["at"], "ended_at": None, "fingerprint": shown(data.get("fingerprint", "")),
            }  # fmt: skip
        elif kind == "schedule.backfill_ended":
            self._backfills[data["backfill_id"],].update(status=data["status"], ended_at=data["at"])


def _firing(workspace: str, key: str, kind: str, data: Row) -> Row:
    due = data.get("due", data.get("first_due"))
    local = data.get("local", data.get("first_local"))
    row = {
        "schedule_id": key, "workspace_id": workspace, "due_at": due, "last_due_at": data.get("last_due", due),
        "local_time": local, "last_local_time": data.get("last_local", local), "reason": data.get("reason", ""),
        "dst": data.get("rule", ""), "count": data.get("count", 1), "more": data.get("more", False),
        "late_by": data.get("late_by", 0), "jitter": data.get("jitter", 0),
        "execution_id": data.get("execution_id") or None, "execution_status": "", "message": "",
        "backfill_id": data.get("backfill") or None, "at": data["at"],
    }  # fmt: skip
    match kind:
        case "schedule.fired":
            row["outcome"] = "late" if data["late_by"] > _LATE else "fired"
        case "schedule.firing_deferred":
            row.update(outcome="waiting", reason="overlap")
        case "schedule.firings_skipped":
            row["outcome"] = "skipped"
        case _:
            row.update(outcome="suppressed", reason="dst")
    return row
