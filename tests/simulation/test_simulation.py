"""Two thousand seeds; each failing one says by which command it is repeated."""

import os

import pytest

from tests.simulation.run import run_seed

SEEDS = int(os.environ.get("LINKFLOW_TEST_SEEDS", "2000"))
CHUNK = 50


@pytest.mark.simulation
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_everything_holds_whatever_happens(first: int) -> None:
    failed = []
    for seed in range(first, min(first + CHUNK, SEEDS)):
        result = run_seed(seed)
        if result.violations:
            failed.append("\n    ".join([f"again: {result.command}", *result.violations]))
    assert not failed, "\n".join(failed)


def test_a_seed_is_the_same_every_time() -> None:
    first, second = run_seed(7), run_seed(7)
    assert (first.digest, first.steps, first.seconds) == (second.digest, second.steps, second.seconds)
    assert first.commits > 10
    assert run_seed(8).digest != first.digest
