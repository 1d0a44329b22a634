"""Tests marked `torture` take minutes: they run only where -m asks for them, the most telling first.

LINKFLOW_TEST_TEETH_OF=5: a fifth of the planted bugs, another one each day. LINKFLOW_TEST_TORTURE_UNTIL: none of these
tests begins after that time (seconds since 1970), so that a run on a busy machine comes to its end.
"""

import os
import time

import pytest

FIRST = (
    "test_torture",
    "test_crash_points",
    "test_servers",
    "test_movements",
    "test_races",
    "test_timer_herd",
    "test_overload",
)
"""In this order; the teeth are last."""

DAY = 86_400


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    heavy = [item for item in items if item.get_closest_marker("torture")]
    if "torture" not in (config.getoption("markexpr") or ""):
        _leave_out(config, items, heavy)
        return
    part = int(os.environ.get("LINKFLOW_TEST_TEETH_OF", "1"))
    teeth = [item for item in heavy if _module(item) == "test_teeth"]
    today = int(time.time() // DAY) % part
    _leave_out(config, items, [each for number, each in enumerate(teeth) if number % part != today])
    heavy = [item for item in heavy if item in set(items)]
    heavy.sort(key=lambda item: FIRST.index(_module(item)) if _module(item) in FIRST else len(FIRST))
    items[:] = [item for item in items if item not in set(heavy)] + heavy


def pytest_runtest_setup(item: pytest.Item) -> None:
    until = os.environ.get("LINKFLOW_TEST_TORTURE_UNTIL")
    if until and item.get_closest_marker("torture") and time.time() > float(until):
        pytest.skip("no time is left for it in this run: the machine is busy")


def _module(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0].rpartition("/")[2].removesuffix(".py")


def _leave_out(config: pytest.Config, items: list[pytest.Item], left_out: list[pytest.Item]) -> None:
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
