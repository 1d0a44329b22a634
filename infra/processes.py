"""Starting, watching and recognising operating-system processes, for supervisors.

A process id alone does not name a process (ids are used again): `Identity` adds the time at which it started.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for ever. `started` is opaque: equal texts mean the same process."""

    pid: int
    started: str

    @staticmethod
    def of(pid: int) -> "Identity | None":
        """None if no such process lives (a zombie does not)."""
        if LINUX:
            try:
                # The second field is the program's name in parentheses and may hold anything.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                return None
            return None if fields[0] in "ZX" else Identity(pid, fields[19])
        shown = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603
        started = shown.stdout.decode().strip()
        return Identity(pid, started) if started else None

    @property
    def alive(self) -> bool:
        return Identity.of(self.pid) == self

    def send(self, signal_number: int) -> None:
        """Send a signal if it is still this process."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)

    def write(self, path: Path) -> None:
        path.write_text(f"{self.pid} {self.started}\n")

    @staticmethod
    def read(path: Path) -> "Identity | None":
        """What `write` wrote; None if there is nothing usable."""
        try:
            pid, _, started = path.read_text().strip().partition(" ")
            return Identity(int(pid), started)
        except (FileNotFoundError, ValueError):
            return None


def start_process(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    output: IO[bytes] | int,
    dies_with_parent: signal.Signals = signal.SIGKILL,
    directory: Path | None = None,
    before_exec: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own (a terminal's Ctrl-C does not reach it), output appended to `output`.

    On Linux it gets `dies_with_parent` when the calling thread's process dies, however it dies. `before_exec` runs in
    the child first (to change its user). Raises OSError.
    """
    parent = os.getpid()

    def prepare() -> None:
        if before_exec is not None:
            before_exec()
        if _libc is not None:
            # After a change of user: the kernel forgets the setting there.
            _libc.prctl(_PR_SET_PDEATHSIG, int(dies_with_parent), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return subprocess.Popen(  # noqa: S603
        [str(part) for part in command],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=directory,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509 - the parent has one thread
    )


async def wait_exit(process: subprocess.Popen[bytes]) -> int:
    """Wait until the child has ended, without polling where the system can say so; returns its return code."""
    if process.returncode is not None:
        return process.returncode
    if hasattr(os, "pidfd_open"):
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(process.pid)
            ended = asyncio.Event()
            loop.add_reader(descriptor, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
            return process.wait()
    while (code := process.poll()) is None:
        await asyncio.sleep(0.05)
    return code


async def end_process(process: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]) -> int:
    """End a child by growing force: each signal with the seconds it gets to work; then SIGKILL. Returns its code."""
    for signal_number, seconds in (*steps, (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            break
        process.send_signal(signal_number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await wait_exit(process)
    return process.wait()


async def end_stranger(identity: Identity, steps: Sequence[tuple[signal.Signals, float]]) -> bool:
    """End a process that is not our child, by growing force, then SIGKILL. False if it would not end."""
    for signal_number, seconds in (*steps, (signal.SIGKILL, 5.0)):
        identity.send(signal_number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not identity.alive:
                return True
            await asyncio.sleep(0.02)
    return not identity.alive


def describe_exit(code: int) -> str:
    """`ended with code 1`, `was killed by SIGKILL`."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}"
