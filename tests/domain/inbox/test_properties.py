"""Random deliveries and ticks: what holds for the inbox whatever comes, judged by what it recorded."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from domain.inbox.events import DeliveryAccepted, DeliveryBegun, DeliveryDuplicated, DeliveryHeld, DeliverySuperseded
from domain.inbox.gates import Gates
from tests.domain.inbox.given import Given, debounce, dedup, some_id, throttle

SEEDS = range(60)


class Told:
    """All that was recorded, in order, with the time."""

    def __init__(self) -> None:
        self.inbox = Given()
        self.began: list[tuple[int, str]] = []
        self.ended: Counter[str] = Counter()

    def note(self, decision: Any, now: int) -> None:
        for event in decision.events:
            match event:
                case DeliveryAccepted(delivery=delivery):
                    self.began.append((now, delivery.id))
                case DeliveryBegun(delivery_id=name):
                    self.began.append((now, name))
                case DeliverySuperseded(delivery_id=name):
                    self.ended[name] += 1
        assert len(decision.commands) == sum(isinstance(e, DeliveryAccepted | DeliveryBegun) for e in decision.events)

    def tick(self, now: int) -> None:
        for _ in range(1_000):
            due = self.inbox.due
            if due is None or due > now:
                return
            self.note(self.inbox.tick(now), now)
        raise AssertionError("it never ends")


@pytest.mark.parametrize("seed", SEEDS)
def test_never_two_executions_for_one_key_inside_its_time(seed: int) -> None:
    random, told, now, ttl = Random(seed), Told(), 1_000, 5_000
    keys = [f"k{n}" for n in range(random.randint(1, 6))]
    sent: dict[str, str] = {}
    first_at: dict[str, int] = {}
    extra = random.choice([Gates(), throttle(3, 2_000), throttle(2, 3_000, "delay"), debounce(700, 2_000)])
    for number in range(150):
        now += random.randint(0, 900)
        if random.random() < 0.3:
            told.tick(now)
        key = random.choice(keys)
        repeated = random.random() < 0.15 and number
        name = str(random.randrange(number)) if repeated else str(number)
        key = sent.setdefault(name, key)
        gates = Gates(dedup(key, ttl).dedup, extra.throttle, extra.debounce)
        decision = told.inbox.receive(name, gates, now)
        told.note(decision, now)
        for event in decision.events:
            if isinstance(event, DeliveryAccepted | DeliveryHeld):
                assert key not in first_at or now >= first_at[key] + ttl, "a second one was taken"
                first_at[key] = now
            elif isinstance(event, DeliveryDuplicated):
                assert now < first_at[key] + ttl, "nothing that counts came before it"
    told.tick(now + 100_000)
    assert len({name for _, name in told.began}) == len(told.began), "one started twice"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("excess", ["refuse", "delay"])
def test_a_throttle_is_kept_in_every_window_and_loses_nothing(seed: int, excess: str) -> None:
    random, told, now = Random(seed), Told(), 1_000
    limit, period = random.randint(1, 7), random.randint(500, 4_000)
    keys = ["a", "b"]
    key_of: dict[str, str] = {}
    held: set[str] = set()
    for number in range(200):
        # Now and then the installation is away for long: what waits must not come as a flood.
        now += random.choice([0, 1, 50, 400]) if random.random() < 0.98 else 30_000
        if random.random() < 0.4:
            told.tick(now)
        key = random.choice(keys)
        key_of[some_id(number)] = key
        decision = told.inbox.receive(number, throttle(limit, period, excess, key), now)
        told.note(decision, now)
        held |= {event.delivery.id for event in decision.events if isinstance(event, DeliveryHeld)}
    while told.inbox.state is not None and told.inbox.state.held:
        due = told.inbox.due
        assert due is not None, "something is held and nobody will wake it"
        now = max(now, due)
        told.tick(now)
    began = [name for _, name in told.began]
    assert held <= set(began), "what was held was lost"
    assert len(set(began)) == len(began)
    for key in keys:
        times = [at for at, name in told.began if key_of[name] == key]
        for place in range(len(times) - limit):
            assert times[place + limit] >= times[place] + period, f"{limit + 1} began within {period} ms"
        mine = [name for name in began if key_of[name] == key]
        assert mine == [name for name in key_of if name in set(mine)], "they did not begin in the order of their coming"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_debounce_starts_one_of_each_window_the_last(seed: int) -> None:
    random, told, now = Random(seed), Told(), 1_000
    quiet, most = 1_000, random.choice([None, 2_500])
    coming: list[tuple[int, str]] = []
    for number in range(120):
        now += random.choice([10, 300, 900, 999, 1_000, 1_001, 5_000])
        told.tick(now)
        told.note(told.inbox.receive(number, debounce(quiet, most), now), now)
        coming.append((now, some_id(number)))
    told.tick(now + 10_000)
    expected: list[str] = []
    began_at = last_at = None
    for at, name in coming:
        ends = None
        if began_at is not None and last_at is not None:
            ends = last_at + quiet if most is None else min(last_at + quiet, began_at + most)
        if ends is None or at >= ends:
            expected.append(name)
            began_at = at
        else:
            expected[-1] = name
        last_at = at
    assert [name for _, name in told.began] == expected
    assert len(told.ended) + len(expected) == len(coming), "each one began or was superseded"
    assert all(count == 1 for count in told.ended.values())
