"""`linkflow workflows`: over the HTTP API, as any client would."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.access import request, segment
from services.cli.output import Json, console, print_json, print_more, print_table, short_time, status_text

app = typer.Typer(help="Workflows: list, show, create, change, activate.", no_args_is_help=True)

WorkflowId = Annotated[str, typer.Argument(help="Id of the workflow.")]
Document = Annotated[str, typer.Argument(help="File with the workflow document (JSON); - reads stdin.")]


class UnreadableFile(Exception):
    """A file that is not there or not JSON."""

    code = "unreadable_file"


def read_json(source: str) -> Any:
    """The JSON of a file, or of stdin (`-`). Raises UnreadableFile."""
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise UnreadableFile(f"{source}: {error.strerror}") from error
    except ValueError as error:
        raise UnreadableFile(f"{source} is not JSON: {error}") from error


@app.command("list")
def list_workflows(
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on behind a page (its next_cursor).")] = None,
    as_json: Json = False,
) -> None:
    """List workflows, newest first."""
    page = request("GET", "/api/v1/workflows", query={"limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    print_table(
        ["id", "name", "status", "version", "active", "changed"],
        [
            [
                item["id"],
                item["name"],
                status_text(item["status"]),
                item["version"],
                item.get("active_version"),
                short_time(item.get("updated_at")),
            ]
            for item in page["items"]
        ],
        empty="no workflows yet: linkflow workflows create FILE",
    )
    print_more(page)


@app.command("show")
def show(workflow_id: WorkflowId, as_json: Json = False) -> None:
    """Show a workflow with its newest document."""
    workflow = request("GET", f"/api/v1/workflows/{segment(workflow_id)}")
    if as_json:
        print_json(workflow)
        return
    _print_head(workflow)
    document = workflow.get("document", workflow)
    print_table(
        ["node", "type", "goes to"],
        [[node["id"], node["type"], _targets(document, node["id"])] for node in document.get("nodes", [])],
    )


@app.command("create")
def create(
    file: Document,
    activate: Annotated[bool, typer.Option("--activate", help="Let its triggers answer at once.")] = False,
    as_json: Json = False,
) -> None:
    """Make a workflow from a document, as a draft."""
    workflow = request("POST", "/api/v1/workflows", body=read_json(file))
    if activate:
        workflow |= request("POST", f"/api/v1/workflows/{segment(workflow['id'])}/activate")
    _print_result(workflow, as_json)


@app.command("update")
def update(
    workflow_id: WorkflowId,
    file: Document,
    version: Annotated[str, typer.Option(help="Only if the newest version is this one; * for any.")] = "*",
    as_json: Json = False,
) -> None:
    """Add a version; the active one stays active."""
    _print_result(
        request(
            "PUT", f"/api/v1/workflows/{segment(workflow_id)}", body=read_json(file), headers={"if-match": version}
        ),
        as_json,
    )


@app.command("activate")
def activate(
    workflow_id: WorkflowId,
    as_json: Json = False,
) -> None:
    """Let its triggers answer with the newest version."""
    _print_result(request("POST", f"/api/v1/workflows/{segment(workflow_id)}/activate"), as_json)


@app.command("deactivate")
def deactivate(workflow_id: WorkflowId, as_json: Json = False) -> None:
    """Let its triggers fall silent; what runs goes on."""
    _print_result(request("POST", f"/api/v1/workflows/{segment(workflow_id)}/deactivate"), as_json)


@app.command("archive")
def archive(workflow_id: WorkflowId, as_json: Json = False) -> None:
    """Take it out of use; its history stays."""
    request("DELETE", f"/api/v1/workflows/{segment(workflow_id)}")
    if as_json:
        print_json({"id": workflow_id, "status": "archived"})
    else:
        console().print(f"archived {workflow_id}", markup=False)


def _print_result(workflow: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(workflow)
        return
    _print_head(workflow)
    for hook in workflow.get("webhooks") or []:
        console().print(f"webhook: {hook['method']} {hook['url']}", markup=False)


def _print_head(workflow: dict[str, Any]) -> None:
    parts = [workflow.get("name"), workflow.get("status"), f"version {workflow.get('version', '?')}"]
    console().print(f"{workflow['id']}  " + ", ".join(str(part) for part in parts if part), markup=False)


def _targets(document: dict[str, Any], node: str) -> str:
    targets = []
    for each in document.get("connections", []):
        if each["from"] == node:
            output = each.get("output", "main")
            targets.append(each["to"] if output == "main" else f"{output} → {each['to']}")
    return ", ".join(targets)
