"""C10–C13: the read side against a fold of the log that shares no code with it."""

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from datetime import datetime
from itertools import accumulate
from typing import Any

from tests.torture.evidence import Evidence, Row, Verdict, verdict
from tests.torture.facts import TERMINAL, Event, start_of
from tests.torture.listener import EXPIRED

STATUS = {
    "execution.completed": "completed",
    "execution.failed": "failed",
    "execution.cancelled": "cancelled",
    "execution.timed_out": "timeout",
}


def fold_execution(events: list[Event]) -> Row:
    """The row of an execution, as the documents describe it."""
    row: Row = {"status": "", "output": None, "error": None, "started_at": None, "completed_at": None}
    for event in events:
        match event.type:
            case "execution.queued":
                row |= {
                    "status": "queued",
                    "workspace_id": event.commit.value["workspace"],
                    "workflow_id": event.data["workflow_id"],
                    "workflow_version": event.data["workflow_version"],
                    "trigger_type": event.data["trigger_type"],
                    "fingerprint": event.data.get("fingerprint", ""),
                    "input": event.data["items"],
                    "queued_at": event.commit.value["queued_at"],
                }
            case "execution.started":
                row |= {"status": "running", "started_at": _dated(event, "started_at")}
            case "execution.parked":
                row["status"] = "waiting"
            case "execution.resumed":
                row["status"] = "running"
            case kind if kind in TERMINAL:
                row |= {"status": STATUS[kind], "completed_at": _dated(event, "at")}
                row["output"] = event.data.get("output")
                row["error"] = event.data.get("error")
    row["stream_version"] = events[-1].version
    return row


def _dated(event: Event, field: str) -> int:
    """A worker's clock counts unless it is more than an hour off the log's time (docs/retention.md)."""
    clock: int = event.commit.value["time"]
    log_time: int = event.data[field]
    return log_time if abs(clock - log_time) > 3_600_000 else clock


def fold_runs(events: list[Event]) -> dict[tuple[str, int], Row]:
    """(node, run) → status, attempts, output, error."""
    runs: dict[tuple[str, int], Row] = {}
    for event in events:
        data = event.data
        if "node" not in data or event.type in {"execution.response_given", "execution.attempt_concluded"}:
            continue
        row = runs.setdefault((data["node"], data.get("run", 0)), {"attempts": 0, "output": None, "error": None})
        match event.type:
            case "execution.node_attempted":
                row |= {"status": "running", "attempts": data["attempt"]}
            case "execution.retry_scheduled" | "execution.node_waiting":
                row["status"] = "waiting"
            case "execution.node_outcome_unknown":
                row |= {"status": "outcome_unknown", "attempts": data["attempt"]}
            case "execution.node_completed":
                row |= {"status": "completed", "output": data["outputs"], "attempts": data.get("attempts", 0)}
            case "execution.node_failed":
                unknown = data["error"]["code"] == "outcome_unknown"
                row |= {"status": "outcome_unknown" if unknown else "failed", "error": data["error"]}
                row["attempts"] = data.get("attempts") or row["attempts"]
            case "execution.node_cancelled":
                row["status"] = "cancelled"
    return runs


def read_model_is_fold(evidence: Evidence) -> Verdict:
    """Every row equals the fold, there is none more and none less, and the lists show each once; and the product's own
    `linkflow verify` finds nothing."""
    wrong: list[str] = [evidence.verified] if evidence.verified else []
    streams = evidence.facts.executions()
    rows = {str(row["id"]): row for row in evidence.executions}
    wrong += [f"{each} is in the log and has no row" for each in streams if each not in rows]
    wrong += [f"{each} has a row and is not in the log" for each in rows if each not in streams]
    runs: dict[str, dict[tuple[str, int], Row]] = defaultdict(dict)
    for run in evidence.runs:
        runs[str(run["execution_id"])][run["node_id"], run["run"]] = run
    for execution, events in streams.items():
        if execution in rows:
            wrong += [f"{execution}: {each}" for each in _differences(fold_execution(events), rows[execution])]
        folded = fold_runs(events)
        if folded.keys() != runs[execution].keys():
            wrong.append(f"{execution}: runs {sorted(folded.keys() ^ runs[execution].keys())[:3]}")
        for place in folded.keys() & runs[execution].keys():
            wrong += [f"{execution} {place}: {each}" for each in _differences(folded[place], runs[execution][place])]
    listed = [each for ids in evidence.lists.values() for each in ids]
    if sorted(listed) != sorted(streams):
        wrong.append(f"the lists show {len(listed)} executions ({len(set(listed))} different), not {len(streams)}")
    return verdict("C10 read_model_is_fold", len(rows) + len(evidence.runs), wrong)


def _differences(folded: Row, row: Row) -> list[str]:
    wrong = []
    for name, value in folded.items():
        there: Any = row[name]
        if isinstance(there, str) and name in {"output", "error", "input"}:
            there = json.loads(there)
        elif isinstance(there, datetime):
            there = round(there.timestamp() * 1000)
        elif name.endswith("_id"):
            there = str(there)
        if there != value:
            wrong.append(f"{name} is {str(there)[:60]!r}, the log says {str(value)[:60]!r}")
    return wrong


def rebuild_is_live(evidence: Evidence) -> Verdict:
    """Two rebuilds from the first record give the same rows as the live tables, and the world saw no call meanwhile."""
    wrong: list[str] = []
    live, *rebuilt = evidence.dumps or [{}]
    for number, dump in enumerate(rebuilt, start=1):
        wrong += [f"rebuild {number}: {name} differs" for name in live if dump.get(name) != live[name]]
    if evidence.sink_during_rebuild:
        wrong.append(f"{evidence.sink_during_rebuild} calls while it was rebuilt")
    return verdict("C11 rebuild_is_live", len(rebuilt) * len(live), wrong)


class _Sums:
    """How many executions and events the commits of a partition brought, up to any offset."""

    def __init__(self, changes: list[tuple[int, int]]) -> None:
        changes.sort()
        self._offsets = [offset for offset, _ in changes]
        self._new = [0, *accumulate(new for _, new in changes)]

    def below(self, offset: int) -> tuple[int, int]:
        place = bisect_left(self._offsets, offset)
        return self._new[place], place


def _changes_by_offset(evidence: Evidence) -> dict[int, _Sums]:
    changes: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for execution in evidence.facts.executions().values():
        for event in execution:
            changes[event.commit.partition].append((event.commit.offset, int(event.version == 1)))
    return {partition: _Sums(found) for partition, found in changes.items()}


def checkpoint_atomic(evidence: Evidence) -> Verdict:
    """At every sampled moment the rows were the fold of what is below the stored offsets; no offset went back."""
    wrong: list[str] = []
    changes = _changes_by_offset(evidence)
    before: dict[str, int] = {}
    for each in evidence.samples:
        positions: dict[str, int] = each["positions"]
        wrong += [
            f"{name} went back from {before[name]} to {offset}"
            for name, offset in positions.items()
            if offset < before.get(name, 0)
        ]
        before = positions
        reached = {int(n.split("/")[1]): offset for n, offset in positions.items() if n.startswith("executions/")}
        below = [changes[partition].below(offset) for partition, offset in reached.items() if partition in changes]
        expected = (sum(new for new, _ in below), sum(count for _, count in below))
        if (each["executions"], each["versions"]) != expected:
            wrong.append(f"rows {(each['executions'], each['versions'])}, below the stored offsets {expected}")
    return verdict("C12 checkpoint_atomic", len(evidence.samples), wrong)


def monotonic_reads(evidence: Evidence) -> Verdict:
    """What a reader saw never becomes less: an end stays, node runs do not vanish, a shown execution stays shown. What
    the feed told is each stream's events, each once and in order, however often its clients had to come back."""
    wrong: list[str] = []
    ends: dict[str, str] = {}
    runs: dict[str, int] = defaultdict(int)
    shown: set[str] = set()
    order = ["queued", "running", "waiting"]
    for each in evidence.polls:
        execution = each["execution"]
        if each["foreign"]:
            continue
        if each["status"] == 404 and execution in shown:
            wrong.append(f"{execution} was shown and is gone")
        if each["status"] != 200:
            continue
        shown.add(execution)
        if execution in ends and each["state"] != ends[execution]:
            wrong.append(f"{execution} was {ends[execution]} and is {each['state']}")
        if each["state"] not in order:
            ends.setdefault(execution, each["state"])
        if each["runs"] < runs[execution]:
            wrong.append(f"{execution} had {runs[execution]} runs and has {each['runs']}")
        runs[execution] = each["runs"]
    wrong += _feed_is_the_log(evidence)
    told = sum(each.count for each in evidence.heard.values())
    back = sum(sum(each.ends.values()) for each in evidence.heard.values())
    failed = dict(sum((each.failures for each in evidence.heard.values()), Counter()))
    note = f"{told} frames of the feed, which was broken off {back} times; not connected: {failed}"
    return verdict("C13 monotonic_reads", len(evidence.polls) + told, wrong, note)


def _feed_is_the_log(evidence: Evidence) -> list[str]:
    wrong: list[str] = []
    streams = evidence.facts.executions()
    for canary, heard in evidence.heard.items():
        theirs = {each: events for each, events in streams.items() if start_of(events)[1] == canary}
        wrong += [f"{canary}: {each} was told and is not theirs" for each in heard.frames.keys() - theirs.keys()]
        for execution, events in theirs.items():
            types = [event.type for event in events]
            told = heard.frames.get(execution, [])
            if told != types:
                place = next((n for n, pair in enumerate(zip(told, types, strict=False)) if pair[0] != pair[1]), -1)
                wrong.append(
                    f"{canary}: of {execution}'s {len(types)} events {len(told)} were told, other from {place}"
                )
        if EXPIRED in heard.ends:
            wrong.append(f"{canary}: a cursor was said to be too old")
        if len(heard.workspaces) > 1:
            wrong.append(f"{canary}: frames of {len(heard.workspaces)} workspaces")
    return wrong
