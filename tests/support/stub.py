"""An HTTP service outside the cluster, as a process of its own: what the workflows' HTTP steps call.

    /delay/<ms>    answers `{"delayed": ms}` after that time      /status/<n>   answers with that status
    /hold          answers when released (or never)               /echo         what was asked, as JSON
    /__stub/...    for the test: requests, summary, reset, release, received/<count> (answers once so many came)

Every request is recorded when its head and body have arrived, also if the caller dies before the answer:
`{at, method, path, query, headers, body_sha256, answered}`; `at` in milliseconds since 1970. A body is kept as a hash.
Run by hand: `python -m tests.support.stub --port 9000`.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

CONTROL = "/__stub/"
MAX_HEAD = 65_536


@dataclass(slots=True)
class Call:
    """One request as the stub saw it."""

    at: float
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body_sha256: str
    answered: bool = False

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Call.__slots__}


@dataclass(slots=True)
class Service:
    """All requests so far, and who waits for what."""

    calls: list[Call] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    held: list[Callable[[], None]] = field(default_factory=list)
    waiting: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    def began(self, call: Call) -> None:
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        ready = [wake for count, wake in self.waiting if len(self.calls) >= count]
        if ready:
            self.waiting = [each for each in self.waiting if len(self.calls) < each[0]]
            for wake in ready:
                wake()

    def reset(self) -> None:
        self.calls.clear()
        self.most_in_flight = self.in_flight

    def release(self) -> int:
        held, self.held = self.held, []
        for answer in held:
            answer()
        return len(held)

    def summary(self) -> dict[str, Any]:
        return {"received": len(self.calls), "in_flight": self.in_flight, "most_in_flight": self.most_in_flight}


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; one request after the other, bodies by length or chunked."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.busy = False
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.timer is not None:
            self.timer.cancel()
        if self.busy:
            self.busy = False
            self.service.in_flight -= 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._next()

    def _next(self) -> None:
        while not self.busy and self.transport is not None:
            request = self._take()
            if request is None:
                return
            self._serve(*request)

    def _take(self) -> tuple[str, str, dict[str, str], bytes] | None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > MAX_HEAD and self.transport is not None:
                self.transport.close()
            return None
        first, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body, used = _body(self.buffer, end + 4, headers)
        if body is None:
            return None
        del self.buffer[:used]
        return method, target, headers, body

    def _serve(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        if url.path.startswith(CONTROL):
            self._control(url.path[len(CONTROL) :], query)
            return
        digest = hashlib.sha256(body).hexdigest() if body else ""
        call = Call(time.time() * 1000, method, url.path, query, headers, digest)
        self.busy = True
        self.service.began(call)
        _, kind, *rest = (*url.path.split("/"), "")
        if kind == "delay":
            answer = json.dumps({"delayed": int(rest[0]), "query": query}).encode()
            self.timer = asyncio.get_running_loop().call_later(int(rest[0]) / 1000, self._answer, call, 200, answer)
        elif kind == "hold":
            self.service.held.append(lambda: self._answer(call, 200, b'{"held": true}'))
        elif kind == "status":
            self._answer(call, int(rest[0]), b'{"status": ' + rest[0].encode() + b"}")
        elif kind == "echo":
            self._answer(call, 200, json.dumps({"method": method, "query": query, "body": _decoded(body)}).encode())
        else:
            self._answer(call, 404, b'{"error": "no such path"}')

    def _answer(self, call: Call, status: int, body: bytes) -> None:
        if self.transport is None or not self.busy:
            return
        call.answered = True
        self.busy = False
        self.service.in_flight -= 1
        self._write(status, body)
        self._next()

    def _write(self, status: int, body: bytes) -> None:
        if self.transport is not None:
            head = b"HTTP/1.1 %d Stub\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            self.transport.write(head % (status, len(body)) + body)

    def _control(self, what: str, query: dict[str, str]) -> None:
        service = self.service
        name, _, argument = what.partition("/")
        if name == "received" and len(service.calls) < int(argument):
            service.waiting.append((int(argument), lambda: self._write(200, _json(service.summary()))))
            return
        if name == "reset":
            service.reset()
        elif name == "release":
            service.release()
        calls = [call.as_json() for call in service.calls] if name == "requests" else None
        self._write(200, _json(service.summary() if calls is None else calls))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")


def _body(buffer: bytearray, start: int, headers: dict[str, str]) -> tuple[bytes | None, int]:
    """The body and where it ends; (None, 0) while it is not complete."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = bytearray()
        while True:
            end = buffer.find(b"\r\n", start)
            if end < 0:
                return None, 0
            size = int(buffer[start:end].split(b";")[0], 16)
            if len(buffer) < end + 2 + size + 2:
                return None, 0
            parts += buffer[end + 2 : end + 2 + size]
            start = end + 2 + size + 2
            if size == 0:
                return bytes(parts), start
    size = int(headers.get("content-length", "0"))
    if len(buffer) < start + size:
        return None, 0
    return bytes(buffer[start : start + size]), start + size


async def serve(port: int) -> None:
    service = Service()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", port, backlog=4096)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stopped.wait()
    server.close()


class Stub:
    """The stub as a child process; a context manager. Control calls are short and synchronous."""

    def __init__(self) -> None:
        argv = [sys.executable, "-m", "tests.support.stub"]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("the stub did not start")
        self.port = int(line)
        self.url = f"http://127.0.0.1:{self.port}"
        self.pid = self._process.pid

    def __enter__(self) -> "Stub":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("requests")
        return found

    def summary(self) -> dict[str, int]:
        found: dict[str, int] = self._ask("summary")
        return found

    def reset(self) -> None:
        self._ask("reset")

    def release(self) -> None:
        self._ask("release")

    async def received(self, count: int, within: float = 30.0) -> None:
        """Wait until `count` requests have come since the start or the last reset."""
        try:
            await asyncio.to_thread(self._ask, f"received/{count}", within)
        except TimeoutError:
            raise AssertionError(f"the stub got {self.summary()} within {within} s, not {count} requests") from None

    def _ask(self, what: str, timeout: float = 10.0) -> Any:
        with urllib.request.urlopen(f"{self.url}{CONTROL}{what}", timeout=timeout) as answer:
            return json.loads(answer.read())


def main() -> None:
    parser = argparse.ArgumentParser(description="the HTTP stub of the tests and benchmarks")
    parser.add_argument("--port", type=int, default=0)
    port = parser.parse_args().port
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536) if most > 0 else 65_536, most))
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    asyncio.run(serve(port))


if __name__ == "__main__":
    main()
