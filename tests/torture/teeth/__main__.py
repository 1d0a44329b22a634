"""`python -m tests.torture.teeth`: plant every bug, print a table. Code 1 unless all were caught."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.torture.teeth.catalog import TEETH
from tests.torture.teeth.run import Bite, bite, copy_tree, run_tests, table

DAY = 86_400


def main() -> None:
    parser = argparse.ArgumentParser(description="planted bugs, and the tests that must catch them")
    parser.add_argument("--seconds", type=float, help="stop when so much time has gone by; begins elsewhere each day")
    parser.add_argument("--only", help="names that contain this")
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args()
    teeth = [each for each in TEETH if asked.only is None or asked.only in each.name]
    if asked.seconds is not None:
        turn = int(time.time() // DAY) * 5 % len(teeth)
        teeth = [*teeth[turn:], *teeth[:turn]]
    began = time.monotonic()
    bites: list[Bite] = []
    with tempfile.TemporaryDirectory(prefix="lf-teeth-") as work:
        base = Path(work) / "base"
        base.mkdir()
        copy_tree(base)
        for tooth in teeth:
            if asked.seconds is not None and bites and time.monotonic() - began > asked.seconds:
                break
            code, said = run_tests(base, [tooth.caught_by], tooth.environment)
            if code != 0:
                bites.append(Bite(tooth, f"its test fails without the bug: {said[-300:]!r}", 0.0))
            else:
                bites.append(bite(tooth, base, Path(work)))
            print(f"{bites[-1].tooth.name}: {bites[-1].how} ({bites[-1].seconds:.1f} s)", flush=True)
    text = table(bites)
    print(text)
    if asked.report is not None:
        asked.report.write_text(text + "\n")
    sys.exit(0 if all(each.caught for each in bites) else 1)


if __name__ == "__main__":
    main()
