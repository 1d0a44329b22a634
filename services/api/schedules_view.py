"""Schedules as clients read and write them: bodies into definitions, rows into answers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from domain.schedule.definition import Definition
from domain.schedule.reading import FIELDS, read_schedule
from domain.schedule.timing import ByCron, ByInterval, Occurrence, Once, Suppression, Timing, following
from domain.schedule.zones import instant_of, moment_of
from projections.schedules.queries import BackfillRow, FiringRow, ScheduleRow
from services.api.executions_view import time_text
from services.api.problems import Problem

SHOWN_RUNS = 10
WRITABLE = (
    "workflow_id", "node_id", "name", "description", "cron_expression", "input_data", *FIELDS,
)  # fmt: skip
NOTES = {
    "gap": "The clocks go forward: this local time does not exist on that day.",
    "overlap": "The clocks go back: this local time comes twice on that day.",
}
_definition = msgspec.json.Decoder(Definition).decode


def read_definition(body: Mapping[str, Any]) -> Definition:
    """Raises Problem 422 `invalid_schedule` that names the fields. What only the domain can judge, it judges later."""
    problems = [(name[:100], f"is not known; known are {', '.join(WRITABLE)}") for name in body if name not in WRITABLE]
    timing, policies, wrong = read_schedule(_as_node(body, problems), "UTC", "cron_expression")
    problems += wrong
    texts = {name: _text(body, name, problems) for name in ("workflow_id", "node_id", "name", "description")}
    for name in ("workflow_id", "name"):
        if not texts[name] and all(field != name for field, _ in problems):
            problems.append((name, "is missing"))
    given = body.get("input_data")
    if given is not None and not isinstance(given, dict):
        problems.append(("input_data", "must be an object"))
        given = None
    if problems or timing is None:
        raise invalid(problems)
    return Definition(
        workflow_id=texts["workflow_id"],
        name=texts["name"],
        timing=timing,
        policies=policies,
        input=given,
        description=texts["description"],
        node=texts["node_id"],
    )


def read_timing(body: Mapping[str, Any], allowed: frozenset[str]) -> Timing:
    """The timing of a body that may have other fields, `allowed`. Raises Problem as `read_definition` does."""
    known = ("cron_expression", "cron", "every", "at", "timezone", *sorted(allowed))
    problems = [(name[:100], f"is not known; known are {', '.join(known)}") for name in body if name not in known]
    timing, _, wrong = read_schedule(_as_node(body, problems), "UTC", "cron_expression")
    if wrong or problems or timing is None:
        raise invalid([*problems, *wrong])
    return timing


def invalid(problems: list[tuple[str, str]]) -> Problem:
    return Problem(422, "invalid_schedule", "The schedule is not valid.", problems)


def _as_node(body: Mapping[str, Any], problems: list[tuple[str, str]]) -> dict[str, Any]:
    """The body with its cron expression under the name that it has in a node."""
    fields = {name: value for name, value in body.items() if name in FIELDS}
    if body.get("cron_expression") is not None:
        if fields.get("cron") is not None:
            problems.append(("cron", "is the same as cron_expression: give one of them"))
        fields["cron"] = body["cron_expression"]
    return fields


def _text(body: Mapping[str, Any], name: str, problems: list[tuple[str, str]]) -> str:
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    problems.append((name, "must be text"))
    return ""


def schedule_view(row: ScheduleRow, *, runs: bool) -> dict[str, Any]:
    """`runs`: with the next ten."""
    definition = _definition(row.definition.encode())
    policies = definition.policies
    shown = {
        "id": row.id,
        "workflow_id": row.workflow_id,
        "node_id": row.node or None,
        "of_workflow": row.of_workflow,
        "name": row.name,
        "description": definition.description,
        **timing_view(definition.timing),
        "missed_runs": {
            "policy": policies.missed,
            "limit": policies.missed_limit,
            "grace_seconds": policies.grace_seconds,
        },
        "overlap": policies.overlap,
        "queue_limit": policies.queue_limit,
        "jitter_seconds": policies.jitter_seconds,
        "input_data": definition.input,
        "status": row.status,
        "is_active": row.status == "active",
        "reason": row.reason or None,
        "next_run_at": time_text(row.next_run_at),
        "last_run_at": time_text(row.last_run_at),
        "last_execution_id": row.last_execution_id,
        "run_count": row.run_count,
        "created_at": time_text(row.created_at),
        "updated_at": time_text(row.updated_at),
    }
    if runs:
        armed = row.next_run_at is not None and row.status == "active"
        after = instant_of(row.next_run_at) - 1 if row.next_run_at is not None and armed else None
        shown["next_runs"] = [] if after is None else next_runs(definition.timing, after, SHOWN_RUNS)[0]
    return shown


def timing_view(timing: Timing) -> dict[str, Any]:
    every: dict[str, Any] | None = None
    at: str | None = None
    cron: str | None = None
    match timing:
        case ByCron():
            cron = timing.expression
        case ByInterval(seconds=seconds, anchor=anchor):
            every = {"seconds": seconds, "anchor": _shown(anchor)}
        case Once(at=instant):
            at = _shown(instant)
    return {"cron_expression": cron, "every": every, "at": at, "timezone": timing.timezone}


def next_runs(timing: Timing, after: int, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The next `count` runs after an instant, and the local times that bring none until then."""
    runs: list[dict[str, Any]] = []
    suppressed: list[dict[str, Any]] = []
    while len(runs) < count:
        coming = following(timing, after)
        suppressed += [_suppressed(each) for each in coming.suppressed]
        if coming.occurrence is None:
            break
        runs.append(_run(coming.occurrence))
        after = coming.occurrence.due
    return runs, suppressed


def _run(occurrence: Occurrence) -> dict[str, Any]:
    rule = occurrence.rule
    note = {"dst": rule, "note": NOTES[rule]} if rule else {"dst": None, "note": None}
    return {"at": _shown(occurrence.due), "local_time": occurrence.local, **note}


def _suppressed(each: Suppression) -> dict[str, Any]:
    return {
        "at": _shown(each.due),
        "local_time": each.first_local,
        "last_local_time": each.last_local,
        "count": each.times,
        "dst": each.rule,
        "note": NOTES[each.rule or "gap"],
    }


def _shown(instant: int) -> str | None:
    return time_text(moment_of(instant))


def firing_view(row: FiringRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "due_at": time_text(row.due_at),
        "last_due_at": time_text(row.last_due_at),
        "local_time": row.local_time,
        "last_local_time": row.last_local_time,
        "count": row.count,
        "more": row.more,
        "outcome": row.outcome,
        "reason": row.reason or None,
        "explanation": _explanation(row),
        "dst": row.dst or None,
        "late_by_seconds": row.late_by / 1_000,
        "jitter_seconds": row.jitter / 1_000,
        "execution_id": row.execution_id,
        "execution_status": row.execution_status or None,
        "message": row.message or None,
        "backfill_id": row.backfill_id,
        "at": time_text(row.at),
    }


_REASONS = {
    "missed": "Nobody could start it within its grace, and the policy for missed runs does not want it.",
    "paused": "The schedule was paused.",
    "overlap": "The run before was still open.",
    "queue_full": "The run before was still open, and as many as may wait were waiting.",
    "changed": "The schedule was changed before it could be started.",
    "ended": "The schedule ended while this run waited for the one before.",
}


def _explanation(row: FiringRow) -> str:
    match row.outcome:
        case "fired":
            said = "An execution was started."
        case "late":
            said = f"An execution was started {row.late_by / 1_000:g} s late."
        case "waiting":
            return "It waits until the runs before it have ended."
        case "suppressed":
            return "The clocks change: " + (
                "these local times do not exist." if row.dst == "gap" else "it ran the first time they came."
            )
        case _:
            return _REASONS.get(row.reason, row.reason)
    if row.execution_status == "refused":
        said = "An execution was asked for and refused."
    if row.dst == "gap":
        said += " Its local time does not exist on that day: it ran at the first moment after the gap."
    return said


def backfill_view(row: BackfillRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "from": time_text(row.since),
        "to": time_text(row.until),
        "per_minute": row.per_minute,
        "status": row.status,
        "total": row.total,
        "fired": row.fired,
        "started_at": time_text(row.started_at),
        "ended_at": time_text(row.ended_at),
    }


def instant_from(text: str | None, field: str) -> int | None:
    """Of an ISO time with an offset; raises Problem 422."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Problem(422, "invalid_parameters", f"{field}: takes an ISO time with an offset.", [(field, "is no time")])
    return instant_of(moment)
