"""The operator's routes: jobs, runs, processes; nobody else's business."""

from collections import Counter
from typing import Any

import pytest

from domain.schedule.zones import moment_of
from infra.postgres.heartbeats import PostgresHeartbeats
from infra.postgres.job_runs import JobRow, JobRuns
from infra.postgres.retention_clock import RetentionClock
from services.api.commands import now_ms
from services.registration import DEFAULT_WORKSPACE, workspace_id_of
from tests.services.api.conftest import Api
from tests.services.api.test_workflows import document
from tests.support.client import Client

ADMIN = "/api/v1/admin"


async def operator(api: Api) -> Client:
    return Client(api.url, await api.new_key(workspace_id_of(DEFAULT_WORKSPACE)))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs"),
        ("GET", "/jobs/x/runs"),
        ("POST", "/jobs/x/run"),
        ("GET", "/processes"),
        ("POST", "/clocks/trust"),
    ],
)
async def test_only_the_operator_may_ask(api: Api, method: str, path: str) -> None:
    status, _, problem = await api.client.send(method, ADMIN + path)
    assert (status, problem["code"]) == (403, "operator_only")


async def test_jobs_are_listed_with_their_last_run_and_asked_for(api: Api) -> None:
    asker, runs = await operator(api), JobRuns(api.parts.reads.pool)
    due = moment_of(now_ms())
    await runs.announce(JobRow("tidy", "Tidies.", "every 60 s", 30, due))
    assert await runs.claim("tidy", due, "scheduler-1")
    await runs.end("tidy", due, "scheduler-1", "failed", {"rows": 7}, "OSError: away")
    (job,) = (await asker.ask("GET", f"{ADMIN}/jobs"))["items"]
    last = job["last_run"]
    assert (job["name"], job["timing"], job["max_seconds"]) == ("tidy", "every 60 s", 30)
    assert (last["result"], last["figures"], last["error"]) == ("failed", {"rows": 7}, "OSError: away")
    assert last["seconds"] >= 0

    asked = await asker.ask("POST", f"{ADMIN}/jobs/tidy/run")
    assert (asked["result"], asked["started_at"]) == ("asked", None)
    listed = (await asker.ask("GET", f"{ADMIN}/jobs/tidy/runs"))["items"]
    assert sorted(run["result"] for run in listed) == ["asked", "failed"]
    for method, path in (("GET", "runs"), ("POST", "run")):
        status, _, problem = await asker.send(method, f"{ADMIN}/jobs/none/{path}")
        assert (status, problem["code"]) == (404, "not_found")
    await asker.close()


async def test_clocks_are_trusted_by_whom_the_operator_is(api: Api) -> None:
    asker = await operator(api)
    status, _, answer = await asker.send("POST", f"{ADMIN}/clocks/trust")
    assert (status, answer["trusted_by"][:4]) == (202, "key:")
    assert await RetentionClock(api.parts.reads.pool).trusted_by() == answer["trusted_by"]
    await asker.close()


async def test_processes_say_what_they_hold(api: Api) -> None:
    asker = await operator(api)
    hearts = PostgresHeartbeats(api.parts.reads.pool)
    await hearts.beat("worker-0", "worker", {"partitions": 4, "holds": [0, 1]})
    (process,) = (await asker.ask("GET", f"{ADMIN}/processes"))["items"]
    assert (process["member"], process["role"], process["state"]) == ("worker-0", "worker", "alive")
    assert process["holds"] == {"partitions": 4, "holds": [0, 1]}
    assert process["version"]
    await asker.close()


def total(items: list[dict[str, Any]]) -> Counter[str]:
    """Over an hour's end there may be two."""
    found: Counter[str] = Counter()
    for item in items:
        found.update({name: number for name, number in item.items() if isinstance(number, int)})
    return found


async def test_usage_is_counted_by_hour_and_day_and_kept_apart(api: Api) -> None:
    workflow, _ = await api.client.deploy(document())
    for _ in range(3):
        ended = await api.client.ask("POST", f"/api/v1/workflows/{workflow}/execute?", json={"input": {}, "wait": 10})
        assert ended["status"] == "completed"
    hours = (await api.client.ask("GET", "/api/v1/usage"))["items"]
    days = (await api.client.ask("GET", "/api/v1/usage?by=day"))["items"]
    totals = total(hours)
    assert [totals[name] for name in ("queued", "started", "completed", "failed")] == [3, 3, 3, 0]
    assert totals["node_runs"] >= 3
    assert total(days) == totals
    assert all(hour["since"].endswith(":00:00.000Z") for hour in hours)
    assert all(day["since"].endswith("T00:00:00.000Z") for day in days)
    assert (await api.client.ask("GET", "/api/v1/usage?to=2020-01-01T00:00:00Z"))["items"] == []

    asker = await operator(api)
    assert (await asker.ask("GET", "/api/v1/usage"))["items"] == []
    shown = (await asker.ask("GET", f"{ADMIN}/usage"))["items"]
    assert ({each["workspace_id"] for each in shown}, total(shown)) == ({api.workspace}, totals)
    await asker.close()

    status, _, problem = await api.client.send("GET", f"{ADMIN}/usage")
    assert (status, problem["code"]) == (403, "operator_only")
    status, _, problem = await api.client.send("GET", "/api/v1/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z")
    assert (status, problem["code"]) == (422, "invalid_range")
    status, _, problem = await api.client.send("GET", "/api/v1/usage?by=week")
    assert (status, problem["code"]) == (422, "invalid_parameters")


async def test_an_execution_without_its_payloads_says_so_by_null(api: Api) -> None:
    workflow, _ = await api.client.deploy(document())
    body = {"input": {"a": 1}, "wait": 10}
    execution = (await api.client.ask("POST", f"/api/v1/workflows/{workflow}/execute", json=body))["id"]
    pool = api.parts.reads.pool
    await pool.execute("UPDATE executions SET input = NULL, output = NULL, response = NULL")
    await pool.execute("UPDATE node_executions SET output = NULL, logs = NULL")
    shown = await api.client.execution(execution)
    assert (shown["status"], shown["input"], shown["output"]) == ("completed", None, None)
    ran = [node for node in shown["node_executions"] if node["status"] == "completed"]
    assert ran
    assert all(node["output"] is None for node in ran)
    assert all(node["input"] is None for node in ran[1:])
    status, _, problem = await api.client.send("POST", f"/api/v1/executions/{execution}/retry", json={"from": "start"})
    assert (status, problem["code"]) == (409, "input_gone")
