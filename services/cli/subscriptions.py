"""`linkflow subscriptions`: who is told of events, over the HTTP API."""

from typing import Annotated, Any

import typer

from services.cli.access import request, segment
from services.cli.output import Json, console, print_json, print_more, print_table, short_time, status_text
from services.cli.workflows import read_json

app = typer.Typer(
    help="Subscriptions: events told by signed webhooks, mail and Slack, and what became of it.", no_args_is_help=True
)

SubscriptionId = Annotated[str, typer.Argument(help="Id of the subscription.")]
Body = Annotated[str, typer.Argument(help="File with the subscription (JSON); - reads stdin.")]
Limit = Annotated[int, typer.Option(min=1, max=200, help="At most so many.")]
Cursor = Annotated[str | None, typer.Option(help="Go on behind a page (its next_cursor).")]
PATH = "/api/v1/subscriptions"


@app.command("list")
def list_subscriptions(
    status: Annotated[str | None, typer.Option(help="active, paused, disabled or deleted.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List subscriptions, newest first."""
    page = request("GET", PATH, query={"status": status, "limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    print_table(
        ["id", "name", "status", "by", "to", "events", "failures", "last delivery"],
        [
            [
                item["id"],
                item["name"],
                status_text(item["status"]),
                item["channel"]["type"],
                _target(item["channel"]),
                ", ".join(item["events"]),
                item["failures"],
                short_time(item["last_delivery_at"]),
            ]
            for item in page["items"]
        ],
        empty="no subscriptions yet: linkflow subscriptions create FILE",
    )
    print_more(page)


@app.command("show")
def show(subscription_id: SubscriptionId, as_json: Json = False) -> None:
    """Show a subscription."""
    _print(request("GET", _path(subscription_id)), as_json)


@app.command("create")
def create(file: Body, as_json: Json = False) -> None:
    """Subscribe: name, events and channel. The secret of a webhook is shown now and never again."""
    _print(request("POST", PATH, body=read_json(file)), as_json)


@app.command("update")
def update(subscription_id: SubscriptionId, file: Body, as_json: Json = False) -> None:
    """Define it anew; its secret stays."""
    _print(request("PUT", _path(subscription_id), body=read_json(file)), as_json)


@app.command("pause")
def pause(
    subscription_id: SubscriptionId,
    reason: Annotated[str, typer.Option(help="Shown to whoever asks.")] = "",
    as_json: Json = False,
) -> None:
    """Tell nothing for a while; what happens meanwhile is not told later."""
    _print(request("POST", f"{_path(subscription_id)}/pause", body={"reason": reason}), as_json)


@app.command("resume")
def resume(subscription_id: SubscriptionId, as_json: Json = False) -> None:
    """Go on, also after it was disabled."""
    _print(request("POST", f"{_path(subscription_id)}/resume"), as_json)


@app.command("delete")
def delete(subscription_id: SubscriptionId, as_json: Json = False) -> None:
    """Delete it, and its signing secret."""
    request("DELETE", _path(subscription_id))
    if as_json:
        print_json({"id": subscription_id, "status": "deleted"})
    else:
        console().print(f"deleted {subscription_id}", markup=False)


@app.command("test")
def send_test(subscription_id: SubscriptionId, as_json: Json = False) -> None:
    """Deliver a test event; `deliveries` shows what became of it."""
    answer = request("POST", f"{_path(subscription_id)}/test")
    if as_json:
        print_json(answer)
    else:
        console().print(f"delivery {answer['id']} is under way", markup=False)


@app.command("rotate-secret")
def rotate(subscription_id: SubscriptionId, as_json: Json = False) -> None:
    """Make a new signing secret, shown now and never again; the old one signs beside it for a day."""
    answer = request("POST", f"{_path(subscription_id)}/secret")
    if as_json:
        print_json(answer)
    else:
        console().print(f"{answer['secret']}\nthe old secret signs until {answer['old_secret_until']}", markup=False)


@app.command("deliveries")
def deliveries(
    subscription_id: SubscriptionId,
    status: Annotated[
        str | None, typer.Option(help="waiting, put_aside, sending, retrying, delivered or failed.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """What was delivered, newest first, and what became of it."""
    query = {"status": status, "limit": limit, "cursor": cursor}
    page = request("GET", f"{_path(subscription_id)}/deliveries", query=query)
    if as_json:
        print_json(page)
        return
    print_table(
        ["id", "event", "status", "attempts", "answer", "ms", "error", "since"],
        [
            [
                item["id"],
                item["type"],
                status_text(item["status"]),
                item["attempts"],
                item["response_status"],
                item["duration_ms"],
                item["error"]["message"] or item["error"]["code"] if item["error"] else "",
                short_time(item["created_at"]),
            ]
            for item in page["items"]
        ],
        empty="nothing was delivered yet",
    )
    print_more(page)


@app.command("redeliver")
def redeliver(
    subscription_id: SubscriptionId,
    delivery_id: Annotated[str | None, typer.Argument(help="Id of the delivery; without it: --since.")] = None,
    since: Annotated[str | None, typer.Option(help="All that failed at or after this ISO time.")] = None,
    as_json: Json = False,
) -> None:
    """Deliver one, or all that failed since a time, once more under the same id."""
    if (delivery_id is None) == (since is None):
        raise typer.BadParameter("give the id of one delivery, or --since")
    if delivery_id is not None:
        answer = request("POST", f"{_path(subscription_id)}/deliveries/{segment(delivery_id)}/redeliver")
        said = f"delivery {answer['id']} is under way again"
    else:
        answer = request("POST", f"{_path(subscription_id)}/redeliver", body={"since": since})
        said = f"{answer['redelivered']} are delivered again" + ("; there are more" if answer["more"] else "")
    if as_json:
        print_json(answer)
    else:
        console().print(said, markup=False)


def _path(subscription_id: str) -> str:
    return f"{PATH}/{segment(subscription_id)}"


def _target(channel: dict[str, Any]) -> str:
    return str(channel.get("url") or ", ".join(channel.get("to", [])) or channel.get("channel") or "(hook)")


def _print(item: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(item)
        return
    channel = item["channel"]
    console().print(f"{item['id']}  {item['name']}", markup=False)
    reason = f" ({item['reason']})" if item["reason"] else ""
    console().print(f"{item['status']}{reason}, {item['failures']} failures in a row", markup=False)
    console().print(f"{', '.join(item['events'])} by {channel['type']} to {_target(channel)}", markup=False)
    if item.get("secret"):
        console().print(f"secret, shown this once: {item['secret']}", markup=False)
