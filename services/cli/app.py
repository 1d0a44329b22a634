"""The command line: its commands, and how a failure is told (one line, exit code 1)."""

import os
import sys
from typing import Annotated

import typer

from infra.telemetry.errors import explain
from services.cli import administration, executions, feed, keys, readmodels, running, workflows

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
app.add_typer(keys.app, name="keys")
executions.register(app)


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"linkflow {installed('linkflow')}")
        raise typer.Exit


def run(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code. With LINKFLOW_LOG_LEVEL=debug a failure raises, with its trace."""
    try:
        app(args=arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing is wrong. Keep the interpreter from saying otherwise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("LINKFLOW_LOG_LEVEL", "").lower() == "debug":
            raise
        sys.stderr.write(f"linkflow: {explain(error)}\n")
        return 1
    return 0
