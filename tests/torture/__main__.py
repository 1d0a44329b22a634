"""`python -m tests.torture`: one run and its report. Code 0: passed, 1: a violation, 3: void (the storm was none)."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.torture.plan import make_plan
from tests.torture.report import outcome_of, write_report
from tests.torture.run import run

CODES = {"passed": 0, "FAILED": 1, "void": 3}


def main() -> None:
    parser = argparse.ArgumentParser(description="a storm over real processes, and what the checkers say")
    parser.add_argument("--log", choices=("postgres", "kafka"), default="postgres")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", choices=("ci", "full"), default="ci")
    parser.add_argument("--executions", type=int)
    parser.add_argument("--minutes", type=float, help="length of the storm")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--keep", type=Path, help="directory for the journals and the processes' logs; kept afterwards")
    asked = parser.parse_args()
    plan = make_plan(asked.log, asked.seed, asked.size, asked.executions, asked.minutes)
    home = asked.keep or Path(tempfile.mkdtemp(prefix="lf-torture-"))
    home.mkdir(parents=True, exist_ok=True)
    evidence, verdicts = asyncio.run(run(plan, home))
    text = write_report(evidence, verdicts)
    print(text)
    if asked.report is not None:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(text)
    outcome = outcome_of(verdicts, starved=evidence.starved)
    if outcome == "passed" and asked.keep is None:
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(f"journals and logs: {home}")
    sys.exit(CODES[outcome])


if __name__ == "__main__":
    main()
