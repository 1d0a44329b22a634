"""`linkflow dead-letters`: what could not be decoded or decided, over the HTTP API."""

from typing import Annotated

import typer

from services.cli.access import request, segment
from services.cli.output import Json, console, print_json, print_more, print_table, short_time, status_text

app = typer.Typer(help="Dead letters: what could not be decoded or decided.", no_args_is_help=True)

LetterId = Annotated[str, typer.Argument(help="Id of the dead letter.")]
Code = Annotated[str | None, typer.Option(help="Only those that were put aside for this.")]


@app.command("list")
def list_letters(
    status: Annotated[str | None, typer.Option(help="open, redriven or discarded.")] = None,
    code: Code = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on behind a page (its next_cursor).")] = None,
    as_json: Json = False,
) -> None:
    """List dead letters, newest first."""
    query = {"status": status, "code": code, "limit": limit, "cursor": cursor}
    page = request("GET", "/api/v1/dead-letters", query=query)
    if as_json:
        print_json(page)
        return
    print_table(
        ["id", "status", "why", "what", "sent again", "since"],
        [
            [
                item["id"],
                status_text(item["status"]),
                item["code"],
                item["command"] or "(unreadable)",
                item["attempts"],
                short_time(item["created_at"]),
            ]
            for item in page["items"]
        ],
        empty="no dead letters",
    )
    print_more(page)


@app.command("show")
def show(letter_id: LetterId) -> None:
    """Show a dead letter with what was in it, as JSON."""
    print_json(request("GET", f"/api/v1/dead-letters/{segment(letter_id)}"))


@app.command("redrive")
def redrive(
    letter_id: Annotated[str | None, typer.Argument(help="Id of the dead letter; without it: --all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All open ones (of --code, if given), paced.")] = False,
    code: Code = None,
    dry_run: Annotated[bool, typer.Option(help="Only count.")] = False,
    as_json: Json = False,
) -> None:
    """Send a dead letter, or all open ones, once more."""
    if (letter_id is None) != every:
        raise typer.BadParameter("give the id of one dead letter, or --all")
    if letter_id is not None:
        answer = request("POST", f"/api/v1/dead-letters/{segment(letter_id)}/redrive")
        said = f"sent again to {answer['sent_to']}"
    else:
        query = {"code": code, "dry_run": str(dry_run).lower()}
        answer = request("POST", "/api/v1/dead-letters/redrive", query=query)
        said = f"{answer['matched']} open, {answer['redriven']} sent again"
    if as_json:
        print_json(answer)
    else:
        console().print(said, markup=False)


@app.command("discard")
def discard(
    letter_id: LetterId,
    reason: Annotated[str, typer.Option(help="Why, for those who look later.")] = "",
    as_json: Json = False,
) -> None:
    """A dead letter is not wanted any more."""
    answer = request("POST", f"/api/v1/dead-letters/{segment(letter_id)}/discard", body={"reason": reason})
    if as_json:
        print_json(answer)
    else:
        console().print(f"discarded {letter_id}", markup=False)
