"""How many effects a worker performs at once: places that are taken several at a time, first come, first served."""

import asyncio
from collections import deque


class Slots:
    """`total` places. Who waits holds none: two that each had a part of what they need would wait for ever."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def full(self) -> bool:
        """Whether whoever comes next has to wait."""
        return not self._free or bool(self._waiting)

    async def take(self, count: int) -> None:
        """Wait for `count` places (no more than there are) and take them all at once."""
        if not self._waiting and count <= self._free:
            self._free -= count
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had its turn in the same moment
                self._free += count
            self._let_in()
            raise

    def give_back(self, count: int) -> None:
        self._free += count
        self._let_in()

    def _let_in(self) -> None:
        waiting = self._waiting
        while waiting and (waiting[0][1].done() or waiting[0][0] <= self._free):
            count, turn = waiting.popleft()
            if not turn.done():  # else it was cancelled
                self._free -= count
                turn.set_result(None)
