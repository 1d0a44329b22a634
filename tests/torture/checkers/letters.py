"""C19: each bad input is a dead letter, nothing else is, and each is dealt with once."""

import json
from collections import Counter

from tests.torture.evidence import Evidence
from tests.torture.facts import Event, start_of
from tests.torture.marks import BURIED, is_bad

Place = tuple[str, int, int]
"""(topic, partition, offset) of an input."""


def wrong_letters(evidence: Evidence) -> list[str]:
    facts = evidence.facts
    bad: set[Place] = {
        (topic, partition, record.offset)
        for (topic, partition), records in facts.inputs.items()
        for record in records
        if is_bad(record.value)
    }
    kept = {_place(json.loads(record.value)) for record in facts.dead_letters}  # a crash before the answer doubles one
    streams = {name: events for name, events in facts.streams.items() if name.startswith("letter-")}
    recorded = Counter(
        _place(event.data) for events in streams.values() for event in events if event.type == "dead_letter.recorded"
    )
    wrong = [f"{place} is a dead letter, and nothing bad was sent there" for place in (kept | set(recorded)) - bad]
    wrong += [f"{place} was bad, and is not on the topic of dead letters" for place in bad - kept]
    wrong += [f"{place} was bad, and has {recorded[place]} letters" for place in bad if recorded[place] != 1]
    return wrong + _wrong_ends(streams) + _wrong_executions(evidence, streams)


def _place(letter: dict[str, object]) -> Place:
    """Topics have a prefix of the run."""
    topic, partition, offset = letter.get("topic", ""), letter.get("partition", 0), letter.get("offset", 0)
    assert isinstance(partition, int)
    assert isinstance(offset, int)
    return str(topic).rpartition(".")[2], partition, offset


def _wrong_ends(streams: dict[str, list[Event]]) -> list[str]:
    """What can be sent again is, what nobody can read is discarded."""
    wrong = []
    for name, events in streams.items():
        seen = Counter(event.type for event in events)
        readable = bool(events[0].data.get("command"))
        done = seen["dead_letter.redriven" if readable else "dead_letter.discarded"]
        other = seen["dead_letter.discarded" if readable else "dead_letter.redriven"]
        if not done or other:
            wrong.append(f"{name} ({'buried' if readable else 'garbage'}): {dict(seen)}")
    return wrong


def _wrong_executions(evidence: Evidence, streams: dict[str, list[Event]]) -> list[str]:
    """As many executions of a buried start as it was sent again, each under the id that its letter names; and it was
    sent again as often as was asked for."""
    sent = {
        event.data["stream"].removeprefix("execution-"): events[0].data["stream"].removeprefix("execution-")
        for events in streams.values()
        for event in events
        if event.type == "dead_letter.redriven"
    }
    executions = evidence.facts.executions()
    found = {each for each, events in executions.items() if start_of(events)[0].startswith(f"{BURIED}-")}
    wrong = [f"{each} was sent again, and never started" for each in sent.keys() - found]
    wrong += [f"{each} was buried, and runs without having been sent again" for each in found - sent.keys()]
    times = Counter(sent.values())
    said: Counter[tuple[str, str]] = Counter(
        (each["execution"], each["type"]) for each in evidence.letters if each["op"] == "redrive"
    )
    for buried in {*times, *(execution for execution, _ in said)}:
        sure, maybe = said[buried, "ok"], said[buried, "info"]
        if not sure <= times[buried] <= sure + maybe:
            wrong.append(f"{buried} was sent again {times[buried]} times: {sure} answers, {maybe} without one")
    return wrong
