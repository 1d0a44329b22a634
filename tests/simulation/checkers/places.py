"""Limits of executions side by side: never more than there are places, and all of them are free in the end."""

from tests.simulation.checkers.ledger import Ledger, Report


def check_places(ledger: Ledger, report: Report) -> None:
    """At the end, of every limit."""
    for name, stream in ledger.streams.items():
        if name.startswith("limit-"):
            events = [event for commit in stream.commits for event in commit.commit.get("events", ())]
            _check(name, [(event["type"], event["data"]) for event in events], report)


def _check(name: str, events: list[tuple[str, dict[str, object]]], report: Report) -> None:
    held: dict[object, set[object]] = {}
    waiting: dict[object, set[object]] = {}
    for kind, data in events:
        key, execution = data["key"], data["execution_id"]
        holders, line = held.setdefault(key, set()), waiting.setdefault(key, set())
        match kind:
            case "limit.slot_given":
                holders.add(execution)
                line.discard(execution)
                size = data["size"]
                assert isinstance(size, int)
                if len(holders) > size:
                    report("places", f"{name} {key!r}: {len(holders)} executions have one of {size} places")
            case "limit.slot_awaited":
                line.add(execution)
            case "limit.slot_returned":
                holders.discard(execution)
                line.discard(execution)
    for key, holders in held.items():
        if holders or waiting[key]:
            report("places", f"{name} {key!r}: held for ever {holders}, waiting for ever {waiting[key]}")
