"""Bad inputs: each has one dead letter, nothing else has, and what was buried runs as often as it was sent again."""

from collections import Counter
from collections.abc import Iterable

from infra.log.port import Record
from tests.simulation.checkers.ledger import Ledger, Report
from tests.torture.marks import is_bad

START = "execution.start"
Event = tuple[str, dict[str, object]]


def check_letters(ledger: Ledger, inputs: Iterable[Record], report: Report) -> None:
    """At the end. `inputs`: all records of the input topics."""
    bad = {(str(record.topic), record.partition, record.offset) for record in inputs if is_bad(record.value)}
    letters = _letters(ledger)
    recorded = Counter(
        (data["topic"], data["partition"], data["offset"])
        for events in letters.values()
        for kind, data in events
        if kind == "dead_letter.recorded"
    )
    for place in bad - set(recorded):
        report("letters", f"{place} is bad and has no letter")
    for place, count in recorded.items():
        if place not in bad or count != 1:
            report("letters", f"{place} has {count} letters, bad: {place in bad}")
    for name, events in letters.items():
        _check_executions(ledger, name, events, report)


def open_letters(ledger: Ledger) -> list[str]:
    """Letters of starts that nobody has sent again yet: the review will, at the latest."""
    return [
        name
        for name, events in _letters(ledger).items()
        if events[0][1].get("command") == START and all(kind != "dead_letter.redriven" for kind, _ in events)
    ]


def _letters(ledger: Ledger) -> dict[str, list[Event]]:
    return {
        name: [(event["type"], event["data"]) for commit in stream.commits for event in commit.commit.get("events", ())]
        for name, stream in ledger.streams.items()
        if name.startswith("letter-") and stream.version
    }


def _check_executions(ledger: Ledger, name: str, events: list[Event], report: Report) -> None:
    buried = str(events[0][1].get("stream", ""))
    if buried.removeprefix("execution-") in ledger.histories:
        report("letters", f"{name}: {buried} runs, and was put aside")
    for kind, data in events:
        if kind == "dead_letter.redriven" and str(data["stream"]).removeprefix("execution-") not in ledger.histories:
            report("letters", f"{name}: {data['stream']} was sent again, and never ran")
