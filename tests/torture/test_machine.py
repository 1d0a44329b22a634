"""The parts of the test machine itself: decks of faults, stepped clocks, slopes."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.torture.clocks import SteppedClock, faketime_library
from tests.torture.evidence import Evidence
from tests.torture.facts import understand
from tests.torture.nemesis import Nemesis
from tests.torture.plan import make_plan, soak_plan
from tests.torture.slopes import grows_nowhere, hourly_growth

PROCESSES = ("api-0", "api-1", "worker-0", "worker-1", "projector-0", "projector-1")


def nemesis(plan: Any) -> Nemesis:
    cluster: Any = SimpleNamespace(processes=dict.fromkeys(PROCESSES), clocks={"api-0": 1}, broker=object())
    return Nemesis(plan, cluster, lambda **_: None)


def test_a_deck_has_every_kind_and_what_is_busy_waits_for_its_turn() -> None:
    cruel = nemesis(make_plan("kafka", 3, "ci"))
    cruel._busy = {"database", "api-0"}
    drawn = [cruel._draw() for _ in range(40)]
    assert {target for _, target in drawn}.isdisjoint(cruel._busy)
    cruel._busy = set()
    kinds = Counter(kind for kind, _ in [*drawn, *(cruel._draw() for _ in range(4))])
    assert kinds.keys() >= make_plan("kafka", 3, "ci").kinds | {"clock"}


def test_a_soak_spares_the_first_of_each_class() -> None:
    cruel = nemesis(soak_plan("postgres", 1, 60, 10))
    cruel._began = time.monotonic() - 1_000
    assert {cruel._draw() for _ in range(30)} == {("kill", "api-1"), ("kill", "worker-1"), ("kill", "projector-1")}


def test_a_step_moves_the_wall_clock_and_no_other(tmp_path: Path) -> None:
    library = faketime_library()
    if library is None:
        pytest.skip("no libfaketime on this machine: clocks are not stepped")
    clock = SteppedClock(library, tmp_path / "clock")
    code = "import time\nwhile input():\n print(time.time(), time.monotonic(), flush=True)"
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=clock.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def read() -> tuple[float, float]:
        assert child.stdin is not None
        assert child.stdout is not None
        print("now", file=child.stdin, flush=True)
        wall, monotonic = map(float, child.stdout.readline().split())
        return wall - time.time(), monotonic - time.monotonic()

    with child:
        try:
            assert [round(each) for each in read()] == [0, 0]
            for step in (-600, 300):
                clock.step(step)
                deadline = time.monotonic() + 10
                while (ahead := read())[0] != pytest.approx(step, abs=1) and time.monotonic() < deadline:
                    time.sleep(0.05)
                assert ahead == (pytest.approx(step, abs=1), pytest.approx(0, abs=1))
        finally:
            child.kill()


def test_growth_is_seen_through_noise_and_a_level_is_none() -> None:
    chance = random.Random(1)
    level = [(float(at), 100 + chance.uniform(-1, 1)) for at in range(0, 3600, 10)]
    grows = [(at, value + at / 3600 * 20) for at, value in level]
    outlier = [*level[:100], (1000.0, 900.0), *level[101:]]
    assert abs(hourly_growth(level)) < 1
    assert hourly_growth(grows) == pytest.approx(20, abs=1)
    assert abs(hourly_growth(outlier)) < 1


@pytest.mark.parametrize(("rate", "passes"), [(0.0, True), (0.5, False)])
def test_a_process_that_grows_fails_the_soak(rate: float, passes: bool) -> None:
    usage = [
        {
            "at": at * 1000.0,
            "uses": {
                "api-0": {"rss": 80 + at / 60 * rate, "fds": 20, "threads": 5, "connections": 8, "age": float(at)}
            },
        }
        for at in range(10, 3600, 10)
    ]
    samples = [{"at": at * 1000.0, "backends": 20} for at in range(0, 3600, 10)]
    found = Evidence(soak_plan("postgres", 1, 60, 10), understand([]), [], [], [], usage=usage, samples=samples)
    assert grows_nowhere(found).passed is passes
