"""The log's own clock, as far as a reader of fresh records can know it.

`made` of a command is compared with the log's time of append (rule 14). Taken from the caller's wall clock, a host
whose clock is half a minute off could start nothing; taken from here, clocks need not agree.
"""

import time
from collections import deque

_KEPT = 60
_clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _elapsed_ms() -> int:
    return time.clock_gettime_ns(_clock) // 1_000_000


class LogClock:
    """Time of the log in milliseconds since 1970; this host's wall clock until a fresh record was seen.

    Records are read a little after their append, so of the last differences the largest is the truest.
    """

    def __init__(self) -> None:
        self._differences: deque[int] = deque(maxlen=_KEPT)
        self._ahead_of_elapsed: int | None = None

    @property
    def known(self) -> bool:
        """Whether a fresh record was seen; before that this is a host's clock, which may be hours off."""
        return self._ahead_of_elapsed is not None

    def saw(self, appended_at: int, elapsed: int | None = None) -> None:
        """A record was read as soon as it was there, or its append was answered when this host's clock that never goes
        back said `elapsed` (ms); the log took it at `appended_at`."""
        self._differences.append(appended_at - (_elapsed_ms() if elapsed is None else elapsed))
        self._ahead_of_elapsed = max(self._differences)

    def now(self) -> int:
        if self._ahead_of_elapsed is None:
            return time.time_ns() // 1_000_000
        return _elapsed_ms() + self._ahead_of_elapsed

    def of_wall(self, wall: int) -> int:
        """The log's time of a moment that this host's wall clock called `wall` just now."""
        return wall + self.now() - time.time_ns() // 1_000_000
