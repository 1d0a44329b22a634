"""Everything that a run left behind, as the checkers get it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.torture.driver import STARTING
from tests.torture.facts import Facts
from tests.torture.listener import Heard
from tests.torture.plan import Plan

Row = dict[str, Any]

STARVED_SECONDS = 0.25
"""p95 of the harness's own lag; a few milliseconds on a machine that it has for itself."""

STARVED_SHARE = 0.9
"""Of the storm, in which some process waited for a processor: then there is never one to spare."""


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(slots=True)
class Evidence:
    """`history`, `sink`, `faults`, `polls`, `samples`: the journals. `executions`, `runs`: rows of the read model.

    `heard`: canary → what a client of its workspace's feed got. `usage`: resources in the course of the run.
    `lists`: canary → ids that the list of its workspace shows. `dumps`: the read model's digest, live and after each
    rebuild. `haystacks`: name → bytes in which no key may stand. `resources`: (after P0, at the end).
    """

    plan: Plan
    facts: Facts
    history: list[Row]
    sink: list[Row]
    faults: list[Row]
    polls: list[Row] = field(default_factory=list)
    samples: list[Row] = field(default_factory=list)
    executions: list[Row] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    heard: dict[str, Heard] = field(default_factory=dict)
    usage: list[Row] = field(default_factory=list)
    letters: list[Row] = field(default_factory=list)
    """What an operator did about dead letters, and what was answered."""
    lists: dict[str, list[str]] = field(default_factory=dict)
    dumps: list[dict[str, str]] = field(default_factory=list)
    sink_during_rebuild: int = 0
    keys: dict[str, str] = field(default_factory=dict)
    haystacks: dict[str, bytes] = field(default_factory=dict)
    resources: tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]] = ({}, {})
    lags: list[float] = field(default_factory=list)
    """Seconds by which the harness itself was woken late."""

    pressure: float = 0.0
    """Share of the storm in which some process waited for a processor."""

    verified: str = ""
    """What `linkflow verify` found, the product's own second fold."""
    drained: float | None = None
    """Seconds until everything was terminal and projected; None: it never was."""
    storm: tuple[float, float] = (0.0, 0.0)
    """Begin and end of P1, ms."""

    @property
    def starved(self) -> bool:
        """The machine had too little processor for the run and its neighbours: times say nothing about the product."""
        return percentile(self.lags, 0.95) > STARVED_SECONDS or self.pressure > STARVED_SHARE

    def starts(self) -> dict[str, list[Row]]:
        """Key → the outcomes (ok, fail, info) of its starts, twisted ones left out."""
        found: dict[str, list[Row]] = defaultdict(list)
        for each in self.history:
            if each["op"] == "start" and each["type"] != "invoke" and not each["twist"]:
                found[each["key"]].append(each)
        return found

    def invoked(self) -> dict[str, list[Row]]:
        """Key → its invocations, twisted ones too."""
        found: dict[str, list[Row]] = defaultdict(list)
        for each in self.history:
            if each["op"] == "start" and each["type"] == "invoke":
                found[each["key"]].append(each)
        return found

    def accepted(self) -> dict[str, str]:
        """Execution id → key, of everything that was answered with 2xx and an execution."""
        return {
            each["execution"]: each["key"] for each in self.history if each["op"] in STARTING and each["type"] == "ok"
        }

    def requests(self) -> dict[tuple[str, str, str], list[Row]]:
        """(key, node, item) → requests at the sink in their order, with `status` of what was answered."""
        answered = {each["id"]: each["status"] for each in self.sink if each["what"] == "out"}
        found: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for each in self.sink:
            if each["what"] == "in":
                found[each["key"], each["node"], each["item"]].append({**each, "status": answered.get(each["id"])})
        return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """`violations`: at most a few, in words; `count`: of all."""

    id: str
    name: str
    looked_at: int
    count: int
    violations: list[str]
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.count == 0


def verdict(name: str, looked_at: int, violations: list[str], note: str = "") -> Verdict:
    """`name`: "C01 acked_is_durable". A checker that had nothing to look at has not passed."""
    number, _, rest = name.partition(" ")
    found = violations if looked_at else [*violations, "there was nothing to look at"]
    return Verdict(number, rest, looked_at, len(found), found[:5], note)
