"""Owner's time: carried by ticks, never back, and not behind because a tick was read late."""

import pytest

from services.worker import clock
from services.worker.clock import OwnerClock


class Clocks:
    """The two clocks of the machine, set by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = 1_700_000_000_000
        self.elapsed = 5_000
        monkeypatch.setattr(clock, "wall_ms", lambda: self.wall)
        monkeypatch.setattr(clock, "elapsed_ms", lambda: self.elapsed)

    def run(self, milliseconds: int) -> None:
        self.wall += milliseconds
        self.elapsed += milliseconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_time_goes_on_between_ticks(clocks: Clocks) -> None:
    owner = OwnerClock()
    owner.tick(1_000)
    clocks.run(400)
    assert owner.now() == 1_400


def test_a_late_tick_does_not_turn_time_back(clocks: Clocks) -> None:
    owner = OwnerClock()
    owner.tick(1_000)
    clocks.run(1_500)
    owner.tick(2_000)
    assert owner.now() == 2_500


def test_the_wall_clock_moves_nothing(clocks: Clocks) -> None:
    owner = OwnerClock()
    owner.tick(1_000)
    clocks.wall += 300_000
    assert owner.now() == 1_000


def test_a_tick_read_late_counts_from_its_append(clocks: Clocks) -> None:
    owner = OwnerClock()
    appended_at = clocks.wall
    clocks.run(600)
    owner.tick(1_000, appended_at)
    before = owner.now()
    clocks.run(1_000)
    owner.tick(2_600, clocks.wall)  # the next one is read at once: time must not jump
    assert (before, owner.now()) == (1_600, 2_600)


@pytest.mark.parametrize(("difference", "added"), [(-300_000, 0), (300_000, clock.MOST_DELAY_MS)])
def test_another_clock_on_the_log_moves_time_a_little_at_most(clocks: Clocks, difference: int, added: int) -> None:
    owner = OwnerClock()
    owner.tick(1_000, clocks.wall - difference)
    assert owner.now() == 1_000 + added


def test_a_tick_is_fresh_for_five_seconds_of_a_clock_that_counts_suspend(clocks: Clocks) -> None:
    owner = OwnerClock()
    assert not owner.fresh()
    owner.tick(1_000)
    clocks.run(5_000)
    assert owner.fresh()
    clocks.run(1)
    assert not owner.fresh()


def test_a_new_owner_goes_on_where_time_has_come_to_however_old_the_last_tick_is(clocks: Clocks) -> None:
    owner = OwnerClock()
    owner.resume(1_000, 3_600_000)
    assert owner.now() == 3_601_000
    assert not owner.fresh()  # nobody has ticked for an hour: no effect starts
    clocks.run(1_000)
    owner.tick(3_602_000)
    assert owner.now() == 3_602_000
    assert owner.fresh()


def test_a_tick_found_by_a_takeover_is_as_fresh_as_it_is_old(clocks: Clocks) -> None:
    owner = OwnerClock()
    owner.resume(1_000, 4_000)
    assert owner.fresh()
    clocks.run(1_000)
    assert owner.fresh()
    clocks.run(1)
    assert not owner.fresh()
