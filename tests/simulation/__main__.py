"""python -m tests.simulation --seeds 0..2000 | --seed N -v"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.run import Result, run_seed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0..200", help="FIRST..END, the end not included")
    parser.add_argument("--seed", type=int, help="one seed only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("-v", "--verbose", action="store_true", help="the log lines of all processes")
    parser.add_argument("--keep-going", type=int, default=10, metavar="N", help="stop after N failing seeds")
    given = parser.parse_args()
    if given.seed is not None:
        seeds = range(given.seed, given.seed + 1)
    else:
        first, _, end = given.seeds.partition("..")
        seeds = range(int(first), int(end))
    began = time.monotonic()
    results: list[Result] = []
    failing = 0
    for result in _run(seeds, given.jobs, given.verbose):
        results.append(result)
        if result.violations:
            failing += 1
            print(f"seed {result.seed} failed; again: {result.command}", *result.violations, sep="\n    ", flush=True)
            if failing >= given.keep_going:
                break
    print(summary(results, time.monotonic() - began))
    sys.stdout.flush()
    if failing >= given.keep_going:
        os._exit(1)  # the pool still has work that nobody wants
    return 1 if failing else 0


def _run(seeds: range, jobs: int, verbose: bool) -> Iterator[Result]:
    if len(seeds) == 1 or jobs == 1:
        yield from (run_seed(seed, verbose=verbose) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(run_seed, seeds, chunksize=max(1, min(20, len(seeds) // (4 * jobs))))


def summary(results: Iterable[Result], seconds: float) -> str:
    """What was simulated, and which faults struck how often."""
    results = list(results)
    faults: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for result in results:
        faults += result.faults
        ends += result.executions

    def total(name: str) -> int:
        return sum(getattr(result, name) for result in results)

    hours = sum(result.seconds for result in results) / 3_600
    failing = sum(bool(result.violations) for result in results)
    each = 1_000 * seconds / max(len(results), 1)
    shortest = max((result.shortest_wait for result in results), default=0.0)
    lines = [
        f"{len(results)} seeds, {failing} failing; {seconds:.1f} s ({each:.0f} ms a seed)",
        f"{hours:.1f} simulated hours, {total('steps')} steps, {total('states')} states compared",
        f"{total('commits')} accepted commits, {total('void')} void, {total('takeovers')} takeovers",
        f"{total('requests')} requests; the shortest wait was {shortest:.3f} s too short",
        "executions: " + ", ".join(f"{name or 'none'} {count}" for name, count in sorted(ends.items())),
        "faults: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
