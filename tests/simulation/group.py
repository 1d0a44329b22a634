"""A consumer group whose members learn late what they own: for a while two may believe in one partition, or nobody."""

import asyncio
import random
from collections import Counter

from tests.simulation.loop import SimLoop


class Group:
    """Gives partitions to members at random. `views`: what each member believes, some time behind the truth."""

    def __init__(self, loop: SimLoop, source: random.Random, partitions: int, counted: Counter[str]) -> None:
        self._loop = loop
        self._random = source
        self._partitions = partitions
        self._counted = counted
        self._members: dict[str, SimMembership] = {}
        self._newest: dict[str, SimMembership] = {}

    def join(self, member: str) -> "SimMembership":
        if before := self._members.get(member):
            before.tell(frozenset(), 0.0)
        membership = self._members[member] = self._newest[member] = SimMembership(self, self._loop, member)
        self._share_out()
        return membership

    def leave(self, membership: "SimMembership") -> None:
        if self._members.get(membership.member) is membership:
            del self._members[membership.member]
            self._share_out()

    def expire(self, member: str) -> None:
        """The member's lease ends; it hears of it some time later, and joins again if it lives."""
        membership = self._members.pop(member, None)
        if membership is None:
            return
        self._counted["lease expired"] += 1
        self._share_out()
        hears = self._random.uniform(0.0, 12.0)
        membership.tell(frozenset(), hears)
        self._loop.call_outside(hears + self._random.uniform(0.1, 2.0), self._back, membership)

    def drop(self, member: str) -> None:
        """A dead member's session ends."""
        if self._members.pop(member, None) is not None:
            self._share_out()

    def shuffle(self) -> None:
        """Partitions move for no reason."""
        self._counted["rebalanced"] += 1
        self._share_out()

    def _back(self, membership: "SimMembership") -> None:
        name = membership.member
        if membership.closed or name in self._members or self._newest[name] is not membership:
            return
        self._members[membership.member] = membership
        self._share_out()

    def _share_out(self) -> None:
        names = sorted(self._members)
        if not names:
            return
        self._random.shuffle(names)
        shares: dict[str, set[int]] = {name: set() for name in names}
        for partition in range(self._partitions):
            shares[names[partition % len(names)]].add(partition)
        for name in sorted(names):
            self._members[name].tell(frozenset(shares[name]), self._random.choice((0.0, 0.01, 0.5, 3.0)))


class SimMembership:
    """A Membership."""

    def __init__(self, group: Group, loop: SimLoop, member: str) -> None:
        self.member = member
        self.closed = False
        self._group = group
        self._loop = loop
        self._current: frozenset[int] = frozenset()
        self._told: frozenset[int] | None = None
        self._news = 0
        self._changed = asyncio.Event()

    async def assigned(self) -> frozenset[int]:
        while self._told == self._current:
            self._changed.clear()
            await self._changed.wait()
        self._told = self._current
        return self._told

    def current(self) -> frozenset[int]:
        return self._current

    async def close(self) -> None:
        self.closed = True
        self._group.leave(self)

    def tell(self, partitions: frozenset[int], delay: float) -> None:
        """The member hears in `delay` seconds; later news never arrives before earlier news."""
        self._news += 1
        self._loop.call_outside(delay, self._hear, self._news, partitions)

    def _hear(self, news: int, partitions: frozenset[int]) -> None:
        if news == self._news:
            self._current = partitions
            self._changed.set()
