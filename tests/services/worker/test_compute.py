"""Compute processes that die: pure runs are done once more, and only the run that is to blame fails."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.worker.compute import ComputeFailed, ComputePool


def work(document: bytes, job: bytes) -> bytes:
    """`job`: a path to a file: the process dies if it is not there yet; "poison": it dies whatever is there."""
    if job == b"poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == b"endless":
        while True:
            pass
    if job == b"raises":
        raise ValueError("no")
    path = Path(os.fsdecode(job))
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return document


@pytest.fixture
def pool() -> Iterator[ComputePool]:
    made = ComputePool(1, work)
    yield made
    made.close()


async def test_a_run_whose_process_was_killed_is_done_once_more(pool: ComputePool, tmp_path: Path) -> None:
    assert await pool.run(b"done", os.fsencode(tmp_path / "killed")) == b"done"
    assert await pool.run(b"next", os.fsencode(tmp_path / "killed")) == b"next"


async def test_only_the_run_that_kills_its_process_fails(pool: ComputePool, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    jobs = [b"poison", *[os.fsencode(there)] * 5, b"poison"]
    results = await asyncio.gather(*(pool.run(b"done", job) for job in jobs), return_exceptions=True)
    assert [type(each) for each in results] == [ComputeFailed, *[bytes] * 5, ComputeFailed]
    assert str(results[0]) == "the compute process died"


async def test_a_run_that_raises_says_why(pool: ComputePool) -> None:
    with pytest.raises(ComputeFailed, match="ValueError: no"):
        await pool.run(b"", b"raises")


async def test_a_run_that_does_not_end_is_stopped_and_the_others_are_done(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    pool = ComputePool(1, work, seconds=3.0)
    try:
        results = await asyncio.gather(
            pool.run(b"done", b"endless"), pool.run(b"done", os.fsencode(there)), return_exceptions=True
        )
    finally:
        pool.close()
    assert str(results[0]) == "it took longer than 3 seconds"
    assert results[1] == b"done"


KILLED = """
import asyncio, os, signal, sys
from services.worker.compute import ComputePool
from tests.services.worker.test_compute import tell_process

async def main():
    print(int(await ComputePool(1, tell_process).run(b"", b"")), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    asyncio.run(main())
"""


def tell_process(_document: bytes, _job: bytes) -> bytes:
    return str(os.getpid()).encode()


def test_the_processes_of_a_killed_worker_end(tmp_path: Path) -> None:
    program = tmp_path / "worker.py"
    program.write_text(KILLED)
    root = Path(__file__).parents[3]
    ended = subprocess.run(
        [sys.executable, program],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        timeout=60,
        check=False,
    )  # it returns when nobody holds the pipes any more, so when the compute process has ended too
    assert ended.returncode == -signal.SIGKILL
    assert int(ended.stdout) != os.getpid()
