"""Executions that start others, through real owners on the log: sub-workflows and error workflows, over crashes."""

import itertools
from typing import Any
from uuid import uuid4

from domain.execution.commands import CancelExecution, StartExecution
from schemas import registry
from schemas.envelope import partition_of
from tests.support.workers import PARTITIONS, Cluster, until

CHILD, PARENT, REPORTS = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))


def workflow(*nodes: dict[str, Any], **settings: Any) -> dict[str, Any]:
    links = [{"from": one["id"], "to": other["id"]} for one, other in itertools.pairwise(nodes)]
    return {"name": "w", "nodes": list(nodes), "connections": links, "settings": settings}


START = {"id": "start", "type": "manual"}
CALLED = {"id": "called", "type": "execute_workflow_trigger"}
DOUBLE = workflow(
    CALLED,
    {"id": "pause", "type": "wait", "parameters": {"seconds": 0.2}},
    {"id": "twice", "type": "set", "parameters": {"fields": {"n": "{{ $json.n * 2 }}"}}},
)
CALLS = workflow(
    START,
    {"id": "call", "type": "execute_workflow", "parameters": {"workflow_id": CHILD, "mode": "each_item"}},
)


async def begin(cluster: Cluster, workflow_id: str, count: int = 6) -> str:
    execution = str(uuid4())
    command = StartExecution(
        execution_id=execution,
        workflow_id=workflow_id,
        workflow_version=0,
        trigger_node="start",
        trigger_type="manual",
        items=[{"json": {"n": number}} for number in range(count)],
        queued_at=1_700_000_000_000,
    )
    await cluster.send(command, f"execution-{execution}")
    return f"execution-{execution}"


def events(cluster: Cluster, stream: str) -> list[Any]:
    return [registry.decode_event(event) for commit in cluster.answers(stream) for event in commit.events]


def children_of(cluster: Cluster, stream: str) -> list[str]:
    started = [event for event in events(cluster, stream) if hasattr(event, "children")]
    return [f"execution-{child.execution_id}" for event in started for child in event.children]


async def test_children_run_on_other_partitions_and_come_back() -> None:
    async with Cluster() as cluster:
        cluster.versions.add(CHILD, 1, DOUBLE)
        cluster.versions.add(PARENT, 1, CALLS)
        await cluster.start("a")
        await cluster.owned("a")
        stream = await begin(cluster, PARENT)
        assert (await cluster.closed(stream))[-1] == "execution.completed"
        assert events(cluster, stream)[-1].output == [{"json": {"n": 2 * number}} for number in range(6)]


async def test_trace_10_owners_die_and_every_child_runs_once() -> None:
    async with Cluster() as cluster:
        cluster.versions.add(CHILD, 1, DOUBLE)
        cluster.versions.add(PARENT, 1, CALLS)
        await cluster.start("a")
        await cluster.owned("a")
        streams = [await begin(cluster, PARENT) for _ in range(3)]
        for name, after in (("b", 1), ("c", 5), ("d", 9)):

            def concluded(wanted: int = after) -> bool:
                found = [event for stream in streams for event in events(cluster, stream) if hasattr(event, "child")]
                return len(found) >= wanted

            await until(concluded, 10, "no child has come back")
            await cluster.kill(next(iter(cluster.workers)))
            await cluster.start(name)
            await cluster.owned(name)
        for stream in streams:
            assert (await cluster.closed(stream))[-1] == "execution.completed"
            for child in children_of(cluster, stream):
                kinds = [type(event).__name__ for event in events(cluster, child)]
                assert kinds.count("ExecutionQueued") == kinds.count("ExecutionCompleted") == 1


async def test_a_cancel_goes_down_through_the_log() -> None:
    async with Cluster() as cluster:
        waits = workflow(CALLED, {"id": "pause", "type": "wait", "parameters": {"seconds": 3600}})
        cluster.versions.add(CHILD, 1, waits)
        cluster.versions.add(PARENT, 1, CALLS)
        await cluster.start("a")
        await cluster.owned("a")
        stream = await begin(cluster, PARENT, 2)
        await until(lambda: len(children_of(cluster, stream)) == 2, 10, "no children")
        await cluster.send(CancelExecution(), stream)
        for child in children_of(cluster, stream):
            assert (await cluster.closed(child))[-1] == "execution.cancelled"


async def test_an_execution_that_cannot_be_run_any_more_starts_its_error_workflow() -> None:
    async with Cluster() as cluster:
        pause = {"id": "pause", "type": "wait", "parameters": {"seconds": 6}}
        cluster.versions.add(PARENT, 1, workflow(START, pause, error_workflow=REPORTS))
        await cluster.start("a")
        await cluster.owned("a")
        stream = await begin(cluster, PARENT, 1)
        await until(lambda: len(events(cluster, stream)) > 3, 10, "it does not wait")
        await cluster.stop("a")
        cluster.versions.forget()
        cluster.versions.add(REPORTS, 1, workflow({"id": "failed", "type": "error_trigger"}))
        await cluster.start("b")
        await cluster.owned("b")
        await cluster.send(CancelExecution(), stream)
        assert (await cluster.closed(stream))[-1] == "execution.failed"
        (start,) = [each for commit in cluster.answers(stream) for each in commit.commands]
        assert (await cluster.closed(start.stream))[-1] == "execution.completed"
        (item,) = events(cluster, start.stream)[-1].output
        assert item["json"]["execution"]["error"]["code"] == "workflow_version_unreadable"
        assert item["json"]["execution"]["trigger_type"] == "manual"


async def test_s11_s21_another_workspaces_workflow_is_not_there() -> None:
    async with Cluster() as cluster:
        cluster.versions.add(CHILD, 1, DOUBLE, workspace="5d1f6f0e-6d0c-4b6e-9d3a-1c9f4a1e7a99")
        cluster.versions.add(PARENT, 1, CALLS)
        await cluster.start("a")
        await cluster.owned("a")
        stream = await begin(cluster, PARENT, 1)
        assert (await cluster.closed(stream))[-1] == "execution.failed"
        assert events(cluster, stream)[-1].error.code == "workflow_not_found"


async def test_a_parent_that_only_waits_for_others_is_kept_as_bytes() -> None:
    async with Cluster() as cluster:
        waits = workflow(CALLED, {"id": "pause", "type": "wait", "parameters": {"seconds": 3600}})
        cluster.versions.add(CHILD, 1, waits)
        cluster.versions.add(PARENT, 1, CALLS)
        worker = await cluster.start("a")
        await cluster.owned("a")
        stream = await begin(cluster, PARENT, 1)
        await until(lambda: len(children_of(cluster, stream)) == 1, 10, "no child")
        owner = worker.owner_of("executions", partition_of(stream, PARTITIONS))
        await until(lambda: owner._memory.entries[stream].frozen is not None, 20, "it is not kept as bytes")
        await cluster.send(CancelExecution(), stream)
        assert (await cluster.closed(stream))[-1] == "execution.cancelled"
