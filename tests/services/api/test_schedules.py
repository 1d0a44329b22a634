"""Schedules over HTTP: their life, why they did or did not run, backfills, previews."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from projections.schedules.queries import get_schedule
from services.api.commands import now_ms
from services.api.routes import schedule_examples as examples
from services.api.routes.examples import DOCUMENT
from tests.services.api.conftest import Api
from tests.support.client import ApiError

PATH = "/api/v1/schedules"
MINUTE = 60_000


async def make(api: Api, **changes: Any) -> dict[str, Any]:
    workflow = await api.client.create(DOCUMENT)
    body = {**examples.SCHEDULE, "workflow_id": workflow["id"], **changes}
    made: dict[str, Any] = await api.client.ask("POST", PATH, json={k: v for k, v in body.items() if v is not None})
    return made


async def refusal(api: Api, method: str, path: str, **more: Any) -> tuple[int, str, list[str]]:
    with pytest.raises(ApiError) as error:
        await api.client.ask(method, path, **more)
    problem = error.value.problem
    return error.value.status, problem["code"], [each["path"] for each in problem["errors"]]


async def passed(api: Api, schedule: dict[str, Any], now: int) -> None:
    """Time comes to `now`, and the rows know it."""
    stream = f"schedule-{schedule['id']}"
    await api.worker.pass_time(stream, api.workspace, now)
    # a refused command is answered behind it: the read model has both then
    await api.client.send("POST", f"{PATH}/{schedule['id']}/resume")


async def test_a_schedule_s_life(api: Api) -> None:
    made = await make(api)
    path = f"{PATH}/{made['id']}"
    assert (made["status"], made["is_active"], made["run_count"]) == ("active", True, 0)
    assert made["cron_expression"] == "30 8 * * MON-FRI"
    assert made["missed_runs"] == {"policy": "last", "limit": 10, "grace_seconds": 300}
    assert len(made["next_runs"]) == 10
    assert made["next_runs"][0]["at"] == made["next_run_at"]
    assert {run["local_time"][11:] for run in made["next_runs"]} == {"08:30:00"}
    assert await api.client.ask("GET", path) == made

    page = await api.client.ask("GET", PATH, params={"workflow_id": made["workflow_id"], "limit": "1"})
    assert [each["id"] for each in page["items"]] == [made["id"]]
    assert page["next_cursor"] is None

    body = {"workflow_id": made["workflow_id"], "name": "Often", "every": {"minutes": 5}}
    changed = await api.client.ask("PUT", path, json=body)
    assert (changed["name"], changed["every"]["seconds"], changed["cron_expression"]) == ("Often", 300, None)
    paused = await api.client.ask("POST", f"{path}/pause", json={"reason": "holidays"})
    assert (paused["status"], paused["reason"], paused["next_run_at"], paused["next_runs"]) == (
        "paused", "holidays", None, [],
    )  # fmt: skip
    resumed = await api.client.ask("POST", f"{path}/resume")
    assert resumed["status"] == "active"
    assert resumed["next_run_at"] is not None
    assert (await api.client.send("DELETE", path))[0] == 204
    assert (await refusal(api, "GET", path))[0] == 404
    assert (await api.client.ask("GET", PATH))["items"] == []


async def test_the_same_key_makes_one(api: Api) -> None:
    workflow = await api.client.create(DOCUMENT)
    body = {**examples.SCHEDULE, "workflow_id": workflow["id"]}
    headers = {"Idempotency-Key": "one"}
    first = await api.client.ask("POST", PATH, json=body, headers=headers)
    assert (await api.client.ask("POST", PATH, json=body, headers=headers))["id"] == first["id"]
    assert (await refusal(api, "POST", PATH, json={**body, "name": "x"}, headers=headers))[1] == "idempotency_mismatch"


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"cron_expression": "61 * * * *"}, ["cron_expression"]),
    ({"cron_expression": "* * *"}, ["cron_expression"]),
    ({"cron_expression": None}, ["cron_expression"]),
    ({"every": {"minutes": 5}}, ["cron_expression"]),
    ({"cron_expression": None, "every": {"fortnights": 1}}, ["every.fortnights"]),
    ({"cron_expression": None, "at": "tomorrow"}, ["at"]),
    ({"cron_expression": None, "at": "2020-01-01T00:00:00Z"}, ["at"]),
    ({"timezone": "Mars/Olympus"}, ["timezone"]),
    ({"overlap": "maybe", "jitter_seconds": "much"}, ["overlap", "jitter_seconds"]),
    ({"missed_runs": {"policy": "some", "of": 1}}, ["missed_runs.of", "missed_runs.policy"]),
    ({"name": ""}, ["name"]),
    ({"name": "x" * 101}, ["name"]),
    ({"input_data": [1]}, ["input_data"]),
    ({"colour": "red"}, ["colour"]),
]


async def test_what_is_refused_names_the_field(api: Api) -> None:
    workflow = await api.client.create(DOCUMENT)
    for changes, fields in REFUSED:
        body = {**examples.SCHEDULE, "workflow_id": workflow["id"], **changes}
        assert await refusal(api, "POST", PATH, json=body) == (422, "invalid_schedule", fields), changes


async def test_a_workflow_of_somebody_else(api: Api) -> None:
    body = {**examples.SCHEDULE, "workflow_id": str(uuid4())}
    assert await refusal(api, "POST", PATH, json=body) == (422, "invalid_schedule", ["workflow_id"])
    made = await make(api)
    other = type(api.client)(api.url, await api.new_key(str(uuid4())))
    try:
        for method, path in (("GET", ""), ("POST", "/pause"), ("GET", "/firings"), ("DELETE", "")):
            with pytest.raises(ApiError) as error:
                await other.ask(method, f"{PATH}/{made['id']}{path}")
            assert error.value.status == 404
    finally:
        await other.close()


async def test_why_it_did_and_did_not_run(api: Api) -> None:
    made = await make(api, cron_expression="* * * * *", timezone="UTC", overlap="allow", missed_runs={"policy": "none"})
    path = f"{PATH}/{made['id']}"
    minute = now_ms() // MINUTE * MINUTE + MINUTE
    await passed(api, made, minute + 100)
    await passed(api, made, minute + 10 * MINUTE + 30_000)
    page = await api.client.ask("GET", f"{path}/firings")
    assert [(each["outcome"], each["count"], each["reason"]) for each in page["items"]] == [
        ("late", 1, None), ("skipped", 9, "missed"), ("fired", 1, None),
    ]  # fmt: skip
    late, skipped, fired = page["items"]
    assert late["explanation"] == "An execution was started 30 s late."
    assert "grace" in skipped["explanation"]
    assert datetime.fromisoformat(fired["due_at"]) == datetime.fromtimestamp(minute / 1000, UTC)
    inside = datetime.fromtimestamp((minute + 5 * MINUTE) / 1000, UTC)
    params = {"from": inside.isoformat(), "to": (inside + timedelta(minutes=1)).isoformat()}
    assert (await api.client.ask("GET", f"{path}/firings", params=params))["items"] == [skipped]
    assert (await api.client.ask("GET", f"{path}/firings", params={"outcome": "fired"}))["items"] == [fired]
    first = await api.client.ask("GET", f"{path}/firings", params={"limit": "2"})
    rest = await api.client.ask("GET", f"{path}/firings", params={"cursor": first["next_cursor"]})
    assert first["items"] + rest["items"] == page["items"]
    execution = await api.client.ask("GET", f"/api/v1/executions/{fired['execution_id']}")
    assert execution["trigger_type"] == "schedule"
    assert execution["input"][0]["json"]["input_data"] == examples.SCHEDULE["input_data"]
    shown = await api.client.ask("GET", path)
    assert (shown["run_count"], shown["last_execution_id"]) == (2, late["execution_id"])


async def test_a_backfill_with_progress_and_cancel(api: Api) -> None:
    made = await make(api, cron_expression="0 * * * *", timezone="UTC", overlap="allow")
    path = f"{PATH}/{made['id']}"
    headers = {"Idempotency-Key": "fill"}
    started = await api.client.ask("POST", f"{path}/backfill", json=examples.BACKFILL, headers=headers)
    assert (started["status"], started["total"], started["fired"], started["per_minute"]) == ("running", 25, 1, 30)
    again = await api.client.ask("POST", f"{path}/backfill", json=examples.BACKFILL, headers=headers)
    assert again["id"] == started["id"]
    await passed(api, made, now_ms() + 5_000)
    progress = await api.client.ask("GET", f"{path}/backfills/{started['id']}")
    assert progress["fired"] == 2
    firings = await api.client.ask("GET", f"{path}/firings", params={"backfill_id": started["id"]})
    assert [each["local_time"] for each in firings["items"]] == ["2026-06-01T01:00:00", "2026-06-01T00:00:00"]
    cancelled = await api.client.ask("POST", f"{path}/backfills/{started['id']}/cancel")
    assert (cancelled["status"], cancelled["ended_at"] is not None) == ("cancelled", True)
    assert (await api.client.ask("GET", f"{path}/backfills"))["items"] == [cancelled]
    future = {"from": "2026-06-01T00:00:00Z", "to": "2199-01-01T00:00:00Z"}
    assert (await refusal(api, "POST", f"{path}/backfill", json=future))[1:] == ("invalid_backfill", ["to", "from"])
    assert (await refusal(api, "POST", f"{path}/backfill", json={"from": "x", "to": "y"}))[0] == 422
    assert (await refusal(api, "POST", f"{path}/backfills/{uuid4()}/cancel"))[0] == 404


async def test_a_preview_says_what_changes_of_the_clocks_do(api: Api) -> None:
    answer = await api.client.ask("POST", f"{PATH}/preview", json=examples.PREVIEW)
    assert [(run["at"][:16], run["local_time"], run["dst"]) for run in answer["runs"]] == [
        ("2027-03-27T01:30", "2027-03-27T02:30:00", None),
        ("2027-03-28T01:00", "2027-03-28T02:30:00", "gap"),
        ("2027-03-29T00:30", "2027-03-29T02:30:00", None),
    ]
    autumn = {**examples.PREVIEW, "from": "2027-10-30T22:00:00Z", "count": 2}
    answer = await api.client.ask("POST", f"{PATH}/preview", json=autumn)
    assert answer["runs"][0]["dst"] == "overlap"
    assert [each["local_time"] for each in answer["suppressed"]] == ["2027-10-31T02:30:00"]
    assert len((await api.client.ask("POST", f"{PATH}/preview", json={"every": {"hours": 1}}))["runs"]) == 10
    assert (await refusal(api, "POST", f"{PATH}/preview", json={"cron": "x"}))[2] == ["cron_expression"]
    assert (await refusal(api, "POST", f"{PATH}/preview", json={"cron": "@daily", "count": 0}))[2] == ["count"]


async def test_a_workflow_s_schedule_node_is_its_workflow_s(api: Api) -> None:
    document = {
        "name": "Nightly",
        "nodes": [
            {"id": "night", "type": "schedule", "parameters": {"cron": "30 2 * * *"}},
            {"id": "x", "type": "noop"},
        ],
        "connections": [{"from": "night", "to": "x"}],
        "settings": {"timezone": "Asia/Tokyo"},
    }
    workflow = await api.client.create(document)
    await api.client.ask("POST", f"/api/v1/workflows/{workflow['id']}/activate")
    schedule = await eventually(api, workflow["id"], "active")
    assert (schedule["node_id"], schedule["of_workflow"], schedule["timezone"]) == ("night", True, "Asia/Tokyo")
    path = f"{PATH}/{schedule['id']}"
    assert (await refusal(api, "DELETE", path))[:2] == (409, "schedule_of_workflow")
    body = {"workflow_id": workflow["id"], "name": "x", "cron": "@daily"}
    assert (await refusal(api, "PUT", path, json=body))[:2] == (409, "schedule_of_workflow")
    await api.client.ask("POST", f"/api/v1/workflows/{workflow['id']}/deactivate")
    ended = await eventually(api, workflow["id"], "ended")
    assert (ended["id"], ended["reason"]) == (schedule["id"], "workflow inactive")
    assert await get_schedule(api.parts.reads.pool, str(uuid4()), schedule["id"]) is None


async def eventually(api: Api, workflow: str, status: str) -> dict[str, Any]:
    """The workflow's one schedule, once it has this status: it follows the workflow by the log."""
    params = {"workflow_id": workflow}
    for _ in range(200):
        items: list[dict[str, Any]] = (await api.client.ask("GET", PATH, params=params))["items"]
        if items and items[0]["status"] == status:
            return items[0]
    raise AssertionError(f"no schedule of {workflow} became {status}: {items}")
