from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.clock import MAX_SLEW, TickClock, start_time

HOUR = 3_600_000
BASE = 1_800_000_000_000


@given(st.lists(st.tuples(st.integers(-2_000, 60_000), st.integers(-5 * 60_000, 5 * 60_000)), min_size=1, max_size=200))
def test_is_monotone_and_its_rate_is_bounded_whatever_the_wall_clock_does(steps: list[tuple[int, int]]) -> None:
    clock = TickClock(time=BASE, monotonic=0)
    monotonic, wall_error = 0, 0
    before = BASE
    for elapsed, wall_step in steps:
        monotonic += elapsed  # negative: a clock that must not go back, does
        wall_error += wall_step
        newest = clock.monotonic
        now = clock.advance(monotonic, BASE + monotonic + wall_error)
        real = max(0, monotonic - newest)
        assert before <= now
        assert real * (1 - MAX_SLEW) - 1 <= now - before <= real * (1 + MAX_SLEW) + 1
        before = now


def _run(clock: TickClock, seconds: int, wall_offset: int) -> int:
    """Tick once a second for `seconds`; returns the difference from wall time at the end."""
    start = clock.monotonic
    for second in range(1, seconds + 1):
        monotonic = start + second * 1_000
        clock.advance(monotonic, BASE + monotonic + wall_offset)
    return clock.time - (BASE + clock.monotonic + wall_offset)


def test_a_step_of_five_minutes_is_worked_off_in_an_hour_and_not_at_once() -> None:
    for step in (5 * 60_000, -5 * 60_000):
        clock = TickClock(time=BASE, monotonic=0)
        assert abs(_run(clock, 60, step)) >= 290_000
        assert abs(_run(clock, 3_600, step)) <= 20


def test_small_differences_settle_without_overshoot() -> None:
    clock = TickClock(time=BASE, monotonic=0)
    differences = [_run(clock, 1, 400) for _ in range(60)]
    assert all(difference <= 0 for difference in differences)
    assert abs(differences[-1]) <= 10


def test_a_leader_whose_wall_clock_is_an_hour_behind_still_progresses() -> None:
    clock = TickClock(time=BASE, monotonic=0)
    for second in range(1, 61):
        clock.advance(second * 1_000, BASE - HOUR + second * 1_000)
    assert 53_000 <= clock.time - BASE <= 55_000


def test_suspend_counts_as_time() -> None:
    clock = TickClock(time=BASE, monotonic=0)
    assert clock.advance(3 * HOUR, BASE + 3 * HOUR) == BASE + 3 * HOUR


def test_a_new_leader_goes_on_from_the_log_not_from_its_own_clock() -> None:
    fast = BASE + HOUR
    assert start_time(last_tick=BASE, since_last_tick=1_500, wall=fast) == BASE + 1_500
    assert start_time(last_tick=BASE, since_last_tick=-7, wall=fast) == BASE
    assert start_time(last_tick=None, since_last_tick=0, wall=fast) == fast
