"""Starting, waiting for, reading, cancelling and repeating executions over HTTP."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from domain.execution.commands import StartExecution, TakenRun
from infra.log.memory import Fault
from infra.log.port import Topic
from schemas.envelope import decode_command
from schemas.registry import decode_command_data
from tests.services.api.conftest import Api
from tests.services.api.test_workflows import document
from tests.support.client import ApiError, Client


async def deploy(api: Api, respond: str = "at_once") -> tuple[str, str]:
    return await api.client.deploy(document(respond=respond))


async def test_execute_waits_for_the_end(api: Api) -> None:
    workflow, _ = await deploy(api)
    shown = await api.client.execute(workflow, {"a": 1}, wait=10)
    assert shown["status"] == "completed"
    assert shown["input"] == shown["output"] == [{"json": {"a": 1}}]
    assert (shown["workflow_id"], shown["workflow_version"], shown["trigger_type"]) == (workflow, 1, "webhook")
    hook, work = shown["node_executions"]
    assert hook["node_id"] == "hook"
    assert hook["output"] == {"main": [{"json": {"a": 1}}]}
    assert (work["node_id"], work["status"], work["run"]) == ("work", "skipped", 0)
    assert shown["queued_at"] <= shown["started_at"] <= shown["completed_at"]
    assert shown["completed_at"].endswith("Z")


async def test_the_input_of_a_run_is_joined_from_its_sources(api: Api) -> None:
    workflow, _ = await deploy(api)
    shown = await api.client.execute(workflow, [{"fail": "no luck"}, {"b": 2}], wait=10)
    assert shown["status"] == "failed"
    assert shown["error"] == {"code": "node_failed", "message": "no luck", "node_id": "work"}
    _, work = shown["node_executions"]
    assert work["input"] == {"main": [{"json": {"fail": "no luck"}}, {"json": {"b": 2}}]}
    assert (work["status"], work["output"]) == ("failed", None)


async def test_an_accepted_execution_can_be_read_at_once(api: Api) -> None:
    workflow, path = await deploy(api)
    for _ in range(10):
        accepted = await api.client.ask("POST", path, json={"a": 1})
        assert list(accepted) == ["execution_id"]
        assert (await api.client.execution(accepted["execution_id"]))["workflow_id"] == workflow


async def test_a_read_waits_for_a_position(api: Api) -> None:
    workflow, _ = await deploy(api)
    accepted = await api.client.execute(workflow, {})
    position = accepted["position"]
    assert position["topic"] == "linkflow.execution-commands"
    text = f"{position['topic']}:{position['partition']}:{position['offset']}"
    page = await api.client.ask("GET", "/api/v1/executions", params={"min_position": text})
    assert [each["id"] for each in page["items"]] == [accepted["execution_id"]]
    for wrong in ("", "x", "linkflow.executions:0:1", f"{position['topic']}:99:1", '{"topic": 1}'):
        status, _, problem = await api.client.send("GET", "/api/v1/executions", params={"min_position": wrong})
        assert (status, problem["code"]) == (400, "invalid_position"), wrong


async def test_cancel_and_what_has_ended(api: Api) -> None:
    workflow, _ = await deploy(api)
    accepted = await api.client.execute(workflow, {"hold": True})
    assert (await api.client.execution(accepted["execution_id"]))["status"] == "running"
    cancelled = await api.client.cancel(accepted["execution_id"])
    shown = await api.client.ask(
        "GET",
        f"/api/v1/executions/{accepted['execution_id']}",
        params={"min_position": "{topic}:{partition}:{offset}".format(**cancelled["position"])},
    )
    assert shown["status"] == "cancelled"
    with pytest.raises(ApiError) as closed:
        await api.client.cancel(accepted["execution_id"])
    assert (closed.value.status, closed.value.problem["code"]) == (409, "execution_closed")


async def test_retry_runs_the_same_input_on_the_same_version(api: Api) -> None:
    workflow, _ = await deploy(api)
    first = await api.client.execute(workflow, {"fail": "x"}, wait=10)
    await api.client.ask("PUT", f"/api/v1/workflows/{workflow}", json=document("New"))
    path = f"/api/v1/executions/{first['id']}/retry"
    made = await asyncio.gather(*(api.client.ask("POST", path, headers={"Idempotency-Key": "again"}) for _ in range(5)))
    assert len({each["execution_id"] for each in made}) == 1
    second = await api.client.execution(made[0]["execution_id"])
    assert second["id"] != first["id"]
    assert (second["retry_of"], second["workflow_version"], second["input"]) == (first["id"], 1, first["input"])


async def retried(api: Api, execution: str, body: dict[str, Any]) -> tuple[int, Any]:
    status, _, answer = await api.client.send("POST", f"/api/v1/executions/{execution}/retry", json=body)
    return status, answer


def started_by(api: Api, execution: str) -> StartExecution:
    """The command that started an execution."""
    records = [each for place in range(2) for each in api.log.records(Topic.EXECUTION_COMMANDS, place)]
    command = next(c for r in records if (c := decode_command(r.value)).stream == f"execution-{execution}")
    start: StartExecution = decode_command_data(command)
    return start


async def test_retry_from_the_failed_node_takes_over_what_ran_before(api: Api) -> None:
    workflow, _ = await deploy(api)
    first = await api.client.execute(workflow, {"fail": "x"}, wait=10)
    fixed = document("New")
    fixed["nodes"][1]["notes"] = "mended"
    await api.client.ask("PUT", f"/api/v1/workflows/{workflow}", json=fixed)
    for version, number in (("same", 1), ("newest", 2), (2, 2)):
        status, answer = await retried(api, first["id"], {"from": "failed_node", "version": version})
        assert status == 202
        start = started_by(api, answer["execution_id"])
        assert (start.workflow_version, start.retry_of) == (number, first["id"])
        assert start.taken_runs == [TakenRun(node="hook", run=0, outputs={"main": [{"json": {"fail": "x"}}]})]
        assert start.items == [{"json": {"fail": "x"}}]
    await api.client.execution(answer["execution_id"])  # visible from here on
    assert answer["execution_id"] in (await api.client.execution(first["id"]))["retries"]


async def test_a_retry_that_cannot_be_says_why(api: Api) -> None:
    workflow, _ = await deploy(api)
    failed = await api.client.execute(workflow, {"fail": "x"}, wait=10)
    done = await api.client.execute(workflow, {"a": 1}, wait=10)
    held = await api.client.execute(workflow, {"hold": True})
    from_node = {"from": "failed_node", "version": "newest"}

    async def refused(body: dict[str, Any], execution: str = failed["id"]) -> tuple[int, str, Any]:
        status, problem = await retried(api, execution, body)
        return status, problem["code"], problem.get("node_id")

    assert await refused(from_node, done["id"]) == (409, "nothing_failed", None)
    assert await refused(from_node, held["execution_id"]) == (409, "not_ended", None)
    assert await refused({"version": 9}) == (404, "not_found", None)
    for body in ({"from": "end"}, {"version": 0}, {"version": "old"}, {"until": 1}):
        assert await refused(body) == (422, "wrong_type", None), body
    renamed = document("Renamed")
    renamed["nodes"][1]["id"] = renamed["connections"][0]["to"] = "labour"
    await api.client.ask("PUT", f"/api/v1/workflows/{workflow}", json=renamed)
    assert await refused(from_node) == (409, "node_missing", "work")
    longer = document("Longer")
    longer["nodes"].append({"id": "first", "type": "noop"})
    longer["connections"] = [{"from": "hook", "to": "first"}, {"from": "first", "to": "work"}]
    await api.client.ask("PUT", f"/api/v1/workflows/{workflow}", json=longer)
    assert await refused(from_node) == (409, "version_does_not_fit", "work")
    await api.client.ask("DELETE", f"/api/v1/workflows/{workflow}")
    assert await refused({}) == (409, "workflow_archived", None)


async def test_the_same_key_from_fifty_at_once_is_one_execution(api: Api) -> None:
    workflow, _ = await deploy(api)
    answers = await asyncio.gather(*(api.client.execute(workflow, {"n": 1}, key="once") for _ in range(50)))
    [execution] = {answer["execution_id"] for answer in answers}
    await api.client.execution(execution)  # visible from here on
    assert [each["id"] async for each in api.client.executions()] == [execution]
    again = await api.client.execute(workflow, {"n": 1}, key="once")
    assert again == {"execution_id": execution, "position": None}
    with pytest.raises(ApiError) as mismatch:
        await api.client.execute(workflow, {"n": 2}, key="once")
    assert (mismatch.value.status, mismatch.value.problem["code"]) == (422, "idempotency_mismatch")
    shown = await api.client.ask(
        "POST",
        f"/api/v1/workflows/{workflow}/execute",
        json={"input": {"n": 7}, "wait": 5},
        headers={"Idempotency-Key": "waits"},
    )
    repeated = await api.client.ask(
        "POST",
        f"/api/v1/workflows/{workflow}/execute",
        json={"input": {"n": 7}, "wait": 5},
        headers={"Idempotency-Key": "waits"},
    )
    assert repeated == shown


async def test_a_mismatch_is_found_before_the_read_model_knows(api: Api) -> None:
    workflow, _ = await deploy(api)
    api.worker.gate.clear()
    calls = [asyncio.create_task(api.client.execute(workflow, {"n": n}, key="k")) for n in (1, 2)]
    while api.parts.sender.waiting or sum(len(api.log.records(Topic.EXECUTION_COMMANDS, p)) for p in (0, 1)) < 2:
        await asyncio.sleep(0.001)
    api.worker.gate.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    [refused] = [result for result in results if isinstance(result, ApiError)]
    assert refused.problem["code"] == "idempotency_mismatch"


async def test_lists_filter_and_page(api: Api) -> None:
    one, _ = await deploy(api)
    two, _ = await deploy(api)
    begun = datetime.now(UTC)
    ids = [(await api.client.execute(one, {"n": n}, wait=10))["id"] for n in range(5)]
    failed = (await api.client.execute(two, {"fail": "x"}, wait=10))["id"]
    assert [each["id"] async for each in api.client.executions(limit=2, workflow_id=one)] == ids[::-1]
    assert [each["id"] async for each in api.client.executions(status="failed")] == [failed]
    since = {"from": begun.isoformat()}
    assert len([each async for each in api.client.executions(**since)]) == 6  # type: ignore[arg-type]
    assert [each async for each in api.client.executions(to=begun.isoformat())] == []
    for wrong in ({"limit": "0"}, {"limit": "201"}, {"status": "odd"}, {"from": "then"}, {"cursor": "x"}):
        status, headers, problem = await api.client.send("GET", "/api/v1/executions", params=wrong)
        assert status == 422, wrong
        assert headers["content-type"] == "application/problem+json"
        assert problem["errors"], wrong


async def test_another_workspace_sees_nothing(api: Api) -> None:
    workflow, _ = await deploy(api)
    shown = await api.client.execute(workflow, {"hold": True})
    execution = shown["execution_id"]
    await api.client.execution(execution)
    async with Client(api.url, await api.new_key(str(uuid4()))) as stranger:
        for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry"), ("POST", "/nodes/work/verdict")):
            status, _, _ = await stranger.send(
                method, f"/api/v1/executions/{execution}{path}", json={"verdict": "fail"} if "verdict" in path else None
            )
            assert status == 404, path
        assert [each async for each in stranger.executions()] == []
    assert (await api.client.execution(execution))["status"] == "running"


async def test_large_values_are_stored_outside_and_come_back_whole(api: Api) -> None:
    workflow, path = await deploy(api, "when_done")
    big = {"text": "x" * 200_000}
    shown = await api.client.execute(workflow, big, wait=10)
    assert shown["output"] == [{"json": big}]
    assert shown["node_executions"][0]["output"] == {"main": [{"json": big}]}
    [answer] = await api.client.ask("POST", path, json=big)
    assert answer["body"] == big


async def test_a_log_that_loses_the_answer_is_503_and_the_key_makes_it_safe(api: Api) -> None:
    workflow, _ = await deploy(api)
    api.log.fail_next(Fault.LANDED)
    with pytest.raises(ApiError) as unknown:
        await api.client.execute(workflow, {"n": 1}, key="k")
    assert unknown.value.status == 503
    again = await api.client.execute(workflow, {"n": 1}, key="k")
    await api.client.execution(again["execution_id"])
    assert [each["id"] async for each in api.client.executions()] == [again["execution_id"]]


async def test_a_log_that_is_away_is_503_and_comes_back(api: Api) -> None:
    workflow, path = await deploy(api)
    api.log.set_down(True)
    status, headers, problem = await api.client.send("POST", path, json={})
    assert (status, headers["retry-after"], problem["code"]) == (503, "1", "unavailable")
    api.log.set_down(False)
    for _ in range(100):
        status, _, accepted = await api.client.send("POST", path, json={})
        if status == 202:
            break
        await asyncio.sleep(0.05)
    assert (await api.client.execution(accepted["execution_id"]))["workflow_id"] == workflow


BAD_INPUT: list[tuple[bytes, int, str, str | None]] = [
    (b'{"input": ', 400, "malformed_json", "byte 10"),
    (b'{"input": 5}', 422, "wrong_type", "input"),
    (b'{"input": [1]}', 422, "wrong_type", "input[0]"),
    (b'{"inputs": {}}', 422, "wrong_type", ""),
    (b'{"wait": -1}', 422, "wrong_type", "wait"),
    (b'{"version": "1"}', 422, "wrong_type", "version"),
    (b'{"version": 99}', 404, "not_found", None),
    (b'{"input": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "json_too_deep", None),
    (b'{"input": {"a": "\\ud800"}}', 400, "malformed_json", None),
    (b"\xff", 400, "malformed_json", None),
]


async def test_bad_input_says_where(api: Api) -> None:
    workflow, _ = await deploy(api)
    for body, status, code, path in BAD_INPUT:
        found, headers, problem = await api.client.send("POST", f"/api/v1/workflows/{workflow}/execute", data=body)
        assert (found, problem["code"]) == (status, code), problem
        assert headers["content-type"] == "application/problem+json"
        assert problem["request_id"] == headers["x-request-id"]
        if path is not None:
            assert problem["errors"][0]["path"] == path
    assert await api.client.statuses(workflow) == {}


def test_positions_are_plain_data() -> None:
    from services.api.commands import Position

    shown: dict[str, Any] = Position(Topic.COMMANDS, 1, 2).json()
    assert shown == {"topic": "linkflow.commands", "partition": 1, "offset": 2}
