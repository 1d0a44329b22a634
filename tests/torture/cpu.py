"""A share of the processors for a whole cluster, by a control group: its load says something on a busy machine, too.

Needs root and the cgroup controller `cpu` (version 1 or 2).
"""

import contextlib
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000


def can_limit() -> bool:
    """Whether this process may make control groups that limit the processor."""
    return os.geteuid() == 0 and _parent() is not None


def _parent() -> Path | None:
    one, two = ROOT / "cpu", ROOT / "cgroup.subtree_control"
    if (one / "cpu.cfs_quota_us").exists() or (one / "cgroup.procs").exists():
        return one
    return ROOT if two.exists() and "cpu" in two.read_text().split() else None


class CpuLimit:
    """A group that together gets `processors` (0.5: half of one), from `begin` on: a start need not take minutes.
    `close` when its processes are gone."""

    def __init__(self, processors: float) -> None:
        parent = _parent()
        if parent is None:
            raise RuntimeError("this machine has no cgroup controller for the processor: run without a limit")
        self.path = parent / f"lf-torture-{secrets.token_hex(4)}"
        self.path.mkdir()
        self._processors = processors

    def begin(self) -> None:
        quota = int(self._processors * PERIOD_US)
        # Its share is a limit and a promise: among many busy neighbours a group counts as one of them otherwise.
        if (self.path / "cpu.max").exists():
            (self.path / "cpu.max").write_text(f"{quota} {PERIOD_US}")
            (self.path / "cpu.weight").write_text("1000")
        else:
            (self.path / "cpu.shares").write_text("10240")
            (self.path / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self.path / "cpu.cfs_quota_us").write_text(str(quota))

    @property
    def prefix(self) -> list[str]:
        """Put before the arguments of a process, it runs in the group from its first moment on."""
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh"]

    def take(self, pids: Iterable[int]) -> None:
        """Move running processes into it."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                (self.path / "cgroup.procs").write_text(str(pid))

    def throttled(self) -> str:
        """What the kernel counted, for a report."""
        return " ".join((self.path / "cpu.stat").read_text().split())

    def close(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                self.path.rmdir()
            except OSError:  # the last of its processes is on its way out
                time.sleep(0.1)
            else:
                return
