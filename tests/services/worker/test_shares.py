"""Fair shares: who goes first when not everybody can."""

import random
from collections import Counter

from services.worker.shares import BUSY_SECONDS, ONE_GOES, Line, Shares


def anybody(_workspace: str) -> bool:
    return True


def taken(line: Line, most: int = 1_000) -> list[str]:
    keys = []
    while len(keys) < most and (key := line.take(0.0, anybody)) is not None:
        keys.append(key)
    return keys


def test_a_flood_of_one_workspace_does_not_delay_another() -> None:
    line = Line(Shares())
    for number in range(100):
        line.add(f"flood-{number}", "flood", "normal")
    for number in range(3):
        line.add(f"calm-{number}", "calm", "normal")
    first = taken(line, 6)
    assert [key for key in first if key.startswith("calm")] == ["calm-0", "calm-1", "calm-2"]
    assert [key for key in first if key.startswith("flood")] == ["flood-0", "flood-1", "flood-2"]
    assert len(taken(line)) == 97
    assert len(line) == 0


def test_what_was_spent_on_a_workspace_counts_by_its_weight() -> None:
    shares = Shares(lambda name: 3.0 if name == "large" else 1.0)
    line = Line(shares)
    for number in range(400):
        line.add(f"large-{number}", "large", "normal")
        line.add(f"small-{number}", "small", "normal")
    begun: Counter[str] = Counter()
    for _ in range(200):
        key = line.take(0.0, anybody)
        assert key is not None
        workspace = key.split("-")[0]
        begun[workspace] += 1
        shares.spend(workspace, 0.01, 0.0)
    assert 145 <= begun["large"] <= 155


def test_more_urgent_starts_go_first_and_nothing_waits_for_ever() -> None:
    line = Line(Shares())
    line.add("low", "w", "low")
    for number in range(20):
        line.add(f"normal-{number}", "w", "normal")
        line.add(f"high-{number}", "w", "high")
    order = taken(line)
    assert order[:7] == [f"high-{number}" for number in range(7)]
    assert order.index("low") == Line.EIGHTH - 1
    assert order.index("high-19") < order.index("normal-3")


def test_a_workspace_that_may_not_begin_is_passed_over_and_keeps_its_place() -> None:
    line = Line(Shares())
    line.add("a1", "a", "normal")
    line.add("b1", "b", "normal")
    assert line.take(0.0, lambda name: name == "b") == "b1"
    assert line.take(0.0, lambda name: name == "b") is None
    assert "a1" in line
    assert line.take(0.0, anybody) == "a1"


def test_who_leaves_the_line_is_not_taken() -> None:
    chance = random.Random(7)
    line = Line(Shares())
    standing: set[str] = set()
    for number in range(2_000):
        match chance.randrange(4):
            case 0 | 1:
                key = f"{number}"
                line.add(key, chance.choice("abc"), chance.choice(Line.URGENCY))
                standing.add(key)
            case 2 if standing:
                key = chance.choice(sorted(standing))
                line.discard(key)
                standing.discard(key)
            case _:
                found = line.take(0.0, lambda name: chance.random() < 0.8)
                if found is not None:
                    standing.remove(found)
        assert len(line) == len(standing)
        assert sum(line.waiting().values()) == len(standing)
    assert set(taken(line)) == standing


def test_nobody_is_ahead_alone_and_idle_time_is_no_credit() -> None:
    shares = Shares()
    shares.spend("a", 10.0, 0.0)
    shares.settle(1.0)
    assert not shares.ahead("a")
    shares.spend("b", 0.001, 1.0)
    shares.settle(1.0)
    assert not shares.ahead("b")
    assert not shares.ahead("a")  # b begins where a is
    shares.spend("a", 2 * ONE_GOES, 1.0)
    shares.settle(1.0)
    assert shares.ahead("a")
    assert not shares.ahead("b")
    shares.spend("a", 0.0, 1.0 + BUSY_SECONDS)
    shares.settle(1.5 + BUSY_SECONDS)  # b is idle by now
    assert not shares.ahead("a")


def test_idle_workspaces_are_forgotten() -> None:
    shares = Shares()
    for number in range(5_000):
        shares.spend(f"w{number}", 0.01, number * 0.01)
    assert len(shares._turns) < 1_500
