"""Wall clocks that can be stepped while a process runs: libfaketime, with a file for each process with its offset.

Only the wall clock is false: monotonic clocks and timers go on, as on a machine whose clock somebody sets.
"""

import os
from pathlib import Path

PLACES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
REQUIRED = "LINKFLOW_TEST_REQUIRE_FAKETIME"


def faketime_library() -> Path | None:
    """libfaketime for threads, or None; raises RuntimeError where it is missing and required (in CI)."""
    for place in PLACES:
        found = sorted(Path(place).glob("**/faketime/libfaketimeMT.so.1")) if Path(place).is_dir() else []
        if found:
            return found[0]
    if os.environ.get(REQUIRED, "") not in {"", "0"}:
        raise RuntimeError(f"{REQUIRED} is set and there is no libfaketime (Debian: apt-get install libfaketime)")
    return None


class SteppedClock:
    """The wall clock of one process: `environment` is for its start, `step` sets how many seconds it is ahead."""

    def __init__(self, library: Path, file: Path) -> None:
        self._library = library
        self._file = file
        self.step(0)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
        }

    def step(self, seconds: float) -> None:
        """From now on (within a second) the clock is so far ahead of the machine's; negative: behind."""
        part = self._file.with_suffix(".part")
        part.write_text(f"{seconds:+.0f}\n")
        part.replace(self._file)
