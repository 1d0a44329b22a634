"""What a caller that waits gets: the result of an execution as an HTTP answer, from its events or from its row."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from domain.execution.events import ErrorInfo
from projections.executions.queries import ExecutionRow
from services.api.answers import Follower, StreamWaiter
from services.api.asgi import JSON, Header
from services.api.positions import Positions
from services.api.principal import Principal
from services.api.problems import Problem, busy
from services.api.reads import Reads
from services.api.starts import Ended, Started, Starter, wait_for_end

ANSWER_SECONDS = 60.0
CLOSED = frozenset(("completed", "failed", "cancelled", "timeout"))
MAX_WATCHES = 20_000
_DROPPED_HEADERS = frozenset(
    (
        "connection", "content-length", "content-security-policy", "date", "keep-alive", "server", "set-cookie",
        "te", "trailer", "transfer-encoding", "upgrade", "x-content-type-options", "x-request-id",
    )
)  # fmt: skip
SANDBOX: Header = (b"content-security-policy", b"sandbox")
"""On what a workflow answers: a page made by a workflow must not act as a page of ours (same origin, same cookie)."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()


class _OutputItem(msgspec.Struct):
    json: msgspec.Raw = msgspec.Raw(b"null")


class _Completed(msgspec.Struct):
    output: list[_OutputItem] = []


class _Stopped(msgspec.Struct):
    error: ErrorInfo | None = None
    reason: str = ""


class _Response(msgspec.Struct):
    status: int = 200
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b"null")
    body_blob: str | None = None


_decode_completed = msgspec.json.Decoder(_Completed).decode
_decode_items = msgspec.json.Decoder(list[_OutputItem]).decode
_decode_stopped = msgspec.json.Decoder(_Stopped).decode
_decode_error = msgspec.json.Decoder(ErrorInfo).decode
_decode_response = msgspec.json.Decoder(_Response).decode
_decode_text = msgspec.json.Decoder(str).decode


class Results:
    """Watches executions for callers that wait."""

    def __init__(self, follower: Follower, positions: Positions, reads: Reads, starter: Starter) -> None:
        self.follower = follower
        self.positions = positions
        self.reads = reads
        self.starter = starter
        self._watches = 0

    @contextmanager
    def watch(self, execution_id: str) -> "Iterator[Watch]":
        """Watch an execution; enter before it is started. Problem 503 where too many callers wait."""
        if self._watches >= MAX_WATCHES:
            raise busy("Too many callers wait for results. Try again in a second.")
        self._watches += 1
        try:
            with self.follower.expect_stream(f"execution-{execution_id}") as waiter:
                yield Watch(self, waiter)
        finally:
            self._watches -= 1

    async def row_when(
        self,
        workspace: str,
        execution_id: str,
        seconds: float,
        wanted: Callable[[ExecutionRow], bool] = lambda row: True,
    ) -> ExecutionRow | None:
        """The execution's row as soon as it is there and `wanted`; after `seconds` what is there then."""
        return await self.positions.looked_up(
            lambda: self.reads.execution(workspace, execution_id),
            lambda row: row is not None and wanted(row),
            seconds,
        )


class Watch:
    def __init__(self, results: Results, waiter: StreamWaiter) -> None:
        self._results = results
        self._waiter = waiter

    async def ended(self, principal: Principal, started: Started, seconds: float) -> ExecutionRow | None:
        """The row of the execution once it has ended and its rows are there; None after `seconds`."""
        workspace, execution_id = principal.workspace_id, started.execution_id
        if not started.repeated and await wait_for_end(self._waiter, seconds, response=False) is None:
            return None
        row = await self._results.row_when(
            workspace, execution_id, seconds if started.repeated else 5.0, lambda row: row.status in CLOSED
        )
        return row if row is not None and row.status in CLOSED else None

    async def answer(self, principal: Principal, started: Started, *, with_node: bool) -> Answer | None:
        """The HTTP answer of a synchronous webhook; None: it takes longer than a caller waits. Raises Problem 500."""
        if started.repeated:
            return await self._answer_again(principal, started, with_node=with_node)
        ended = await wait_for_end(self._waiter, ANSWER_SECONDS, response=with_node)
        if ended is None:
            return None
        data = await self._results.starter.event_data(principal.workspace_id, ended.event)
        return _of_event(ended, data, started.execution_id, with_node=with_node)

    async def _answer_again(self, principal: Principal, started: Started, *, with_node: bool) -> Answer | None:
        row = await self.ended(principal, started, ANSWER_SECONDS)
        if row is None:
            return None
        return await answer_of_row(self._results.reads, row, with_node=with_node)


async def answer_of_row(reads: Reads, row: ExecutionRow, *, with_node: bool) -> Answer:
    """The answer of an execution that ended, from its row. Raises Problem 500 where it failed."""
    if with_node and row.response is not None:
        response = _decode_response(row.response.encode())
        if response.body_blob is not None:
            response.body = msgspec.Raw(await reads.blob(row.workspace_id, response.body_blob))
        return _responded(response)
    if row.status != "completed":
        raise _failure(row.status, None if row.error is None else _decode_error(row.error.encode()), row.id)
    if with_node:
        return Answer(204, b"")
    (output,) = await reads.whole(row.workspace_id, [row.output])
    return _listed(_decode_items((output or "[]").encode()))


def _of_event(ended: Ended, data: bytes, execution_id: str, *, with_node: bool) -> Answer:
    if ended.status is None:
        return _responded(_decode_response(data))
    if ended.status != "completed":
        stopped = _decode_stopped(data)
        raise _failure(ended.status, stopped.error, execution_id, stopped.reason)
    if with_node:
        return Answer(204, b"")
    return _listed(_decode_completed(data).output)


def _listed(items: list[_OutputItem]) -> Answer:
    return Answer(200, msgspec.json.encode([item.json for item in items]), headers=(SANDBOX,))


def _failure(status: str, error: ErrorInfo | None, execution_id: str, reason: str = "") -> Problem:
    extra: dict[str, Any] = {"execution_id": execution_id}
    if error is not None and error.node_id is not None:
        extra["node_id"] = error.node_id
    code = error.code if error is not None else f"execution_{status}"
    detail = error.message if error is not None else reason or f"The execution ended as {status}."
    return Problem(500, code, detail, extra=extra)


def _responded(response: _Response) -> Answer:
    """What a respond node says: a string is text, anything else JSON, unless it names a content type itself."""
    content_type, headers = None, [SANDBOX]
    for name, value in response.headers.items():
        lower = name.lower()
        if lower == "content-type":
            content_type = _header_bytes(value)
        elif lower not in _DROPPED_HEADERS and lower.isascii() and lower.replace("-", "").replace("_", "").isalnum():
            headers.append((lower.encode(), _header_bytes(value)))
    raw = bytes(response.body)
    if raw == b"null":
        body, kind = b"", b"text/plain; charset=utf-8"
    elif raw[:1] == b'"':
        body, kind = _decode_text(raw).encode(), b"text/plain; charset=utf-8"
    else:
        body, kind = raw, JSON
    status = response.status if 200 <= response.status <= 599 else 200
    return Answer(status, b"" if status in (204, 304) else body, content_type or kind, tuple(headers))


def _header_bytes(value: str) -> bytes:
    return value.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")
