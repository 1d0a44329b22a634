"""How large a run is, and of what it is made."""

from dataclasses import dataclass, replace


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

    @property
    def rate(self) -> float:
        """Starts a second."""
        return self.executions / (self.baseline + self.storm)


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
