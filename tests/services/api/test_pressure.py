"""Starts are refused while too many of their partition are undecided, and taken again afterwards."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.log.port import Topic
from infra.postgres.heartbeats import ALIVE_SECONDS, Heartbeat
from services.api.commands import Position
from services.api.pressure import QUEUED_SHARE, SHARE, Backlog, Pressure
from services.api.problems import Problem
from tests.services.api.conftest import Api
from tests.services.api.test_workflows import document

PARTITION = 3


class Follower:
    """What the process has read."""

    def __init__(self) -> None:
        self.answered: dict[tuple[Topic, int], int] = {}


def appended(pressure: Pressure, offset: int, workspace: str = "w") -> None:
    pressure.appended(Position(Topic.EXECUTION_COMMANDS, PARTITION, offset), workspace)


async def nobody() -> list[Heartbeat]:
    return []


def refusal(pressure: Pressure, workspace: str) -> tuple[int, str] | None:
    try:
        pressure.check(PARTITION, workspace)
    except Problem as problem:
        return problem.status, problem.code
    return None


def test_undecided_starts_are_those_behind_the_newest_answer() -> None:
    follower = Follower()
    pressure = Pressure(follower, Backlog(nobody), limit=10)
    appended(pressure, 99)
    pressure.check(PARTITION, "w")  # nothing was read yet: nobody is turned away on a guess
    follower.answered[Topic.EXECUTIONS, PARTITION] = 90
    assert pressure.undecided(PARTITION) == 10
    pressure.check(PARTITION, "w")
    appended(pressure, 100)
    with pytest.raises(Problem) as refused:
        pressure.check(PARTITION, "w")
    assert (refused.value.status, refused.value.code) == (503, "overloaded")
    assert dict(refused.value.headers)[b"retry-after"].isdigit()
    follower.answered[Topic.EXECUTIONS, PARTITION] = 96
    pressure.check(PARTITION, "w")
    assert pressure.undecided(PARTITION) == 5


def test_starts_are_bounded_though_nobody_has_answered_any_since_this_process_began() -> None:
    pressure = Pressure(Follower(), Backlog(nobody), limit=10)
    for offset in range(500, 511):
        assert refusal(pressure, "w") is None
        appended(pressure, offset)
    assert refusal(pressure, "w") == (503, "overloaded")


def test_partitions_are_apart_and_offsets_never_go_back() -> None:
    follower = Follower()
    pressure = Pressure(follower, Backlog(nobody), limit=10)
    follower.answered[Topic.EXECUTIONS, PARTITION] = 1
    appended(pressure, 50)
    appended(pressure, 20)
    assert pressure.undecided(PARTITION) == 50
    assert pressure.undecided(PARTITION + 1) == 0
    pressure.check(PARTITION + 1, "w")


def test_a_workspace_above_its_share_is_refused_while_others_are_busy() -> None:
    follower = Follower()
    follower.answered[Topic.EXECUTIONS, PARTITION] = 0
    pressure = Pressure(follower, Backlog(nobody), limit=10 * SHARE)
    for offset in range(12):
        appended(pressure, offset, "flood")
    assert refusal(pressure, "flood") is None  # it is alone: nobody else waits
    appended(pressure, 12, "calm")
    assert refusal(pressure, "flood") == (429, "workspace_overloaded")
    assert refusal(pressure, "calm") is None
    follower.answered[Topic.EXECUTIONS, PARTITION] = 4
    assert refusal(pressure, "flood") is None


def test_what_stands_in_line_is_bounded_for_all_and_for_each() -> None:
    backlog = Backlog(nobody)
    pressure = Pressure(Follower(), backlog, max_queued=100, max_open=1_000)

    def said(age: float = 0.0, **facts: Any) -> None:
        backlog.saw([Heartbeat("worker-0", "worker", age, facts), Heartbeat("worker-1", "worker", 0.0, {"queued": 10})])

    said(queued=50, queued_by_workspace={"w": 100 // QUEUED_SHARE + 1})
    assert refusal(pressure, "w") == (429, "workspace_overloaded")
    assert refusal(pressure, "other") is None
    said(queued=91)
    assert refusal(pressure, "other") == (503, "overloaded")
    said(queued=91, age=ALIVE_SECONDS)  # it is gone: whoever has its partitions says so
    assert refusal(pressure, "other") is None
    said(open=1_001)
    assert refusal(pressure, "other") == (503, "overloaded")


async def test_starts_are_refused_while_nobody_decides_and_taken_again_afterwards(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow, path = await api.client.deploy(document())
    for _ in range(20):  # so that each partition has had an answer
        await api.client.execution((await api.client.ask("POST", path, json={}))["execution_id"])
    monkeypatch.setattr(api.parts.starter._pressure, "_limit", 5)
    api.worker.gate.clear()
    accepted: list[str] = []
    while True:
        assert len(accepted) <= 2 * 6, "more than the limit of both partitions"
        status, headers, answer = await api.client.send("POST", path, json={})
        if status != 202:
            break
        accepted.append(answer["execution_id"])
    assert (status, answer["code"]) == (503, "overloaded")
    assert int(headers["retry-after"]) >= 1
    api.worker.gate.set()
    for execution in accepted:
        assert (await api.client.execution(execution))["workflow_id"] == workflow
    assert (await api.client.send("POST", path, json={}))[0] == 202


@pytest.mark.parametrize("route", ["webhook", "execute"])
async def test_a_refusal_does_not_wait_for_the_body(api: Api, monkeypatch: pytest.MonkeyPatch, route: str) -> None:
    workflow, path = await api.client.deploy(document())
    api.worker.gate.clear()
    monkeypatch.setattr(api.parts.starter._pressure, "_limit", -1)
    for _ in range(20):  # so that each partition has one that waits
        await api.client.send("POST", path, json={})
    address = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    target = path if route == "webhook" else f"/api/v1/workflows/{workflow}/execute"
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nX-API-Key: {api.key}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 2\r\n\r\n".encode())  # and no body
    status = await asyncio.wait_for(reader.readline(), 10)
    assert b" 503 " in status, status
    writer.close()
    await writer.wait_closed()
    api.worker.gate.set()
