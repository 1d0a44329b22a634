"""Schedules on the log: owners fire what is due by the ticks, whoever ticks, whoever owns, whatever stood still."""

from typing import Any
from uuid import uuid4

from domain.schedule.commands import CreateSchedule, PauseSchedule
from domain.schedule.definition import Definition, Policies
from domain.schedule.events import ExecutionNoted, FiringsSkipped, ScheduleFired
from domain.schedule.timing import ByCron, ByInterval, Timing
from domain.workflow.commands import ActivateWorkflow, CreateWorkflow, DeactivateWorkflow
from infra.log.port import Topic
from infra.postgres.checkpoints import MemoryCheckpoints
from schemas import registry
from schemas.envelope import partition_of
from services.scheduler.ticker import Ticker
from services.worker.clock import wall_ms
from services.worker.owner import PartitionOwner
from tests.support.workers import PARTITIONS, Cluster, until

MINUTE = 60_000
WORKFLOW = {
    "name": "nightly",
    "nodes": [
        {"id": "tick", "type": "schedule", "parameters": {"every": {"seconds": 30}}},
        {"id": "done", "type": "set", "parameters": {"fields": {"ok": True}}},
    ],
    "connections": [{"from": "tick", "to": "done"}],
}


class Hand:
    """Moves the time of a cluster's ticks. From NOON on, which is a full minute in the future of the wall clock."""

    def __init__(self, cluster: Cluster) -> None:
        self.now = wall_ms() // MINUTE * MINUTE + 60 * MINUTE
        self.noon = self.now
        self.stopped = False
        cluster.tick_time = lambda: None if self.stopped else self.now


def events(cluster: Cluster, stream: str) -> list[Any]:
    return [registry.decode_event(event) for commit in cluster.answers(stream) for event in commit.events]


def fired(cluster: Cluster, stream: str) -> list[ScheduleFired]:
    return [event for event in events(cluster, stream) if isinstance(event, ScheduleFired)]


def dues(cluster: Cluster, hand: Hand, stream: str) -> list[float]:
    return [(each.due - hand.noon) / MINUTE for each in fired(cluster, stream)]


async def scheduled(cluster: Cluster, timing: Timing, **policies: Any) -> str:
    """A workflow with a schedule; returns the schedule's stream."""
    workflow, schedule = str(uuid4()), str(uuid4())
    cluster.versions.add(workflow, 1, WORKFLOW)
    definition = Definition(workflow_id=workflow, name="s", timing=timing, policies=Policies(**policies))
    stream = f"schedule-{schedule}"
    command = await cluster.send(CreateSchedule(schedule, definition, wall_ms()), stream)
    assert (await cluster.answered(command, stream)).outcome.kind == "accepted"
    return stream


async def reached(cluster: Cluster, hand: Hand, name: str = "a") -> None:
    """Wait until the owners of aggregates have heard of the time."""

    def heard() -> bool:
        owners: list[PartitionOwner] = [
            cluster.workers[name].owner_of("aggregates", place) for place in range(PARTITIONS)
        ]
        return all(owner.clock.now() >= hand.now and owner.idle for owner in owners)

    await until(heard, 10.0, "time has not come to the owners")


async def begin(cluster: Cluster) -> Hand:
    hand = Hand(cluster)
    await cluster.start("a")
    await cluster.owned("a")
    await reached(cluster, hand)
    return hand


async def test_a_firing_starts_an_execution_and_hears_how_it_ended() -> None:
    async with Cluster() as cluster:
        hand = await begin(cluster)
        stream = await scheduled(cluster, ByCron("* * * * *"))
        hand.now += MINUTE
        await until(lambda: len(fired(cluster, stream)) == 1, 10.0, "it did not fire")
        (firing,) = fired(cluster, stream)
        assert await cluster.closed(f"execution-{firing.execution_id}")
        await until(lambda: isinstance(events(cluster, stream)[-1], ExecutionNoted), 10.0, "it was told nothing")
        noted = events(cluster, stream)[-1]
        assert (noted.firing_id, noted.status) == (firing.firing_id, "completed")
        queued = registry.decode_event(cluster.answers(f"execution-{firing.execution_id}")[0].events[0])
        assert (queued.trigger_type, queued.trigger_node, queued.workflow_version) == ("schedule", "tick", 1)
        assert queued.items[0]["json"]["local_time"] == firing.local


async def test_a_refused_start_is_noted() -> None:
    async with Cluster() as cluster:
        hand = await begin(cluster)
        stream = await scheduled(cluster, ByCron("* * * * *"), overlap="skip")
        cluster.versions.forget()
        hand.now += MINUTE
        await until(lambda: any(isinstance(e, ExecutionNoted) for e in events(cluster, stream)), 10.0, "not told")
        (noted,) = [event for event in events(cluster, stream) if isinstance(event, ExecutionNoted)]
        assert noted.status == "refused"
        assert noted.message.startswith("workflow_not_found")
        hand.now += MINUTE
        await until(lambda: len(fired(cluster, stream)) == 2, 10.0, "a refusal keeps the next from firing")


async def test_takeovers_fire_everything_once() -> None:
    """With checkpoints and without, in the middle of what is due."""
    async with Cluster() as cluster:
        hand = await begin(cluster)
        streams = [await scheduled(cluster, ByCron("* * * * *"), missed="all", missed_limit=100) for _ in range(20)]
        for minute in range(1, 9):
            hand.now += MINUTE
            name = f"w{minute}"
            await cluster.kill("a" if minute == 1 else f"w{minute - 1}")
            if minute % 3 == 0:
                cluster.checkpoints = MemoryCheckpoints()
            await cluster.start(name)
            await cluster.owned(name)
            if minute % 2:
                await reached(cluster, hand, name)
        await until(lambda: all(len(fired(cluster, each)) >= 8 for each in streams), 10.0, "some did not fire")
        for stream in streams:
            assert dues(cluster, hand, stream) == [1, 2, 3, 4, 5, 6, 7, 8]
            for firing in fired(cluster, stream):
                assert (await cluster.closed(f"execution-{firing.execution_id}")).count("execution.queued") == 1


async def test_the_scheduler_is_down_for_five_minutes_over_due_times() -> None:
    async with Cluster() as cluster:
        hand = await begin(cluster)
        every = {
            policy: await scheduled(cluster, ByCron("* * * * *"), missed=policy) for policy in ("none", "last", "all")
        }
        hourly = await scheduled(cluster, ByInterval(150, hand.noon + 20_000), missed="last")
        hand.now += MINUTE
        await reached(cluster, hand)
        hand.stopped = True
        hand.now += 5 * MINUTE + 30_000
        hand.stopped = False
        await reached(cluster, hand)
        await until(lambda: bool(fired(cluster, hourly)), 10.0, "it did not fire")
        assert dues(cluster, hand, every["none"]) == dues(cluster, hand, every["last"]) == [1, 6]
        assert dues(cluster, hand, every["all"]) == [1, 2, 3, 4, 5, 6]
        for stream in (*every.values(), hourly):
            skipped = [each for each in events(cluster, stream) if isinstance(each, FiringsSkipped)]
            recorded = len(fired(cluster, stream)) + sum(each.count for each in skipped)
            assert recorded == (6 if stream is not hourly else 3), "every instant has its record"
            assert {each.reason for each in skipped} <= {"missed"}


async def test_two_leaders_one_stopped_and_continued_clocks_set_back_and_forward() -> None:
    """C15: the firings are the reference instants, each once, whatever the schedulers and their clocks do."""
    async with Cluster() as cluster:
        hand = await begin(cluster)
        hand.stopped = True
        often = await scheduled(cluster, ByInterval(10), missed="all", missed_limit=1_000)
        minutely = await scheduled(cluster, ByCron("* * * * *"), missed="all", missed_limit=1_000)
        monotonic, stepped = hand.now, {"a": 0, "b": 0}
        tickers = {
            name: await Ticker.open(
                cluster.log, name, monotonic=lambda: monotonic, wall=lambda name=name: monotonic + stepped[name]
            )
            for name in ("a", "b")
        }
        for second in range(900):
            monotonic += 1_000
            if second == 200:
                stepped["a"] = -300_000
            if second == 500:
                stepped["b"] = 300_000
            leading = ("a", "b") if not 300 < second < 420 else ("b",)  # a is stopped for two minutes, and goes on
            for name in leading:
                await tickers[name].tick()
            if second % 7 == 0:
                hand.now = monotonic - 400_000
                await reached(cluster, hand)
        for ticker in tickers.values():
            await ticker.close()
        last = max(fired(cluster, often), key=lambda each: each.due).due
        assert last > hand.noon + 800_000
        await until(lambda: fired(cluster, minutely)[-1].due > last - MINUTE, 10.0, "minutes are missing")
        for stream, period in ((often, 10_000), (minutely, MINUTE)):
            found = [each.due for each in fired(cluster, stream)]
            assert found == list(range(found[0], found[-1] + 1, period))
            assert found[0] <= hand.noon + 2 * period
            assert not [each for each in events(cluster, stream) if isinstance(each, FiringsSkipped)]
            ids = {each.execution_id for each in fired(cluster, stream)}
            assert len(ids) == len(found)
        starts = [
            commit.cause
            for place in range(PARTITIONS)
            for _, commit in cluster.accepted(Topic.EXECUTIONS, place)
            if commit.answers is not None and commit.version == 1
        ]
        assert len(starts) == len(set(starts))


async def test_a_workflow_s_schedule_nodes_come_and_go_with_its_activation() -> None:
    async with Cluster() as cluster:
        hand = await begin(cluster)
        workflow = str(uuid4())
        cluster.versions.add(workflow, 1, WORKFLOW)
        stream = f"workflow-{workflow}"
        await cluster.answered(await cluster.send(CreateWorkflow(workflow, WORKFLOW, wall_ms()), stream), stream)
        command = await cluster.send(ActivateWorkflow(wall_ms(), {}), stream)
        (ensured,) = (await cluster.answered(command, stream)).commands
        assert ensured.type == "schedule.ensure"
        await until(lambda: bool(events(cluster, ensured.stream)), 10.0, "there is no schedule")
        hand.now += MINUTE // 2
        await until(lambda: len(fired(cluster, ensured.stream)) == 1, 10.0, "it did not fire")
        assert await cluster.closed(f"execution-{fired(cluster, ensured.stream)[0].execution_id}")
        await cluster.answered(await cluster.send(DeactivateWorkflow(wall_ms()), stream), stream)
        await until(lambda: registry_types(cluster, ensured.stream)[-1] == "schedule.ended", 10.0, "it goes on")
        hand.now += 5 * MINUTE
        await reached(cluster, hand)
        assert len(fired(cluster, ensured.stream)) == 1


def registry_types(cluster: Cluster, stream: str) -> list[str]:
    return [event.type for commit in cluster.answers(stream) for event in commit.events]


async def test_another_workspace_cannot_touch_it() -> None:
    async with Cluster() as cluster:
        await begin(cluster)
        stream = await scheduled(cluster, ByCron("* * * * *"))
        memory = cluster.workers["a"].owner_of("aggregates", partition_of(stream, PARTITIONS))._memory
        memory.entries[stream].workspace = str(uuid4())
        command = await cluster.send(PauseSchedule(wall_ms()), stream)
        assert (await cluster.answered(command, stream)).outcome.code == "not_found"
