"""The read models against a small fold of the accepted commits, after every transaction of a projector."""

import json
from typing import Any

from projections.memory import MemoryTables
from tests.simulation.checkers.ledger import Accepted, Report
from tests.simulation.checkers.sequence import ENDS

_PHASES = {
    "execution.node_attempted": "running",
    "execution.node_waiting": "waiting",
    "execution.retry_scheduled": "waiting",
    "execution.node_completed": "completed",
    "execution.node_failed": "failed",
    "execution.node_outcome_unknown": "outcome_unknown",
    "execution.node_cancelled": "cancelled",
}
_STATUSES = {
    "execution.queued": "queued",
    "execution.started": "running",
    "execution.parked": "waiting",
    "execution.resumed": "running",
    **ENDS,
}


class ReadingChecker:
    """Keeps the rows that there ought to be."""

    def __init__(self, tables: MemoryTables, report: Report) -> None:
        self.accepted: dict[tuple[str, int], list[Accepted]] = {}
        self._tables = tables
        self._report = report
        self._taken: dict[tuple[str, int], int] = {}
        self._executions: dict[str, dict[str, Any]] = {}
        self._nodes: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
        self._keys: dict[str, set[str]] = {}

    def projected(self, topic: str, partition: int, next_offset: int) -> None:
        """A projector has committed all records below `next_offset`."""
        key = topic, partition
        commits = self.accepted.get(key, [])
        place = self._taken.get(key, 0)
        touched: dict[str, None] = {}
        while place < len(commits) and commits[place].offset < next_offset:
            commit = commits[place].commit
            place += 1
            if commit["stream"].startswith("execution-") and commit.get("events"):
                execution = commit["stream"].removeprefix("execution-")
                self._fold(execution, commit)
                touched[execution] = None
            elif commit["stream"].startswith("workspace-"):
                self._fold_workspace(commit)
        self._taken[key] = place
        for execution in touched:
            self._compare(execution)

    def check_everything_read(self) -> None:
        """At the end: nothing that was accepted is missing."""
        for key, commits in self.accepted.items():
            if self._taken.get(key, 0) != len(commits):
                self._report("reading", f"{key}: {self._taken.get(key, 0)} of {len(commits)} commits were projected")
        for workspace, keys in self._keys.items():
            rows = {row["key_id"] for row in self._tables.all_rows("api_keys") if row["workspace_id"] == workspace}
            if rows != keys:
                self._report("reading", f"api keys {sorted(rows)} instead of {sorted(keys)}")

    def _fold(self, execution: str, commit: dict[str, Any]) -> None:
        row = self._executions.setdefault(execution, {"queued_at": commit["queued_at"]})
        row["stream_version"] = commit["version"] + len(commit["events"]) - 1
        for event in commit["events"]:
            kind, data = event["type"], event["data"]
            row["status"] = _STATUSES.get(kind, row.get("status"))
            if kind == "execution.queued":
                row["fingerprint"] = data.get("fingerprint", "")
            elif kind == "execution.started":
                row["started_at"] = _dated(commit["time"], data["started_at"])
            elif kind in ENDS:
                row["completed_at"] = _dated(commit["time"], data["at"])
                row["error"] = data.get("error")
                if "output" not in event.get("blobs", {}):
                    row["output"] = data.get("output")
            elif kind in _PHASES:
                self._fold_node(execution, event)

    def _fold_node(self, execution: str, event: dict[str, Any]) -> None:
        kind, data = event["type"], event["data"]
        node = self._nodes.setdefault(execution, {}).setdefault((data["node"], data["run"]), {"attempts": 0})
        node["status"] = _PHASES[kind]
        if kind == "execution.node_failed" and data["error"]["code"] == "outcome_unknown":
            node["status"] = "outcome_unknown"
        node["attempts"] = data.get("attempt") or data.get("attempts") or node["attempts"]
        if kind == "execution.node_completed" and not event.get("blobs"):
            node["output"] = data["outputs"]

    def _fold_workspace(self, commit: dict[str, Any]) -> None:
        for event in commit.get("events", []):
            if event["type"] == "workspace.api_key_added":
                self._keys.setdefault(commit["workspace"], set()).add(event["data"]["key_id"])

    def _compare(self, execution: str) -> None:
        expected = dict(self._executions[execution])
        queued_at = expected.pop("queued_at")
        row = self._tables.rows["executions"].get((queued_at, execution))
        if row is None:
            self._report("reading", f"execution {execution} has no row")
            return
        for name, value in expected.items():
            found = row[name]
            if name in {"output", "error"} and found is not None:
                found = json.loads(found)
            if found != value:
                self._report("reading", f"execution {execution}: {name} is {found!r} instead of {value!r}")
        for (node, run), columns in self._nodes.get(execution, {}).items():
            row = self._tables.rows["node_executions"].get((queued_at, execution, node, run))
            for name, value in columns.items():
                found = row[name] if row is not None else None
                if name == "output" and found is not None:
                    found = json.loads(found)
                if found != value:
                    self._report("reading", f"{node} run {run} of {execution}: {name} is {found!r}, not {value!r}")


def _dated(by_worker: int, by_log: int) -> int:
    """docs/retention.md: a worker's clock that is more than an hour off the log's time is not believed."""
    return by_worker if abs(by_worker - by_log) <= 3_600_000 else by_log
