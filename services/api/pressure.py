"""Whether the workers keep up; if not, starts are refused instead of being accepted into a queue without end.

Two queues are watched. *Undecided*: starts of a partition that stand in the log; each process compares where its own
newest start stands with the newest answer that it has read, so the starts of all processes count. *In line*: executions
that are recorded as queued and have not begun, as the workers say in their heartbeats.

503 `overloaded`: the installation has too much to do. 429 `workspace_overloaded`: this workspace asks for more than its
share while others have something to do as well. Both with Retry-After; nothing was taken.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Protocol

from infra.log.port import Topic
from infra.postgres.heartbeats import ALIVE_SECONDS, Heartbeat
from infra.postgres.waiting import waited_out
from infra.telemetry.logs import get_logger
from infra.telemetry.metrics import REFUSED
from services.api.commands import Position
from services.api.problems import Problem

MOST_UNDECIDED = 2_000
"""Starts of one partition. All partitions together: some 15 seconds of work for one worker."""

SHARE = 8
"""One workspace may have an eighth of the undecided starts of a partition while others start something, too."""

OTHERS_SECONDS = 10.0
"""A workspace counts as one of the others for so long after its last start."""

MOST_QUEUED = 20_000
MOST_OPEN = 200_000
QUEUED_SHARE = 4
RETRY_SECONDS = 2
LOOK_SECONDS = 1.0

_log = get_logger("api.pressure")


class Answered(Protocol):
    """Of the Follower: inputs below this offset have their answers, by commit topic and partition."""

    @property
    def answered(self) -> Mapping[tuple[Topic, int], int]: ...


class Backlog:
    """What stands in line, as the workers said last. `run` looks once a second until it is cancelled."""

    def __init__(self, heartbeats: Callable[[], Awaitable[Sequence[Heartbeat]]]) -> None:
        self._heartbeats = heartbeats
        self.queued = 0
        self.most_open = 0
        self.by_workspace: Counter[str] = Counter()
        self.heartbeats: Sequence[Heartbeat] = ()

    async def run(self) -> None:
        while True:
            with waited_out(_log, "what the workers say cannot be read", quiet=True):
                self.saw(await self._heartbeats())
            await asyncio.sleep(LOOK_SECONDS)

    def saw(self, heartbeats: Sequence[Heartbeat]) -> None:
        """Take in what the workers say that have been heard of lately."""
        self.heartbeats = heartbeats
        workers = [each.facts for each in heartbeats if each.role == "worker" and each.age < ALIVE_SECONDS]
        self.queued = sum(int(facts.get("queued", 0)) for facts in workers)
        self.most_open = max((int(facts.get("open", 0)) for facts in workers), default=0)
        self.by_workspace = Counter()
        for facts in workers:
            self.by_workspace.update(facts.get("queued_by_workspace", {}))


class Pressure:
    """`limit`: undecided starts of one partition above which the next one is refused."""

    def __init__(
        self,
        follower: Answered,
        backlog: Backlog,
        *,
        limit: int = MOST_UNDECIDED,
        max_queued: int = MOST_QUEUED,
        max_open: int = MOST_OPEN,
    ) -> None:
        self._follower = follower
        self._backlog = backlog
        self._limit = limit
        self._max_queued = max_queued
        self._max_open = max_open
        self._first: dict[int, int] = {}
        self._appended: dict[int, int] = {}
        self._own: dict[int, deque[tuple[int, str]]] = {}
        self._of: dict[tuple[int, str], int] = {}
        self._started: dict[str, float] = {}

    def undecided(self, partition: int) -> int:
        """At most so many starts wait; 0 where this process has appended nothing yet. While it has read no answer, its
        own first start counts as the first that waits."""
        appended = self._appended.get(partition)
        if appended is None:
            return 0
        answered = self._follower.answered.get((Topic.EXECUTIONS, partition), self._first[partition])
        return max(0, appended + 1 - answered)

    def check(self, partition: int, workspace: str) -> None:
        """Raises Problem 503 `overloaded` or 429 `workspace_overloaded`: nothing was taken."""
        backlog = self._backlog
        undecided = self.undecided(partition)
        if undecided > self._limit or backlog.queued > self._max_queued or backlog.most_open > self._max_open:
            raise _refused(503, "overloaded", "More executions are asked for than can be started.")
        if backlog.by_workspace[workspace] > self._max_queued // QUEUED_SHARE:
            raise _refused(429, "workspace_overloaded", "Too many executions of this workspace wait to begin.")
        if undecided > self._limit // SHARE and self._above_share(partition, workspace):
            raise _refused(
                429, "workspace_overloaded", "This workspace starts more than its share while others are busy."
            )

    def appended(self, position: Position, workspace: str) -> None:
        """A start of this process stands in the log."""
        partition = position.partition
        self._first.setdefault(partition, position.offset)
        if position.offset > self._appended.get(partition, -1):
            self._appended[partition] = position.offset
        self._own.setdefault(partition, deque()).append((position.offset, workspace))
        self._of[partition, workspace] = self._of.get((partition, workspace), 0) + 1
        self._started[workspace] = monotonic()
        self._settle(partition)

    def _above_share(self, partition: int, workspace: str) -> bool:
        self._settle(partition)
        if self._of.get((partition, workspace), 0) <= self._limit // SHARE:
            return False
        lately = monotonic() - OTHERS_SECONDS
        self._started = {name: at for name, at in self._started.items() if at > lately}
        return len(self._started.keys() - {workspace}) > 0

    def _settle(self, partition: int) -> None:
        """Forget what has its answer."""
        own = self._own.get(partition)
        answered = self._follower.answered.get((Topic.EXECUTIONS, partition), 0)
        while own and own[0][0] < answered:
            key = (partition, own.popleft()[1])
            self._of[key] -= 1
            if not self._of[key]:
                del self._of[key]


_refusals = {code: REFUSED.labels(code) for code in ("overloaded", "workspace_overloaded")}


def _refused(status: int, code: str, why: str) -> Problem:
    _refusals[code].inc()
    return Problem(
        status,
        code,
        f"{why} Nothing was taken; try again later.",
        headers=((b"retry-after", b"%d" % RETRY_SECONDS),),
    )
