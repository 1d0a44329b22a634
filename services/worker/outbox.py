"""Commands that commits want sent to other streams (log protocol, rule 13).

They stand in accepted commits, are sent after acceptance, and are kept (in the checkpoint too) until the log has
acknowledged them. Sending twice is harmless: receivers know the ids. Those of executions that have ended are forgotten
once the read model has them: a start that may have been sent is looked for there before it is sent again (rule 14).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from typing import Any, Protocol

import msgspec

from infra.failpoints import failpoint
from infra.log.clock import LogClock
from infra.log.port import MAX_APPEND_BYTES, Log, LogError, NewRecord, Topic, Writer
from infra.postgres.waiting import waited_out
from infra.telemetry.logs import get_logger
from schemas.envelope import KIND_COMMAND, CommandRecord, SentCommand, encode, partition_of
from services.worker.remembered import STALE_AFTER_MS

SEND_AT_ONCE = 200
SEND_BYTES = MAX_APPEND_BYTES // 2
LATE_MS = STALE_AFTER_MS // 2
"""An append that took longer may be refused as stale where it is decided: the commands in it are sent once more."""
CLOCK_SECONDS = 0.05
START = "execution.start"
EXECUTION = "execution-"

_log = get_logger("worker.outbox")


class _Pending(msgspec.Struct, array_like=True):
    id: str
    type: str
    tv: int
    stream: str
    data: msgspec.Raw
    workspace: str
    correlation: str = ""
    trace: bytes | None = None
    blobs: dict[str, str] = {}


_decode_pending = msgspec.json.Decoder(list[_Pending]).decode


class Sending(Protocol):
    log: Log
    log_clock: LogClock

    async def writer(self) -> Writer: ...

    async def writer_failed(self, writer: Writer) -> None: ...

    async def started(self, executions: Collection[str]) -> Collection[str]:
        """Those of them that the read model has."""
        ...


class Outbox:
    """What one owner still has to send, in order."""

    def __init__(self, stored: bytes = b"") -> None:
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        for each in _decode_pending(stored) if stored else ():
            self._pending[each.id] = each
        self._uncertain: set[str] = set()
        self._around: Sending | None = None
        self._labels: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self.sent = 0
        """How many have been sent: a checkpoint that names them still is out of date."""

    def start(self, around: Sending, labels: dict[str, Any]) -> None:
        """Begin to send what a recovery found."""
        self._around = around
        self._labels = labels
        self._uncertain = {each.id for each in self._pending.values() if each.type == START}
        self.send()

    def add(self, command: SentCommand, workspace: str, correlation: str, trace: bytes | None) -> None:
        """A command that stands in an accepted commit."""
        self._pending[command.id] = _Pending(
            command.id,
            command.type,
            command.tv,
            command.stream,
            command.data,
            workspace,
            correlation,
            trace,
            command.blobs,
        )

    def pending(self) -> bytes:
        """For the checkpoint."""
        return msgspec.json.encode(list(self._pending.values())) if self._pending else b""

    def send(self) -> None:
        """Send what is pending, by a task of its own; call after acceptance."""
        if self._pending and self._around is not None and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._send_all(self._around))

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _next(self) -> list[_Pending]:
        """The oldest commands, as many as one append takes."""
        batch: list[_Pending] = []
        size = 0
        for each in self._pending.values():
            size += len(bytes(each.data))
            if batch and (size > SEND_BYTES or len(batch) == SEND_AT_ONCE):
                break
            batch.append(each)
        return batch

    async def _send_all(self, around: Sending) -> None:
        while self._pending:
            while not around.log_clock.known:  # what is dated by a wrong clock would be refused as stale, and be lost
                await asyncio.sleep(CLOCK_SECONDS)
            with waited_out(_log, "what was started before cannot be looked up, again soon", **self._labels) as looking:
                await self._drop_started(around)
            if looking.failed:
                await asyncio.sleep(0.5)
                continue
            by_place: dict[tuple[Topic, int], list[_Pending]] = {}
            for each in self._next():
                topic = Topic.EXECUTION_COMMANDS if each.stream.startswith("execution-") else Topic.COMMANDS
                by_place.setdefault((topic, partition_of(each.stream, around.log.partitions)), []).append(each)
            writer: Writer | None = None
            try:
                writer = await around.writer()
                for (topic, partition), commands in by_place.items():
                    made = around.log_clock.now()
                    self._uncertain.update(each.id for each in commands if each.type == START)
                    failpoint("outbox.before_send")
                    await writer.append(topic, partition, [_record(each, made) for each in commands])
                    failpoint("outbox.after_send")
                    if around.log_clock.now() - made > LATE_MS:
                        continue
                    for each in commands:
                        self._pending.pop(each.id, None)
                    self.sent += len(commands)
            except (LogError, OSError, TimeoutError) as error:
                _log.warning("sending commands failed, again soon", **self._labels, reason=str(error))
                if writer is not None:
                    await around.writer_failed(writer)
                await asyncio.sleep(0.5)

    async def _drop_started(self, around: Sending) -> None:
        """Of the starts that may have been sent before, those that were, and are done."""
        self._uncertain &= self._pending.keys()
        if not self._uncertain:
            return
        streams = {each: self._pending[each].stream.removeprefix(EXECUTION) for each in self._uncertain}
        started = await around.started(streams.values())
        for each, execution in streams.items():
            if execution in started and self._pending.pop(each, None) is not None:
                self.sent += 1


def _record(each: _Pending, made: int) -> NewRecord:
    command = CommandRecord(
        id=each.id,
        type=each.type,
        tv=each.tv,
        stream=each.stream,
        workspace=each.workspace,
        made=made,
        data=each.data,
        correlation=each.correlation,
        blobs=each.blobs,
    )
    headers = [("k", KIND_COMMAND), ("i", each.id.encode()), ("s", each.stream.encode())]
    if each.trace is not None:
        headers.append(("t", each.trace))
    return NewRecord(encode(command), tuple(headers), each.stream.encode())
