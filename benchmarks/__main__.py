"""`make bench`: LinkFlow's workloads on both logs, a table against the budgets, and JSON.

    python -m benchmarks [--log postgres|kafka|both] [--only W1,W2] [--seconds 15] [--json FILE]

Exit code 1 if a result was wrong (speed never fails a run; the table marks a missed 'first' with '!'). Micro-benchmarks
stand alone: `python -m benchmarks.domain`, `python -m benchmarks.expressions`.
"""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import code, fairness, workloads
from benchmarks.product import Product, product
from benchmarks.report import Budget, Report, table, write_json
from benchmarks.workloads import Sizes
from tests.support.kafka import KafkaBroker, KafkaMissing, own_broker

ALL = ("start", "W1", "W2", "W3", "lag", "rebuild", "verify", "W4", "items", "L6", "W5", "W6")
Work = Callable[[Product, Report], Awaitable[None]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", choices=["postgres", "kafka", "both"], default="both")
    parser.add_argument("--only", default=",".join(ALL), help=f"some of {','.join(ALL)}")
    parser.add_argument("--seconds", type=float, default=Sizes.seconds, help="of W1; W2 and the lag take half of it")
    parser.add_argument("--parked", type=int, default=Sizes.parked, help="executions of W5")
    parser.add_argument("--park-seconds", type=int, default=Sizes.park_seconds)
    parser.add_argument("--crash-seconds", type=int, default=Sizes.crash_seconds, help="length of W6's step")
    parser.add_argument("--workers", type=int, default=0, help="worker processes; 0: the product's default")
    parser.add_argument("--json", type=Path, default=None, help="write everything to this file")
    args = parser.parse_args()
    args.only = [each.strip() for each in args.only.split(",")]
    if unknown := set(args.only) - set(ALL):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    return args


@contextmanager
def broker_for(log: str) -> Iterator[KafkaBroker | None]:
    if log == "postgres":
        yield None
        return
    broker = own_broker()
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()


async def run(log: str, chosen: list[str], sizes: Sizes, workers: int) -> Report:
    """All chosen workloads on one log: four fresh installations; what computes, W5 and W6 have one each."""
    report = Report(log)
    settings = {"LINKFLOW_WORKERS": str(workers)} if workers else {}

    async def on_fresh(work: Work, broker: KafkaBroker | None) -> None:
        async with product(broker, **settings) as fresh:
            await work(fresh, report)

    async def throughput(fresh: Product, report: Report) -> None:
        if "start" in chosen:
            report.add("start", "`linkflow up` to ready, fresh directory", fresh.startup, "s", Budget(5, 3))
        rate = await workloads.w1(fresh, report, sizes) if {"W1", "lag"} & set(chosen) else 0.0
        if "W2" in chosen:
            await workloads.w2(fresh, report, sizes)
        if "W3" in chosen:
            await workloads.w3(fresh, report, sizes)
        if "lag" in chosen:
            await workloads.lag(fresh, report, sizes, rate)
        if "rebuild" in chosen:
            await workloads.rebuild(fresh, report)
        if "verify" in chosen:
            await workloads.verify(fresh, report)

    async def coded(fresh: Product, report: Report) -> None:
        if "W4" in chosen:
            await code.w4(fresh, report)
        if "items" in chosen:
            await code.neighbours(fresh, report)
        if "L6" in chosen:
            await fairness.flood(fresh, report)

    async def parked(fresh: Product, report: Report) -> None:
        await workloads.w5(fresh, report, sizes)

    async def crashed(fresh: Product, report: Report) -> None:
        await workloads.w6(fresh, report, sizes)

    parts: list[tuple[set[str], Work]] = [
        ({"start", "W1", "W2", "W3", "lag", "rebuild", "verify"}, throughput),
        ({"W4", "items", "L6"}, coded),
        ({"W5"}, parked),
        ({"W6"}, crashed),
    ]
    with broker_for(log) as broker:
        for names, work in parts:
            if names & set(chosen):
                try:
                    await on_fresh(work, broker)
                except AssertionError as error:
                    report.check(False, f"{'/'.join(sorted(names & set(chosen)))} did not finish: {error}")
    return report


def main() -> int:
    args = arguments()
    sizes = Sizes(
        seconds=args.seconds,
        parked=args.parked,
        park_seconds=args.park_seconds,
        crash_seconds=args.crash_seconds,
    )
    reports = []
    for log in ("postgres", "kafka") if args.log == "both" else (args.log,):
        print(f"{log}:", flush=True)
        try:
            report = _loop_run(run(log, args.only, sizes, args.workers))
        except KafkaMissing as missing:
            print(f"  not run: {missing}")
            continue
        report.facts["machine"] = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.platform()}"
        reports.append(report)
    print()
    print(table(reports))
    for report in reports:
        for row in report.missed():
            print(f"! {report.log}: {row.workload} {row.what} misses 'first': {row.value:.2f} {row.unit}")
        for what in report.wrong:
            print(f"WRONG {report.log}: {what}")
    if args.json is not None:
        write_json(reports, args.json)
    return 1 if any(report.wrong for report in reports) or not reports else 0


def _loop_run(work: Awaitable[Report]) -> Report:
    """On uvloop where it is there: the load client shares the machine with what it measures."""

    async def whole() -> Report:
        return await work

    try:
        import uvloop
    except ImportError:
        return asyncio.run(whole())
    return uvloop.run(whole())


if __name__ == "__main__":
    sys.exit(main())
