"""A load client that costs little: HTTP/1.1 on raw sockets, requests built before, answers decoded after the run.

Closed loop (`rate=None`): each connection sends its next request when the answer is there. Paced: requests leave at
`rate` a second over free connections; one that finds none waits, and its latency counts from when it was due.
"""

import asyncio
import collections
import json
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

CONTENT_LENGTH = b"content-length:"


def request(method: str, path: str, port: int, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The bytes of one request with a JSON body."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(slots=True)
class Answers:
    """What came back: one entry an answer in each list. Times in seconds; `began` and `ended` by time.monotonic."""

    which: "array[int]" = field(default_factory=lambda: array("l"))
    statuses: "array[int]" = field(default_factory=lambda: array("h"))
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    bodies: list[bytes] = field(default_factory=list)
    errors: collections.Counter[str] = field(default_factory=collections.Counter)
    began: float = 0.0
    ended: float = 0.0
    cpu: float = 0.0

    def __len__(self) -> int:
        return len(self.which)

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def cpu_share(self) -> float:
        """Share of one core that the client itself used."""
        return self.cpu / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        return percentile(self.latencies, share)

    def with_status(self, status: int) -> list[tuple[int, Any]]:
        """(number of the request, decoded body) of all answers with this status."""
        rows = zip(self.which, self.statuses, self.bodies, strict=True)
        return [(which, json.loads(body)) for which, found, body in rows if found == status]

    def refused(self) -> collections.Counter[str]:
        """Answers other than 2xx by status with the first body as an example, and broken connections."""
        found: collections.Counter[str] = collections.Counter(self.errors)
        for status, body in zip(self.statuses, self.bodies, strict=True):
            if not 200 <= status < 300:
                found[f"{status} {body[:200].decode('utf-8', 'replace')}"] += 1
        return found


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1_000_000) * len(ordered) // 1_000_000) - 1))]


class Load:
    """One run of a load; `started(which)` and `answered(which, body)` are optional hooks for samples."""

    def __init__(
        self,
        port: int,
        requests: Sequence[bytes],
        *,
        connections: int,
        seconds: float | None = None,
        total: int | None = None,
        rate: float | None = None,
        answered: Callable[[int, bytes], None] | None = None,
    ) -> None:
        assert seconds is not None or total is not None, "a load ends after some seconds or some requests"
        self._port = port
        self._requests = requests
        self._connections = connections
        self._seconds = seconds
        self._total = total
        self._rate = rate
        self._answered = answered
        self._idle: collections.deque[_Connection] = collections.deque()
        self._due: collections.deque[float] = collections.deque()
        self._open: set[_Connection] = set()
        self._sent = 0
        self._stopping = False
        self._finished: asyncio.Future[None]
        self.answers = Answers()

    async def run(self) -> Answers:
        loop = asyncio.get_running_loop()
        self._finished = loop.create_future()
        connections = [_Connection(self) for _ in range(self._connections)]
        for connection in connections:
            await loop.create_connection(lambda each=connection: each, "127.0.0.1", self._port)  # type: ignore[misc]
        self._open = set(connections)
        cpu = time.process_time()
        self.answers.began = time.monotonic()
        if self._seconds is not None:
            loop.call_later(self._seconds, self._stop)
        if self._rate is None:
            for connection in connections[: self._total]:
                connection.next()
        else:
            self._idle.extend(connections)
            self._pace()
        await self._finished
        self.answers.cpu = time.process_time() - cpu
        for connection in connections:
            connection.close()
        return self.answers

    def _pace(self) -> None:
        """Once a millisecond: what is due by now leaves, or waits for a free connection."""
        if self._stopping:
            return
        assert self._rate is not None
        loop = asyncio.get_running_loop()
        began, now = self.answers.began, time.monotonic()
        while self._sent + len(self._due) < (now - began) * self._rate:
            self._due.append(began + (self._sent + len(self._due)) / self._rate)
        while self._due and self._idle:
            self._idle.popleft().send(self.take(), self._due.popleft())
        loop.call_later(0.001, self._pace)

    def take(self) -> int:
        """The number of the next request."""
        which = self._sent
        self._sent += 1
        if self._total is not None and self._sent >= self._total:
            self._stopping = True
        return which

    def free(self, connection: "_Connection") -> None:
        """A connection has its answer."""
        if not self._stopping:
            if self._rate is None:
                connection.next()
            elif self._due:
                connection.send(self.take(), self._due.popleft())
            else:
                self._idle.append(connection)
        self._check_end()

    def bytes_of(self, which: int) -> bytes:
        return self._requests[which % len(self._requests)]

    def record(self, which: int, latency: float, status: int, body: bytes) -> None:
        answers = self.answers
        answers.which.append(which)
        answers.latencies.append(latency)
        answers.statuses.append(status)
        answers.bodies.append(body)
        if self._answered is not None:
            self._answered(which, body)

    def broken(self, connection: "_Connection", why: str) -> None:
        self.answers.errors[why] += 1
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._check_end()

    def _stop(self) -> None:
        self._stopping = True
        self._check_end()

    def _check_end(self) -> None:
        over = self._stopping and len(self.answers) + self.answers.errors.total() >= self._sent
        if (over or not self._open) and not self._finished.done():
            self.answers.ended = time.monotonic()
            self._finished.set_result(None)


class _Connection(asyncio.Protocol):
    __slots__ = ("_buffer", "_closing", "_load", "_sent_at", "_transport", "_which")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._closing = False
        self._which = -1
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self._closing:
            self._load.broken(self, f"connection lost: {exc!r}")

    def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def next(self) -> None:
        self.send(self._load.take(), time.monotonic())

    def send(self, which: int, due: float) -> None:
        self._which = which
        self._sent_at = due
        if self._transport is not None:
            self._transport.write(self._load.bytes_of(which))

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        head = data.find(b"\r\n\r\n")
        if head < 0:
            self._buffer = data
            return
        size = _length(data, head)
        if len(data) < head + 4 + size:
            self._buffer = data
            return
        self._buffer = b""
        latency = time.monotonic() - self._sent_at
        self._load.record(self._which, latency, int(data[9:12]), data[head + 4 : head + 4 + size])
        self._load.free(self)


def _length(data: bytes, head: int) -> int:
    at = data.find(CONTENT_LENGTH, 0, head)
    if at < 0:
        lower = data[:head].lower()
        at = lower.find(CONTENT_LENGTH)
        if at < 0:
            if data[9:12] in (b"204", b"304"):
                return 0
            raise ValueError(f"an answer without Content-Length: {data[:head]!r}")
    end = data.find(b"\r\n", at, head + 2)
    return int(data[at + len(CONTENT_LENGTH) : end])
