"""Attempts side by side: what they share are the places for effects."""

import asyncio
from typing import Any

from domain.effects import EffectError, HttpRequest, PerformAttempt
from domain.execution.commands import AttemptNotStarted, ConcludeAttempt
from services.worker.effects.interpreter import EffectContext
from services.worker.effects.performer import EffectPerformer
from services.worker.effects.slots import Slots


class StandingClock:
    def now(self) -> int:
        return 0

    def fresh(self) -> bool:
        return True


class GatedHttp:
    """Answers each request to a URL once its gate is open."""

    def __init__(self) -> None:
        self.gates: dict[str, asyncio.Event] = {}

    async def perform(self, effect: HttpRequest, context: EffectContext) -> dict[str, Any] | EffectError:
        await self.gates[effect.url].wait()
        return {"status": 200, "headers": {}, "body": None}

    async def close(self) -> None:
        return


def attempt(node: str, count: int, start_by: int) -> PerformAttempt:
    return PerformAttempt(
        execution_id="e",
        node=node,
        run=0,
        attempt=1,
        effect_class="read",
        indexes=list(range(count)),
        effects=[HttpRequest("GET", f"http://{node}")] * count,
        keys=[f"{node}-{index}" for index in range(count)],
        start_by=start_by,
        timeout_seconds=1.0,
    )


async def test_two_attempts_that_want_all_places_do_not_hold_each_other_up() -> None:
    http = GatedHttp()
    delivered: asyncio.Queue[ConcludeAttempt | AttemptNotStarted] = asyncio.Queue()
    performer = EffectPerformer(2, {HttpRequest: http})
    for node, count in (("small", 1), ("other", 1), ("first", 2), ("second", 2)):
        http.gates[f"http://{node}"] = asyncio.Event()
        performer.start(
            attempt(node, count, 5_000),
            "s",
            StandingClock(),
            lambda _, what: delivered.put_nowait(what),
            None,
            workspace="w",
        )
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for gate in http.gates.values():
        gate.set()
    async with asyncio.timeout(1.0):
        results = [await delivered.get() for _ in range(4)]
    assert [(type(each), each.node) for each in results] == [
        (ConcludeAttempt, "small"),
        (ConcludeAttempt, "other"),
        (ConcludeAttempt, "first"),
        (ConcludeAttempt, "second"),
    ]
    assert not performer.saturated("w")


async def test_places_are_taken_in_order_and_together() -> None:
    slots = Slots(3)
    await slots.take(2)
    assert not slots.full()
    order: list[str] = []

    async def take(name: str, count: int) -> None:
        await slots.take(count)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(take("large", 3))
        group.create_task(take("small", 1))
        await asyncio.sleep(0)
        assert slots.full()
        assert order == []  # one place is free, but whoever came first has the first turn
        slots.give_back(2)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["large"]
        slots.give_back(3)
    assert order == ["large", "small"]


async def test_who_gives_up_waiting_leaves_no_place_taken() -> None:
    slots = Slots(2)
    await slots.take(2)
    waiting = [asyncio.create_task(slots.take(2)), asyncio.create_task(slots.take(1))]
    await asyncio.sleep(0)
    waiting[0].cancel()
    slots.give_back(1)
    await waiting[1]
    await asyncio.gather(waiting[0], return_exceptions=True)
    # one that is let in and cancelled in the same moment
    late = asyncio.create_task(slots.take(2))
    await asyncio.sleep(0)
    slots.give_back(2)
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)
    assert not slots.full()
    await slots.take(2)
    assert slots.full()


async def test_a_workspace_with_many_effects_leaves_places_and_turns_to_others() -> None:
    slots = Slots(20)
    for _ in range(18):
        await slots.take(1, "flood")
    assert slots.full("flood")
    assert not slots.full("calm")
    order: list[str] = []

    async def take(name: str) -> None:
        await slots.take(1, name)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(take("flood"))
        for _ in range(3):
            group.create_task(take("calm"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["calm", "calm"]  # the last tenth is not for who holds the rest
        slots.give_back(1, "flood")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["calm", "calm", "calm"]  # who holds less goes first
        for _ in range(5):
            slots.give_back(1, "flood")
    assert order[3:] == ["flood"] * 4
