"""What the real decider records, as rows: the worked cases, effects, waits, cancels, unknown outcomes."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.execution.commands import CancelExecution, GiveVerdict
from domain.execution.events import ExecutionQueued
from infra.postgres.pool import Pool
from services.projector.verify import verify
from tests.projections.given import FLOW, World, assert_same, some_id
from tests.services.projector.conftest import CatchUp
from tests.support.executions import Run, failed, node, ok, workflow

VECTORS = sorted((Path(__file__).parents[2] / "golden" / "vectors").glob("*.json"))


def record(world: World, name: str, run: Run, chance: random.Random) -> str:
    """Put the run's events on the log, cut into commits anywhere."""
    execution = some_id(name)
    events: list[Any] = [
        msgspec.structs.replace(event, workflow_id=FLOW) if isinstance(event, ExecutionQueued) else event
        for event in run.events
    ]
    time = run.events[0].queued_at if isinstance(run.events[0], ExecutionQueued) else 0
    queued_at = time
    while events:
        size = chance.randint(1, 6)
        world.commit(f"execution-{execution}", events[:size], queued_at=queued_at, time=time)
        events, time = events[size:], time + 1
    return execution


def http(**fields: Any) -> Run:
    parameters = {"method": fields.pop("method", "POST"), "url": "http://127.0.0.1/x"}
    document = workflow(
        [node("start", "manual"), node("call", "http", parameters, **fields), node("end", "noop")],
        "start -> call",
        "call -> end",
    )
    return Run(document).start()


def waits() -> Run:
    document = workflow([node("start", "manual"), node("w", "wait", {"seconds": 60})], "start -> w")
    return Run(document).start()


def retried() -> Run:
    run = http(method="GET", retry={"attempts": 3, "delay_seconds": 1})
    return run.conclude("call", [failed(0)]).pass_time(2_000).conclude("call", [ok(0)])


def asked() -> Run:
    run = http(on_unknown_outcome="ask").conclude("call", [failed(0, unknown=True)])
    return run.do(GiveVerdict(node="call", run=0, verdict="happened", result={"status": 200, "headers": {}, "body": 1}))


CASES: dict[str, tuple[Callable[[], Run], str, dict[str, str]]] = {
    "ok": (lambda: http().conclude("call", [ok(0)]), "completed", {"call": "completed", "end": "completed"}),
    "fails": (lambda: http().conclude("call", [ok(0, status=404)]), "failed", {"call": "failed"}),
    "retried": (retried, "completed", {"call": "completed"}),
    "unknown": (lambda: http().conclude("call", [failed(0, unknown=True)]), "failed", {"call": "outcome_unknown"}),
    "never heard of": (lambda: http().pass_time(60_000), "failed", {"call": "outcome_unknown"}),
    "asked": (asked, "completed", {"call": "completed"}),
    "under way": (http, "running", {"call": "running"}),
    "cancelled": (lambda: http().do(CancelExecution()), "cancelled", {"call": "cancelled"}),
    "late": (
        lambda: http().do(CancelExecution()).conclude("call", [ok(0)]),
        "cancelled",
        {"call": "cancelled"},
    ),
    "parked": (waits, "waiting", {"w": "waiting"}),
    "waited": (lambda: waits().pass_time(60_000), "completed", {"w": "completed"}),
    "cancelled while parked": (lambda: waits().do(CancelExecution()), "cancelled", {"w": "cancelled"}),
    "restarted": (
        lambda: http(method="GET").restart().conclude("call", [ok(0)]),
        "completed",
        {"call": "completed"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_statuses(name: str) -> None:
    make, status, nodes = CASES[name]
    world = World()
    record(world, name, make(), random.Random(0))
    tables = world.fold()
    (execution,) = tables.all_rows("executions")
    rows = {row["node_id"]: row for row in tables.all_rows("node_executions")}
    assert execution["status"] == status
    assert {each: rows[each]["status"] for each in nodes} == nodes
    assert (execution["completed_at"] is None) == (status in ("running", "waiting"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_rows_show_what_the_worked_case_expects(path: Path) -> None:
    vector = json.loads(path.read_text())
    world = World()
    record(world, path.stem, Run(vector["workflow"]).start(vector["input"]).settle(), random.Random(path.stem))
    tables = world.fold()
    (execution,) = tables.all_rows("executions")
    assert execution["status"] == vector["expected"]["status"]
    runs: dict[str, int] = {}
    for row in tables.all_rows("node_executions"):
        if row["status"] == "completed":
            runs[row["node_id"]] = runs.get(row["node_id"], 0) + 1
    assert runs == {name: len(outputs) for name, outputs in vector["expected"]["nodes"].items()}


async def test_all_of_them_in_postgres_verify(world: World, pool: Pool, project: CatchUp) -> None:
    chance = random.Random(7)
    for path in VECTORS:
        vector = json.loads(path.read_text())
        record(world, path.stem, Run(vector["workflow"]).start(vector["input"]).settle(), chance)
        if chance.random() < 0.2:
            await project(world.log)
    for name, (make, _, _) in CASES.items():
        record(world, name, make(), chance)
    await project(world.log)
    await assert_same(pool, world.fold())
    report = await verify(world.log, pool)
    assert report.differences == []
    assert report.executions == len(VECTORS) + len(CASES)
