"""Commands from this worker to aggregates, by the log: their streams may live anywhere."""

import asyncio
from contextlib import suppress
from typing import Any, Protocol
from uuid import uuid4

from infra.log.clock import LogClock
from infra.log.port import Log, LogError, NewRecord, Topic, Writer
from infra.telemetry.logs import get_logger
from schemas.envelope import KIND_COMMAND, encode, partition_of
from schemas.registry import command_record

AGAIN_SECONDS = 0.5

_log = get_logger("worker.tell")


class Teller(Protocol):
    async def tell(self, workspace: str, stream: str, command: Any) -> None:
        """Append `command` for `stream`; returns when the log has it, however long it is away."""
        ...

    async def close(self) -> None: ...


class LogTeller:
    """`name` stands as the actor in what it sends."""

    def __init__(self, log: Log, clock: LogClock, name: str) -> None:
        self._log = log
        self._clock = clock
        self._name = name
        self._writer: Writer | None = None
        self._turn = asyncio.Lock()

    async def tell(self, workspace: str, stream: str, command: Any) -> None:
        command_id = str(uuid4())
        headers = (
            ("k", KIND_COMMAND),
            ("i", command_id.encode()),
            ("w", workspace.encode()),
            ("s", stream.encode()),
        )
        partition = partition_of(stream, self._log.partitions)
        async with self._turn:
            while True:
                record = command_record(
                    command,
                    id=command_id,
                    stream=stream,
                    workspace=workspace,
                    made=self._clock.now(),  # anew each time: it does not age while the log is away
                    actor=self._name,
                )
                try:
                    if self._writer is None:
                        self._writer = await self._log.writer()
                    await self._writer.append(
                        Topic.COMMANDS, partition, [NewRecord(encode(record), headers, stream.encode())]
                    )
                except (LogError, OSError, TimeoutError) as error:
                    _log.warning("a command cannot be sent, again soon", stream=stream, reason=str(error))
                    await self.close()
                    await asyncio.sleep(AGAIN_SECONDS)
                else:
                    return

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(LogError, OSError, TimeoutError):
                await writer.close()
