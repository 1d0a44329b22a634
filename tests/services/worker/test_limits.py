"""Limits over several workers: executions of different partitions go on side by side only as many as may."""

from uuid import uuid4

from domain.execution.commands import CancelExecution, StartExecution
from services.worker.clock import wall_ms
from tests.services.worker.test_running import chain
from tests.support.workers import Cluster

WORKFLOW = "w-limited"


def start(execution: str) -> StartExecution:
    return StartExecution(
        execution_id=execution, workflow_id=WORKFLOW, workflow_version=1, trigger_node="start", trigger_type="manual",
        items=[{"json": {}}], queued_at=wall_ms(),
    )  # fmt: skip


async def test_a_limit_holds_over_partitions_and_takeovers_and_lets_everybody_through() -> None:
    document = chain({"id": "wait", "type": "wait", "parameters": {"seconds": 0.2}}, concurrency={"limit": 3})
    async with Cluster() as cluster:
        cluster.versions.add(WORKFLOW, 1, document)
        await cluster.start("a")
        await cluster.owned("a")
        names = [str(uuid4()) for _ in range(20)]
        for name in names:
            await cluster.send(start(name), f"execution-{name}")
        await cluster.closed(f"execution-{names[0]}", 30.0)
        await cluster.kill("a")
        await cluster.start("b")
        waiting = next(name for name in names if "execution.started" not in types(cluster, name))
        await cluster.send(CancelExecution(), f"execution-{waiting}")
        for name in names:
            await cluster.closed(f"execution-{name}", 30.0)
        assert types(cluster, waiting)[-1] == "execution.cancelled"
        assert most_at_once([times(cluster, name) for name in names if name != waiting]) == 3


def types(cluster: Cluster, name: str) -> list[str]:
    return [event.type for commit in cluster.answers(f"execution-{name}") for event in commit.events]


def times(cluster: Cluster, name: str) -> tuple[int, int]:
    """When an execution began and ended."""

    def when(event_type: str) -> int:
        commits = cluster.answers(f"execution-{name}")
        return next(each.time for each in commits if any(event.type == event_type for event in each.events))

    return when("execution.started"), when("execution.completed")


def most_at_once(spans: list[tuple[int, int]]) -> int:
    return max(sum(began <= moment < ended for began, ended in spans) for moment, _ in spans)
