"""Starts are refused while too many of their partition are undecided, and taken again afterwards."""

import pytest

from infra.log.port import Topic
from services.api.commands import Position
from services.api.pressure import Pressure
from services.api.problems import Problem
from tests.services.api.conftest import Api
from tests.services.api.test_workflows import document

PARTITION = 3


class Follower:
    """What the process has read."""

    def __init__(self) -> None:
        self.answered: dict[tuple[Topic, int], int] = {}


def appended(pressure: Pressure, offset: int) -> None:
    pressure.appended(Position(Topic.EXECUTION_COMMANDS, PARTITION, offset))


def test_undecided_starts_are_those_behind_the_newest_answer() -> None:
    follower = Follower()
    pressure = Pressure(follower, limit=10)
    appended(pressure, 99)
    pressure.check(PARTITION)  # nothing was read yet: nobody is turned away on a guess
    follower.answered[Topic.EXECUTIONS, PARTITION] = 90
    assert pressure.undecided(PARTITION) == 10
    pressure.check(PARTITION)
    appended(pressure, 100)
    with pytest.raises(Problem) as refused:
        pressure.check(PARTITION)
    assert (refused.value.status, refused.value.code) == (503, "overloaded")
    assert dict(refused.value.headers)[b"retry-after"].isdigit()
    follower.answered[Topic.EXECUTIONS, PARTITION] = 96
    pressure.check(PARTITION)
    assert pressure.undecided(PARTITION) == 5


def test_partitions_are_apart_and_offsets_never_go_back() -> None:
    follower = Follower()
    pressure = Pressure(follower, limit=10)
    follower.answered[Topic.EXECUTIONS, PARTITION] = 1
    appended(pressure, 50)
    appended(pressure, 20)
    assert pressure.undecided(PARTITION) == 50
    assert pressure.undecided(PARTITION + 1) == 0
    pressure.check(PARTITION + 1)


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
