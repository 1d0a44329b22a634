"""What a job of housekeeping is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from domain.schedule.timing import ByCron, ByInterval, Timing
from infra.log.port import Log
from infra.postgres.pool import Pool

Figures: TypeAlias = dict[str, Any]
"""What a run has to say: counts and short lists, as JSON."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a run works with. `now`: the log's time in ms since 1970. `figures` fills up while it goes on, so that a run
    that is cut off says how far it came."""

    pool: Pool
    log: Log
    now: int
    log_schema: str = ""
    """Schema of the log's tables where it is in PostgreSQL."""
    retention_days: int = 30
    payload_retention_days: int = 0
    figures: Figures = field(default_factory=dict)

    def count(self, name: str, number: int) -> None:
        self.figures[name] = self.figures.get(name, 0) + number


@dataclass(frozen=True, slots=True)
class Job:
    """`seconds`: a run that takes longer is cut off. Running twice must do no harm."""

    name: str
    meaning: str
    timing: Timing
    seconds: int
    run: Callable[[Work], Awaitable[None]]
    waits: bool = False
    """Its first run is not made up for: it comes when it is due."""


def timing_text(timing: Timing) -> str:
    match timing:
        case ByInterval(seconds=seconds):
            return f"every {seconds} s"
        case ByCron(expression=expression, timezone=zone):
            return f"{expression} ({zone})"
        case _:
            return "once"
