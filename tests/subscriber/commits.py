"""A log with commits on it, good and void."""

from typing import Any

from domain.execution.events import ErrorInfo, ExecutionCompleted, ExecutionFailed, ExecutionStarted
from infra.log.port import Log, NewRecord, Topic
from schemas.envelope import (
    KIND_COMMIT,
    KIND_TAKEOVER,
    CommitRecord,
    Epoch,
    Headers,
    TakeoverRecord,
    encode,
)
from schemas.registry import encode_event

STARTED = ExecutionStarted(started_at=1)
COMPLETED = ExecutionCompleted(output=[{"json": {"ok": True}}], at=2)
FAILED = ExecutionFailed(error=ErrorInfo(code="boom", message="it broke"), at=2)


class Owner:
    """Writes to one partition of a commit topic as an owner does, right or wrong."""

    def __init__(self, log: Log, partition: int, topic: Topic = Topic.EXECUTIONS) -> None:
        self._log = log
        self._place = (topic, partition)
        self.epoch = Epoch(-1, "")
        self.n = 0

    async def take_over(self, nonce: str) -> None:
        record = TakeoverRecord(nonce=nonce, owner=nonce, time=1)
        offset = await self._append(encode(record), (("k", KIND_TAKEOVER), ("o", nonce.encode())))
        self.epoch, self.n = Epoch(offset, nonce), 0

    async def commit(self, id: str, *events: Any, workspace: str = "w1") -> int:  # noqa: A002
        headers = commit_headers(self.epoch, self.n, workspace)
        offset = await self._append(encode(commit_record(id, self.epoch, self.n, events, workspace)), headers)
        self.n += 1
        return offset

    async def garbage(self) -> None:
        await self._append(b"\xff{", commit_headers(self.epoch, self.n, "w1"))
        self.n += 1

    async def _append(self, value: bytes, headers: Headers) -> int:
        writer = await self._log.writer()
        try:
            return await writer.append(*self._place, [NewRecord(value, headers)])
        finally:
            await writer.close()


def commit_headers(epoch: Epoch, n: int, workspace: str) -> Headers:
    return (("k", KIND_COMMIT), ("w", workspace.encode()), ("e", epoch.header()), ("n", b"%d" % n))


def commit_record(id: str, epoch: Epoch, n: int, events: Any, workspace: str) -> CommitRecord:  # noqa: A002
    return CommitRecord(
        id=id,
        stream=f"execution-{id}",
        version=1,
        epoch=epoch,
        n=n,
        workspace=workspace,
        time=1,
        events=[encode_event(event) for event in events],
    )
