"""What inboxes recorded, by the rules of docs/webhooks.md: one execution a key, no window over its limit, nothing that
was held is lost, and exactly what began runs."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from tests.simulation.checkers.ledger import Ledger, Report

Event = tuple[str, dict[str, Any]]
_TAKEN = ("inbox.accepted", "inbox.held")


def held(ledger: Ledger) -> list[str]:
    """Deliveries that wait in an inbox."""
    waiting: dict[str, None] = {}
    for events in _inboxes(ledger).values():
        for kind, data in events:
            if kind == "inbox.held":
                waiting[data["delivery"]["id"]] = None
            elif kind in ("inbox.begun", "inbox.superseded"):
                waiting.pop(data["delivery_id"], None)
    return list(waiting)


def check_deliveries(ledger: Ledger, promised: Collection[str], report: Report) -> None:
    """At the end. `promised`: deliveries whose senders were told that they were taken."""
    begun: dict[str, str] = {}
    decided: set[str] = set()
    for stream, events in _inboxes(ledger).items():
        taken = {data["delivery"]["id"]: data["gates"] for kind, data in events if kind in _TAKEN}
        decided |= {data["delivery"]["id"] for _, data in events if "delivery" in data}
        _check_keys(stream, events, report)
        starts: dict[tuple[str, int, int], list[int]] = defaultdict(list)
        for kind, data in events:
            if kind not in ("inbox.accepted", "inbox.begun"):
                continue
            delivery = data["delivery"]["id"] if kind == "inbox.accepted" else data["delivery_id"]
            if data["execution_id"] in begun:
                report("deliveries", f"{stream}: {delivery} began twice")
            begun[data["execution_id"]] = delivery
            throttle = taken[delivery].get("throttle")
            if throttle is not None:
                starts[throttle["key"], throttle["limit"], throttle["period"]].append(data["at"])
        for (key, limit, period), times in starts.items():
            for place in range(len(times) - limit):
                if times[place + limit] < times[place] + period:
                    report("deliveries", f"{stream}: {limit + 1} of key {key} began within {period} ms")
    _check_executions(ledger, begun, report)
    for missing in sorted(set(promised) - decided):
        report("deliveries", f"{missing} was promised and no inbox knows it")


def _check_keys(stream: str, events: list[Event], report: Report) -> None:
    until: dict[str, int] = {}
    for kind, data in events:
        dedup = data.get("gates", {}).get("dedup") if kind in _TAKEN else None
        if dedup is None:
            continue
        if data["at"] < until.get(dedup["key"], 0):
            report("deliveries", f"{stream}: a second delivery was taken with key {dedup['key']}")
        until[dedup["key"]] = data["at"] + dedup["ttl"]


def _check_executions(ledger: Ledger, begun: dict[str, str], report: Report) -> None:
    run = {name for name, history in ledger.histories.items() if history.trigger_type == "webhook"}
    run -= {name for name in run if ledger.queued(name).get("retry_of")}  # of another one, which is looked at
    for execution in sorted(begun.keys() - ledger.histories.keys()):
        report("deliveries", f"delivery {begun[execution]} began execution {execution}, which never ran")
    for execution in sorted(run - begun.keys()):
        report("deliveries", f"execution {execution} is of no delivery that began")


def _inboxes(ledger: Ledger) -> dict[str, list[Event]]:
    return {name: list(_events(ledger, name)) for name in ledger.streams if name.startswith("inbox-")}


def _events(ledger: Ledger, stream: str) -> Iterator[Event]:
    for accepted in ledger.streams[stream].commits:
        for event in accepted.commit.get("events", ()):
            yield event["type"], event["data"]
