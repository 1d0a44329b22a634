"""C01–C04: what clients were told against what the log has."""

from collections import Counter, defaultdict

from tests.torture.clockwork import KIND
from tests.torture.evidence import Evidence, Verdict, verdict
from tests.torture.facts import TERMINAL, Event, start_of
from tests.torture.marks import BURIED
from tests.torture.workflows import CHILDREN, parent_of

KINDS_THAT_ONLY_COMPLETE = frozenset(
    {"linear", "fanout", "loop", "flaky", "waits", "hook", "inbox", "parent", "child", KIND, BURIED}
)


def acked_is_durable(evidence: Evidence) -> Verdict:
    """Every start answered 202 is in the log exactly once, with what was asked."""
    streams = evidence.facts.executions()
    wrong: list[str] = []
    accepted = evidence.accepted()
    for execution, key in accepted.items():
        queued = [event for event in streams.get(execution, ()) if event.type == "execution.queued"]
        if len(queued) != 1:
            wrong.append(f"{execution} ({key}) was accepted and is {len(queued)} times in the log")
        elif start_of(streams[execution])[0] != key:
            wrong.append(f"{execution} was accepted for {key} and holds {start_of(streams[execution])[0]!r}")
    return verdict("C01 acked_is_durable", len(accepted), wrong)


def terminal_exactly_once(evidence: Evidence) -> Verdict:
    """Every execution in the log has one end, nothing but late results after it, and it ended as its kind must."""
    wrong: list[str] = []
    streams = evidence.facts.executions()
    cancelled = {each["execution"] for each in evidence.history if each["op"] == "cancel"}
    theirs = {start_of(streams[each])[0] for each in cancelled if each in streams}
    for execution, events in streams.items():
        ends = [place for place, event in enumerate(events) if event.type in TERMINAL]
        if len(ends) != 1:
            wrong.append(f"{execution} has {len(ends)} ends")
            continue
        after = [event.type for event in events[ends[0] + 1 :]]
        if any(each not in {"execution.attempt_concluded", "execution.node_cancelled"} for each in after):
            wrong.append(f"{execution}: {after} after its end")
        key = start_of(events)[0]
        kind, end = key.partition("-")[0], events[ends[0]]
        spared = execution in cancelled or (kind == "child" and parent_of(key) in theirs)
        if kind in KINDS_THAT_ONLY_COMPLETE and end.type != "execution.completed" and not spared:
            wrong.append(f"{execution} ({key}) ended as {end.type}: {end.data.get('error')}")
        if kind == "fails" and end.type == "execution.completed":
            wrong.append(f"{execution} ({key}) completed although its call always fails")
    return verdict("C02 terminal_exactly_once", len(streams), wrong)


def no_phantom(evidence: Evidence) -> Verdict:
    """Every execution in the log comes from a request that may have been taken, no more than were sent; a child from
    its parent, one for each item, and all of them where the parent completed."""
    wrong: list[str] = []
    invoked, outcomes = evidence.invoked(), evidence.starts()
    redelivered = _redelivered(evidence)
    found: dict[str, list[str]] = defaultdict(list)
    streams = evidence.facts.executions()
    for execution, events in streams.items():
        if events[0].data.get("retry_of") is None:
            found[start_of(events)[0]].append(execution)
    wrong += _wrong_families(streams, found) + _wrong_retries(evidence, streams)
    for key, executions in found.items():
        if key.startswith((f"{KIND}-", "child-")):  # from schedules: C15 looks after them; from parents: see there
            continue
        sent = invoked.get(key, [])
        said = Counter(each["type"] for each in outcomes.get(key, ()))
        unanswered = len([each for each in sent if not each["twist"]]) - sum(said.values())
        possible = 1 if sent and sent[0]["keyed"] else said["ok"] + said["info"] + unanswered
        if said["ok"] + said["info"] + unanswered == 0:
            possible = 0
        possible += len(redelivered[key])
        if len(executions) > possible:
            wrong.append(f"{key!r}: {len(executions)} executions, {dict(said)} answers: {executions[:3]}")
    return verdict("C03 no_phantom", len(streams), wrong)


def _redelivered(evidence: Evidence) -> dict[str, set[str]]:
    """Key → deliveries that were sent again, or may have been: each makes one execution, however often it was asked."""
    refused = {each["n"] for each in evidence.history if each["op"] == "redeliver" and each["type"] == "fail"}
    found: dict[str, set[str]] = defaultdict(set)
    for each in evidence.history:
        if each["op"] == "redeliver" and each["type"] == "invoke" and each["n"] not in refused:
            found[each["key"]].add(each["of"])
    return found


def _wrong_retries(evidence: Evidence, streams: dict[str, list[Event]]) -> list[str]:
    """An execution that runs another one again was asked for, under one key, so that there is one; C19 looks after
    those of dead letters."""
    asked = {each["of"] for each in evidence.history if each["op"] == "retry" and each["type"] == "invoke"}
    again: dict[str, list[str]] = defaultdict(list)
    for execution, events in streams.items():
        of = events[0].data.get("retry_of")
        if of is not None and not start_of(events)[0].startswith(f"{BURIED}-"):
            again[of].append(execution)
    wrong = [f"{of} was run again as {found[:3]}" for of, found in again.items() if len(found) > 1]
    return wrong + [f"{of} was run again, and nobody asked for it" for of in again if of not in asked]


def _wrong_families(streams: dict[str, list[Event]], found: dict[str, list[str]]) -> list[str]:
    wrong = []
    for key, executions in found.items():
        if key.startswith("child-") and len(executions) > len(found.get(parent_of(key), ())):
            wrong.append(f"{key!r}: {len(executions)} executions of {len(found.get(parent_of(key), ()))} parents")
        if not key.startswith("parent-"):
            continue
        completed = sum(any(e.type == "execution.completed" for e in streams[each]) for each in executions)
        children = [len(found.get(f"child-{key}-{item}", ())) for item in range(CHILDREN)]
        if min(children) < completed:
            wrong.append(f"{key!r}: {completed} completed with {children} children")
    return wrong


def idempotency_holds(evidence: Evidence) -> Verdict:
    """Same key: one execution and one answer; same key with another body: 422."""
    wrong: list[str] = []
    ids: dict[str, set[str]] = defaultdict(set)
    looked_at = 0
    for each in evidence.history:
        if each["op"] != "start" or each["type"] == "invoke" or not each["keyed"]:
            continue
        looked_at += 1
        if each["twist"]:
            if each["type"] == "ok" and ids[each["key"]]:
                wrong.append(f"{each['key']}: another body under the same key was accepted")
            elif each["type"] == "fail" and each["status"] not in {0, 409, 422}:
                wrong.append(f"{each['key']}: another body under the same key got {each['status']}")
        elif each["type"] == "ok":
            ids[each["key"]].add(each["execution"])
        elif each["status"] in {409, 422}:
            wrong.append(f"{each['key']}: the same request was refused: {each['status']} {each['code']}")
    for each in evidence.history:
        if each["op"] in {"retry", "redeliver"} and each["type"] == "ok":
            looked_at += 1
            ids[f"{each['op']} of {each['of']}"].add(each["execution"])
    wrong += [f"{key}: {len(found)} executions were answered" for key, found in ids.items() if len(found) > 1]
    repeats = looked_at - len(ids)
    return verdict("C04 idempotency_holds", looked_at, wrong, f"{repeats} repeated requests")
