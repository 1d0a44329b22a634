"""`linkflow schedules`: over the HTTP API, as any client would."""

from typing import Annotated, Any

import typer

from services.cli.access import request, segment
from services.cli.output import Json, console, messages, print_json, print_more, print_table, short_time, status_text
from services.cli.workflows import read_json

app = typer.Typer(help="Schedules: when workflows start by themselves, and why they did not.", no_args_is_help=True)

ScheduleId = Annotated[str, typer.Argument(help="Id of the schedule.")]
Body = Annotated[str, typer.Argument(help="File with the schedule (JSON); - reads stdin.")]
Limit = Annotated[int, typer.Option(min=1, max=200, help="At most so many.")]
Cursor = Annotated[str | None, typer.Option(help="Go on behind a page (its next_cursor).")]
PATH = "/api/v1/schedules"


@app.command("list")
def list_schedules(
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List schedules, newest first."""
    page = request("GET", PATH, query={"workflow_id": workflow, "limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    print_table(
        ["id", "name", "status", "when", "zone", "next run", "runs"],
        [
            [
                item["id"],
                item["name"],
                status_text(item["status"]),
                _when(item),
                item["timezone"],
                short_time(item["next_run_at"]),
                item["run_count"],
            ]
            for item in page["items"]
        ],
        empty="no schedules yet: linkflow schedules create FILE, or a schedule node in an active workflow",
    )
    print_more(page)


@app.command("show")
def show(schedule_id: ScheduleId, as_json: Json = False) -> None:
    """Show a schedule with its next runs."""
    _print(request("GET", _path(schedule_id)), as_json)


@app.command("create")
def create(file: Body, as_json: Json = False) -> None:
    """Make a schedule: workflow_id, name, and cron_expression, every or at."""
    _print(request("POST", PATH, body=read_json(file)), as_json)


@app.command("update")
def update(schedule_id: ScheduleId, file: Body, as_json: Json = False) -> None:
    """Define it anew."""
    _print(request("PUT", _path(schedule_id), body=read_json(file)), as_json)


@app.command("pause")
def pause(
    schedule_id: ScheduleId,
    reason: Annotated[str, typer.Option(help="Shown to whoever asks why it did not run.")] = "",
    as_json: Json = False,
) -> None:
    """Let it fall silent."""
    _print(request("POST", f"{_path(schedule_id)}/pause", body={"reason": reason}), as_json)


@app.command("resume")
def resume(schedule_id: ScheduleId, as_json: Json = False) -> None:
    """Let it run again, from now on."""
    _print(request("POST", f"{_path(schedule_id)}/resume"), as_json)


@app.command("delete")
def delete(schedule_id: ScheduleId, as_json: Json = False) -> None:
    """Delete it."""
    request("DELETE", _path(schedule_id))
    if as_json:
        print_json({"id": schedule_id, "status": "deleted"})
    else:
        console().print(f"deleted {schedule_id}", markup=False)


@app.command("firings")
def firings(
    schedule_id: ScheduleId,
    since: Annotated[str | None, typer.Option("--from", help="Due at or after this ISO time.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Due before this ISO time.")] = None,
    outcome: Annotated[str | None, typer.Option(help="fired, late, waiting, skipped or suppressed.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """Why did it (not) run? What was due, newest first, with what became of it."""
    query = {"from": since, "to": until, "outcome": outcome, "limit": limit, "cursor": cursor}
    page = request("GET", f"{_path(schedule_id)}/firings", query=query)
    if as_json:
        print_json(page)
        return
    print_table(
        ["due", "local time", "runs", "outcome", "why", "execution"],
        [
            [
                short_time(item["due_at"]),
                item["local_time"],
                f"{item['count']}{'+' if item['more'] else ''}",
                item["outcome"],
                item["explanation"],
                item["execution_id"],
            ]
            for item in page["items"]
        ],
        empty="nothing was due in that time",
    )
    print_more(page)


@app.command("backfill")
def backfill(
    schedule_id: ScheduleId,
    since: Annotated[str, typer.Option("--from", help="ISO time with an offset.")],
    until: Annotated[str, typer.Option("--to", help="ISO time with an offset, included.")],
    per_minute: Annotated[int, typer.Option(min=1, max=600, help="At most so many starts a minute.")] = 60,
    as_json: Json = False,
) -> None:
    """Run what was due in a range of the past."""
    body = {"from": since, "to": until, "per_minute": per_minute}
    _print_backfills([request("POST", f"{_path(schedule_id)}/backfill", body=body)], as_json, one=True)


@app.command("backfills")
def backfills(schedule_id: ScheduleId, limit: Limit = 50, cursor: Cursor = None, as_json: Json = False) -> None:
    """How far its backfills are."""
    page = request("GET", f"{_path(schedule_id)}/backfills", query={"limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    _print_backfills(page["items"], as_json=False)
    print_more(page)


@app.command("cancel-backfill")
def cancel_backfill(
    schedule_id: ScheduleId,
    backfill_id: Annotated[str, typer.Argument(help="Id of the backfill.")],
    as_json: Json = False,
) -> None:
    """Stop a backfill; what it started goes on."""
    path = f"{_path(schedule_id)}/backfills/{segment(backfill_id)}/cancel"
    _print_backfills([request("POST", path)], as_json, one=True)


@app.command("preview")
def preview(
    cron: Annotated[str, typer.Argument(help="A cron expression or an alias, in quotes.")],
    timezone: Annotated[str, typer.Option(help="An IANA name.")] = "UTC",
    since: Annotated[str | None, typer.Option("--from", help="From this ISO time on, else now.")] = None,
    count: Annotated[int, typer.Option(min=1, max=100)] = 10,
    as_json: Json = False,
) -> None:
    """When would it run?"""
    body: dict[str, Any] = {"cron_expression": cron, "timezone": timezone, "count": count}
    if since is not None:
        body["from"] = since
    answer = request("POST", f"{PATH}/preview", body=body)
    if as_json:
        print_json(answer)
        return
    print_table(
        ["runs at", "local time", ""],
        [[short_time(run["at"]), run["local_time"], run["note"]] for run in answer["runs"]],
    )
    for each in answer["suppressed"]:
        messages().print(f"no run at {each['local_time']} ({each['count']}): {each['note']}", markup=False)


def _path(schedule_id: str) -> str:
    return f"{PATH}/{segment(schedule_id)}"


def _when(item: dict[str, Any]) -> str:
    if item["cron_expression"]:
        return str(item["cron_expression"])
    return f"every {item['every']['seconds']} s" if item["every"] else f"at {short_time(item['at'])}"


def _print(schedule: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(schedule)
        return
    reason = f" ({schedule['reason']})" if schedule["reason"] else ""
    status = f"{schedule['status']}{reason}"
    words = (schedule["id"], schedule["name"], status, _when(schedule), schedule["timezone"])
    console().print("  ".join(words), markup=False)
    runs = schedule.get("next_runs") or []
    if runs:
        print_table(
            ["next runs", "local time", ""], [[short_time(run["at"]), run["local_time"], run["note"]] for run in runs]
        )


def _print_backfills(items: list[dict[str, Any]], as_json: bool, *, one: bool = False) -> None:
    if as_json:
        print_json(items[0] if one else items)
        return
    print_table(
        ["id", "from", "to", "status", "fired", "of"],
        [
            [
                each["id"],
                short_time(each["from"]),
                short_time(each["to"]),
                status_text(each["status"]),
                each["fired"],
                each["total"],
            ]
            for each in items
        ],
        empty="no backfills",
    )
