"""The outbox: what a commit wants sent is sent until the log has it, in time."""

import asyncio
from collections.abc import Collection
from typing import Any

import msgspec

from infra.log.port import LogUnavailable, NewRecord, Topic
from schemas.envelope import SentCommand, decode_command
from services.worker.lanes import AggregateLane
from services.worker.memory import PartitionMemory
from services.worker.outbox import CLOCK_SECONDS, LATE_MS, Outbox
from services.worker.remembered import STALE_AFTER_MS
from tests.support.workers import until


class SlowLog:
    """A log whose appends take the given times (ms); it is its own clock and writer."""

    partitions = 2
    known = True

    def __init__(self, *times: int) -> None:
        self.log = self.log_clock = self
        self.time = 0
        self.made: list[int] = []
        self.asked: list[str] = []
        self.known_executions: set[str] = set()
        self._times = list(times)

    def now(self) -> int:
        return self.time

    async def writer(self) -> Any:
        return self

    async def writer_failed(self, writer: Any) -> None:
        raise AssertionError("nothing fails here")

    async def started(self, executions: Collection[str]) -> Collection[str]:
        self.asked += executions
        return self.known_executions & set(executions)

    async def append(self, topic: Topic, partition: int, records: list[NewRecord]) -> int:
        self.made += [decode_command(record.value).made for record in records]
        self.time += self._times.pop(0)
        return 0


async def sent(log: SlowLog) -> list[int]:
    outbox = Outbox()
    outbox.add(SentCommand("c1", "execution.cancel", "execution-1", msgspec.Raw(b"{}")), "w", "", None)
    outbox.start(log, {})  # type: ignore[arg-type]
    await until(lambda: not outbox.pending(), 5, "it is never sent")
    return log.made


async def test_what_landed_so_late_that_it_may_have_been_refused_is_sent_again() -> None:
    assert STALE_AFTER_MS > LATE_MS
    assert await sent(SlowLog(LATE_MS + 1, STALE_AFTER_MS * 2, 5)) == [0, LATE_MS + 1, LATE_MS + 1 + STALE_AFTER_MS * 2]


async def test_what_landed_in_time_is_sent_once() -> None:
    assert await sent(SlowLog(LATE_MS)) == [0]


async def test_nothing_is_dated_before_the_time_of_the_log_is_known() -> None:
    log = SlowLog(5)
    log.known = False
    outbox = Outbox()
    outbox.add(SentCommand("c1", "execution.start", "execution-1", msgspec.Raw(b"{}")), "w", "", None)
    log.time = -7_200_000  # a host whose clock is two hours off
    outbox.start(log, {})  # type: ignore[arg-type]
    await asyncio.sleep(3 * CLOCK_SECONDS)
    assert log.made == []
    log.time, log.known = 1_000, True
    await until(lambda: not outbox.pending(), 5, "it is never sent")
    assert log.made == [1_000]


async def test_a_checkpoint_that_names_what_was_sent_meanwhile_is_out_of_date() -> None:
    """Nothing was decided since: the next owner, hours later, would send it again to those who have forgotten it."""
    memory = PartitionMemory(AggregateLane())
    memory.outbox.add(SentCommand("c1", "execution.start", "execution-1", msgspec.Raw(b"{}")), "w", "", None)
    change, _ = memory.collect_changes()
    memory.outbox.start(SlowLog(5), {})  # type: ignore[arg-type]
    await until(lambda: not memory.outbox.pending(), 5, "it is never sent")
    memory.saved(change)
    assert change.unsent
    assert memory.has_changed()
    change, _ = memory.collect_changes()
    memory.saved(change)
    assert (change.unsent, memory.has_changed()) == (b"", False)


async def test_what_a_recovery_found_is_not_started_again_if_the_read_model_has_it() -> None:
    """Its receiver has forgotten it by now, if it has ended: it would be done twice."""
    before = Outbox()
    for number in (1, 2):
        before.add(
            SentCommand(f"c{number}", "execution.start", f"execution-{number}", msgspec.Raw(b"{}")), "w", "", None
        )
    log = SlowLog(5)
    log.known_executions = {"1"}
    after = Outbox(before.pending())
    after.start(log, {})  # type: ignore[arg-type]
    await until(lambda: not after.pending(), 5, "it is never sent")
    assert sorted(log.asked) == ["1", "2"]
    assert log.made == [0]


async def test_what_was_decided_just_now_is_sent_without_a_look() -> None:
    log = SlowLog(5)
    outbox = Outbox()
    outbox.start(log, {})  # type: ignore[arg-type]
    outbox.add(SentCommand("c1", "execution.start", "execution-1", msgspec.Raw(b"{}")), "w", "", None)
    outbox.send()
    await until(lambda: not outbox.pending(), 5, "it is never sent")
    assert (log.asked, log.made) == ([], [0])


async def test_a_start_whose_append_came_late_is_looked_for_before_it_is_sent_again() -> None:
    """As when the process was stopped in mid-append: meanwhile it may have been done, and forgotten."""
    log = SlowLog(LATE_MS + 1)
    log.known_executions = {"1"}
    outbox = Outbox()
    outbox.start(log, {})  # type: ignore[arg-type]
    outbox.add(SentCommand("c1", "execution.start", "execution-1", msgspec.Raw(b"{}")), "w", "", None)
    outbox.send()
    await until(lambda: not outbox.pending(), 5, "it is never settled")
    assert (log.asked, log.made, outbox.sent) == (["1"], [0], 1)


class AwayLog(SlowLog):
    """A log that opens no writer at first."""

    def __init__(self) -> None:
        super().__init__(5)
        self.refusals = 2

    async def writer(self) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise LogUnavailable("the log is down")
        return self


async def test_a_log_that_is_away_is_waited_for() -> None:
    """Nothing else may come that would have it tried again (simulation, seed 829)."""
    assert await sent(AwayLog()) == [0]
