"""A hundred seeds (two thousand in CI); each failing one says by which command it is repeated."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.simulation.run import Result, run_seed

SEEDS = int(os.environ.get("LINKFLOW_TEST_SEEDS", "100"))
CHUNK = 50


def run_chunk(first: int) -> list[Result]:
    return [run_seed(seed) for seed in range(first, min(first + CHUNK, SEEDS))]


@pytest.fixture(scope="module")
def chunks() -> Iterator[dict[int, Future[list[Result]]]]:
    """All seeds, under way in a process a core."""
    pool = ProcessPoolExecutor(os.cpu_count() or 1, mp_context=get_context("spawn"))
    try:
        yield {first: pool.submit(run_chunk, first) for first in range(0, SEEDS, CHUNK)}
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.mark.simulation
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_everything_holds_whatever_happens(first: int, chunks: dict[int, Future[list[Result]]]) -> None:
    results = chunks[first].result()
    failed = [
        "\n    ".join([f"again: {result.command}", *result.violations]) for result in results if result.violations
    ]
    assert not failed, "\n".join(failed)
    assert sum(sum(result.executions.values()) for result in results) > CHUNK, "nothing was simulated"


def test_a_seed_is_the_same_every_time() -> None:
    first, second = run_seed(7), run_seed(7)
    assert (first.digest, first.steps, first.seconds) == (second.digest, second.steps, second.seconds)
    assert first.commits > 10
    assert run_seed(8).digest != first.digest
