"""The follower that tells subscriptions of events: whatever becomes of it, each is told once, none is left out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest

from domain.dead_letter.events import LetterRecorded, LetterReviewed
from domain.decision import Decision
from domain.subscription import decider
from domain.subscription.commands import CreateSubscription, Notice, PlacedNotice, Redeliver, TellEvents
from domain.subscription.definition import Definition, WebhookChannel
from domain.subscription.events import (
    DeliveryDropped,
    DeliveryQueued,
    SubscriptionChanged,
    SubscriptionCreated,
    SubscriptionPaused,
)
from domain.workflow.events import WorkflowArchived
from infra.log.memory import MemoryLog
from infra.log.port import Topic
from infra.postgres.migrate import migrate
from infra.postgres.pool import Pool, open_pool
from schemas.cursors import Cursor
from schemas.envelope import decode_command, partition_of
from schemas.registry import decode_command_data
from services.projector.projector import Projector
from services.registration import DEFAULT_WORKSPACE, workspace_id_of
from services.scheduler import follower
from services.scheduler.follower import NAME, ROOM_BELOW, EventFollower
from tests.projections.given import FLOW, SPACE, T0, World, some_id
from tests.services.projector.conftest import at_end

OTHER_SPACE = some_id("another workspace")


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    await migrate(postgres_url)
    pool = await open_pool(postgres_url, min_size=1, max_size=3)
    yield pool
    await pool.close()


@asynccontextmanager
async def running(*jobs: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(job.run(stop)) for job in jobs]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


def told(log: MemoryLog, subscription: str) -> list[tuple[str, PlacedNotice]]:
    """(source, notice) of all that was sent to it, in the order of the log."""
    stream = f"subscription-{subscription}"
    found: list[tuple[str, PlacedNotice]] = []
    for record in log.records(Topic.COMMANDS, partition_of(stream, log.partitions)):
        command = decode_command(record.value)
        asked = decode_command_data(command)
        if command.stream == stream and isinstance(asked, TellEvents):
            found += [(asked.source, each) for each in asked.notices]
    return found


def taken(log: MemoryLog, subscription: str, *patterns: str) -> list[DeliveryQueued]:
    """What the subscription makes of all that was sent to it."""
    stream = f"subscription-{subscription}"
    definition = Definition("x", list(patterns), WebhookChannel("https://x.example/in", "c"))
    asked: list[Any] = [CreateSubscription(subscription, definition, T0)]
    asked += [TellEvents(source, [notice], T0) for source, notice in told(log, subscription)]
    state, events = None, list[Any]()
    for command in asked:
        decision: Decision = decider.decide(command, state, workspace=SPACE, stream_id=stream)
        state = decision.state
        events += decision.events
    return [event for event in events if isinstance(event, DeliveryQueued)]


async def until_told(log: MemoryLog, subscription: str, count: int) -> None:
    async with asyncio.timeout(60):
        while len({each.notice.id for _, each in told(log, subscription)}) < count:
            await asyncio.sleep(0.02)


async def until_followed(pool: Pool, log: MemoryLog) -> None:
    """Until the stored places are at the end of the log."""
    ends = {
        (topic.value, number): await log.end_offset(topic, number)
        for topic in (Topic.EVENTS, Topic.EXECUTIONS)
        for number in range(log.partitions)
    }
    async with asyncio.timeout(60):
        while True:
            rows = await pool.fetch("SELECT topic, partition, next_offset FROM log_followers WHERE name = $1", NAME)
            if {(row["topic"], row["partition"]): row["next_offset"] for row in rows} == ends:
                return
            await asyncio.sleep(0.05)


def world_of_two() -> World:
    world = World()
    world.configure()
    for number in range(2):
        world.owner(Topic.EXECUTIONS, number)
        world.owner(Topic.EVENTS, number)
    return world


async def test_what_is_wanted_is_told_with_what_the_read_models_know(postgres_url: str, pool: Pool) -> None:
    world = world_of_two()
    log = world.log
    telling = EventFollower(log, postgres_url, "https://flow.example", wall=lambda: T0)
    async with running(Projector(log, postgres_url, now=lambda: T0), telling):
        await until_followed(pool, log)  # what was before is told to nobody
        subscription = world.subscribe("failures", "execution.failed", "execution.completed", workflow=FLOW)
        nobody = world.subscribe("of another workflow", "execution.*", workflow=some_id("other"))
        failed = world.run_in_steps("failed", fails=True)
        completed = world.run_at_once("completed")
        world.commit(f"execution-{some_id('elsewhere')}", [], queued_at=T0, workspace=OTHER_SPACE)
        await until_told(log, subscription, 2)
        await until_followed(pool, log)
    notices = {each.notice.data["execution_id"]: each.notice for _, each in told(log, subscription)}
    assert set(notices) == {failed, completed}
    notice = notices[failed]
    assert (notice.type, notice.workspace_id) == ("execution.failed", SPACE)
    assert notice.data["workflow_name"] == "Flow"
    assert notice.data["error"] == {"code": "refused", "message": "no", "node_id": "call"}
    assert notice.data["url"] == f"https://flow.example/api/v1/executions/{failed}"
    assert "output" not in notices[completed].data
    assert Cursor.decode(notice.cursor, 4)
    assert told(log, nobody) == []


async def test_without_a_subscription_nothing_is_read(
    postgres_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    for number in range(2):
        world.owner(Topic.EXECUTIONS, number)
    world.run_at_once("one")
    log = world.log
    readers: list[Any] = []
    opened = log.reader

    async def reader() -> Any:
        readers.append(asyncio.current_task())
        return await opened()

    monkeypatch.setattr(log, "reader", reader)
    async with running(
        Projector(log, postgres_url, now=lambda: T0), EventFollower(log, postgres_url, "", wall=lambda: T0)
    ):
        world.run_at_once("two")
        await until_followed(pool, log)
    assert len(readers) == 1  # the projector's own


async def test_subscriptions_are_read_when_one_has_changed(
    postgres_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, list[int]] = {"active_subscriptions": [], "version_of_active": []}

    def counted(name: str) -> None:
        query = getattr(follower, name)

        async def counting(connection: Any) -> Any:
            found = await query(connection)
            asked[name].append(len(found))
            return found

        monkeypatch.setattr(follower, name, counting)

    for name in asked:
        counted(name)
    world = world_of_two()
    log = world.log
    async with running(
        Projector(log, postgres_url, now=lambda: T0), EventFollower(log, postgres_url, "", wall=lambda: T0)
    ):
        await until_followed(pool, log)
        subscription = world.subscribe("failures", "execution.failed")
        world.run_in_steps("first", fails=True)
        await until_told(log, subscription, 1)
        await until_followed(pool, log)
        before = {name: len(calls) for name, calls in asked.items()}
        for number in range(3):
            world.run_in_steps(number, fails=True)
            await until_told(log, subscription, 2 + number)
            await until_followed(pool, log)
        assert {name: len(calls) for name, calls in asked.items()} == before, "no subscription has changed"
        world.commit(f"workflow-{FLOW}", [WorkflowArchived(T0 + 5)])
        world.run_in_steps("behind another change", fails=True)
        await until_told(log, subscription, 5)
        assert len(asked["active_subscriptions"]) == before["active_subscriptions"]
        definition = Definition("x", ["execution.completed"], WebhookChannel("https://x.example/in", "c"))
        world.commit(f"subscription-{subscription}", [SubscriptionChanged(definition, T0)])
        completed = world.run_at_once("completed")
        await until_told(log, subscription, 6)
        world.commit(f"subscription-{subscription}", [SubscriptionPaused(T0)])
        world.run_at_once("to nobody")
        await until_followed(pool, log)
    assert told(log, subscription)[-1][1].notice.data["execution_id"] == completed


async def test_the_operator_hears_of_letters_of_all_workspaces_and_others_of_their_own(
    postgres_url: str, pool: Pool
) -> None:
    world = world_of_two()
    log = world.log
    operator = workspace_id_of(DEFAULT_WORKSPACE)
    channel = WebhookChannel("https://x.example/in", "c")

    def letter(name: str, workspace: str) -> None:
        recorded = LetterRecorded("linkflow.commands", 0, 7, "undecodable", "no JSON", T0)
        world.commit(f"letter-{some_id(name)}", [recorded], workspace=workspace)
        world.commit(f"letter-{some_id(name)}", [LetterReviewed(T0 + 600_000)], workspace=workspace)

    async with running(
        Projector(log, postgres_url, now=lambda: T0), EventFollower(log, postgres_url, "", wall=lambda: T0)
    ):
        await until_followed(pool, log)
        everybody = some_id("operator")
        made = SubscriptionCreated(Definition("all", ["dead_letter.*"], channel), T0)
        world.commit(f"subscription-{everybody}", [made], workspace=operator)
        own = world.subscribe("own", "dead_letter.*")
        letter("mine", SPACE)
        letter("other", OTHER_SPACE)
        letter("nobody's", "")
        await until_told(log, everybody, 6)
        await until_told(log, own, 2)
        await until_followed(pool, log)
    assert {each.notice.workspace_id for _, each in told(log, everybody)} == {SPACE, OTHER_SPACE, ""}
    assert {each.notice.data["letter_id"] for _, each in told(log, own)} == {some_id("mine")}
    reviewed = [each.notice for _, each in told(log, everybody) if each.notice.type == "dead_letter.reviewed"]
    assert reviewed[-1].data["open"]["by_code"] == {"undecodable": 3}
    of_own = [each.notice for _, each in told(log, own) if each.notice.type == "dead_letter.reviewed"]
    assert of_own[0].data["open"]["total"] == 1


@pytest.mark.parametrize("seed", range(4))
async def test_followers_that_die_at_any_moment_or_run_side_by_side_tell_everything_once(
    seed: int, postgres_url: str, pool: Pool
) -> None:
    chance = Random(seed)
    world = world_of_two()
    log = world.log
    count = 120
    async with running(Projector(log, postgres_url, now=lambda: T0)):
        async with running(EventFollower(log, postgres_url, "", wall=lambda: T0)):
            await until_followed(pool, log)
        subscription = world.subscribe("all", "execution.completed", "execution.failed")
        alive: list[asyncio.Task[None]] = []

        def begin() -> None:
            another = EventFollower(log, postgres_url, "", wall=lambda: T0)
            alive.append(asyncio.create_task(another.run(asyncio.Event())))

        begin()
        wanted = set()
        for number in range(count):
            steps = chance.random() < 0.3
            wanted.add(world.run_in_steps(number, fails=True) if steps else world.run_at_once(number))
            if chance.random() < 0.15:
                await asyncio.sleep(chance.uniform(0, 0.3))  # the moment of a death
                if alive and chance.random() < 0.8:
                    alive.pop(chance.randrange(len(alive))).cancel()
                if len(alive) < 2:
                    begin()
        if not alive:
            begin()
        await until_told(log, subscription, count)
        for task in alive:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    deliveries = taken(log, subscription, "execution.completed", "execution.failed")
    assert sorted(each.notice.data["execution_id"] for each in deliveries) == sorted(wanted)


async def test_what_was_put_aside_is_taken_up_once_there_is_room(postgres_url: str, pool: Pool) -> None:
    world = world_of_two()
    log = world.log
    notice = Notice(some_id("event"), "workflow.archived", T0, SPACE, {"n": 1})
    streams = {
        name: f"subscription-{world.subscribe(name, 'workflow.archived')}" for name in ("open", "paused", "full")
    }
    for name, stream in streams.items():
        for number in range(3):
            delivery = some_id(f"{name} {number}")
            queued = DeliveryQueued(delivery, notice, T0 + number)
            world.commit(stream, [queued, DeliveryDropped(delivery, T0 + number, "too_many_waiting")])
    world.commit(streams["paused"], [SubscriptionPaused(T0 + 9)])
    waiting = [DeliveryQueued(some_id(f"waits {number}"), notice, T0) for number in range(ROOM_BELOW)]
    world.commit(streams["full"], waiting)

    def asked() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for partition in range(log.partitions):
            for record in log.records(Topic.COMMANDS, partition):
                command = decode_command(record.value)
                wanted = decode_command_data(command)
                if isinstance(wanted, Redeliver) and command.stream in streams.values():
                    found[command.stream] = [each.delivery_id for each in wanted.deliveries]
        return found

    async with running(Projector(log, postgres_url, now=lambda: T0)), asyncio.timeout(60):
        while not await at_end(log, pool):
            await asyncio.sleep(0.05)
        async with running(EventFollower(log, postgres_url, "", wall=lambda: T0)):
            while not asked():
                await asyncio.sleep(0.05)
    assert asked() == {streams["open"]: [some_id(f"open {number}") for number in range(3)]}
