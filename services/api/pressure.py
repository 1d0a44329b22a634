"""Whether the workers keep up: how many starts of a partition stand in the log undecided, as this process knows it.

Each process compares where its own newest start stands with the newest answer that it has read, so the starts of all
processes count. Above the limit a start is refused with 503 and Retry-After instead of being accepted into a queue
that nobody could wait for.
"""

from collections.abc import Mapping
from typing import Protocol

from infra.log.port import Topic
from infra.telemetry.metrics import REFUSED
from services.api.commands import Position
from services.api.problems import Problem

MOST_UNDECIDED = 2_000
"""Starts of one partition. All partitions together: some 15 seconds of work for one worker."""

RETRY_SECONDS = 2


class Answered(Protocol):
    """Of the Follower: inputs below this offset have their answers, by commit topic and partition."""

    @property
    def answered(self) -> Mapping[tuple[Topic, int], int]: ...


class Pressure:
    """`limit`: undecided starts of one partition above which the next one is refused."""

    def __init__(self, follower: Answered, *, limit: int = MOST_UNDECIDED) -> None:
        self._follower = follower
        self._limit = limit
        self._appended: dict[int, int] = {}

    def undecided(self, partition: int) -> int:
        """At most so many starts wait; 0 where this process has appended or read nothing yet."""
        answered = self._follower.answered.get((Topic.EXECUTIONS, partition))
        appended = self._appended.get(partition)
        return 0 if answered is None or appended is None else max(0, appended + 1 - answered)

    def check(self, partition: int) -> None:
        """Raises Problem 503 `overloaded`: nothing was taken."""
        if self.undecided(partition) > self._limit:
            REFUSED.labels("overloaded").inc()
            raise Problem(
                503,
                "overloaded",
                "More executions are asked for than can be started. Nothing was taken; try again later.",
                headers=((b"retry-after", b"%d" % RETRY_SECONDS),),
            )

    def appended(self, position: Position) -> None:
        """A start of this process stands in the log."""
        if position.offset > self._appended.get(position.partition, -1):
            self._appended[position.partition] = position.offset
