"""How large a run is, and of what it is made."""

from dataclasses import dataclass, replace

CLASSES = ("api", "worker", "projector")
"""Of processes: each is hit by kills and pauses."""

LINKS = ("cut", "reset", "slow", "throttle")
"""Faults of the connections of one process."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`executions` are started over baseline and storm together, at an even rate. Times in seconds."""

    log: str
    seed: int
    size: str
    executions: int
    baseline: float
    storm: float
    heal: float
    drain: float
    workers: int
    fault_every: tuple[float, float]
    longest_pause: float
    longest_wait: float
    hits_per_class: int
    """C23: so often each class of processes must have been hit."""
    kills_only: bool = False
    """The nemesis of a soak: nothing but kills, each class in turn."""
    sync: bool = True
    """Whether the witnesses sync each line. They are never killed: it matters only if the whole machine goes down."""

    processors: float | None = None
    """What the whole cluster gets of them; None: what there is."""

    @property
    def rate(self) -> float:
        """Starts a second."""
        return self.executions / (self.baseline + self.storm)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of faults that must occur; `clock` besides, where there is libfaketime."""
        if self.kills_only:
            return frozenset({"kill"})
        servers = {"database", "stall", *(["broker"] if self.log == "kafka" else [])}
        return frozenset({"kill", "pause", *LINKS, *servers})


def make_plan(log: str, seed: int, size: str, executions: int | None = None, minutes: float | None = None) -> Plan:
    """`size`: ci (three minutes) or full (10,000 executions); the others override it."""
    if size == "full":
        plan = Plan(log, seed, size, 10_000, 60, 480, 60, 180, 3, (2, 8), 45, 60, 10)
    else:
        plan = Plan(log, seed, size, 900, 15, 80, 10, 75, 2, (1.0, 3.0), 12, 12, 2)
    if executions is not None:
        plan = replace(plan, executions=executions)
    if minutes is not None:
        hits = max(2, round(plan.hits_per_class * minutes * 60 / plan.storm))
        plan = replace(plan, storm=minutes * 60, hits_per_class=hits)
    return plan


def soak_plan(log: str, seed: int, minutes: float, rate: float, processors: float | None = None) -> Plan:
    """`rate` starts a second for so long, and a kill a minute."""
    baseline, storm = 60.0, minutes * 60
    return Plan(
        log,
        seed,
        "soak",
        executions=round(rate * (baseline + storm)),
        baseline=baseline,
        storm=storm,
        heal=60,
        drain=180,
        workers=2,
        fault_every=(55, 65),
        longest_pause=0,
        longest_wait=60,
        hits_per_class=max(1, int(minutes / 5)),
        kills_only=True,
        sync=False,
        processors=processors,
    )
