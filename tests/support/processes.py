"""Child processes of tests and benchmarks: started, killed, paused, looked at; ended by pid, whatever happens."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
LINKFLOW = [str(Path(sys.executable).with_name("linkflow"))]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any LINKFLOW_ setting of its own, plus `settings`."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("LINKFLOW_")}
    env["PYTHONUNBUFFERED"] = "1"
    return env | dict(settings)


def _dies_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """For `preexec_fn`: on Linux a child gets this signal when its parent dies, so that nothing is left behind."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


class Process:
    """One process with its output in a file. `start` again after its end continues the same file."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        *,
        on_parent_death: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._env = dict(env)
        self._preexec = _dies_with_parent(on_parent_death)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} has not been started"
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        assert not self.running, f"{self.name} runs already"
        with self.log.open("ab") as out:
            self._child = subprocess.Popen(
                self._argv,
                env=self._env,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=self._preexec,  # noqa: PLW1509 - one prctl call: no lock, no allocation
            )

    def send(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def pause(self) -> None:
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. A paused process dies as well."""
        self.send(signal.SIGKILL)
        if self._child is not None:
            self._child.wait(10)

    async def ended(self, within: float) -> int:
        """Wait for the end and return the exit code; a failure shows what the process said."""
        deadline = time.monotonic() + within
        while self.running:
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} did not end within {within} s:\n{self.tail()}")
            await asyncio.sleep(0.01)
        assert self._child is not None
        return int(self._child.returncode)

    async def terminate(self, within: float = 20.0) -> int:
        self.send(signal.SIGTERM)
        return await self.ended(within)

    def tree(self) -> list[psutil.Process]:
        """This process and all its descendants, as far as they live."""
        try:
            root = psutil.Process(self.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def tail(self, size: int = 4000) -> str:
        if not self.log.exists():
            return "(nothing was written)"
        return self.log.read_bytes()[-size:].decode("utf-8", "replace")


async def eventually(
    probe: Callable[[], Awaitable[bool]], what: Callable[[], str], *, within: float = 20.0, every: float = 0.02
) -> None:
    """Ask `probe` until it is true; after `within` seconds fail with what `what` says."""
    deadline = time.monotonic() + within
    while not await probe():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what()}")
        await asyncio.sleep(every)
