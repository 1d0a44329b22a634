"""`linkflow deliveries`: what reached a workflow's webhooks, over the HTTP API."""

from typing import Annotated

import typer

from services.cli.access import request, segment
from services.cli.output import Json, print_json, print_more, print_table, short_time, status_text

app = typer.Typer(help="Webhook deliveries: list, show, redeliver.", no_args_is_help=True)

DeliveryId = Annotated[str, typer.Argument(help="Id of the delivery.")]


@app.command("list")
def list_deliveries(
    workflow_id: Annotated[str, typer.Argument(help="Id of the workflow.")],
    status: Annotated[str | None, typer.Option(help="accepted, held, duplicate, superseded or refused.")] = None,
    node: Annotated[str | None, typer.Option(help="Only those for this webhook node.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Received at or after (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Received before (ISO 8601).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on behind a page (its next_cursor).")] = None,
    as_json: Json = False,
) -> None:
    """List what reached a workflow's webhooks, newest first."""
    query = {"status": status, "node": node, "from": since, "to": until, "limit": limit, "cursor": cursor}
    page = request("GET", f"/api/v1/workflows/{segment(workflow_id)}/deliveries", query=query)
    if as_json:
        print_json(page)
        return
    print_table(
        ["id", "node", "status", "why", "execution", "received"],
        [
            [
                item["id"],
                item["node_id"],
                status_text(item["status"]),
                item["code"] or "",
                item["execution_id"] or "",
                short_time(item["received_at"]),
            ]
            for item in page["items"]
        ],
        empty="no deliveries",
    )
    print_more(page)


@app.command("show")
def show(delivery_id: DeliveryId) -> None:
    """Show a delivery with its payload, as JSON."""
    print_json(request("GET", f"/api/v1/deliveries/{segment(delivery_id)}"))


@app.command("redeliver")
def redeliver(
    delivery_id: DeliveryId,
    version: Annotated[str, typer.Option(help="active, newest, or a number.")] = "active",
    as_json: Json = False,
) -> None:
    """Send a delivery again, as a new execution; prints its id."""
    body = {"version": int(version) if version.isdigit() else version}
    answer = request("POST", f"/api/v1/deliveries/{segment(delivery_id)}/redeliver", body=body)
    if as_json:
        print_json(answer)
    else:
        print(answer["execution_id"])
