"""`linkflow up` and the roles, as commands."""

import asyncio
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from infra.settings import Settings


def register(app: typer.Typer) -> None:
    app.command("up", help="Start everything on this machine, and keep it running until Ctrl-C.")(_up)
    for role, meaning in (
        ("api", "Serve HTTP: workflows, executions, webhooks, the live feed, the status page."),
        ("worker", "Own partitions: decide commands and perform effects."),
        ("scheduler", "Give the passing of time to every partition (one of all that run leads)."),
    ):
        app.command(role, help=meaning)(_role(role))
    app.command("projector", help="Fold the log into the read models.")(_projector)


def _up() -> None:
    raise typer.Exit(run_up())


def run_up() -> int:
    """`linkflow up` in this process; returns its exit code. Raises what kept it from starting."""
    from services.cli.up import up

    settings = Settings.from_env()
    if sys.stdout.isatty() and settings.log_format == "text":
        from services.cli.display import LiveTable

        with LiveTable() as table:
            return asyncio.run(up(settings, table.report, table.show))
    return asyncio.run(up(settings, _reporter(settings)))


def _reporter(settings: Settings) -> Callable[[str], None]:
    import json
    from datetime import UTC, datetime

    def report(line: str) -> None:
        if settings.log_format == "json":
            line = json.dumps({"timestamp": datetime.now(UTC).isoformat(), "role": "up", "message": line})
        print(line, flush=True)

    return report


def _role(role: str) -> Callable[..., None]:
    # Only for --help: the console script runs roles without this module (linkflow.roles).
    def command(member: Annotated[str, typer.Option(help="Stable name in the group (LINKFLOW_MEMBER).")] = "") -> None:
        raise typer.BadParameter(f"start it as `linkflow {role}`")

    command.__name__ = role
    return command


def _projector(
    member: Annotated[str, typer.Option(help="Stable name in the group (LINKFLOW_MEMBER).")] = "",
    with_scheduler: Annotated[bool, typer.Option("--with-scheduler", help="Run a scheduler beside it.")] = False,
) -> None:
    raise typer.BadParameter("start it as `linkflow projector`")
