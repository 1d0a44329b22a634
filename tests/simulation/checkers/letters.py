"""Bad inputs: each has one dead letter, nothing else has, and what was buried runs as often as it was sent again."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from infra.log.port import Record
from tests.simulation.checkers.ledger import Ledger, Report
from tests.torture.marks import is_bad

START = "execution.start"
Event = tuple[str, dict[str, Any]]
Place = tuple[str, int, int]
"""(topic, partition, offset) of an input."""


def check_letters(ledger: Ledger, inputs: Iterable[Record], report: Report) -> None:
    """At the end. `inputs`: all records of the input topics."""
    bad = {
        (str(record.topic), record.partition, record.offset): record.value for record in inputs if is_bad(record.value)
    }
    letters = _letters(ledger)
    recorded = Counter(
        _place(data) for events in letters.values() for kind, data in events if kind == "dead_letter.recorded"
    )
    with_letter = {bad[place] for place in recorded if place in bad}
    for place in bad.keys() - set(recorded):
        # The log doubled a start, and the other one's letter had what was missing put in its place.
        if not (bad[place] in with_letter and bad[place].startswith(b'{"')):
            report("letters", f"{place} is bad and has no letter")
    for place, count in recorded.items():
        if place not in bad or count != 1:
            report("letters", f"{place} has {count} letters, bad: {place in bad}")
    for name, events in letters.items():
        copies = list(bad.values()).count(bad.get(_place(events[0][1]), b""))
        _check_executions(ledger, name, events, report, doubled=copies > 1)


def _place(letter: dict[str, Any]) -> Place:
    return letter["topic"], letter["partition"], letter["offset"]


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


def _check_executions(ledger: Ledger, name: str, events: list[Event], report: Report, *, doubled: bool) -> None:
    buried = str(events[0][1].get("stream", ""))
    if buried.removeprefix("execution-") in ledger.histories and not doubled:
        report("letters", f"{name}: {buried} runs, and was put aside")
    for kind, data in events:
        if kind == "dead_letter.redriven" and str(data["stream"]).removeprefix("execution-") not in ledger.histories:
            report("letters", f"{name}: {data['stream']} was sent again, and never ran")
