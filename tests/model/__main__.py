"""`python -m tests.model`: check every model and print every trace; `--large`: the bounds that are too large for CI."""

import argparse

from tests.model.catalogue import ELSEWHERE, LARGE, SIZES, TRACES
from tests.model.checker import check


def main() -> int:
    """0 if every model holds and every trace is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--large", action="store_true", help="the large bounds, all rules on: minutes, and 1.5 GB")
    parser.add_argument("--only", default="", help="models (with --large) or traces whose name contains this")
    chosen = parser.parse_args()
    wrong = 0
    for size in LARGE if chosen.large else SIZES:
        if chosen.only.lower() not in str(size):
            continue
        result = check(size.make(**size.bounds))
        known = "" if result.states == size.states else f" (catalogue: {size.states})"
        print(
            f"{size}: {result.states:,} states{known}, {result.transitions:,} steps, {result.seconds:.1f} s", flush=True
        )
        if result.violation is not None:
            print(result.violation)
            wrong += 1
    for trace in () if chosen.large else TRACES:
        if chosen.only.lower() not in str(trace).lower():
            continue
        result = check(trace.model(), only=trace.broken)
        print(f"\nTrace {trace.number}, off: {', '.join(trace.off) or 'nothing'} ({result.states:,} states)")
        print(result.violation or "  NOT FOUND", flush=True)
        wrong += result.violation is None
    for number, where in () if chosen.large else ELSEWHERE.items():
        print(f"\nTrace {number}: {where}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
