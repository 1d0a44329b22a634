"""`$vars` in a worker: looked up when a start is decided, for versions that ask for them, and then never again."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

from domain.execution.events import ExecutionQueued
from services.worker.variables import Values, VariablesKey
from tests.services.worker.test_running import DONE, begin, chain, events, outputs
from tests.services.worker.test_start_by_reference import start
from tests.support.workers import WORKSPACE, Cluster

SHOW = {"id": "show", "type": "set", "parameters": {"fields": {"host": "{{ $vars.host }}"}, "keep": False}}
WAIT = {"id": "wait", "type": "wait", "parameters": {"seconds": 0.3}}


class KnownVariables:
    """What a test says; notes what was asked for, and can be held up."""

    def __init__(self, **values: Any) -> None:
        self.values: dict[str, Any] = values
        self.asked: list[VariablesKey] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, keys: Collection[VariablesKey]) -> Values:
        self.asked += keys
        found: dict[VariablesKey, Mapping[str, Any]] = {key: dict(self.values) for key in keys}
        await self.gate.wait()
        return found


def queued(cluster: Cluster, stream: str) -> ExecutionQueued:
    first = events(cluster, stream)[0]
    assert isinstance(first, ExecutionQueued)
    return first


async def test_a_start_sees_what_there_is_when_it_is_decided() -> None:
    async with Cluster() as cluster:
        cluster.variables = known = KnownVariables(host="one", other=1)
        await cluster.start("a")
        stream = await begin(cluster, chain(SHOW))
        await cluster.closed(stream)
        assert queued(cluster, stream).variables == {"host": "one"}
        known.values["host"] = "two"
        stream = await begin(cluster, chain(SHOW))
        await cluster.closed(stream)
        assert outputs(cluster, stream, "show")[0]["main"] == [{"json": {"host": "two"}}]
        assert known.asked == [(WORKSPACE, frozenset({"host"}))] * 2


async def test_nothing_is_looked_up_for_who_asks_for_nothing() -> None:
    async with Cluster() as cluster:
        cluster.variables = known = KnownVariables(host="one")
        await cluster.start("a")
        stream = await begin(cluster, chain(WAIT, DONE))
        await cluster.closed(stream)
        assert known.asked == []
        assert queued(cluster, stream).variables == {}


async def test_whoever_takes_over_goes_on_with_what_was_recorded() -> None:
    async with Cluster() as cluster:
        cluster.variables = known = KnownVariables(host="one")
        await cluster.start("a")
        stream = await begin(cluster, chain(WAIT, SHOW))
        while not cluster.answers(stream):
            await asyncio.sleep(0.002)
        await cluster.kill("a")
        known.values["host"] = "two"
        await cluster.start("b")
        await cluster.closed(stream)
        assert outputs(cluster, stream, "show")[0]["main"] == [{"json": {"host": "one"}}]
        assert len(known.asked) == 1


async def test_a_start_by_reference_sees_what_its_version_asks_for_though_that_is_new_meanwhile() -> None:
    """While the variables of the version that was meant are looked up, another one is made that asks for others."""
    async with Cluster() as cluster:
        cluster.variables = known = KnownVariables(host="one", other=1)
        known.gate.clear()
        await cluster.start("a")
        workflow, execution = str(uuid4()), str(uuid4())
        cluster.versions.add(workflow, 1, chain(SHOW))
        await cluster.send(start(execution, workflow), f"execution-{execution}")
        while not known.asked:
            await asyncio.sleep(0.002)
        newer = SHOW | {"parameters": {"fields": {"all": "{{ $vars }}"}}}
        cluster.versions.add(workflow, 2, chain(newer))
        known.gate.set()
        await cluster.closed(f"execution-{execution}")
        assert queued(cluster, f"execution-{execution}").variables == {"host": "one", "other": 1}
        assert known.asked == [(WORKSPACE, frozenset({"host"})), (WORKSPACE, None)]


async def test_what_is_large_is_stored_outside_and_comes_back() -> None:
    async with Cluster() as cluster:
        large = {f"v{n}": "x" * 30_000 for n in range(8)}
        cluster.variables = KnownVariables(**large)
        await cluster.start("a")
        count = {"id": "n", "type": "set", "parameters": {"fields": {"n": "{{ Object.keys($vars).length }}"}}}
        stream = await begin(cluster, chain(WAIT, count))
        while not cluster.answers(stream):
            await asyncio.sleep(0.002)
        [first] = [event for event in cluster.answers(stream)[0].events if event.type == "execution.queued"]
        assert list(first.blobs) == ["variables"]
        await cluster.kill("a")
        await cluster.start("b")
        await cluster.closed(stream)
        assert outputs(cluster, stream, "n")[0]["main"][0]["json"]["n"] == 8
