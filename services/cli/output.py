"""What the commands print: tables for people, JSON with `--json`; and the option itself."""

import json
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

STATUS_STYLES = {
    "completed": "green",
    "running": "cyan",
    "waiting": "yellow",
    "queued": "blue",
    "failed": "bold red",
    "timeout": "bold red",
    "outcome_unknown": "bold magenta",
    "cancelled": "dim",
    "skipped": "dim",
    "active": "green",
    "draft": "blue",
    "inactive": "yellow",
    "archived": "dim",
    "done": "green",
    "timed_out": "bold red",
    "interrupted": "yellow",
    "alive": "green",
    "restarting": "bold red",
    "silent": "bold red",
}


@cache
def console() -> Console:
    # Not a terminal: a program or a file reads it, and lines must not break at 80 characters.
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 400)


@cache
def messages() -> Console:
    """stderr: progress and remarks, so that stdout stays clean for pipes."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=None if isinstance(value, str) else 2, default=str))


def print_line(value: Any) -> None:
    """One JSON value a line, for streams."""
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str), flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "nothing") -> None:
    """Cells are shown as they are: what users wrote is never read as markup."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row))
        count += 1
    if count:
        console().print(table)
    else:
        messages().print(empty)


def print_more(page: dict[str, Any]) -> None:
    """On stderr, how to go on behind a page."""
    if page.get("next_cursor"):
        messages().print(f"more: --cursor {page['next_cursor']}", markup=False)


def status_text(status: str) -> Text:
    return Text(status, style=STATUS_STYLES.get(status, ""))


def short_time(text: str | None) -> str:
    """`2026-11-23T18:56:01.234+00:00` → `2026-11-23 18:56:01.234`."""
    return "" if not text else text.replace("T", " ").removesuffix("Z").removesuffix("+00:00")[:23]
