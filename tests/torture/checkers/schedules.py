"""C15: schedules fire at the reference instants, each once, and each firing starts one execution."""

from collections import Counter
from datetime import datetime
from uuid import UUID, uuid5

from tests.torture.evidence import Evidence, Verdict, verdict
from tests.torture.facts import Event

PERIODS = {"interval": 10_000, "cron": 60_000}
"""Of the storm's schedules, in ms; both count from the epoch. They make up for every missed run."""


def schedule_exact(evidence: Evidence) -> Verdict:
    wrong: list[str] = []
    looked_at = 0
    started: dict[str, str] = {}
    for stream, events in evidence.facts.streams.items():
        if stream.startswith("schedule-"):
            found = [event for event in events if event.type == "schedule.fired"]
            looked_at += len(found)
            wrong += _instants(stream, events, found)
            wrong += _ids(stream, found, started)
    wrong += _executions(evidence, started)
    return verdict("C15 schedule_exact", looked_at, wrong)


def _instants(stream: str, events: list[Event], fired: list[Event]) -> list[str]:
    """What fired against the multiples of the period between the schedule's begin and its pause."""
    begin = events[0].data["at"]
    ends = [event.data["at"] for event in events if event.type == "schedule.paused"]
    if len(ends) != 1:
        return [f"{stream} was paused {len(ends)} times"]
    period = PERIODS[events[0].data["definition"]["timing"]["by"]]
    wanted = list(range(begin // period * period + period, ends[0] + 1, period))
    found = [event.data["due"] for event in fired]
    said = [f"{stream}: a firing was {each.type}" for each in events if each.type == "schedule.firings_skipped"]
    said += [f"{stream} fired {count} times for {due}" for due, count in Counter(found).items() if count > 1]
    said += [f"{stream} did not fire for {due}" for due in sorted(set(wanted) - set(found))]
    said += [f"{stream} fired for {due}, no instant of its own" for due in sorted(set(found) - set(wanted))]
    if found != sorted(found):
        said.append(f"{stream} fired out of order")
    said += [f"{stream} fired {each.data['due']} early" for each in fired if each.data["at"] < each.data["due"]]
    return said


def _ids(stream: str, fired: list[Event], started: dict[str, str]) -> list[str]:
    """Ids follow from schedule and due time, so that whoever fires twice writes the same twice."""
    said = []
    for each in fired:
        firing = uuid5(UUID(stream.removeprefix("schedule-")), str(each.data["due"]))
        execution = str(uuid5(firing, "execution"))
        if (each.data["firing_id"], each.data["execution_id"]) != (str(firing), execution):
            said.append(f"{stream}: the firing for {each.data['due']} has ids of its own making")
        started[each.data["execution_id"]] = f"{stream} at {each.data['due']}"
    return said


def _executions(evidence: Evidence, started: dict[str, str]) -> list[str]:
    """Each firing has its execution, queued once with its instant; none has no firing."""
    said = []
    streams = evidence.facts.executions()
    for execution, firing in started.items():
        queued = [event for event in streams.get(execution, ()) if event.type == "execution.queued"]
        if len(queued) != 1:
            said.append(f"{firing}: its execution {execution} is {len(queued)} times in the log")
            continue
        item = queued[0].data["items"][0]["json"]
        at = int(datetime.fromisoformat(item["scheduled_at"]).timestamp() * 1000)
        if not firing.endswith(f" {at}"):
            said.append(f"{firing}: its execution was started for {item['scheduled_at']}")
    for execution, events in streams.items():
        if events[0].data.get("trigger_type") == "schedule" and execution not in started:
            said.append(f"{execution} was started by a schedule that did not fire")
    return said
