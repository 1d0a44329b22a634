"""A worker runs executions: effects, waits, cancels, recovery, drain; on the log in memory, with a real HTTP server."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from domain.execution.commands import CancelExecution, StartExecution
from domain.execution.events import NodeWaiting
from infra.log.memory import MemoryLog
from infra.log.port import NewRecord, Topic
from schemas import registry
from schemas.envelope import KIND_TICK, TickRecord, encode, partition_of
from services.worker.clock import wall_ms
from tests.support.workers import PARTITIONS, Cluster, until


class Server:
    """Counts requests; `/slow` answers when told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str | None]] = []
        self.release = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path, request.headers.get("Idempotency-Key")))
        if request.path == "/slow":
            await self.release.wait()
        if request.path.startswith("/status/"):
            return web.json_response({"bad": True}, status=int(request.path.rsplit("/", 1)[1]))
        return web.json_response({"answer": 42, "sent": (await request.text())[:100]})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", served.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield served
    served.release.set()
    await runner.cleanup()


def chain(*nodes: dict[str, Any], **settings: Any) -> dict[str, Any]:
    all_nodes = [{"id": "start", "type": "manual"}, *nodes]
    pairs = itertools.pairwise(all_nodes)
    connections = [{"from": a["id"], "to": b["id"]} for a, b in pairs]
    return {"name": "chain", "nodes": all_nodes, "connections": connections, "settings": settings}


def call(url: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"id": "call", "type": "http", "parameters": {"method": method, "url": url}, **more}


DONE = {"id": "done", "type": "set", "parameters": {"fields": {"ok": True}}}


async def begin(cluster: Cluster, document: dict[str, Any]) -> str:
    workflow, execution = str(uuid4()), str(uuid4())
    cluster.versions.add(workflow, 1, document)
    command = StartExecution(
        execution_id=execution,
        workflow_id=workflow,
        workflow_version=1,
        trigger_node="start",
        trigger_type="manual",
        items=[{"json": {"n": 1}}],
        queued_at=1_700_000_000_000,
    )
    await cluster.send(command, f"execution-{execution}")
    return f"execution-{execution}"


def events(cluster: Cluster, stream: str) -> list[Any]:
    """The execution's events, what is stored outside left out."""
    return [registry.decode_event_bare(event) for commit in cluster.answers(stream) for event in commit.events]


def outputs(cluster: Cluster, stream: str, node: str) -> list[Any]:
    return [e.outputs for e in events(cluster, stream) if type(e).__name__ == "NodeCompleted" and e.node == node]


async def test_a_request_is_made_after_its_attempt_is_recorded(server: Server) -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        stream = await begin(cluster, chain(call(server.url + "/x"), DONE))
        types = await cluster.closed(stream)
        assert types[-1] == "execution.completed"
        assert types.count("execution.node_attempted") == 1
        assert outputs(cluster, stream, "call")[0]["main"][0]["json"]["answer"] == 42
        assert len(server.requests) == 1


async def test_commits_say_that_an_execution_delivers_for_a_subscription(server: Server) -> None:
    """Usage counts them apart: each commit has to say it, for it is looked at alone."""
    async with Cluster() as cluster:
        await cluster.start("a")
        for trigger_type in ("manual", "delivery"):
            workflow, execution = str(uuid4()), str(uuid4())
            cluster.versions.add(workflow, 1, chain(call(f"{server.url}/ok"), DONE))
            command = StartExecution(
                execution_id=execution,
                workflow_id=workflow,
                workflow_version=1,
                trigger_node="start",
                trigger_type=trigger_type,
                items=[{"json": {"n": 1}}],
                queued_at=1_700_000_000_000,
            )
            await cluster.send(command, f"execution-{execution}")
            await cluster.closed(f"execution-{execution}")
            commits = [each for each in cluster.answers(f"execution-{execution}") if each.events]
            assert len(commits) > 1
            assert {each.delivers for each in commits} == {trigger_type == "delivery"}


async def test_a_failing_call_is_tried_again_and_then_fails(server: Server) -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        retry = {"attempts": 3, "delay_seconds": 0.1, "backoff": "fixed"}
        stream = await begin(cluster, chain(call(server.url + "/status/503", retry=retry), DONE))
        types = await cluster.closed(stream)
        assert types[-1] == "execution.failed"
        assert len(server.requests) == 3


async def test_many_items_are_one_effect_each(server: Server) -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        split = {"id": "split", "type": "split_out", "parameters": {"field": "xs"}}
        many = {"id": "many", "type": "set", "parameters": {"fields": {"xs": list(range(120))}}}
        stream = await begin(cluster, chain(many, split, call(server.url + "/x", "PUT"), DONE))
        types = await cluster.closed(stream, 20)
        assert types[-1] == "execution.completed"
        assert len(server.requests) == 120
        assert len({key for _, _, key in server.requests}) == 120
        assert len(outputs(cluster, stream, "done")[0]["main"]) == 120


async def test_a_killed_worker_loses_nothing_a_read_is_made_again(server: Server) -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        streams = [await begin(cluster, chain(call(server.url + "/slow"), DONE)) for _ in range(10)]
        await until(lambda: len(server.requests) == 10, 10, "the calls were never made")
        await cluster.kill("a")
        server.release.set()
        await cluster.start("b")
        for stream in streams:
            types = await cluster.closed(stream)
            assert types[-1] == "execution.completed"
            assert types.count("execution.node_attempted") == 2
        assert len(server.requests) == 20


async def test_a_killed_worker_never_repeats_an_unsafe_call(server: Server) -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        slow = call(server.url + "/slow", "POST", timeout_seconds=1)
        stream = await begin(cluster, chain(slow, DONE))
        await until(lambda: len(server.requests) == 1, 10, "the call was never made")
        await cluster.kill("a")
        await cluster.start("b")
        types = await cluster.closed(stream, 30)  # start deadline 5 s + time-out 1 s + grace 5 s
        assert "execution.node_outcome_unknown" in types
        assert types[-1] == "execution.failed"
        assert len(server.requests) == 1


async def test_a_drain_finishes_what_is_under_way(server: Server) -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        stream = await begin(cluster, chain(call(server.url + "/slow", "POST"), DONE))
        await until(lambda: len(server.requests) == 1, 10, "the call was never made")
        stopping = asyncio.create_task(cluster.stop("a"))
        await asyncio.sleep(0)
        server.release.set()
        await stopping
        assert (await cluster.closed(stream))[-1] == "execution.completed"


async def test_a_wait_that_follows_a_short_wait_ends() -> None:
    """The timer and the tick wake a short wait in one batch: the second of them must not swallow the next due time."""
    async with Cluster() as cluster:
        await cluster.start("a")
        waits = [{"id": f"w{n}", "type": "wait", "parameters": {"seconds": s}} for n, s in enumerate((0.3, 6))]
        streams = [await begin(cluster, chain(*waits, DONE)) for _ in range(5)]
        for stream in streams:
            assert (await cluster.closed(stream, 15))[-1] == "execution.completed"


async def test_a_short_and_a_long_wait_over_a_restart() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        short = await begin(cluster, chain({"id": "w", "type": "wait", "parameters": {"seconds": 0.2}}, DONE))
        long = await begin(cluster, chain({"id": "w", "type": "wait", "parameters": {"seconds": 6}}, DONE))
        assert (await cluster.closed(short))[-1] == "execution.completed"
        await cluster.stop("a")
        await cluster.start("b")
        assert (await cluster.closed(long, 15))[-1] == "execution.completed"


async def test_cancel_wins_over_a_call_in_flight(server: Server) -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        stream = await begin(cluster, chain(call(server.url + "/slow"), DONE))
        await until(lambda: len(server.requests) == 1, 10, "the call was never made")
        await cluster.send(CancelExecution(), stream)
        types = await cluster.closed(stream)
        assert "execution.cancelled" in types
        assert "execution.completed" not in types


async def test_an_execution_that_takes_too_long_times_out(server: Server) -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        stream = await begin(cluster, chain(call(server.url + "/slow"), DONE, timeout_seconds=1))
        assert (await cluster.closed(stream))[-1] == "execution.timed_out"


async def test_heavy_pure_work_goes_to_the_compute_pool() -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        many = {"id": "many", "type": "set", "parameters": {"fields": {"xs": list(range(3_000))}}}
        split = {"id": "split", "type": "split_out", "parameters": {"field": "xs"}}
        double = {"id": "double", "type": "set", "parameters": {"fields": {"y": "{{ $json.xs * 2 }}"}}}
        stream = await begin(cluster, chain(many, split, double))
        assert (await cluster.closed(stream, 30))[-1] == "execution.completed"
        out = events(cluster, stream)
        assert type(out[-1]).__name__ == "ExecutionCompleted"


async def test_under_pressure_starts_are_queued_and_begin_when_there_is_room(server: Server) -> None:
    async with Cluster(max_effects=3) as cluster:
        await cluster.start("a")
        streams = [await begin(cluster, chain(call(server.url + "/slow"), DONE)) for _ in range(12)]
        await until(lambda: len(server.requests) == 3, 10, "the first calls were never made")
        await until(lambda: all(cluster.answers(stream) for stream in streams), 10, "not all starts were answered")
        begun = [stream for stream in streams if len(events(cluster, stream)) > 1]
        assert len(begun) < 12
        await cluster.kill("a")  # what is queued goes on with the next owner
        await cluster.start("b")
        server.release.set()
        for stream in streams:
            assert (await cluster.closed(stream, 20))[-1] == "execution.completed"


async def test_many_large_starts_at_once_are_answered_in_several_appends() -> None:
    async with Cluster() as cluster:
        workflow = str(uuid4())
        cluster.versions.add(workflow, 1, chain(DONE))
        streams = []
        for _ in range(120):
            execution = str(uuid4())
            command = StartExecution(
                execution_id=execution,
                workflow_id=workflow,
                workflow_version=1,
                trigger_node="start",
                trigger_type="manual",
                items=[{"json": {"text": "x" * 60_000}}],
                queued_at=1_700_000_000_000,
            )
            streams.append(f"execution-{execution}")
            await cluster.send(command, streams[-1])
        await cluster.start("a")
        await cluster.owned("a")
        for stream in streams:
            assert (await cluster.closed(stream))[-1] == "execution.completed"
        epochs = {commit.epoch for stream in streams for commit in cluster.answers(stream)}
        assert len(epochs) <= 2, "an append was refused and the partition taken over anew"


async def test_what_this_linkflow_cannot_run_any_more_ends_as_failed_and_stops_nothing(server: Server) -> None:
    async with Cluster() as cluster:
        await cluster.start("a")
        calling = await begin(cluster, chain(call(server.url + "/slow"), DONE))
        parked = await begin(cluster, chain({"id": "w", "type": "wait", "parameters": {"seconds": 6}}, DONE))
        await until(lambda: len(server.requests) == 1, 10, "the call was never made")
        await until(lambda: bool(cluster.answers(parked)), 10, "the wait was never begun")
        await cluster.kill("a")
        cluster.versions.forget()
        await cluster.start("b")
        fresh = await begin(cluster, chain(DONE))
        assert (await cluster.closed(fresh))[-1] == "execution.completed"
        for stream in (calling, parked):
            assert (await cluster.closed(stream, 15))[-1] == "execution.failed"
            assert events(cluster, stream)[-1].error.code == "workflow_version_unreadable"


async def test_a_cut_of_the_inputs_stops_its_partition_only(server: Server) -> None:
    async with Cluster() as cluster:
        worker = await cluster.start("a")
        await cluster.owned("a")
        writer = await cluster.log.writer()
        await cluster.kill("a")
        for _ in range(3):
            await writer.append(Topic.EXECUTION_COMMANDS, 0, [NewRecord(b"garbage")])
        await cluster.log.delete_before(Topic.EXECUTION_COMMANDS, 0, 2)
        worker = await cluster.start("b")
        await until(
            lambda: (owner := worker.find_owner("executions", 0)) is not None and owner.stopped is not None,
            10,
            "the partition went on with inputs missing",
        )
        for _ in range(6):
            stream = await begin(cluster, chain(DONE))
            if partition_of(stream, PARTITIONS) == 1:
                assert (await cluster.closed(stream))[-1] == "execution.completed"


async def test_what_starts_before_the_first_tick_after_an_outage_has_its_time_from_the_logs_clock() -> None:
    """The last tick is an hour old: a deadline or a wait counted from it would have run out at the next tick."""
    cluster = Cluster()
    now = [wall_ms() - 3_600_000]
    cluster.log = MemoryLog(PARTITIONS, clock=lambda: now[0])
    writer = await cluster.log.writer()
    for partition in range(PARTITIONS):
        tick = NewRecord(encode(TickRecord(time=now[0], leader="test")), (("k", KIND_TICK),))
        await writer.append(Topic.TICKS, partition, [tick])
    now[0] += 3_600_000
    try:
        await cluster.start("a")
        stream = await begin(cluster, chain({"id": "wait", "type": "wait", "parameters": {"seconds": 600}}))
        await until(lambda: bool(cluster.answers(stream)), 5.0, "not started")
        waiting = next(event for event in events(cluster, stream) if isinstance(event, NodeWaiting))
        assert waiting.due is not None
        assert abs(waiting.due - (now[0] + 600_000)) < 5_000
    finally:
        await cluster.kill("a")
