"""`linkflow variables`: over the HTTP API, as any client would."""

import json
import sys
from typing import Annotated, Any

import typer

from services.cli.access import ApiRefused, request, segment
from services.cli.output import Json, console, messages, print_json, print_more, print_table, short_time

app = typer.Typer(
    help="Variables: values that all workflows read as $vars. Not for secrets: those belong into credentials.",
    no_args_is_help=True,
)

BASE = "/api/v1/variables"
Name = Annotated[str, typer.Argument(help="Name of the variable.")]
MOST_SHOWN = 80
"""Characters of a value in a table."""


@app.command("list")
def list_variables(
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on behind a page (its next_cursor).")] = None,
    as_json: Json = False,
) -> None:
    """List variables by name."""
    page = request("GET", BASE, query={"limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    print_table(
        ["name", "value", "version", "changed", "description"],
        [
            [each["name"], _short(each["value"]), each["version"], short_time(each["updated_at"]), each["description"]]
            for each in page["items"]
        ],
        empty="no variables yet: linkflow variables set NAME VALUE",
    )
    print_more(page)


@app.command("get")
def get(name: Name, as_json: Json = False) -> None:
    """Print a variable's value: a text as it is, anything else as JSON."""
    _print(request("GET", f"{BASE}/{segment(name)}"), as_json)


@app.command("set")
def set_variable(
    name: Name,
    value: Annotated[str, typer.Argument(help="Its value, a text; - reads stdin.")],
    is_json: Annotated[bool, typer.Option("--value-json", "-j", help="VALUE is JSON: a number, a list, …")] = False,
    description: Annotated[str | None, typer.Option(help="What it is for; stays if it is not given.")] = None,
    expected: Annotated[
        int | None, typer.Option("--version", min=1, help="Only if this is its version, as list shows it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Give a variable its value; it is made if there is none of this name."""
    body: dict[str, Any] = {"value": _read(value, is_json)}
    body["description"] = _description(name) if description is None else description
    headers = {"if-match": f'"{expected}"'} if expected is not None else None
    _print(request("PUT", f"{BASE}/{segment(name)}", body=body, headers=headers), as_json)


@app.command("delete")
def delete(name: Name, as_json: Json = False) -> None:
    """Delete a variable; workflows find nothing there from then on."""
    request("DELETE", f"{BASE}/{segment(name)}")
    if as_json:
        print_json({"name": name, "deleted": True})
    else:
        messages().print(f"deleted {name}", markup=False)


def _read(value: str, is_json: bool) -> Any:
    text = sys.stdin.read().removesuffix("\n") if value == "-" else value
    if not is_json:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"is no JSON: {error}", param_hint="VALUE") from None


def _description(name: str) -> str:
    """As it is now."""
    try:
        return str(request("GET", f"{BASE}/{segment(name)}")["description"])
    except ApiRefused as refused:
        if refused.status != 404:
            raise
        return ""


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def _print(variable: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(variable)
        return
    value = variable["value"]
    console().print(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), markup=False)
