"""How many effects a worker performs at once: places that are taken several at a time, in fair turns.

The workspace that holds the fewest (in proportion to its weight) goes first, within a workspace who came first. No
workspace gets the last tenth of the places while others might want one.
"""

import asyncio
from collections import deque

from services.worker.shares import Weights, equal

RESERVED = 10
"""One place in so many is kept for workspaces that hold less than the rest."""

_Turn = tuple[int, asyncio.Future[None]]


class Slots:
    """`total` places. Who waits holds none: two that each had a part of what they need would wait for ever."""

    def __init__(self, total: int, weights: Weights = equal) -> None:
        self._free = total
        self._most = total - total // RESERVED
        self._weights = weights
        self._held: dict[str, int] = {}
        self._waiting: dict[str, deque[_Turn]] = {}

    def full(self, workspace: str = "") -> bool:
        """Whether what this workspace asks for next has to wait."""
        return not self._free or bool(self._waiting) or not self._allowed(workspace, 1)

    async def take(self, count: int, workspace: str = "") -> None:
        """Wait for `count` places (no more than there are) and take them all at once."""
        if count <= self._free and not self._waiting and self._allowed(workspace, count):
            self._hold(workspace, count)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(workspace, deque()).append((count, turn))
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had its turn in the same moment
                self.give_back(count, workspace)
            else:
                self._let_in()
            raise

    def give_back(self, count: int, workspace: str = "") -> None:
        if count:
            self._free += count
            self._held[workspace] -= count
            if not self._held[workspace]:
                del self._held[workspace]
        self._let_in()

    def _hold(self, workspace: str, count: int) -> None:
        self._free -= count
        self._held[workspace] = self._held.get(workspace, 0) + count

    def _allowed(self, workspace: str, count: int) -> bool:
        """Whoever holds nothing gets what it asks for, whatever its size."""
        held = self._held.get(workspace, 0)
        return not held or held + count <= self._most

    def _let_in(self) -> None:
        while (workspace := self._next()) is not None:
            count, turn = self._waiting[workspace][0]
            if count > self._free:
                return
            self._pop(workspace)
            self._hold(workspace, count)
            turn.set_result(None)

    def _next(self) -> str | None:
        """Whose turn it is, of those that may have what they ask for."""
        for workspace in list(self._waiting):
            while workspace in self._waiting and self._waiting[workspace][0][1].done():  # it was cancelled
                self._pop(workspace)
        allowed = (name for name, waiting in self._waiting.items() if self._allowed(name, waiting[0][0]))
        return min(allowed, key=lambda name: self._held.get(name, 0) / self._weights(name), default=None)

    def _pop(self, workspace: str) -> None:
        self._waiting[workspace].popleft()
        if not self._waiting[workspace]:
            del self._waiting[workspace]
