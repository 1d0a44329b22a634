"""C07–C09: what the world outside saw against the attempts and results in the log."""

from collections import defaultdict
from typing import Any

from tests.torture.evidence import Evidence, Row, Verdict, verdict
from tests.torture.facts import Event, start_of

TOLERANCE_MS = 1
"""Sink and log read the same machine's clock, in whole milliseconds."""

CLASSES = {"GET": "read", "PUT": "idempotent", "POST": "unsafe"}


def _by_key(evidence: Evidence) -> dict[str, list[list[Event]]]:
    found: dict[str, list[list[Event]]] = defaultdict(list)
    for events in evidence.facts.executions().values():
        found[start_of(events)[0]].append(events)
    return found


def _requests_by_node(evidence: Evidence) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for (key, node, _), requests in evidence.requests().items():
        found[key, node] += requests
    return found


def effect_has_intent(evidence: Evidence) -> Verdict:
    """The k-th call of a node comes after k attempted items of it were durable, and is of a class that was recorded."""
    wrong: list[str] = []
    by_key = _by_key(evidence)
    total = 0
    for (key, node), requests in _requests_by_node(evidence).items():
        total += len(requests)
        attempts = sorted(
            (event.at, event.data["effect_class"])
            for events in by_key.get(key, ())
            for event in events
            if event.type == "execution.node_attempted" and event.data["node"] == node
            for _ in event.data["indexes"]
        )
        if len(requests) > len(attempts):
            wrong.append(f"{key} {node}: {len(requests)} calls, {len(attempts)} attempts in the log")
            continue
        for (durable, effect_class), request in zip(attempts, sorted(requests, key=lambda r: r["at"]), strict=False):
            if request["at"] < durable - TOLERANCE_MS:
                wrong.append(f"{key} {node}: a call {durable - request['at']:.0f} ms before its attempt was in the log")
            if CLASSES[request["method"]] != effect_class:
                wrong.append(f"{key} {node}: a {request['method']} was recorded as {effect_class}")
    return verdict("C07 effect_has_intent", total, wrong)


def effect_bound(evidence: Evidence) -> Verdict:
    """Unsafe: never twice. Idempotent: repeats carry the same key, other items another one."""
    wrong: list[str] = []
    repeats = {"read": 0, "idempotent": 0, "unsafe": 0}
    owners: dict[str, tuple[str, str, str]] = {}
    executions = {key: len(found) for key, found in _by_key(evidence).items()}
    total = 0
    for place, requests in evidence.requests().items():
        total += len(requests)
        effect_class = CLASSES[requests[0]["method"]]
        repeats[effect_class] += len(requests) - executions.get(place[0], 1)
        keys = {each["idempotency_key"] for each in requests}
        if effect_class == "unsafe" and len(requests) > executions.get(place[0], 0):
            wrong.append(f"{place}: an unsafe call was made {len(requests)} times")
        if effect_class == "idempotent":
            if len(keys) > executions.get(place[0], 1) or "" in keys:
                wrong.append(f"{place}: calls with the keys {sorted(keys)[:3]}")
            shared = [key for key in keys if owners.setdefault(key, place) != place]
            wrong += [f"{place} and {owners[key]} share the key {key}" for key in shared]
    wrong += _unknown_is_not_repeated(evidence)
    return verdict("C08 effect_bound", total, wrong, f"repeats by class: {repeats}")


def _unknown_is_not_repeated(evidence: Evidence) -> list[str]:
    wrong = []
    for execution, events in evidence.facts.executions().items():
        unknown: set[Any] = set()
        for event in events:
            if event.type == "execution.node_outcome_unknown":
                unknown.add((event.data["node"], event.data.get("run", 0)))
            elif event.type == "execution.node_attempted" and (event.data["node"], event.data.get("run", 0)) in unknown:
                wrong.append(f"{execution}: {event.data['node']} was tried again after its outcome was unknown")
    return wrong


def effect_not_invented(evidence: Evidence) -> Verdict:
    """What a node put out is what the sink sent to that execution's node: every token is known, and of this call."""
    wrong: list[str] = []
    tokens = {each["token"]: each for requests in evidence.requests().values() for each in requests}
    total = 0
    for execution, events in evidence.facts.executions().items():
        key = start_of(events)[0]
        for event in events:
            if event.type != "execution.node_completed" or not event.data.get("attempts"):
                continue
            for item in (each for port in event.data["outputs"].values() for each in port):
                total += 1
                request = tokens.get(item["json"].get("token"))
                if request is None:
                    wrong.append(f"{execution} {event.data['node']}: put out {str(item)[:80]}, which nobody sent")
                elif (request["key"], request["node"]) != (key, event.data["node"]) or request["status"] != 200:
                    wrong.append(f"{execution} {event.data['node']}: put out the answer of another call")
                elif request["item"] != item["json"]["item"]:
                    wrong.append(f"{execution} {event.data['node']}: the answer of another item")
    return verdict("C09 effect_not_invented", total, wrong)
