"""Commands of the installation itself: migrate, topics, settings, logs."""

import asyncio
import os
import time
from collections import deque
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.settings import Settings
from services.cli.output import Json, console, messages, print_json, print_table

_HIDDEN = "(set, hidden)"
_FOLLOW_SECONDS = 0.2

topics_app = typer.Typer(help="Make, check and describe the topics of the log.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command("migrate")(migrate)
    app.command("settings")(show_settings)
    app.command("logs")(logs)
    app.add_typer(topics_app, name="topics")


def migrate(as_json: Json = False) -> None:
    """Bring the tables of the database up to date."""
    from services.cli.access import database_settings
    from services.cli.preparation import prepare_tables

    applied = asyncio.run(prepare_tables(database_settings()))
    if as_json:
        print_json({"applied": applied})
    else:
        messages().print("\n".join(f"applied {name}" for name in applied) or "up to date")


@topics_app.command("create")
def create_topics(as_json: Json = False) -> None:
    """Make the topics that are missing, and ask for the first API key if LINKFLOW_BOOTSTRAP_API_KEY names one."""
    from services.cli.access import database_settings
    from services.cli.preparation import prepare_bootstrap_key, prepare_topics

    settings = database_settings()

    async def create() -> int:
        partitions = await prepare_topics(settings)
        if settings.bootstrap_api_key:
            from infra.keys import load_bootstrap_api_key

            await prepare_bootstrap_key(settings, load_bootstrap_api_key(settings)[0])
        return partitions

    partitions = asyncio.run(create())
    if as_json:
        print_json({"partitions": partitions})
    else:
        messages().print(f"the topics are there, with {partitions} partitions each")


@topics_app.command("check")
def check_topics(as_json: Json = False) -> None:
    """End with code 1 and a reason unless the topics are what this installation needs; changes nothing."""
    from services.cli.access import database_settings, opened_log

    settings = database_settings()

    async def check() -> int:
        async with opened_log(settings) as log:
            return log.partitions

    partitions = asyncio.run(check())
    wanted = settings.partitions if "LINKFLOW_PARTITIONS" in os.environ else partitions
    if as_json:
        print_json({"ok": partitions == wanted, "partitions": partitions, "wanted": wanted})
    elif partitions == wanted:
        messages().print(f"the topics are there, with {partitions} partitions each")
    else:
        messages().print(f"the topics have {partitions} partitions, LINKFLOW_PARTITIONS says {wanted}")
    if partitions != wanted:
        raise typer.Exit(1)


@topics_app.command("describe")
def describe_topics(as_json: Json = False) -> None:
    """Show each topic with what the log says about it."""
    from infra.log import open_admin
    from services.cli.access import database_settings

    settings = database_settings()

    async def describe() -> dict[str, dict[str, str | int]]:
        admin = await open_admin(settings.log, database_url=settings.database_url, prefix=settings.log_prefix)
        try:
            return {topic.value: dict(facts) for topic, facts in (await admin.describe()).items()}
        finally:
            await admin.close()

    found = asyncio.run(describe())
    if as_json:
        print_json(found)
        return
    columns = list(dict.fromkeys(name for facts in found.values() for name in facts))
    rows = [[topic, *(facts.get(name, "") for name in columns)] for topic, facts in found.items()]
    print_table(["topic", *columns], rows, empty="no topics yet: linkflow topics create")


def show_settings(as_json: Json = False) -> None:
    """Show all settings: value, where it comes from, what it means. Secrets are hidden."""
    rows = describe_settings(Settings.from_env())
    if as_json:
        print_json(rows)
        return
    print_table(
        ["variable", "value", "from", "meaning"],
        [[row["variable"], row["value"], row["source"], row["meaning"]] for row in rows],
    )


def describe_settings(settings: Settings) -> list[dict[str, Any]]:
    """One entry a setting: variable, value (secrets hidden), source (`environment` or `default`), meaning."""
    from dataclasses import fields

    described = []
    for field in fields(Settings):
        variable = f"LINKFLOW_{field.name.upper()}"
        value = getattr(settings, field.name)
        if field.metadata["secret"] and value:
            value = _HIDDEN
        described.append(
            {
                "variable": variable,
                "value": ",".join(value) if isinstance(value, tuple) else value,
                "source": "environment" if os.environ.get(variable) else "default",
                "meaning": field.metadata["meaning"],
            }
        )
    return described


def logs(
    name: Annotated[str, typer.Argument(help="api, worker-0, projector, postgres, …; nothing: list them.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="So many lines from the end.")] = 50,
    as_json: Json = False,
) -> None:
    """Show what a process of `linkflow up` has logged."""
    directory = Settings.from_env().data / "logs"
    known = sorted(path.stem for path in directory.glob("*.log"))
    if not name:
        sizes = [(each, (directory / f"{each}.log").stat().st_size) for each in known]
        if as_json:
            print_json([{"name": each, "bytes": size} for each, size in sizes])
        else:
            print_table(["name", "bytes"], sizes, empty=f"no logs in {directory}")
        return
    if name not in known:
        raise typer.BadParameter(f"no log of {name!r} in {directory}; there are: {', '.join(known) or 'none'}")
    _show_log(directory / f"{name}.log", lines, follow=follow, as_json=as_json)


def _show_log(path: Path, lines: int, *, follow: bool, as_json: bool) -> None:
    with path.open("r", encoding="utf-8", errors="replace") as file:
        for line in deque(file, maxlen=lines):
            _print_log_line(line, as_json)
        while follow:
            line = file.readline()
            if line:
                _print_log_line(line, as_json)
            else:
                if path.stat().st_size < file.tell():  # it was rotated
                    file.seek(0)
                time.sleep(_FOLLOW_SECONDS)


def _print_log_line(line: str, as_json: bool) -> None:
    text = line.rstrip("\n")
    if as_json:
        from services.cli.output import print_line

        print_line({"line": text})
    else:
        console().print(text, markup=False)
