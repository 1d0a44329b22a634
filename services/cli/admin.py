"""`linkflow admin`: housekeeping and processes, over the HTTP API. For the operator's keys."""

import time
from typing import Annotated, Any

import typer

from services.cli.access import request, segment
from services.cli.output import Json, console, messages, print_json, print_table, short_time, status_text

app = typer.Typer(help="The installation: housekeeping and processes.", no_args_is_help=True)

JobName = Annotated[str, typer.Argument(help="Name of the job (linkflow admin jobs).")]
_POLL_SECONDS = 0.5
_OPEN = ("asked", "running")


@app.command("jobs")
def jobs(as_json: Json = False) -> None:
    """List the jobs of housekeeping, each with its last run."""
    items = request("GET", "/api/v1/admin/jobs")["items"]
    if as_json:
        print_json(items)
        return
    print_table(
        ["job", "when", "next", "last run", "result", "seconds", "figures"],
        [_job_row(item) for item in items],
        empty="no jobs yet: is a scheduler running?",
    )


@app.command("runs")
def runs(
    job: JobName,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """List the runs of a job, newest first."""
    items = request("GET", f"/api/v1/admin/jobs/{segment(job)}/runs", query={"limit": limit})["items"]
    if as_json:
        print_json(items)
        return
    print_table(
        ["due", "result", "begun", "seconds", "by", "figures", "error"],
        [
            [
                short_time(i["due"]), status_text(i["result"]), i["attempts"], i["seconds"], i["runner"], _figures(i),
                i["error"],
            ]
            for i in items
        ],
        empty="it has not run yet",
    )  # fmt: skip


@app.command("run")
def run(
    job: JobName,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for its end.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Run a job now and wait for its end."""
    asked = request("POST", f"/api/v1/admin/jobs/{segment(job)}/run")
    found = _await_end(asked, time.monotonic() + wait)
    if as_json:
        print_json(found)
    else:
        console().print(f"{job} {found['result']}  {_figures(found)}", markup=False)
    if found["result"] in _OPEN:
        messages().print(f"it has not ended yet: linkflow admin runs {job}", markup=False)
    if found["result"] not in ("done", *_OPEN):
        if found["error"]:
            messages().print(found["error"], markup=False)
        raise typer.Exit(1)


@app.command("trust-clocks")
def trust_clocks(as_json: Json = False) -> None:
    """Say that clocks that disagree are right: retention goes on by them, and what is old by them is gone for good."""
    answer = request("POST", "/api/v1/admin/clocks/trust")
    if as_json:
        print_json(answer)
    else:
        console().print("the next run of retention believes the clocks: linkflow admin run retention", markup=False)


@app.command("processes")
def processes(as_json: Json = False) -> None:
    """List the processes that were heard of in the last hour."""
    items = request("GET", "/api/v1/admin/processes")["items"]
    if as_json:
        print_json(items)
        return
    print_table(
        ["member", "role", "state", "process", "version", "up (s)", "seen (s ago)", "holds"],
        [
            [
                i["member"], i["role"], status_text(i["state"]), i["process"], i["version"], i["seconds_since_start"],
                i["seconds_since_seen"], _figures({"figures": i["holds"]}),
            ]
            for i in items
        ],
        empty="nothing was heard of",
    )  # fmt: skip


@app.command("usage")
def usage(
    by: Annotated[str, typer.Option(help="hour or day.")] = "day",
    since: Annotated[str | None, typer.Option("--from", help="From this time on (RFC 3339).")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Before this time.")] = None,
    as_json: Json = False,
) -> None:
    """Show what each workspace did, by hour or day."""
    items = request("GET", "/api/v1/admin/usage", query={"by": by, "from": since, "to": until})["items"]
    if as_json:
        print_json(items)
        return
    names = (
        "queued",
        "started",
        "completed",
        "failed",
        "timed_out",
        "cancelled",
        "node_runs",
        "attempts",
        "deliveries",
    )
    print_table(
        ["since", "workspace", *(name.replace("_", " ") for name in names)],
        [[short_time(item["since"]), item["workspace_id"], *(item[name] for name in names)] for item in items],
        empty="nothing happened",
    )


def _await_end(asked: dict[str, Any], deadline: float) -> dict[str, Any]:
    found = asked
    path = f"/api/v1/admin/jobs/{segment(asked['job'])}/runs"
    while found["result"] in _OPEN and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        items = request("GET", path, query={"limit": 50})["items"]
        found = next((item for item in items if item["due"] == asked["due"]), found)
    return found


def _job_row(item: dict[str, Any]) -> list[Any]:
    last = item["last_run"]
    row = [item["name"], item["timing"], short_time(item["next_due"])]
    if last is None:
        return [*row, "", "", "", ""]
    return [*row, short_time(last["started_at"]), status_text(last["result"]), last["seconds"], _figures(last)]


def _figures(run: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in run["figures"].items() if not isinstance(value, dict))
