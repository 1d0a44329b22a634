"""`linkflow executions` and `linkflow execute`: over the HTTP API, as any client would."""

import json
import time
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from services.cli.access import request, segment
from services.cli.output import Json, console, print_json, print_more, print_table, short_time, status_text
from services.cli.workflows import UnreadableFile, read_json

app = typer.Typer(help="Executions: list, show, cancel, retry, verdict.", no_args_is_help=True)

ExecutionId = Annotated[str, typer.Argument(help="Id of the execution.")]
ENDED_BADLY = frozenset(("failed", "timeout", "cancelled"))
_MAX_SHOWN = 300


def register(parent: typer.Typer) -> None:
    parent.command("execute")(execute)


def execute(
    workflow_id: Annotated[str, typer.Argument(help="Id of the workflow.")],
    data: Annotated[str, typer.Option("--input", "-i", help="JSON object or list of objects; @FILE reads it.")] = "{}",
    version: Annotated[int | None, typer.Option(help="Another version than the newest.")] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, max=60, help="Wait up to so many seconds for its end.")] = 0,
    as_json: Json = False,
) -> None:
    """Run a workflow. With --wait: ends with code 1 if it did not complete."""
    body: dict[str, Any] = {"input": _read_input(data)}
    if version is not None:
        body["version"] = version
    if wait:
        body["wait"] = wait
    answer = request("POST", f"/api/v1/workflows/{segment(workflow_id)}/execute", body=body)
    if as_json:
        print_json(answer)
    elif "status" in answer:
        console().print(_tree(answer))
    else:
        print(answer["execution_id"])
    if answer.get("status") in ENDED_BADLY:
        raise typer.Exit(1)


@app.command("list")
def list_executions(
    workflow: Annotated[str | None, typer.Option(help="Of this workflow.")] = None,
    status: Annotated[str | None, typer.Option(help="queued, running, waiting, completed, failed, …")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Queued at or after (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Queued before (ISO 8601).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on behind a page (its next_cursor).")] = None,
    as_json: Json = False,
) -> None:
    """List executions, newest first."""
    page = request(
        "GET",
        "/api/v1/executions",
        query={
            "workflow_id": workflow,
            "status": status,
            "from": since,
            "to": until,
            "limit": limit,
            "cursor": cursor,
        },
    )
    if as_json:
        print_json(page)
        return
    print_table(
        ["id", "workflow", "status", "trigger", "queued", "took"],
        [
            [
                item["id"],
                item["workflow_id"],
                status_text(item["status"]),
                item.get("trigger_type"),
                short_time(item.get("queued_at")),
                _took(item.get("started_at"), item.get("completed_at")),
            ]
            for item in page["items"]
        ],
        empty="no executions",
    )
    print_more(page)


@app.command("show")
def show(execution_id: ExecutionId, as_json: Json = False) -> None:
    """Show an execution: its node runs with status, times and errors."""
    execution = request("GET", f"/api/v1/executions/{segment(execution_id)}")
    if as_json:
        print_json(execution)
    else:
        console().print(_tree(execution))


@app.command("logs")
def logs(
    execution_id: ExecutionId,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most the lines of so many node runs.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on behind a page (its next_cursor).")] = None,
    as_json: Json = False,
) -> None:
    """Show what the code of its nodes logged."""
    path = f"/api/v1/executions/{segment(execution_id)}/logs"
    page = request("GET", path, query={"limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    print_table(
        ["at", "node", "run", "item", "level", "text"],
        [
            [
                short_time(line["at"]),
                line["node_id"],
                line["run"],
                "" if line["item"] is None else line["item"],
                line["level"],
                line["text"],
            ]
            for line in page["items"]
        ],
        empty="nothing was logged",
    )
    print_more(page)


@app.command("cancel")
def cancel(execution_id: ExecutionId, as_json: Json = False) -> None:
    """Cancel an execution. What is under way may still happen; its result is recorded."""
    _accepted(request("POST", f"/api/v1/executions/{segment(execution_id)}/cancel"), execution_id, as_json)


@app.command("retry")
def retry(
    execution_id: ExecutionId,
    begin: Annotated[
        str, typer.Option("--from", help="start, or failed_node: what ran before is taken over.")
    ] = "start",
    version: Annotated[str, typer.Option(help="same, newest, or a number.")] = "same",
    as_json: Json = False,
) -> None:
    """Run it again with the same input, as a new execution: from its start, or from where it failed."""
    body = {"from": begin, "version": int(version) if version.isdecimal() else version}
    _accepted(request("POST", f"/api/v1/executions/{segment(execution_id)}/retry", body=body), execution_id, as_json)


@app.command("repair")
def repair(
    workflow: Annotated[str | None, typer.Option(help="Of this workflow.")] = None,
    code: Annotated[str | None, typer.Option(help="That failed with this error code.")] = None,
    node: Annotated[str | None, typer.Option(help="That failed in this node.")] = None,
    since: Annotated[str | None, typer.Option("--from-time", help="Queued at or after (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option("--to-time", help="Queued before (ISO 8601).")] = None,
    begin: Annotated[str, typer.Option("--from", help="failed_node (goes on there), or start.")] = "failed_node",
    version: Annotated[str, typer.Option(help="newest, same, or a number.")] = "newest",
    per_second: Annotated[float, typer.Option(min=0.01, help="So many a second at most.")] = 20,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this they are only counted.")] = False,
    as_json: Json = False,
) -> None:
    """Run again whatever failed for one reason and was not run again yet. Broken off, it goes on where it was."""
    body: dict[str, Any] = {
        "workflow_id": workflow, "error_code": code, "node_id": node, "queued_from": since, "queued_to": until,
        "from": begin, "version": int(version) if version.isdecimal() else version, "dry_run": not yes,
        "limit": max(1, min(100, int(per_second))),
    }  # fmt: skip
    items: list[Any] = []
    while True:
        answer = request("POST", "/api/v1/executions/retry", body=body)
        if not yes:
            break
        items += answer["items"]
        body["cursor"] = answer["next_cursor"]
        if body["cursor"] is None:
            break
        time.sleep(len(answer["items"]) / per_second)
    if as_json:
        print_json({**answer, "items": items})
        return
    if not yes:
        console().print(f"{answer['found']}{' or more' if answer['more'] else ''} to run again: --yes", markup=False)
        return
    columns = ["execution", "run again as", "why not"]
    print_table(columns, [[each["execution_id"], each["retried_as"], each["code"]] for each in items], empty="nothing")


@app.command("verdict")
def verdict(
    execution_id: ExecutionId,
    node_id: Annotated[str, typer.Argument(help="Id of the node whose outcome nobody knows.")],
    word: Annotated[str, typer.Argument(metavar="VERDICT", help="happened, run_again, or fail.")],
    result: Annotated[str | None, typer.Option(help="With happened: what came back, as JSON; @FILE reads it.")] = None,
    run: Annotated[int, typer.Option(help="Which run of the node.")] = 0,
    item: Annotated[list[int] | None, typer.Option(help="For this item only; may be given several times.")] = None,
    as_json: Json = False,
) -> None:
    """Say what became of an unsafe effect of which nobody knows whether it happened (docs/effect-classes.md)."""
    body: dict[str, Any] = {"verdict": word, "run": run}
    if result is not None:
        body["result"] = _read_input(result, "--result")
    if item:
        body["items"] = item
    path = f"/api/v1/executions/{segment(execution_id)}/nodes/{segment(node_id)}/verdict"
    _accepted(request("POST", path, body=body), execution_id, as_json)


def _accepted(answer: Any, execution_id: str, as_json: bool) -> None:
    answer = answer or {"execution_id": execution_id}
    if as_json:
        print_json(answer)
    else:
        console().print(f"accepted: {answer.get('execution_id', execution_id)}", markup=False)


def _read_input(text: str, option: str = "--input") -> Any:
    if text.startswith("@"):
        return read_json(text[1:])
    try:
        return json.loads(text)
    except ValueError as error:
        raise UnreadableFile(f"{option} is not JSON: {error} (a file: {option} @FILE)") from error


def _tree(execution: dict[str, Any]) -> Tree:
    head = Text(f"{execution['id']}  ")
    head.append_text(status_text(execution["status"]))
    head.append(f"  workflow {execution['workflow_id']} version {execution['workflow_version']}", style="dim")
    head.append(f"  {_took(execution.get('started_at'), execution.get('completed_at'))}")
    tree = Tree(head)
    tree.add(Text(f"queued {short_time(execution.get('queued_at'))} by {execution.get('trigger_type')}", style="dim"))
    if execution.get("retry_of"):
        count = execution.get("retry_count")
        tree.add(Text(f"retry of {execution['retry_of']}" + (f" (number {count})" if count else ""), style="dim"))
    if execution.get("recoveries"):
        tree.add(Text(f"went on after {execution['recoveries']} failures of the system", style="yellow"))
    for run in execution.get("node_executions", []):
        tree.add(_node_line(run)).children.extend(_node_details(run))
    for again in execution.get("retries") or ():
        tree.add(Text(f"run again as {again}", style="dim"))
    if execution.get("error"):
        tree.add(_error_text(execution["error"]))
    elif execution.get("output") is not None:
        tree.add(Text(f"output {_shortened(execution['output'])}"))
    return tree


def _node_line(run: dict[str, Any]) -> Text:
    line = Text(f"{run['node_id']}", style="bold")
    if run.get("run"):
        line.append(f" [{run['run']}]", style="dim")
    line.append("  ")
    line.append_text(status_text(run["status"]))
    if took := _took(run.get("started_at"), run.get("completed_at")):
        line.append(f"  {took}", style="dim")
    if (run.get("attempts") or 0) > 1:
        line.append(f"  {run['attempts']} attempts", style="yellow")
    if run.get("taken"):
        line.append("  taken over", style="dim")
    if run.get("asked"):
        line.append(f"  waits for a verdict on item {', '.join(map(str, run['asked']))}", style="yellow")
    return line


def _node_details(run: dict[str, Any]) -> list[Tree]:
    details = [
        Tree(Text(f"{port}: {_count(items)} {_shortened([item.get('json') for item in items])}", style="dim"))
        for port, items in (run.get("output") or {}).items()
        if isinstance(items, list)
    ]
    if run.get("error"):
        details.append(Tree(_error_text(run["error"])))
    return details


def _count(items: list[Any]) -> str:
    return "1 item" if len(items) == 1 else f"{len(items)} items"


def _error_text(error: dict[str, Any]) -> Text:
    where = f" in {error['node_id']}" if error.get("node_id") else ""
    return Text(f"{error.get('code', 'error')}{where}: {error.get('message', '')}", style="red")


def _shortened(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _took(start: str | None, end: str | None) -> str:
    if not start or not end:
        return ""
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
