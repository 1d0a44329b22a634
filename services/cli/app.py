"""The command line: all commands in one place."""

from typing import Annotated

import typer

from services.cli import (
    admin,
    administration,
    credentials,
    dead_letters,
    deliveries,
    executions,
    feed,
    keys,
    nodes,
    readmodels,
    running,
    schedules,
    subscriptions,
    variables,
    workflows,
    workspaces,
)
from services.cli.failures import guarded

app = typer.Typer(
    name="linkflow",
    help="Workflow automation that loses nothing. Start with `linkflow up`.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (running, administration, feed, readmodels):
    module.register(app)
app.add_typer(workflows.app, name="workflows")
app.add_typer(executions.app, name="executions")
app.add_typer(schedules.app, name="schedules")
app.add_typer(subscriptions.app, name="subscriptions")
app.add_typer(keys.app, name="keys")
app.add_typer(nodes.app, name="nodes")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(admin.app, name="admin")
app.add_typer(workspaces.app, name="workspaces")
app.add_typer(credentials.app, name="credentials")
app.add_typer(variables.app, name="variables")
executions.register(app)


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"linkflow {installed('linkflow')}")
        raise typer.Exit


def run(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code."""

    def command() -> int:
        app(args=arguments)
        return 0

    return guarded(command)
