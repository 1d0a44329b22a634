"""The checker of C15 bites: a sound history passes, one wrong fact makes it red."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import pytest

from tests.torture.checkers.schedules import schedule_exact
from tests.torture.evidence import Evidence
from tests.torture.facts import Commit, Event, Facts
from tests.torture.plan import make_plan

ID = UUID("2e4d1a70-6c1b-4f7e-8b25-5d0c9a3e7b81")
STREAM = f"schedule-{ID}"
BEGIN = 1_795_000_003_000
DUES = [1_795_000_010_000, 1_795_000_020_000, 1_795_000_030_000]


def execution_of(due: int) -> str:
    return str(uuid5(uuid5(ID, str(due)), "execution"))


def event(kind: str, **data: Any) -> Event:
    return Event(kind, data, 1, 0, Commit("events", 0, 0, 0, 0, {}))


def fired(due: int) -> Event:
    firing = str(uuid5(ID, str(due)))
    return event("schedule.fired", due=due, at=due + 900, firing_id=firing, execution_id=execution_of(due))


def queued(due: int) -> Event:
    item = {"json": {"scheduled_at": datetime.fromtimestamp(due / 1000, UTC).isoformat()}}
    return event("execution.queued", trigger_type="schedule", items=[item])


def sound() -> Facts:
    facts = Facts()
    timing = {"by": "interval", "seconds": 10}
    facts.streams[STREAM] = [
        event("schedule.created", at=BEGIN, definition={"timing": timing}),
        *(fired(due) for due in DUES),
        event("schedule.paused", at=DUES[-1] + 4_000),
    ]
    for due in DUES:
        facts.streams[f"execution-{execution_of(due)}"] = [queued(due)]
    return facts


def judged(facts: Facts) -> list[str]:
    return schedule_exact(Evidence(make_plan("postgres", 1, "ci"), facts, [], [], [])).violations


def test_a_sound_history_passes() -> None:
    assert judged(sound()) == []


def _missing(facts: Facts) -> None:
    del facts.streams[STREAM][2]


def _twice(facts: Facts) -> None:
    facts.streams[STREAM].insert(2, copy.deepcopy(facts.streams[STREAM][1]))


def _off(facts: Facts) -> None:
    facts.streams[STREAM][1].data["due"] += 1_000


def _early(facts: Facts) -> None:
    facts.streams[STREAM][1].data["at"] = DUES[0] - 1


def _skipped(facts: Facts) -> None:
    facts.streams[STREAM][2] = event("schedule.firings_skipped")


def _own_id(facts: Facts) -> None:
    facts.streams[STREAM][1].data["firing_id"] = str(ID)


def _no_execution(facts: Facts) -> None:
    del facts.streams[f"execution-{execution_of(DUES[1])}"]


def _started_twice(facts: Facts) -> None:
    facts.streams[f"execution-{execution_of(DUES[1])}"] *= 2


def _for_another_instant(facts: Facts) -> None:
    facts.streams[f"execution-{execution_of(DUES[1])}"] = [queued(DUES[2])]


def _unasked(facts: Facts) -> None:
    facts.streams["execution-x"] = [queued(DUES[0])]


def _never_paused(facts: Facts) -> None:
    facts.streams[STREAM].pop()


@pytest.mark.parametrize(
    "plant",
    [
        _missing,
        _twice,
        _off,
        _early,
        _skipped,
        _own_id,
        _no_execution,
        _started_twice,
        _for_another_instant,
        _unasked,
        _never_paused,
    ],
)
def test_what_was_planted_is_found(plant: Callable[[Facts], None]) -> None:
    facts = sound()
    plant(facts)
    assert judged(facts)


def test_nothing_to_look_at_is_no_pass() -> None:
    assert judged(Facts()) == ["there was nothing to look at"]
