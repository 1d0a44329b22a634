"""The live table of `linkflow up` in a terminal: what runs where, with its memory and CPU; lines scroll above it."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from infra.processes import LINUX
from services.cli.supervisor import Child
from services.cli.up import Installation

REFRESH_SECONDS = 1.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STYLES = {"running": "green", "starting": "cyan", "waiting": "bold red", "stopping": "yellow", "stopped": "dim"}


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process and its descendants: bytes of memory (shared pages divided among users), CPU seconds so far."""

    memory: int
    cpu: float


class LiveTable:
    """Shows the children of an Installation until its block ends."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._before: dict[str, tuple[float, float]] = {}
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> "LiveTable":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def report(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def show(self, installation: Installation) -> None:
        """Called in the event loop: the table refreshes until the loop ends."""
        # No thread: the supervisor forks, and a fork beside threads can hang.
        self._task = asyncio.get_running_loop().create_task(self._refresh(installation))

    async def _refresh(self, installation: Installation) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            self._live.update(self._table(installation), refresh=True)

    def _table(self, installation: Installation) -> Table:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("process", "pid", "state", "restarts", "memory", "cpu", "last end"):
            table.add_column(column, no_wrap=True)
        for child in list(installation.children):
            table.add_row(*self._row(child))
        return table

    def _row(self, child: Child) -> list[Text | str]:
        pid = child.program.pid
        usage = usage_of(pid) if pid is not None else None
        return [
            child.name,
            str(pid or ""),
            Text(child.state, style=_STYLES.get(child.state, "")),
            str(child.restarts or ""),
            f"{usage.memory / 2**20:.0f} MiB" if usage else "",
            self._share(child.name, usage),
            Text(child.reason[:80], style="dim"),
        ]

    def _share(self, name: str, usage: Usage | None) -> str:
        if usage is None:
            self._before.pop(name, None)
            return ""
        now = time.monotonic()
        before, self._before[name] = self._before.get(name), (now, usage.cpu)
        if before is None or now == before[0] or usage.cpu < before[1]:
            return ""
        return f"{(usage.cpu - before[1]) / (now - before[0]):.0%}"


def usage_of(pid: int) -> Usage | None:
    """None where the system does not tell (not Linux), or the process has ended."""
    if not LINUX:
        return None
    total, cpu, found = 0, 0.0, False
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            waiting += [int(child) for child in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
        except OSError:
            continue
        found = True
        total += _proportional_bytes(each) or int(fields[21]) * _PAGE
        cpu += (int(fields[11]) + int(fields[12])) / _TICKS
    return Usage(total, cpu) if found else None


def _proportional_bytes(pid: int) -> int:
    """0 where the kernel does not say."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
