"""C20, C22, C23: how fast it recovered, what it kept, and whether the storm was one."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from tests.torture.clocks import faketime_library
from tests.torture.evidence import Evidence, Row, Verdict, percentile, verdict
from tests.torture.facts import Takeover
from tests.torture.plan import CLASSES

ALONE = "api alone"
LIMITS = {"worker": 15.0, "api": 2.0, ALONE: 10.0, "projector": 20.0, "database": 5.0, "broker": 10.0}
"""Seconds, p95 of the time from the end of a fault (a kill: its begin) until that work goes on.

`api` says how soon another api takes the calls. Where every other one is under a fault of its own when it is killed
(paused, say), there is none: what is seen then is the start of a process, which has the time that a broker's has.
"""

RESTART = 3.5
"""A killed process stays down up to two seconds, and Python's own start takes its time on two busy cores."""


def recovery_times(evidence: Evidence) -> dict[str, list[float]]:
    """Seconds by what was hit: worker — until the last of its partitions answers again under a new epoch; api — until
    any start is accepted; projector — until rows move on; database, broker — until a start is accepted.

    The time in which the database or the broker was down or stalled does not count against the others: nobody takes
    over without the log, and how the servers' own faults end is judged by their own lines."""
    accepted = [each["at"] for each in evidence.history if each["op"] == "start" and each["type"] == "ok"]
    found: dict[str, list[float]] = defaultdict(list)
    for fault in evidence.faults:
        if fault["what"] != "over":
            continue
        role = fault["target"].partition("-")[0]
        match role, fault["kind"]:
            case "worker", "kill":
                found["worker"] += _with_servers(evidence, fault["began"], _taken_over(evidence, fault))
            case "api", "kill":
                seconds = _with_servers(evidence, fault["began"], _next(accepted, fault["began"]))
                found["api" if _others_serve(evidence, fault) else ALONE] += seconds
            case (("database" | "broker"), _):
                found[role] += _next(accepted, fault["at"])
            case "projector", "kill":
                found["projector"] += _with_servers(evidence, fault["began"], _rows_moved(evidence, fault["began"]))
    return found


def _others_serve(evidence: Evidence, fault: Row) -> bool:
    """Whether some other api was under no fault, nor became so, nor a server, until a second after this kill."""
    begin, end = fault["began"], fault["began"] + 1000
    hit = {e["target"] for e in evidence.faults if e["what"] == "over" and e["began"] < end and e["at"] > begin}
    apis = {each["api"] for each in evidence.history if each["op"] == "start"}
    return bool(apis - hit - {fault["target"]}) and not hit & {"database", "broker"}


def _with_servers(evidence: Evidence, since: float, seconds: Sequence[float]) -> list[float]:
    """`seconds` from `since` (ms), less what of them the servers were out."""
    outages = sorted(
        (each["began"], each["at"])
        for each in evidence.faults
        if each["what"] == "over" and each["target"] in {"database", "broker"}
    )
    found = []
    for each in seconds:
        until, out = since + each * 1000, 0.0
        reached = since
        for begin, end in outages:
            out += max(0.0, min(end, until) - max(begin, reached))
            reached = max(reached, min(end, until))
        found.append(each - out / 1000)
    return found


def _next(times: Sequence[float], since: float) -> list[float]:
    return [next(((at - since) / 1000 for at in sorted(times) if at > since), float("inf"))] if times else []


def _taken_over(evidence: Evidence, fault: Row) -> list[float]:
    """From the kill of a worker until each partition that it owned has another takeover."""
    places: dict[tuple[str, int], list[Takeover]] = defaultdict(list)
    # Only where work goes on: an owner that was paused finds out that it was replaced when it has something to say.
    for takeover in (each for each in evidence.facts.takeovers if each.topic == "executions"):
        places[takeover.topic, takeover.partition].append(takeover)
    slowest = None
    for takeovers in places.values():
        before = [each for each in takeovers if each.at <= fault["began"]]
        after = [each.at for each in takeovers if each.at > fault["began"]]
        if before and before[-1].owner == fault["target"]:
            seconds = (after[0] - fault["began"]) / 1000 if after else float("inf")
            slowest = seconds if slowest is None else max(slowest, seconds)
    return [] if slowest is None else [slowest]


def _rows_moved(evidence: Evidence, since: float) -> list[float]:
    before = [each for each in evidence.samples if each["at"] <= since]
    if not before:
        return []
    reached = before[-1]["versions"]
    return [next(((s["at"] - since) / 1000 for s in evidence.samples if s["versions"] > reached + 50), float("inf"))]


def recovers(evidence: Evidence) -> Verdict:
    """p95 within its limit and the time that the process itself is down; everything drained in time."""
    wrong: list[str] = []
    notes = []
    times = recovery_times(evidence)
    for role, values in times.items():
        usual, worst = percentile(values, 0.5), percentile(values, 0.95)
        notes.append(f"{role} p50 {usual:.1f} p95 {worst:.1f} max {max(values):.1f} s (n={len(values)})")
        if worst > LIMITS[role] + RESTART:
            wrong.append(f"{role}: p95 {worst:.1f} s over {LIMITS[role] + RESTART:.1f} s")
    if evidence.drained is None:
        wrong.append(f"not everything had ended {evidence.plan.drain:g} s after the last fault and load")
    else:
        notes.append(f"drained in {evidence.drained:.1f} s")
    return verdict("C20 recovers", sum(map(len, times.values())), wrong, "; ".join(notes))


def no_leaks(evidence: Evidence) -> Verdict:
    """By class of processes against the end of P0: memory, descriptors, threads within 10 % and a constant."""
    before, after = evidence.resources
    slack = {"rss": 40.0, "fds": 25.0, "threads": 6.0}
    wrong = []
    for role in CLASSES:
        for what, allowed in slack.items():
            one = max((use[what] for name, use in before.items() if name.startswith(role)), default=0)
            other = max((use[what] for name, use in after.items() if name.startswith(role)), default=0)
            if other > one * 1.1 + allowed:
                wrong.append(f"{role}: {what} {one:.0f} → {other:.0f}")
    backends = [each["backends"] for each in evidence.samples]
    if backends and backends[-1] > 1.1 * max(backends[: max(1, len(backends) // 6)]) + 10:
        wrong.append(f"database connections {backends[0]} → {backends[-1]}")
    note = ", ".join(f"{name} {use['rss']:.0f} MB" for name, use in sorted(after.items()))
    return verdict("C22 no_leaks", len(after), wrong, note)


def in_flight_at(evidence: Evidence, at: float) -> int:
    """Executions that were accepted and not ended at that moment."""
    count = 0
    for events in evidence.facts.executions().values():
        if events[0].at <= at < events[-1].at:
            count += 1
    return count


def accepted_share(evidence: Evidence, *, keyed: bool) -> float:
    """Of the keys that were asked for until they were accepted (`keyed`), or only once."""
    found = [each for each in evidence.starts().values() if each[0]["keyed"] == keyed]
    return sum(1 for each in found if any(one["type"] == "ok" for one in each)) / max(1, len(found))


def run_is_valid(evidence: Evidence) -> Verdict:
    """Every class was hit often enough, the kills met work in flight, most requests were answered, every kind of fault
    occurred. Otherwise the run is void."""
    plan, wrong = evidence.plan, []
    faults = [each for each in evidence.faults if each["what"] == "fault"]
    hits = Counter(each["target"].partition("-")[0] for each in faults)
    kinds = Counter(each["kind"] for each in faults)
    wrong += [f"{role} was hit {hits[role]} times" for role in CLASSES if hits[role] < plan.hits_per_class]
    clocks = {"clock"} if faketime_library() is not None and not plan.kills_only else set()
    wrong += [f"no fault of kind {kind}" for kind in sorted((plan.kinds | clocks) - kinds.keys())]
    kills = [each for each in faults if each["kind"] in {"kill", "database", "broker"}]
    met = sum(1 for each in kills if in_flight_at(evidence, each["at"]) > 0)
    if kills and met / len(kills) < 0.3:
        wrong.append(f"{met} of {len(kills)} kills met work in flight")
    outcomes = Counter(each["type"] for each in evidence.history if each["op"] == "start")
    share = accepted_share(evidence, keyed=True)
    if share < 0.9:
        wrong.append(f"{share:.1%} of the starts that were retried were accepted in the end")
    once = accepted_share(evidence, keyed=False)
    note = (
        f"{met}/{len(kills)} kills met work in flight; accepted: {share:.1%} with retries, {once:.1%} without; "
        f"{dict(outcomes)}"
    )
    return verdict("C23 run_is_valid", len(faults), wrong, note)
