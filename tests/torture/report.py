"""The written report of a run, in Markdown."""

import subprocess
import time
from collections import Counter
from collections.abc import Sequence

import psutil

from tests.torture.checkers.running import recovery_times
from tests.torture.evidence import Evidence, Verdict, percentile
from tests.torture.facts import start_of

TIMES = frozenset({"C20", "C22", "C23"})
"""Judge seconds and shares, not facts: on a machine without processor to spare they say nothing about the product."""


def outcome_of(verdicts: Sequence[Verdict], *, starved: bool = False) -> str:
    """passed; void (the storm was none: C23 only; or the machine was starved and only times are red); or FAILED."""
    red = {each.id for each in verdicts if not each.passed}
    if not red:
        return "passed"
    return "void" if red <= (TIMES if starved else {"C23"}) else "FAILED"


def write_report(evidence: Evidence, verdicts: Sequence[Verdict]) -> str:
    plan = evidence.plan
    lines = [
        f"# Torture: {plan.log}, seed {plan.seed}, {plan.size}: {outcome_of(verdicts, starved=evidence.starved)}",
        "",
        f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, commit {_commit()}, {psutil.cpu_count()} cores:",
        f"`python -m tests.torture --log {plan.log} --seed {plan.seed} --size {plan.size}`",
        "",
        f"{plan.executions} starts, {plan.rate:.1f}/s: {plan.baseline:g} s of calm, {plan.storm:g} s of storm.",
        "",
        "## Checkers",
        "",
        "| checker | verdict | looked at | violations | note |",
        "|---|---|---|---|---|",
    ]
    for each in verdicts:
        said = "passed" if each.passed else "**FAILED**"
        lines.append(f"| {each.id} {each.name} | {said} | {each.looked_at} | {each.count} | {each.note} |")
    lines += [f"- {each.id}: {violation}" for each in verdicts for violation in each.violations]
    return "\n".join([*lines, "", *_figures(evidence)]) + "\n"


def _figures(evidence: Evidence) -> list[str]:
    history = evidence.history
    starts = Counter(each["type"] for each in history if each["op"] == "start")
    cancels = Counter(each["type"] for each in history if each["op"] == "cancel")
    faults = Counter((e["kind"], e["target"]) for e in evidence.faults if e["what"] == "fault")
    restarts = Counter(each["process"] for each in evidence.faults if each["what"] == "start")
    streams = evidence.facts.executions()
    kinds = Counter((start_of(events)[0].partition("-")[0], end_of(events)) for events in streams.values())
    duplicates = Counter((each.value.get("outcome") or {}).get("kind", "accepted") for each in evidence.facts.commits)
    attempts = sum(len(e.data["indexes"]) for s in streams.values() for e in s if e.type == "execution.node_attempted")
    calls = sum(1 for each in evidence.sink if each["what"] == "in")
    lines = [
        "## Figures",
        "",
        f"- starts: {dict(starts)}; cancels: {dict(cancels)}",
        f"- executions in the log: {len(streams)}; by kind and end: "
        + ", ".join(f"{kind} {end} {count}" for (kind, end), count in sorted(kinds.items())),
        f"- faults: {', '.join(f'{kind} {target} {count}' for (kind, target), count in sorted(faults.items()))}",
        f"- started again: {dict(sorted(restarts.items()))}",
        f"- calls at the sink: {calls}; attempted items in the log: {attempts}",
        f"- answers by kind (duplicates were absorbed): {dict(duplicates)}",
        f"- takeovers: {len(evidence.facts.takeovers)}; void records: {len(evidence.facts.void)}",
        f"- dead letters: {len(evidence.facts.dead_letters)}",
        f"- the harness itself was woken late by p50 {percentile(evidence.lags, 0.5) * 1000:.0f}, p95 "
        f"{percentile(evidence.lags, 0.95) * 1000:.0f} ms"
        f"; {evidence.pressure:.0%} of the time some process of the machine waited for a processor"
        + (": the machine was starved by its neighbours" if evidence.starved else ""),
        "",
        "| recovery | n | p50 s | p95 s | max s |",
        "|---|---|---|---|---|",
    ]
    for role, values in sorted(recovery_times(evidence).items()):
        p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
        lines.append(f"| {role} | {len(values)} | {p50:.2f} | {p95:.2f} | {max(values):.2f} |")
    latencies = _latencies(evidence)
    lines += ["", "| start answered | n | p50 ms | p95 ms | max ms |", "|---|---|---|---|---|"]
    for phase, values in latencies.items():
        p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
        lines.append(f"| {phase} | {len(values)} | {p50:.0f} | {p95:.0f} | {max(values, default=0):.0f} |")
    return lines


def _latencies(evidence: Evidence) -> dict[str, list[float]]:
    invoked = {each["n"]: each["at"] for each in evidence.history if each["type"] == "invoke"}
    found: dict[str, list[float]] = {"calm": [], "storm": []}
    for each in evidence.history:
        if each["op"] == "start" and each["type"] == "ok":
            phase = "calm" if invoked[each["n"]] < evidence.storm[0] else "storm"
            found[phase].append(each["at"] - invoked[each["n"]])
    return found


def end_of(events: list) -> str:  # type: ignore[type-arg]
    """How it ended, or "open"."""
    from tests.torture.facts import TERMINAL

    return next((event.type.removeprefix("execution.") for event in events if event.type in TERMINAL), "open")


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
