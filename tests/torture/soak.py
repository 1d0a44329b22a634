"""An hour at half of what can be sustained, with a kill a minute: all checkers, and C22 by slopes.

    python -m tests.torture.soak --minutes 60 --log postgres|kafka --seed N [--rate N]
                                [--processors SHARE] [--report FILE] [--keep DIR]

The load is the storm's mix. What a run leaves behind is audited in memory, so the cluster gets a share of a
processor, by a control group (as root; elsewhere the load has a cap, and the report says what it was). What it can
sustain is measured first, in the same way: the calls that the sink sees in a second while more is offered than can be
done, over the calls of an average execution.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.torture.cluster import TortureCluster, full_names
from tests.torture.cpu import can_limit
from tests.torture.driver import Driver
from tests.torture.evidence import Evidence
from tests.torture.journal import Journal, read_journal
from tests.torture.plan import Plan, soak_plan
from tests.torture.report import outcome_of, write_report
from tests.torture.run import deploy_all, run
from tests.torture.sink import Sink
from tests.torture.slopes import slopes_of
from tests.torture.workflows import CALLS_EACH

FLOOD = 200.0
FLOOD_SECONDS = 30.0
WARM_SECONDS = 12.0
MOST = 32.0
"""Starts a second, at most: everything that a run leaves behind is audited in memory."""


async def sustainable(log: str, seed: int, home: Path, processors: float | None) -> float:
    """Executions of the mix a second, by the calls that were answered under a flood of starts."""
    plan = replace(soak_plan(log, seed, 1, FLOOD), longest_wait=12)
    history = Journal(home / "history.jsonl", sync=False)
    sink = Sink(home / "sink.jsonl", sync=False)
    try:
        async with TortureCluster(home, log=log, names=full_names(plan.workers), processors=processors) as cluster:
            places = await deploy_all(plan, cluster, sink.url)
            async with Driver(plan, cluster.apis, places, history) as driver:
                began = time.time() * 1000
                await driver.load(0, int(FLOOD * FLOOD_SECONDS), FLOOD)
                ended = time.time() * 1000
        answered = [each["at"] for each in read_journal(sink.journal) if each["what"] == "out"]
        begin = began + WARM_SECONDS * 1000
        return sum(begin <= at < ended for at in answered) / ((ended - begin) / 1000) / CALLS_EACH
    finally:
        sink.close()
        history.close()


def write_soak(evidence: Evidence, measured: float) -> str:
    """What the report of a storm does not say."""
    lines = [
        "",
        "## Load and growth",
        "",
        f"Sustainable, measured before: {measured:.1f} executions/s; offered: {evidence.plan.rate:.1f}/s.",
        f"Processors of the cluster with its servers: {evidence.plan.processors or 'all'}.",
        "",
        "| process | what | level | growth an hour | allowed | minutes looked at |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.process} | {s.what} | {s.level:.1f} | {s.hourly:+.2f} | {s.allowed:.1f} | {s.minutes:.0f} |"
        for s in slopes_of(evidence)
    ]
    return "\n".join(lines) + "\n"


def soak(plan: Plan, home: Path, measured: float, report: Path | None) -> str:
    """Run it, write its report and return passed, void or FAILED."""
    evidence, verdicts = asyncio.run(run(plan, home))
    text = write_report(evidence, verdicts) + write_soak(evidence, measured)
    print(text)
    if report is not None:
        report.write_text(text)
    return outcome_of(verdicts, starved=evidence.starved)


def main() -> None:
    parser = argparse.ArgumentParser(description="a long run at half load with a kill a minute")
    parser.add_argument("--log", choices=("postgres", "kafka"), default="postgres")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, help="starts a second, instead of half of what can be sustained")
    parser.add_argument("--processors", type=float, default=0.4 if can_limit() else None, help="of the whole cluster")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--keep", type=Path, help="directory for the journals and the processes' logs; kept afterwards")
    asked = parser.parse_args()
    home = asked.keep or Path(tempfile.mkdtemp(prefix="lf-soak-"))
    home.mkdir(parents=True, exist_ok=True)
    (home / "measured").mkdir(exist_ok=True)
    measured = asyncio.run(sustainable(asked.log, asked.seed, home / "measured", asked.processors))
    rate = asked.rate or min(MOST, measured / 2)
    print(f"sustainable: {measured:.1f} executions/s; the soak offers {rate:.1f}/s", flush=True)
    plan = soak_plan(asked.log, asked.seed, asked.minutes, rate, asked.processors)
    outcome = soak(plan, home, measured, asked.report)
    if outcome == "passed" and asked.keep is None:
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(f"journals and logs: {home}")
    sys.exit(0 if outcome == "passed" else 1)


if __name__ == "__main__":
    main()
