"""C22 of a long run: whether memory, descriptors, threads and connections grow, by the slope of their series.

A class of processes is judged by those that live longest: each kill begins a new process with little of everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.torture.evidence import Evidence, Verdict, verdict

WARM_SECONDS = 600.0
"""Caches fill first: what a process does before is left out (a quarter of a shorter run)."""

LIMITS = {"rss": 0.05, "fds": 0.05, "threads": 0.05, "connections": 0.05}
"""Share of the level by which it may grow in an hour."""

NOISE = {"rss": 2.0, "fds": 3.0, "threads": 1.0, "connections": 3.0}
"""What an hour may add whatever the level: pages of a heap in use, a connection more in a pool."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Of one series: its level (median) and growth an hour."""

    process: str
    what: str
    level: float
    hourly: float
    minutes: float

    @property
    def allowed(self) -> float:
        return self.level * LIMITS[self.what] + NOISE[self.what]

    def __str__(self) -> str:
        return f"{self.process} {self.what} {self.level:.0f} {self.hourly:+.1f}/h"


def hourly_growth(points: Sequence[tuple[float, float]]) -> float:
    """Median of the slopes between all pairs of points (seconds, value), an hour: a few outliers do not matter."""
    thin = points[:: max(1, len(points) // 200)]
    slopes = [
        (b[1] - a[1]) / (b[0] - a[0]) * 3600 for place, a in enumerate(thin) for b in thin[place + 1 :] if b[0] > a[0]
    ]
    return median(slopes) if slopes else 0.0


def slopes_of(evidence: Evidence) -> list[Slope]:
    """Of the longest life of each process, without its first minutes."""
    found: list[Slope] = []
    names = sorted({name for each in evidence.usage for name in each["uses"]})
    warm = min(WARM_SECONDS, evidence.plan.storm / 4)
    for name in names:
        lives: list[list[tuple[float, dict[str, float]]]] = [[]]
        for each in evidence.usage:
            use = each["uses"].get(name)
            if use is None or (lives[-1] and use["age"] < lives[-1][-1][1]["age"]):
                lives.append([])
            if use is not None and use["rss"] > 0:
                lives[-1].append((each["at"] / 1000, use))
        longest = [(at, use) for at, use in max(lives, key=len) if use["age"] >= warm]
        if len(longest) < 10:
            continue
        for what in LIMITS:
            series = [(at, use[what]) for at, use in longest]
            level = median(value for _, value in series)
            minutes = (series[-1][0] - series[0][0]) / 60
            found.append(Slope(name, what, level, hourly_growth(series), minutes))
    return found


def grows_nowhere(evidence: Evidence) -> Verdict:
    """Every series of every process that lived long enough, and the connections of the database."""
    slopes = slopes_of(evidence)
    wrong = [f"{each}, allowed {each.allowed:.1f}/h" for each in slopes if each.hourly > each.allowed]
    backends = [(each["at"] / 1000, float(each["backends"])) for each in evidence.samples]
    growth = hourly_growth(backends[len(backends) // 4 :])
    if growth > 3:
        wrong.append(f"database connections {growth:+.1f}/h")
    note = ", ".join(str(each) for each in slopes if each.what == "rss")
    return verdict("C22 no_leaks", len(slopes), wrong, f"{note}; database connections {growth:+.1f}/h")
