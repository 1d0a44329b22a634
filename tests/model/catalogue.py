"""Every model at its sizes, and every trace with the rules that must be off for it to happen."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.model.caller import Callers
from tests.model.checker import PROGRESS
from tests.model.checkpoint import Checkpoints
from tests.model.effects import Effects
from tests.model.family import Family
from tests.model.fencing import Fencing
from tests.model.poison import Poison
from tests.model.projector import Projectors
from tests.model.remembered import Remembered
from tests.model.truncation import Truncations

Make = Callable[..., Any]


@dataclass(frozen=True)
class Size:
    """`states`: how many there are with all rules on. Another number means that the model was changed."""

    make: Make
    states: int
    bounds: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.make.__name__.lower()}({', '.join(f'{name}={value}' for name, value in self.bounds.items())})"


@dataclass(frozen=True)
class Trace:
    """With the rules `off` the checker must find `broken`; `within`: bounds other than those of the normal size."""

    number: int
    make: Make
    off: tuple[str, ...]
    broken: str
    within: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        off = "+".join(self.off) or "all rules on"
        return f"{self.number:02}-{self.make.__name__.lower()}-{off}-{self.broken}".replace(" ", "_")

    def model(self, off: Iterable[str] | None = None) -> Any:
        return self.make(self.off if off is None else off, **self.within)


SIZES = (
    Size(Fencing, 264_838, {"inputs": 2, "window": 2, "faults": 2}),
    Size(Checkpoints, 26_250, {"inputs": 3, "takeovers": 3}),
    Size(Projectors, 9_379, {"records": 5, "batch": 2, "crashes": 1}),
    Size(Family, 1_812, {"faults": 3}),
    Size(Callers, 9_682, {"takeovers": 3}),
    Size(Remembered, 24_094, {"callers": 2, "until": 7}),
    Size(Effects, 1_340, {"until": 8}),
    Size(Truncations, 2_856, {"made": 2, "cuts": 1, "takeovers": 3}),
    Size(Poison, 154, {"inputs": 3, "crashes": 2, "limit": 3}),
)
"""What CI looks at, every state of it."""

LARGE = (
    Size(Fencing, 1_438_827, {"inputs": 3, "window": 2, "faults": 2}),
    Size(Fencing, 1_034_150, {"inputs": 1, "window": 1, "faults": 4}),
    Size(Fencing, 356_216, {"inputs": 2, "window": 1, "faults": 3}),
    Size(Checkpoints, 554_622, {"inputs": 4, "takeovers": 4}),
    Size(Projectors, 398_095, {"records": 7, "batch": 3, "crashes": 2}),
    Size(Family, 33_919, {"faults": 6}),
    Size(Callers, 502_195, {"takeovers": 4}),
    Size(Remembered, 2_873_904, {"callers": 3, "until": 9}),
    Size(Effects, 3_272, {"until": 12}),
    Size(Truncations, 284_840, {"made": 3, "cuts": 2, "takeovers": 4}),
    Size(Poison, 886, {"inputs": 5, "crashes": 4, "limit": 5}),
)
"""By hand: `python -m tests.model --large`."""

_FENCING = {"inputs": 2, "window": 2, "faults": 2}
_ONE_FAULT = {"inputs": 2, "window": 2, "faults": 1}

TRACES = (
    Trace(1, Fencing, ("3 readers check the ordinal",), "nothing skipped", _ONE_FAULT),
    Trace(2, Fencing, ("3 readers check the ordinal",), "answered once", _ONE_FAULT),
    Trace(3, Fencing, ("4 only the expected offset is believed",), PROGRESS, _ONE_FAULT),
    Trace(4, Fencing, ("4 only the expected offset is believed",), "effect once", _ONE_FAULT),
    Trace(4, Fencing, ("4 only the expected offset is believed",), "effect accepted", _ONE_FAULT),
    Trace(4, Fencing, ("3 readers check the epoch",), "answered once", _ONE_FAULT),
    Trace(4, Fencing, ("9 effects start after acceptance",), "effect accepted", _ONE_FAULT),
    Trace(5, Fencing, ("5 to announce anew is to fold anew",), "believed is accepted", _FENCING),
    Trace(5, Fencing, ("5 to announce anew is to fold anew",), "answered once", _FENCING),
    Trace(6, Family, ("7 one decision is one record",), PROGRESS),
    Trace(7, Checkpoints, ("11 higher stored epochs and offsets refuse",), "believed is accepted"),
    Trace(7, Checkpoints, ("11 one snapshot when read",), "believed is accepted"),
    Trace(7, Checkpoints, ("11 one transaction when written",), "believed is accepted"),
    Trace(7, Checkpoints, ("11 only accepted state",), "believed is accepted"),
    Trace(7, Checkpoints, ("11 a takeover claims before it reads",), "nothing cut away"),
    Trace(8, Projectors, ("12 compare-and-set on the position",), "applied once"),
    Trace(8, Projectors, ("12 position and rows in one transaction",), "applied once"),
    Trace(8, Projectors, ("3 a reader starts with the epoch",), "only accepted"),
    Trace(9, Checkpoints, ("12 retention stays behind the checkpoint",), PROGRESS),
    Trace(
        9,
        Checkpoints,
        ("12 retention stays behind the checkpoint", "1 a cut log stops the reader"),
        "answered once",
    ),
    Trace(10, Family, ("13 commands are sent again after a takeover",), PROGRESS),
    Trace(10, Family, ("13 refusals are answered",), PROGRESS),
    Trace(10, Family, ("13 receivers know ids, not attempts",), PROGRESS),
    Trace(10, Family, ("13 receivers know ids, not attempts",), "child once"),
    Trace(10, Family, ("14 refused ids are remembered",), "one answer"),
    Trace(11, Callers, ("14 a caller registers before it appends",), PROGRESS),
    Trace(11, Callers, ("6 duplicates are answered",), PROGRESS),
    Trace(11, Callers, ("3 the API starts with an epoch",), "only accepted answers"),
    Trace(11, Callers, ("14 the answer repeats the caller's nonce",), "only accepted answers"),
    Trace(11, Remembered, ("14 ids are remembered until the read model has them",), "executed once"),
    Trace(11, Remembered, ("14 ids are kept while an input may still come",), "executed once"),
    Trace(11, Remembered, ("14 ids are kept until what stood in the log is answered",), "executed once"),
    Trace(11, Remembered, ("14 late inputs are refused",), "executed once"),
    Trace(11, Remembered, ("14 time in the log does not count",), "nothing refused for waiting"),
    Trace(12, Fencing, ("6 every input is answered, the group's offset is a hint",), PROGRESS, _ONE_FAULT),
    Trace(13, Effects, (), "nothing begins after unknown", {"pauses": 1}),
    Trace(13, Effects, ("9 an effect begins before its deadline",), "unknown is over"),
    Trace(13, Effects, ("9 an owner that hears no ticks begins nothing",), "unknown is over"),
    Trace(13, Effects, ("9 by a clock that counts suspend",), "unknown is over"),
    Trace(13, Effects, ("10 unsafe attempts are not made again",), "effect once"),
    Trace(13, Effects, ("10 unknown is said after deadline, time-out and grace",), "unknown is over"),
    Trace(13, Effects, ("10 a late result is recorded",), "no result is lost"),
    Trace(13, Fencing, ("10 unsafe effects are not repeated",), "effect once", _ONE_FAULT),
    Trace(14, Poison, ("8 size is checked before the append",), "recorded as failed"),
    Trace(14, Poison, ("8 an exception becomes a failure",), "recorded as failed"),
    Trace(14, Poison, ("8 what takes process after process down is put aside",), PROGRESS),
    Trace(15, Truncations, ("2 an epoch has a nonce",), "one writer an epoch"),
    Trace(15, Truncations, ("1 a truncated log stops the partition",), "nothing overlooked"),
    Trace(15, Truncations, (), "nothing overlooked", {"regrows": 1}),
    Trace(15, Checkpoints, ("1 a cut log stops the reader",), "believed is accepted"),
    Trace(16, Fencing, ("4 the assignment is confirmed",), "takeovers end", {"inputs": 1, "window": 1, "faults": 1}),
    Trace(17, Family, ("7 one topic for all commands of a stream",), "cancel arrives"),
    Trace(19, Fencing, ("4 success without an offset is not believed",), "effect accepted", _FENCING),
)

ELSEWHERE = {18: "the scheduler's clock: tests/services/scheduler/test_clock.py"}
"""Traces that need more than a protocol: a real clock."""
