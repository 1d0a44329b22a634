"""The compute pool: pure runs that would hold the others up, done in processes of their own.

Started when first needed. A process that dies takes everything in the pool with it, so a run that was in it is done
once more (it is pure), alone: if its process dies then as well, the run is to blame and fails with a clear error.
A run that takes too long is treated like one whose process died: its processes are killed.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

from domain.execution.decider import compute_run
from infra.node_packages import load_node_packages
from infra.telemetry import metrics

RUN_SECONDS = 300.0
"""So long a heavy run may take, waiting for a free process included: where others want the processors it gets little of
them, and what it evaluates is bounded in steps."""

NICER = 10
"""Where processors are scarce a compute process gets a ninth of what another process gets."""

Work = Callable[[bytes, bytes], Any]


class ComputeFailed(Exception):
    """The pool could not do it: the process died or the run raised."""

    code = "compute_failed"


class ComputeTookTooLong(ComputeFailed):
    """The run used up its time: it is to blame, not the pool."""

    code = "timeout"


class TookTooLong(BrokenExecutor):
    """The run was stopped by killing the processes of its pool."""


class ComputePool:
    """At most `processes` heavy runs at once, and one more that is done alone."""

    def __init__(self, processes: int, work: Work = compute_run, *, seconds: float = RUN_SECONDS) -> None:
        self._processes = processes
        self._work = work
        self._seconds = seconds
        self._pool: ProcessPoolExecutor | None = None
        self._alone: ProcessPoolExecutor | None = None
        self._one_alone = asyncio.Lock()
        self._suspects = 0

    async def run(self, document: bytes, job: bytes) -> Any:
        """What `work` returns. Raises ComputeFailed."""
        started = asyncio.get_running_loop().time()
        try:
            return await self._with_others(document, job)
        except TookTooLong:
            raise ComputeTookTooLong(f"it took longer than {self._seconds:g} seconds") from None
        except BrokenExecutor:
            raise ComputeFailed("the compute process died") from None
        except Exception as error:
            raise ComputeFailed(f"{type(error).__name__}: {error}") from error
        finally:
            metrics.COMPUTE_SECONDS.observe(asyncio.get_running_loop().time() - started)

    def close(self) -> None:
        for pool in (self._pool, self._alone):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)

    async def _with_others(self, document: bytes, job: bytes) -> Any:
        pool = self._pool = self._pool or _processes(self._processes)
        try:
            return await self._bounded(pool, document, job)
        except BrokenExecutor:
            if self._pool is pool:
                self._pool = None
        self._suspects += 1
        try:
            return await self._by_itself(document, job)
        finally:
            self._suspects -= 1

    async def _by_itself(self, document: bytes, job: bytes) -> Any:
        async with self._one_alone:
            pool = self._alone = self._alone or _processes(1)
            try:
                return await self._bounded(pool, document, job)
            except BrokenExecutor:
                self._alone = None
                raise
            finally:
                if self._suspects == 1 and self._alone is not None:
                    self._alone.shutdown(wait=False)
                    self._alone = None

    async def _bounded(self, pool: ProcessPoolExecutor, document: bytes, job: bytes) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.get_running_loop().run_in_executor(pool, self._work, document, job)
        except TimeoutError:
            # the executor offers no way to end a run before Python 3.14 (kill_workers)
            for process in list((pool._processes or {}).values()):
                process.kill()
            raise TookTooLong from None


def _processes(number: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(number, mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Of a new compute process: its place behind those whom others wait for, the nodes that it may meet, and an end of
    its own when its worker was killed (the pipe that it waits at has its other end in this process as well, so it would
    wait for ever)."""
    os.nice(NICER)
    worker = parent_process()
    if worker is not None:
        Thread(target=_end_after, args=(worker,), name="worker", daemon=True).start()
    load_node_packages()


def _end_after(worker: BaseProcess) -> None:
    worker.join()
    os._exit(1)
