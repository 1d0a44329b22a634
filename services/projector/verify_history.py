"""The log read a second time, from its JSON alone: checks the history and says what the rows should be.

This module knows the wire format and the rules by itself: it shares no code with the projections, the registry or the
fence, so that a mistake there cannot hide itself here.
"""

import json
from typing import Any

from services.projector import verify_schedules, verify_subscriptions
from services.projector.verify_credentials import fold_credential
from services.projector.verify_dead_letters import fold_letter
from services.projector.verify_deliveries import fold_delivery
from services.projector.verify_subscriptions import fold_subscription
from services.projector.verify_values import Report, Row, digest, shown
from services.projector.verify_variables import fold_variable

__all__ = ["AggregateHistory", "ExecutionHistory", "PartitionHistory", "Report", "Row", "digest", "shown"]

_ENDS = {
    "execution.completed": "completed",
    "execution.failed": "failed",
    "execution.cancelled": "cancelled",
    "execution.timed_out": "timeout",
}

_MAY_FOLLOW: dict[str, frozenset[str | None]] = {
    "execution.queued": frozenset({None}),
    "execution.slots_asked": frozenset({"queued"}),
    "execution.slot_granted": frozenset({"queued"}),
    "execution.started": frozenset({"queued"}),
    "execution.parked": frozenset({"running"}),
    "execution.resumed": frozenset({"waiting"}),
    "execution.recovered": frozenset({"running", "waiting"}),
    "execution.completed": frozenset({"running", "waiting"}),
    "execution.failed": frozenset({"queued", "running", "waiting"}),
    "execution.cancelled": frozenset({"queued", "running", "waiting"}),
    "execution.timed_out": frozenset({"queued", "running", "waiting"}),
}
"""Event → statuses of the execution that it may follow."""

_WHILE_OPEN: frozenset[str | None] = frozenset({"queued", "running", "waiting"})
_AT_ANY_TIME = _WHILE_OPEN | set(_ENDS.values())
_AFTER_THE_END = frozenset({"execution.attempt_concluded", "execution.node_outcome_unknown"})
_NODE_EVENTS: dict[str, str | None] = {
    "execution.node_attempted": "running",
    "execution.node_waiting": "waiting",
    "execution.children_started": "running",
    "execution.retry_scheduled": "waiting",
    "execution.node_completed": "completed",
    "execution.node_failed": "failed",
    "execution.node_outcome_unknown": "outcome_unknown",
    "execution.node_cancelled": "cancelled",
    "execution.verdict_given": None,
}
_FINAL_NODE = frozenset({"completed", "failed", "cancelled"})


class PartitionHistory:
    """One partition of a commit topic, record by record."""

    def __init__(self, name: str, report: Report, cut: Row | None = None) -> None:
        """`cut`: where retention says that the history begins (a row of log_cuts)."""
        self.name = name
        self._report = report
        self._cut = cut is not None
        begin = cut or {"next_offset": 0, "epoch_nonce": None, "next_n": 0, "answered": 0}
        self.next_offset: int = begin["next_offset"]
        known = begin["epoch_nonce"] is not None
        self.epoch: str | None = f"{begin['epoch_offset']}:{begin['epoch_nonce']}" if known else None
        self.next_n: int = begin["next_n"]
        self.answered: int = begin["answered"]
        self.headless: set[str] = set()
        self.commits = self.void = self.events = 0
        self.versions: dict[str, int] = {}

    def read(self, offset: int, headers: tuple[tuple[str, bytes], ...], value: bytes) -> Row | None:
        """The commit as JSON if it counts, else None."""
        if offset != self.next_offset:
            self._report("gap", self.name, f"offset {self.next_offset} is missing, {offset} follows")
        self.next_offset = offset + 1
        marks = dict(headers)
        kind = marks.get("k")
        if kind == b"o" and "o" in marks and marks["o"].isascii():
            self.epoch, self.next_n = f"{offset}:{marks['o'].decode()}", 0
            return None
        if kind != b"m":
            return None
        if marks.get("e", b"").decode(errors="replace") != self.epoch or marks.get("n") != b"%d" % self.next_n:
            self.void += 1
            return None
        self.next_n += 1
        self.commits += 1
        return self._commit(offset, value)

    def _commit(self, offset: int, value: bytes) -> Row | None:
        where = f"{self.name}@{offset}"
        try:
            commit: Row = json.loads(value)
            stream, version, events = commit["stream"], commit["version"], commit.get("events", [])
            epoch, n = "{}:{}".format(*commit["epoch"]), commit["n"]
        except (ValueError, KeyError, TypeError) as error:
            self._report("undecodable", where, str(error))
            return None
        if epoch != self.epoch or n != self.next_n - 1:
            self._report("epoch", where, f"headers say {self.epoch}/{self.next_n - 1}, the record {epoch}/{n}")
        if self._cut and stream not in self.versions and version > 1:
            # It began before the cut: that is only allowed where nothing of it is kept.
            self.headless.add(stream)
            self.versions[stream] = version - 1 if events else version
        if stream in self.headless:
            commit["headless"] = True
        before = self.versions.get(stream, 0)
        # An answer about a closed stream comes from an owner that has forgotten its version: 0.
        if version != (before + 1 if events else before) and (events or version != 0):
            self._report("version", f"{where} {stream}", f"version {version} follows {before}")
        if events:
            self.versions[stream] = version + len(events) - 1
        self.events += len(events)
        answers = commit.get("answers")
        if answers is not None:
            if answers[1] < self.answered:
                self._report("answered_twice", where, f"input {answers[1]} has its answer already")
            self.answered = max(self.answered, answers[1] + 1)
        return commit


class ExecutionHistory:
    """Executions of one partition: what their rows should be, and whether their events can follow each other."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.executions: dict[str, Row] = {}
        self.nodes: dict[tuple[str, str, int], Row] = {}
        self.ended: dict[str, int] = {}

    def fold(self, commit: Row) -> None:
        stream: str = commit["stream"]
        kind, _, key = stream.partition("-")
        if commit.get("headless"):
            return
        if kind != "execution" and (commit.get("events") or not stream.startswith("undecodable-")):
            self._report("stream", stream, "does not belong into this topic")
            return
        for place, event in enumerate(commit.get("events", [])):
            self._event(commit, key, commit["version"] + place, event)
        if key in self.executions and commit.get("events"):
            row = self.executions[key]
            row["stream_version"] = commit["version"] + len(commit["events"]) - 1
            if row["queued_at"] != commit.get("queued_at"):
                self._report("queued_at", stream, f"{commit.get('queued_at')} instead of {row['queued_at']}")

    def _event(self, commit: Row, key: str, version: int, event: Row) -> None:
        kind, data, blobs = event["type"], event["data"], event.get("blobs", {})
        row = self.executions.get(key)
        status = row["status"] if row is not None else None
        allowed = _MAY_FOLLOW.get(kind)
        where = f"{commit['stream']} version {version}"
        if allowed is None:
            allowed = _AT_ANY_TIME if kind in _AFTER_THE_END else _WHILE_OPEN
        if status not in allowed:
            self._report("transition", where, f"{kind} follows {status or 'nothing'}")
        if kind == "execution.queued":
            self.executions[key] = _queued(commit, data, blobs)
        elif kind in _NODE_EVENTS:
            self._node(commit, key, version, event)
        elif row is not None:
            self._change(row, key, kind, data, blobs, commit["time"])

    def _change(self, row: Row, key: str, kind: str, data: Row, blobs: Row, time: int) -> None:
        if kind == "execution.started":
            row.update(status="running", started_at=_moment(time, data["started_at"]))
        elif kind == "execution.parked":
            row["status"] = "waiting"
        elif kind == "execution.resumed":
            row["status"] = "running"
        elif kind == "execution.response_given":
            body = {"body_blob": blobs["body"]} if "body" in blobs else {"body": data.get("body")}
            row["response"] = digest({"status": data["status"], "headers": data["headers"], **body})
        elif kind == "execution.recovered":
            row["recoveries"] = data["count"]
        elif kind in _ENDS:
            self.ended[key] = self.ended.get(key, 0) + 1
            row.update(status=_ENDS[kind], completed_at=_moment(time, data["at"]))
            if kind == "execution.completed":
                row["output"] = _payload(data, "output", blobs)
            if "error" in data:
                row["error"] = digest(data["error"])

    def _node(self, commit: Row, key: str, version: int, event: Row) -> None:
        kind, data, blobs = event["type"], event["data"], event.get("blobs", {})
        at = commit["time"]
        name = (key, shown(data["node"]), data["run"])
        row = self.nodes.get(name)
        if row is None:
            begun = None if kind == "execution.node_cancelled" else at
            row = self.nodes[name] = {
                "seq": version, "status": "", "attempts": 0, "sources": None, "output": None, "error": None,
                "asked": None, "awaits": None, "taken": False, "ended_seq": None, "logs": None,
                "started_at": begun, "completed_at": None,
            }  # fmt: skip
        elif row["status"] in _FINAL_NODE and kind != "execution.node_outcome_unknown":
            where = f"{commit['stream']} version {version}"
            self._report("transition", where, f"{kind} of {data['node']}/{data['run']} follows {row['status']}")
        becomes = _NODE_EVENTS[kind]
        if becomes is None:
            row["asked"] = digest(data["left"]) if data.get("left") else None
            return
        row["status"] = becomes
        if kind in ("execution.node_completed", "execution.node_cancelled"):
            row["asked"] = None
        elif data.get("waiting_for"):
            row["asked"] = digest(data["waiting_for"])
        if kind == "execution.node_waiting":
            asked = {"kind": "time", "title": "", "message": "", **(data.get("call") or {})}
            row["awaits"] = digest({"due": data["due"], **asked})
        elif kind == "execution.retry_scheduled":
            row["awaits"] = digest({"due": data["due"], "kind": "retry", "title": "", "message": ""})
        elif kind == "execution.node_attempted":
            row["awaits"] = None
        ends = kind in ("execution.node_completed", "execution.node_failed", "execution.node_cancelled")
        row["completed_at"] = at if ends else None
        if ends:
            row["awaits"] = None
        attempts = data.get("attempt", data.get("attempts", 0))
        if attempts:
            row["attempts"] = attempts
        if data.get("sources"):
            row["sources"] = digest(data["sources"])
        if data.get("logs"):
            row["logs"] = digest(data["logs"])
        if kind == "execution.node_completed":
            row["output"] = _payload(data, "outputs", blobs)
            row["ended_seq"] = version
            row["taken"] = data.get("taken", False)
        if kind == "execution.node_failed":
            row["asked"] = None
            row["error"] = digest({"node_id": None, **data["error"]})
            if data["error"]["code"] == "outcome_unknown":
                row["status"] = "outcome_unknown"


class AggregateHistory:
    """Workspaces, workflows, credentials: what their rows should be, table → key → row."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.tables: dict[str, dict[tuple[Any, ...], Row]] = {
            name: {}
            for name in (
                "workspaces", "api_keys", "workflows", "workflow_versions", "webhooks", *verify_schedules.TABLES,
                *verify_subscriptions.COLUMNS,
            )
        }  # fmt: skip
        self._credentials: dict[tuple[Any, ...], Row] = {}
        self.tables["credentials"] = self._credentials
        self.tables["dead_letters"] = {}
        self.tables["webhook_deliveries"] = {}
        self.tables["variables"] = {}
        self._schedules = verify_schedules.ScheduleHistory(self.tables)

    def fold(self, commit: Row) -> None:
        kind, _, key = commit["stream"].partition("-")
        for place, event in enumerate(commit.get("events", [])):
            if kind == "workspace":
                self._workspace(key, event)
            elif kind == "workflow":
                self._workflow(commit, key, commit["version"] + place, event)
            elif kind == "credential":
                fold_credential(self._credentials, commit, key, commit["version"] + place, event, self._report)
            elif not self._other(commit, kind, key, commit["version"] + place, event):
                where = f"{commit['stream']} version {commit['version'] + place}"
                self._report("transition", where, f"{event['type']} follows nothing")

    def _other(self, commit: Row, kind: str, key: str, version: int, event: Row) -> bool:
        """False: the event follows nothing."""
        match kind:
            case "inbox":
                return fold_delivery(self.tables["webhook_deliveries"], commit, version, event)
            case "letter":
                return fold_letter(self.tables["dead_letters"], commit, key, version, event)
            case "subscription":
                return fold_subscription(self.tables, commit, key, version, event)
            case "variables":
                return fold_variable(self.tables["variables"], key, event)
            case "schedule":
                return self._schedules.fold(commit, key, version, event)
        return True

    def _workspace(self, key: str, event: Row) -> None:
        data = event["data"]
        match event["type"]:
            case "workspace.created":
                self.tables["workspaces"][key,] = {
                    "name": shown(data["name"]), "created_at": data["at"], "weight": 1.0, "concurrent": None,
                    "retention_days": None, "payload_retention_days": None,
                }  # fmt: skip
            case "workspace.share_set":
                share = {"weight": float(data.get("weight", 1.0)), "concurrent": data.get("concurrent")}
                self.tables["workspaces"][key,] |= share
            case "workspace.retention_set":
                kept = {"retention_days": data.get("days"), "payload_retention_days": data.get("payload_days")}
                self.tables["workspaces"][key,] |= kept
            case "workspace.api_key_added":
                self.tables["api_keys"][shown(data["key_hash"]),] = {
                    "key_id": data["key_id"], "workspace_id": key, "prefix": shown(data["prefix"]),
                    "name": shown(data["name"]), "created_at": data["at"], "revoked_at": None,
                }  # fmt: skip
            case "workspace.api_key_revoked":
                for row in self.tables["api_keys"].values():
                    if row["key_id"] == data["key_id"] and row["workspace_id"] == key:
                        row["revoked_at"] = data["at"]

    def _workflow(self, commit: Row, key: str, version: int, event: Row) -> None:
        data, kind = event["data"], event["type"]
        workflows = self.tables["workflows"]
        if kind == "workflow.created":
            workflows[key,] = {
                "workspace_id": commit["workspace"], "name": shown(data["name"]), "status": "draft", "version": 1,
                "active_version": None, "created_at": data["at"], "updated_at": data["at"],
                "fingerprint": shown(data.get("fingerprint", "")), "stream_version": version,
            }  # fmt: skip
            self._version(commit, key, 1, event)
            return
        row = workflows.get((key,))
        if row is None:
            self._report("transition", f"{commit['stream']} version {version}", f"{kind} follows nothing")
            return
        row.update(updated_at=data["at"], stream_version=version)
        if kind == "workflow.version_added":
            row.update(version=data["version"], name=shown(data["name"]))
            self._version(commit, key, data["version"], event)
            return
        for hook in self.tables["webhooks"].values():
            if hook["workflow_id"] == key:
                hook["active"] = False
        if kind == "workflow.activated":
            row.update(status="active", active_version=data["version"])
            self._bind(commit, key, data)
        else:
            row.update(status=kind.removeprefix("workflow.").replace("deactivated", "inactive"), active_version=None)

    def _version(self, commit: Row, key: str, version: int, event: Row) -> None:
        data = event["data"]
        self.tables["workflow_versions"][key, version] = {
            "workspace_id": commit["workspace"], "name": shown(data["name"]), "created_at": data["at"],
            "document": _payload(data, "document", event.get("blobs", {})),
        }  # fmt: skip

    def _bind(self, commit: Row, key: str, data: Row) -> None:
        for hook in data["webhooks"]:
            self.tables["webhooks"][shown(hook["endpoint_id"]),] = {
                "workspace_id": commit["workspace"], "workflow_id": key, "workflow_version": data["version"],
                "node": shown(hook["node"]), "method": shown(hook["method"]), "respond": shown(hook["respond"]),
                "active": True,
            }  # fmt: skip


def _moment(wall: int, told: int) -> int:
    """A worker's clock that is over an hour off does not count."""
    return told if not -3_600_000 <= wall - told <= 3_600_000 else wall


def _queued(commit: Row, data: Row, blobs: Row) -> Row:
    return {
        "queued_at": commit.get("queued_at"), "workspace_id": commit["workspace"], "workflow_id": data["workflow_id"],
        "workflow_version": data["workflow_version"], "status": "queued",
        "trigger_type": shown(data["trigger_type"]), "trigger_node": shown(data["trigger_node"]),
        "priority": shown(data.get("priority", "normal")), "fingerprint": shown(data.get("fingerprint", "")),
        "retry_of": data.get("retry_of"), "retry_count": data.get("retry_count", 0), "recoveries": 0,
        "parent_id": _parent(data.get("origin")), "delivery_id": _delivery(commit, data),
        "variables": _payload(data, "variables", blobs) if data.get("variables") or "variables" in blobs else None,
        "input": _payload(data, "items", blobs), "output": None, "error": None,
        "response": None, "started_at": None, "completed_at": None, "stream_version": commit["version"],
    }  # fmt: skip


def _parent(origin: Row | None) -> str | None:
    """A parent stands in the log as the stream that is told of the end."""
    return origin["stream"].partition("-")[2] if origin is not None and origin["kind"] == "parent" else None


def _delivery(commit: Row, data: Row) -> str | None:
    origin: Row | None = data.get("origin")
    if origin is not None:
        return origin["ref"] if origin["stream"].startswith("inbox-") else None
    direct = data["trigger_type"] == "webhook" and commit.get("actor", "").startswith("webhook:")
    return commit["stream"].partition("-")[2] if direct else None


def _payload(data: Row, field: str, blobs: Row) -> bytes:
    """A large field stands outside; where it was not left out, an empty one may have been."""
    if field in blobs:
        return digest({"$blob": blobs[field]})
    return digest(data[field])
