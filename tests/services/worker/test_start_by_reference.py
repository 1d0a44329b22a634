"""Starts that name no version, and who is told how they end: by the log, through real owners."""

from typing import Any
from uuid import uuid4

from domain.execution.commands import StartExecution
from domain.execution.events import Origin
from schemas import registry
from tests.support.workers import Cluster, until

MANUAL = {
    "name": "one",
    "nodes": [{"id": "start", "type": "manual"}, {"id": "done", "type": "set", "parameters": {"fields": {"ok": True}}}],
    "connections": [{"from": "start", "to": "done"}],
}


def start(execution: str, workflow: str, **fields: Any) -> StartExecution:
    return StartExecution(
        execution_id=execution,
        workflow_id=workflow,
        workflow_version=0,
        trigger_node="",
        trigger_type="manual",
        items=[{"json": {}}],
        queued_at=1_700_000_000_000,
        **fields,
    )


async def told(cluster: Cluster, origin: str) -> dict[str, Any]:
    """What the origin's stream was sent, once it was answered there."""

    def sent() -> list[Any]:
        return [commit for commit in cluster.answers(origin) if commit.answers is not None]

    await until(lambda: bool(sent()), 10.0, f"{origin} was told nothing")
    (cause,) = {commit.cause for commit in sent()}
    return {"cause": cause, "outcomes": [commit.outcome.code for commit in sent()]}


async def test_a_start_by_reference_runs_the_newest_version_and_tells_its_origin() -> None:
    async with Cluster() as cluster:
        workflow, execution = str(uuid4()), str(uuid4())
        parent = f"execution-{uuid4()}"
        for version in (1, 2):
            cluster.versions.add(workflow, version, MANUAL)
        await cluster.start("a")
        await cluster.owned("a")
        stream = f"execution-{execution}"
        origin = Origin(kind="parent", stream=parent, node="call")
        await cluster.send(start(execution, workflow, origin=origin), stream)
        assert await cluster.closed(stream)
        first = cluster.answers(stream)[0]
        assert registry.decode_event(first.events[0]).workflow_version == 2
        assert (await told(cluster, parent))["cause"] == first.commands[0].id


async def test_a_refused_start_tells_its_origin_once_however_often_it_is_sent() -> None:
    async with Cluster() as cluster:
        execution, workflow = str(uuid4()), str(uuid4())
        parent = f"execution-{uuid4()}"
        await cluster.start("a")
        await cluster.owned("a")
        stream = f"execution-{execution}"
        wanted = start(execution, workflow, origin=Origin(kind="parent", stream=parent, node="call"))
        first = await cluster.answered(await cluster.send(wanted, stream), stream)
        assert (first.outcome.code, len(first.commands)) == ("workflow_not_found", 1)
        assert (await told(cluster, parent))["outcomes"] == ["unknown_execution"]
        cluster.versions.add(workflow, 1, MANUAL)
        again = await cluster.answered(await cluster.send(wanted, stream), stream)
        assert (again.outcome.kind, again.events, again.commands) == ("rejected", [], [])
