"""The clocks of simulated processes, in the place of the module `time`; and seeded randomness in that of `random`."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import structlog

from tests.simulation.loop import PROCESS

EPOCH_MS = 1_795_000_000_000
"""The log's clock when a simulation begins: 2026-11-18, in milliseconds since 1970."""


def _elapsed_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1_000)


def simulated_wall_ms() -> int:
    """The wall clock of the process that asks."""
    process = PROCESS.get()
    return EPOCH_MS + _elapsed_ms() + (process.wall_offset_ms if process else 0)


def simulated_boot_ms() -> int:
    """The clock that never goes back, of the process that asks."""
    process = PROCESS.get()
    return _elapsed_ms() + (process.boot_ms if process else 0)


class SimTime:
    """What the worker uses of the module `time`. `perf_counter` jumps now and then, so that batches end anywhere."""

    CLOCK_BOOTTIME = CLOCK_MONOTONIC = 0

    def __init__(self, source: random.Random, slow: float) -> None:
        self._random = source
        self._slow = slow
        self._spent = 0.0

    def time_ns(self) -> int:
        return simulated_wall_ms() * 1_000_000

    def clock_gettime_ns(self, _clock: int) -> int:
        return simulated_boot_ms() * 1_000_000

    def monotonic(self) -> float:
        return simulated_boot_ms() / 1_000

    def perf_counter(self) -> float:
        if self._random.random() < self._slow:
            self._spent += 0.05
        return self._spent


@contextmanager
def simulated(source: random.Random, constants: dict[str, Any]) -> Iterator[None]:
    """While this is open the worker's clocks, its randomness and some of its limits (`constants`) are the seed's."""
    time = SimTime(random.Random(source.random()), source.choice((0.0, 0.0, 0.1, 0.5)))
    chance = random.Random(source.random())

    def nonce(size: int) -> str:
        return f"{chance.getrandbits(8 * size):0{2 * size}x}"

    replaced: dict[str, Any] = {
        "infra.log.clock.time": time,
        "services.worker.clock.time": time,
        "services.worker.owner.time": time,
        "services.worker.owner.random": chance,
        "services.worker.batch.time": time,
        "services.worker.recovery.token_hex": nonce,
        **constants,
    }
    with ExitStack() as stack:
        for name, value in replaced.items():
            stack.enter_context(patch(name, value))
        yield


@contextmanager
def silent(verbose: bool) -> Iterator[None]:
    """The worker's log lines: all of them, or only critical ones."""
    before = structlog.get_config()
    structlog.configure(
        processors=[_stamp, structlog.processors.format_exc_info, structlog.dev.ConsoleRenderer(colors=False)],
        wrapper_class=structlog.make_filtering_bound_logger(10 if verbose else 50),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _stamp(_logger: Any, method: str, fields: Any) -> Any:
    process = PROCESS.get()
    fields.pop("module", None)
    fields["event"] = f"{asyncio.get_running_loop().time():9.3f} {process} {method}: {fields['event']}"
    return fields
