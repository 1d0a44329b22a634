"""`linkflow up` and the roles, as commands."""

from collections.abc import Callable
from typing import Annotated

import typer

from services.cli.foreground import run_up


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
