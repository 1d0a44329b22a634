"""`linkflow rebuild` and `linkflow verify`: the read models made anew from the log, or proven against it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from domain.schedule.zones import moment_of
from services.cli.access import database_settings, opened_log, opened_pool
from services.cli.output import Json, console, messages, print_json, print_table

if TYPE_CHECKING:
    from services.projector.verify import VerifyReport

Progress = Callable[[int, int], None]


def register(app: typer.Typer) -> None:
    app.command("rebuild")(rebuild)
    app.command("verify")(verify)
    app.command("restored")(restored)


def rebuild(
    name: Annotated[str, typer.Argument(help="A read model (executions, workflows, …), or all.")],
    as_json: Json = False,
) -> None:
    """Fold a read model anew from the log, beside the live one, and switch when it has caught up."""
    from services.projector.rebuild import RebuildReport
    from services.projector.rebuild import rebuild as run_rebuild

    settings = database_settings()

    async def work() -> RebuildReport:
        async with opened_pool(settings) as pool, opened_log(settings) as log:
            with _bar("rebuilding", as_json) as progress:
                return await run_rebuild(log, pool, name, progress)

    report = asyncio.run(work())
    if as_json:
        print_json(asdict(report) | {"events_per_second": round(report.events_per_second)})
    else:
        messages().print(
            f"rebuilt {', '.join(report.names)}: {report.events} events of {report.records} records in"
            f" {report.seconds:.1f} s ({report.events_per_second:,.0f} events/s)",
            markup=False,
        )


def verify(as_json: Json = False) -> None:
    """Fold the log a second time, by other code, and compare it with the rows. Code 1 if they differ."""
    from services.projector.verify import VerifyReport
    from services.projector.verify import verify as run_verify

    settings = database_settings()

    async def work() -> VerifyReport:
        async with opened_pool(settings) as pool, opened_log(settings) as log:
            with _bar("verifying", as_json) as progress:
                return await run_verify(log, pool, progress)

    report = asyncio.run(work())
    if as_json:
        shown = {each.name: getattr(report, each.name) for each in fields(report)}  # asdict breaks a Counter
        print_json({"ok": report.ok} | shown | {"differences": [asdict(each) for each in report.differences]})
    else:
        _print_report(report)
    if not report.ok:
        raise typer.Exit(1)


def restored(
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Record that history begins where the log does; take the rows away.")
    ] = False,
    as_json: Json = False,
) -> None:
    """After a backup of the database was restored: what the log has no more. Stop everything else first."""
    from services.projector.restored import Missing
    from services.projector.restored import adopt as run_adopt
    from services.projector.restored import look as run_look

    settings = database_settings()

    async def work() -> Missing:
        async with opened_pool(settings) as pool, opened_log(settings) as log:
            return await (run_adopt if adopt else run_look)(log, pool)

    missing = asyncio.run(work())
    if as_json:
        print_json({"adopted": adopt and bool(missing.partitions), **asdict(missing)})
        return
    print_table(
        ["partition", "history begins", "the log begins"],
        [[number, begin, first] for number, (begin, first) in sorted(missing.partitions.items())],
        empty="nothing is missing: go on",
    )
    if missing.partitions:
        newest = (
            ""
            if missing.newest is None
            else f", the last of which ended at {moment_of(missing.newest):%Y-%m-%d %H:%M} (UTC)"
        )
        done = "were taken away" if adopt else "go with --adopt"
        console().print(f"{missing.executions} executions without their history{newest}: {done}", markup=False)


def _as_json(report: "VerifyReport") -> dict[str, Any]:
    # Field by field: asdict makes nonsense of a Counter.
    fields = {name: getattr(report, name) for name in ("commits", "void", "events", "executions", "seconds")}
    counts = {name: dict(getattr(report, name)) for name in ("statuses", "rows", "found")}
    return {"ok": report.ok, **fields, **counts, "differences": [asdict(each) for each in report.differences]}


def _print_report(report: "VerifyReport") -> None:
    if report.differences:
        print_table(["kind", "where", "what"], [[each.kind, each.where, each.what] for each in report.differences])
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(report.statuses.items()))
    console().print(
        f"{report.commits} commits, {report.events} events, {report.executions} executions ({statuses or 'none'}),"
        f" {sum(report.rows.values())} rows, {report.void} void records, {report.seconds:.1f} s",
        markup=False,
    )
    if report.ok:
        console().print("the read models agree with the log", style="green")
    else:
        found = ", ".join(f"{count} × {kind}" for kind, count in sorted(report.found.items()))
        console().print(f"they differ: {found}", style="bold red", markup=False)


@contextmanager
def _bar(what: str, as_json: bool) -> Iterator[Progress]:
    """A progress bar on stderr where that is a terminal; nothing elsewhere."""
    if as_json or not messages().is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=messages()
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
