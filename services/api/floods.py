"""What one process has heard of inboxes that are flooded, so that it can refuse before a command stands on the log.

A refusal here repeats an inbox's own word, and only for as long as that word holds: what is new is never taken for a
duplicate. What an inbox records has bounds of its own (domain/inbox/state.py), which hold over all processes.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple, TypeVar

from domain.inbox.decider import THROTTLED
from domain.inbox.gates import Gates, Throttle

MOST_KEYS: Final = 20_000
"""Dedup keys, of all endpoints, that this process knows; the oldest is forgotten for one more."""
_MOST: Final = 10_000
"""Endpoints, and throttles, of which something is remembered; all is forgotten for one more."""
_HEARD_SECONDS: Final = 60.0
"""So long an inbox's word is repeated: after that it is asked once more."""
_TICK_SECONDS: Final = 1.0
"""An inbox's time comes by ticks."""


Key = TypeVar("Key")
Value = TypeVar("Value")


class Full(NamedTuple):
    """Refused with `code` for so many seconds more, if it is no duplicate."""

    seconds: float
    code: str
    reason: str


class _Known(NamedTuple):
    """A dedup key has a first delivery: for sure until `sure`, probably until `until`. `content`: of the first."""

    sure: float
    until: float
    content: str


class _Said(NamedTuple):
    until: float
    code: str
    reason: str


class Floods:
    """`now`: seconds that never go back."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.now = now
        self._keys: dict[tuple[str, str], _Known] = {}
        self._crowded: dict[str, float] = {}
        self._flooded: dict[str, float] = {}
        self._full: dict[str, _Said] = {}
        self._throttled: dict[tuple[str, Throttle], _Said] = {}

    def is_duplicate(self, endpoint: str, gates: Gates) -> bool:
        """Whether its key has a first delivery for sure."""
        known = self._known(endpoint, gates)
        return known is not None and self.now() < known.sure

    def repeats(self, endpoint: str, gates: Gates, content: str) -> bool:
        """Whether it is probably what the first with its key was, so that it need not be sent along."""
        known = self._known(endpoint, gates)
        return known is not None and self.now() < known.until and known.content == content != ""

    def crowded(self, endpoint: str) -> float:
        """Seconds for which the inbox records no more duplicates; 0: it does."""
        return max(0.0, self._crowded.get(endpoint, 0.0) - self.now())

    def flooded(self, endpoint: str) -> bool:
        """Whether the inbox has said lately that it records no more refusals."""
        return self.now() < self._flooded.get(endpoint, 0.0)

    def full(self, endpoint: str, gates: Gates) -> Full | None:
        """What refuses it. That the inbox is full counts only in a flood: there may be room for this one."""
        said = [self._full.get(endpoint)] if self.flooded(endpoint) else []
        if gates.throttle is not None and gates.throttle.excess == "refuse":
            said.append(self._throttled.get((endpoint, gates.throttle)))  # another version may allow more
        left = [Full(each.until - self.now(), each.code, each.reason) for each in said if each is not None]
        return next((each for each in left if each.seconds > 0), None)

    def heard_first(self, endpoint: str, gates: Gates, content: str, seconds: float, asked_at: float) -> None:
        """It has a first delivery, for so long from the inbox's word on, which came after `asked_at`. `content`: of the
        first, empty if that is not known."""
        if gates.dedup is None:
            return
        now, key = self.now(), (endpoint, gates.dedup.key)
        until = asked_at + seconds
        known = self._keys.pop(key, None)  # so that it stands last
        if not content and known is not None and now < known.until:
            content, until = known.content, max(until, known.until)
        self._keys[key] = _Known(asked_at + min(seconds, _HEARD_SECONDS) - _TICK_SECONDS, until, content)
        if len(self._keys) > MOST_KEYS:
            del self._keys[next(iter(self._keys))]

    def heard_crowded(self, endpoint: str, seconds: float) -> None:
        """It records no more duplicates for so long."""
        _note(self._crowded, endpoint, self.now() + seconds)

    def heard_refused(self, endpoint: str, gates: Gates, said: Full, *, recorded: bool) -> None:
        """The inbox has refused it. `recorded`: and it keeps that."""
        now = self.now()
        told = _Said(now + said.seconds, said.code, said.reason)
        if said.code == THROTTLED and gates.throttle is not None:
            _note(self._throttled, (endpoint, gates.throttle), told)
        else:
            _note(self._full, endpoint, told)
        if not recorded:
            _note(self._flooded, endpoint, now + _HEARD_SECONDS)

    def _known(self, endpoint: str, gates: Gates) -> _Known | None:
        return self._keys.get((endpoint, gates.dedup.key)) if gates.dedup is not None else None


def _note(of: dict[Key, Value], key: Key, value: Value) -> None:
    if len(of) >= _MOST and key not in of:
        of.clear()
    of[key] = value
