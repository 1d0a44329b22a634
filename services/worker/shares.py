"""Who has had how much of this worker: fair shares of workspaces, in proportion to their weights.

Each workspace has a *turn*: what was spent on it divided by its weight, in seconds. Whoever has the lowest turn goes
first. A workspace that was idle begins at the lowest turn of those that are busy: time that nobody wanted is no credit.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Final

ONE_GOES: Final = 0.02
"""Seconds (of weight 1) that a workspace may be ahead of the others before what it starts waits in line."""
BUSY_SECONDS: Final = 2.0
"""A workspace counts as busy so long after something was spent on it."""
BEGINNING: Final = 0.0002
"""Seconds that a start costs at least: those that are taken from the line together take turns, too."""
_SWEEP: Final = 1_000

Weights = Callable[[str], float]
"""The weight of a workspace, above 0; 1 where nothing else was said."""


def equal(_workspace: str) -> float:
    return 1.0


class Shares:
    """The turns of all workspaces of one worker. `now`: seconds of a clock that never goes back."""

    def __init__(self, weights: Weights = equal) -> None:
        self.weights = weights
        self._turns: dict[str, float] = {}
        self._busy_until: dict[str, float] = {}
        self._floor = 0.0

    def turn(self, workspace: str) -> float:
        return max(self._turns.get(workspace, 0.0), self._floor)

    def spend(self, workspace: str, seconds: float, now: float) -> None:
        """Something was done for a workspace."""
        self._turns[workspace] = self.turn(workspace) + seconds / self.weights(workspace)
        self._busy_until[workspace] = now + BUSY_SECONDS
        if len(self._busy_until) > _SWEEP:
            self._sweep(now)

    def ahead(self, workspace: str) -> bool:
        """Whether a workspace has had so much more than a busy one that what it starts should wait in line."""
        return self.turn(workspace) > self._floor + ONE_GOES / self.weights(workspace)

    def settle(self, now: float) -> None:
        """Nobody begins below the lowest turn of those that are busy."""
        lowest = min((self.turn(name) for name, until in self._busy_until.items() if until > now), default=None)
        if lowest is not None:
            self._floor = max(self._floor, lowest)

    def _sweep(self, now: float) -> None:
        """Forget who is idle; they come back at the floor."""
        self.settle(now)
        self._busy_until = {name: until for name, until in self._busy_until.items() if until > now}
        self._turns = {name: self._turns[name] for name in self._busy_until}


class Line:
    """Keys that wait, by workspace and priority: the workspace with the lowest turn first, then the more urgent, then
    who came first. Every EIGHTH of a workspace is its least urgent, so that nothing waits for ever."""

    EIGHTH: Final = 8
    URGENCY: Final = ("high", "normal", "low")

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._waiting: dict[str, dict[str, dict[str, None]]] = {}
        self._where: dict[str, tuple[str, str]] = {}
        self._taken: dict[str, int] = {}
        self._heap: list[tuple[float, str]] = []
        self._in_heap: set[str] = set()

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, key: str) -> bool:
        return key in self._where

    def workspaces(self) -> Iterable[str]:
        return self._waiting.keys()

    def waiting(self) -> dict[str, int]:
        """How many wait, by workspace."""
        return {name: sum(map(len, queues.values())) for name, queues in self._waiting.items()}

    def add(self, key: str, workspace: str, priority: str) -> None:
        """Go to the end of the line; who stands in it keeps the place."""
        if key in self._where:
            return
        queues = self._waiting.get(workspace)
        if queues is None:
            queues = self._waiting[workspace] = {}
            self._push(workspace)
        urgency = priority if priority in self.URGENCY else "normal"
        queues.setdefault(urgency, {})[key] = None
        self._where[key] = (workspace, urgency)

    def discard(self, key: str) -> None:
        where = self._where.pop(key, None)
        if where is not None:
            self._leave(key, *where)

    def take(self, now: float, may: Callable[[str], bool]) -> str | None:
        """Whose turn it is, of the workspaces that `may` begin something; who is taken has left the line."""
        passed: list[str] = []
        taken: str | None = None
        while taken is None and self._heap:
            stood_at, workspace = heapq.heappop(self._heap)
            self._in_heap.discard(workspace)
            queues = self._waiting.get(workspace)
            if queues is None:
                continue
            if self._shares.turn(workspace) > stood_at:
                self._push(workspace)  # it has had more since it was put there
            elif not may(workspace):
                passed.append(workspace)
            else:
                taken = self._first(workspace, queues)
                self.discard(taken)
                self._shares.spend(workspace, BEGINNING, now)
                passed.append(workspace)
        for workspace in passed:
            self._push(workspace)
        return taken

    def _push(self, workspace: str) -> None:
        if workspace in self._waiting and workspace not in self._in_heap:
            self._in_heap.add(workspace)
            heapq.heappush(self._heap, (self._shares.turn(workspace), workspace))

    def _first(self, workspace: str, queues: dict[str, dict[str, None]]) -> str:
        taken = self._taken[workspace] = self._taken.get(workspace, 0) + 1
        order = self.URGENCY if taken % self.EIGHTH else self.URGENCY[::-1]
        return next(iter(next(queues[urgency] for urgency in order if urgency in queues)))

    def _leave(self, key: str, workspace: str, urgency: str) -> None:
        queues = self._waiting[workspace]
        del queues[urgency][key]
        if not queues[urgency]:
            del queues[urgency]
        if not queues:
            del self._waiting[workspace]
            self._taken.pop(workspace, None)
