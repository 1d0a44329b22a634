"""The time that ticks carry: a monotonic clock, slewed towards wall time, never backwards. Pure.

A wall clock that is stepped (by a person, by NTP, by a leader on another machine) must not fire everything early nor
stand still: the difference is worked off at MAX_SLEW, a small one in proportion.
"""

from dataclasses import dataclass

MAX_SLEW = 0.1
"""Tick time runs at most this share faster or slower than real time."""

SETTLE_MS = 10_000
"""A small difference is worked off in about this time."""


@dataclass(slots=True)
class TickClock:
    """Tick time. All values are milliseconds: `time` since 1970, `monotonic` of a clock that goes on in suspend."""

    time: int
    monotonic: int

    def advance(self, monotonic: int, wall: int) -> int:
        """The tick time now. Never less than before, however the clocks behave."""
        elapsed = max(0, monotonic - self.monotonic)
        self.monotonic = max(monotonic, self.monotonic)
        behind = wall - (self.time + elapsed)
        limit = int(elapsed * MAX_SLEW)
        wanted = round(behind * min(1.0, elapsed / SETTLE_MS))
        self.time += elapsed + max(-limit, min(limit, wanted))
        return self.time


def start_time(*, last_tick: int | None, since_last_tick: int, wall: int) -> int:
    """Where a new leader begins.

    `last_tick`: time of the newest tick in the log (None: there is none, the wall clock has to do). `since_last_tick`:
    how long ago it was appended, by the log's own clock, so that neither leader's clock is believed.
    """
    if last_tick is None:
        return wall
    return last_tick + max(0, since_last_tick)
