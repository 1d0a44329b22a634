"""Owner's time: the latest tick plus what has passed since, by a clock that goes on in suspend.

Decisions never read the wall clock (design.md 6). Without a tick yet, time stands at what recovery found, and no
effect starts (log protocol, rule 9).
"""

import time

TICK_FRESH_MS = 5_000
"""How old the last tick may be for effects to start."""

MOST_DELAY_MS = 1_500
"""So much delay between a tick's append and its reading is made up for."""

_clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed_ms() -> int:
    """Milliseconds of a clock that never goes back and counts suspend."""
    return time.clock_gettime_ns(_clock) // 1_000_000


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class OwnerClock:
    """Time as one partition owner knows it, in milliseconds since 1970; never goes back."""

    def __init__(self) -> None:
        self._tick = wall_ms()
        self._seen_at = elapsed_ms()
        self._ticked = False
        self._fresh_until = 0

    def resume(self, tick_time: int, age: int) -> None:
        """A new owner goes on from the newest tick of the log, appended `age` ms ago by the log's own clock.

        However old it is: what begins at the tick's own time would be due, and run out, as soon as the next one jumps.
        """
        self._reach(tick_time + age)
        self._fresh_until = self._seen_at + TICK_FRESH_MS - age

    def tick(self, tick_time: int, appended_at: int | None = None) -> None:
        """A tick was read. An older one than the time reached is taken as a sign of life only.

        `appended_at`: when the log took it, by the log's clock. What has passed since is added, within bounds (clocks
        may differ): time read late and then in time would jump, and a wait begun in between would end early.
        """
        if appended_at is not None:
            tick_time += min(max(wall_ms() - appended_at, 0), MOST_DELAY_MS)
        self._reach(tick_time)
        self._fresh_until = self._seen_at + TICK_FRESH_MS

    def _reach(self, tick_time: int) -> None:
        now = elapsed_ms()
        reached = self._tick + now - self._seen_at if self._ticked else 0
        self._tick = max(tick_time, reached)
        self._seen_at = now
        self._ticked = True

    def now(self) -> int:
        return self._tick + elapsed_ms() - self._seen_at

    def fresh(self) -> bool:
        """Whether a tick was read lately: the log is within reach and the process was not stopped."""
        return self._ticked and elapsed_ms() <= self._fresh_until
