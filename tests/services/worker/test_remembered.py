"""Ids of what is closed are kept exactly as long as a start with one of them could still arrive (rule 14)."""

import time

import pytest

from services.worker.lanes import ExecutionLane
from services.worker.owner import PartitionOwner
from services.worker.remembered import STALE_AFTER_MS, RememberedIds
from tests.support.workers import Cluster

HOUR_MS = 3_600_000
MARGIN_MS = 10_000


def test_an_id_is_known_until_the_read_model_has_it_however_long_that_takes() -> None:
    remembered = RememberedIds()
    remembered.add("execution-1", "f", offset=7)
    remembered.seal()
    remembered.visible(7, now=0)  # everything below 7: not this one
    assert not remembered.wants_end_offset(HOUR_MS)
    remembered.forget(10**9)
    assert remembered.get("execution-1") == "f"


def test_an_id_is_known_until_no_input_that_missed_it_in_the_read_model_can_come() -> None:
    remembered = RememberedIds()
    remembered.add("execution-1", "f", offset=7)
    remembered.seal()
    remembered.visible(8, now=0)
    limit = STALE_AFTER_MS + MARGIN_MS
    assert not remembered.wants_end_offset(limit - 1)
    assert remembered.wants_end_offset(limit)
    remembered.expire(limit, end_offset=50)
    remembered.forget(answered=49)  # an input that was appended before that moment waits undecided
    assert remembered.get("execution-1") == "f"
    remembered.forget(answered=50)
    assert remembered.get("execution-1") is None
    assert remembered.forgotten() == [1]


def test_a_read_model_that_fell_back_is_waited_for_again() -> None:
    """Its database crashed with rows that were not on the disk: a start would not find the execution there."""
    remembered = RememberedIds()
    remembered.add("execution-1", "f", offset=7)
    remembered.seal()
    limit = STALE_AFTER_MS + MARGIN_MS
    remembered.visible(8, now=0)
    remembered.visible(5, now=1_000)
    assert not remembered.wants_end_offset(limit)
    remembered.visible(8, now=20_000)
    assert not remembered.wants_end_offset(20_000 + limit - 1)
    remembered.expire(20_000 + limit, end_offset=0)
    remembered.forget(answered=0)
    assert remembered.get("execution-1") is None


def test_generations_go_one_by_one_and_come_back_from_a_checkpoint() -> None:
    remembered = RememberedIds()
    remembered.add("execution-1", "f", offset=1)
    first = remembered.seal()
    remembered.saved(first, [])
    remembered.add("execution-2", "!workflow_not_found", offset=2)
    second = remembered.seal()
    assert [stored.generation for stored in second] == [2]
    restored = RememberedIds([*first, *second])
    assert restored.get("execution-1") == "f"
    assert restored.get("execution-2") == "!workflow_not_found"
    restored.visible(2, now=0)
    restored.expire(HOUR_MS, end_offset=0)
    restored.forget(answered=0)
    assert restored.get("execution-1") is None
    assert restored.get("execution-2") == "!workflow_not_found"
    restored.add("execution-3", "", offset=3)
    assert [stored.generation for stored in restored.seal()] == [3]


async def test_a_wall_clock_that_is_stepped_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that was sent before its execution was visible would begin it a second time."""
    cluster = Cluster()
    worker = await cluster.start("a", lanes=[])
    owner = PartitionOwner(ExecutionLane(cluster.versions), 0, worker)
    remembered = owner._memory.remembered
    remembered.add("execution-1", "f", offset=7)
    remembered.seal()
    owner.projected(8)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 10 * HOUR_MS * 1_000_000)
    owner.projected(8)
    await owner._keep_house()
    await owner._keep_house()
    assert remembered.get("execution-1") == "f"
    await cluster.kill("a")
