"""Processes under supervision, and how they are known again."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.processes import Identity, describe_exit, end_process, start_process, wait_exit
from infra.settings import Settings
from services.cli import supervisor
from services.cli.supervisor import Child, RoleProcess, end_left_over, rotate_logs
from services.cli.up import CannotStart, _check_port, _locked
from tests.support.processes import eventually

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


def _process(tmp_path: Path, *code: str) -> RoleProcess:
    return RoleProcess(
        [sys.executable, "-S", "-c", *code],
        environment=os.environ,
        log=tmp_path / "it.log",
        pid_file=tmp_path / "it.pid",
        drain=5,
    )


async def test_what_ends_is_started_again_and_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.01)
    said: list[str] = []
    script = "import sys; sys.exit('out of cheese')"
    child = Child("it", _process(tmp_path, script), tmp_path / "it.log", said.append)
    child.keep_running()

    async def thrice() -> bool:
        return len(said) >= 3

    await eventually(thrice, lambda: str(said))
    await child.stop()
    assert child.state == "stopped"
    assert said[0] == "it ended with code 1 (out of cheese); starting it again in 0.01 s"
    assert "in 0.04 s" in said[2]


async def test_stop_asks_then_kills(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    program = _process(tmp_path, stubborn)
    await program.start()

    async def is_up() -> bool:
        return "up" in (tmp_path / "it.log").read_text()

    await eventually(is_up, lambda: "the process does not start")
    assert Identity.read(tmp_path / "it.pid") == Identity.of(program.pid or 0)
    program._drain = 0.1
    await program.stop()
    assert await program.wait() == -signal.SIGKILL
    assert program.pid is None


async def test_what_a_killed_supervisor_left_is_ended_but_nobody_else(tmp_path: Path) -> None:
    left = start_process(SLEEPER, environment=os.environ, output=subprocess.DEVNULL)
    other = start_process(SLEEPER, environment=os.environ, output=subprocess.DEVNULL)
    try:
        identity = Identity.of(left.pid)
        assert identity is not None
        identity.write(tmp_path / "worker-0.pid")
        (tmp_path / "api.pid").write_text(f"{other.pid} 12\n")  # the id is used again by somebody else
        (tmp_path / "torn.pid").write_text("")
        assert await end_left_over(tmp_path) == ["worker-0"]
        assert await wait_exit(left) == -signal.SIGTERM
        assert other.poll() is None
        assert not (tmp_path / "api.pid").exists()
        assert not (tmp_path / "torn.pid").exists()
    finally:
        await end_process(left, ())
        await end_process(other, ())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the process looks for its parent itself")
async def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    starter = (
        "import os, sys, subprocess, time\n"
        "from infra.processes import start_process\n"
        f"child = start_process({SLEEPER!r}, environment=os.environ, output=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", starter, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert parent.stdout is not None
    child = Identity.of(int(await parent.stdout.readline()))
    assert child is not None
    parent.kill()
    await parent.communicate()

    async def gone() -> bool:
        return not child.alive

    await eventually(gone, lambda: "the child outlives its parent")


def test_logs_are_rotated_in_place(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("ab") as writer:
        writer.write(b"x" * 100)
        writer.flush()
        rotate_logs(tmp_path, limit=50)
        writer.write(b"new")
    assert log.read_bytes() == b"new"
    assert (tmp_path / "api.log.1").read_bytes() == b"x" * 100


def test_one_up_a_data_directory(tmp_path: Path) -> None:
    with (
        _locked(tmp_path / "data"),
        pytest.raises(CannotStart, match=f"process {os.getpid()}"),
        _locked(tmp_path / "data"),
    ):
        pass
    with _locked(tmp_path / "data"):
        pass


def test_a_taken_port_is_said_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"port {port} .*LINKFLOW_PORT"):
            _check_port(Settings(port=port))
    _check_port(Settings(port=port))


def test_exits_are_named() -> None:
    assert describe_exit(3) == "ended with code 3"
    assert describe_exit(-9) == "was killed by SIGKILL"
