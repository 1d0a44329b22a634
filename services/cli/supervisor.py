"""Keeps processes running: starts them, starts what ends again (0.2 s … 5 s later), ends them in order."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from infra.processes import Identity, describe_exit, end_process, end_stranger, start_process, wait_exit
from infra.telemetry.errors import explain

FIRST_DELAY, LONGEST_DELAY = 0.2, 5.0
STEADY_SECONDS = 10.0
"""A process that ran this long starts again without a growing delay."""

MAX_LOG_BYTES = 10_000_000
Report = Callable[[str], None]


class Program(Protocol):
    """What can be kept running: a role's process, or PostgreSQL."""

    @property
    def pid(self) -> int | None: ...

    async def start(self) -> None:
        """Start it; returns when it is usable, or at least runs."""
        ...

    async def wait(self) -> int:
        """Wait for its end; returns its code (negative: a signal)."""
        ...

    async def stop(self) -> None: ...


class RoleProcess:
    """One process of LinkFlow, its output in a log file, its identity in a file for the next supervisor."""

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: Path, pid_file: Path, drain: float
    ) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._pid_file = pid_file
        self._drain = drain
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = start_process(self._command, environment=self._environment, output=output)
        identity = Identity.of(self._process.pid)
        if identity is not None:
            identity.write(self._pid_file)

    async def wait(self) -> int:
        if self._process is None:
            raise RuntimeError("the process was not started")
        code = await wait_exit(self._process)
        self._pid_file.unlink(missing_ok=True)
        return code

    async def stop(self) -> None:
        if self._process is not None:
            await end_process(self._process, ((signal.SIGTERM, self._drain),))

    def kill(self) -> None:
        if self.pid is not None and self._process is not None:
            self._process.kill()


class Child:
    """A program under supervision, and what people see of it."""

    def __init__(self, name: str, program: Program, log: Path, report: Report) -> None:
        self.name = name
        self.program = program
        self.log = log
        self.state = "stopped"
        self.restarts = 0
        self.reason = ""
        self._report = report
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def keep_running(self, *, started: bool = False) -> None:
        """Supervise from now on (`started`: it runs already)."""
        self._task = asyncio.create_task(self._keep(started), name=f"keep {self.name}")

    async def stop(self) -> None:
        """End it and keep it ended."""
        self._stopping = True
        if self.state == "running":
            self.state = "stopping"
        await self.program.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.state = "stopped"

    async def _keep(self, started: bool) -> None:
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            try:
                if not started:
                    self.state = "starting"
                    await self.program.start()
                started = False
                self.state = "running"
                code = await self.program.wait()
                self.reason = describe_exit(code) + (_last_words(self.log) if code > 0 else "")
            except Exception as error:  # noqa: BLE001 - whatever keeps it from starting, it is tried again
                self.reason = f"does not start: {explain(error)}"
            if self._stopping:
                return
            if time.monotonic() - began >= STEADY_SECONDS:
                delay = FIRST_DELAY
            self.state = "waiting"
            self.restarts += 1
            self._report(f"{self.name} {self.reason}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)


async def end_left_over(directory: Path) -> list[str]:
    """End what a killed supervisor left behind, known by the files of `RoleProcess`; returns their names."""
    ended = []
    for path in sorted(directory.glob("*.pid")):  # noqa: ASYNC240 - a handful of files, before anything runs
        identity = Identity.read(path)
        if identity is not None and identity.alive:
            await end_stranger(identity, ((signal.SIGTERM, 1.0),))
            ended.append(path.stem)
        path.unlink(missing_ok=True)
    return ended


def rotate_logs(directory: Path, limit: int = MAX_LOG_BYTES) -> None:
    """Keep each log under `limit` bytes and one older part (`.1`). Its writer appends, so it is emptied in place."""
    for path in directory.glob("*.log"):
        with contextlib.suppress(OSError):
            if path.stat().st_size > limit:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)


def _last_words(log: Path) -> str:
    """The line in which a process said why it ends."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2_000))
        lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
        if lines:
            return f" ({lines[-1].strip()[:300]})"
    return ""
