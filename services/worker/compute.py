"""The compute pool: pure runs that would hold the others up, done in processes of their own.

Started when first needed; a process that dies is replaced and its run fails with a clear error.
"""

import asyncio
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from domain.execution.decider import compute_run

from infra.telemetry import metrics


class ComputeFailed(Exception):
    """The pool could not do it: the process died or the run raised."""

    code = "compute_failed"


class ComputePool:
    """At most `processes` heavy runs at once."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, document: bytes, job: bytes) -> Any:
        """What `compute_run` returns. Raises ComputeFailed."""
        started = asyncio.get_running_loop().time()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._started(), compute_run, document, job)
        except BrokenExecutor:
            self._pool = None
            raise ComputeFailed("the compute process died") from None
        except Exception as error:
            raise ComputeFailed(f"{type(error).__name__}: {error}") from error
        finally:
            metrics.COMPUTE_SECONDS.observe(asyncio.get_running_loop().time() - started)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._processes, mp_context=get_context("spawn"))
        return self._pool
