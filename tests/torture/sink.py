"""The world outside: an HTTP service that workflows call. It is never killed and writes down every request.

    python -m tests.torture.sink JOURNAL [unsynced]          prints its port

`/ok/MS` answers after MS milliseconds, `/flaky/N` refuses the first N calls of each (key, node, item) with 500,
`/fail` always refuses. A line "in" is on the disk before anything is answered; a line "out" says what was answered
(and whether somebody still listened). The answer holds a token that no other request gets.
"""

import asyncio
import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.torture.journal import Journal
from tests.torture.workflows import shown

REASONS = {200: b"OK", 500: b"Internal Server Error"}


class Service:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._seen: Counter[tuple[str, str, str]] = Counter()
        self._number = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await self._one(head.decode("latin-1"), reader, writer)
        writer.close()

    async def _one(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        self._number += 1
        number = self._number
        place = (query.get("key", ""), query.get("node", ""), query.get("item", ""))
        self._seen[place] += 1
        seen = self._seen[place]
        token = hashlib.sha256(f"{place}{number}".encode()).hexdigest()[:16]
        await self._journal.keep(
            what="in",
            id=number,
            at=time.time() * 1000,
            method=method,
            path=url.path,
            key=place[0],
            node=place[1],
            item=place[2],
            canary=query.get("canary", ""),
            idempotency_key=headers.get("idempotency-key", ""),
            # the one place where a credential's secret has to be: kept as what it proves
            credential=shown(headers.pop("authorization", "")),
            headers=" ".join(f"{name}={value}" for name, value in headers.items()),
            body=body.decode("utf-8", "replace"),
            token=token,
        )
        status = await self._status(url.path, seen)
        answer = json.dumps({"token": token, "item": place[2]}).encode()
        heard = not writer.is_closing() and not reader.at_eof()
        writer.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (status, REASONS[status], len(answer), answer)
        )
        await self._journal.keep(what="out", id=number, at=time.time() * 1000, status=status, heard=heard)
        await writer.drain()

    async def _status(self, path: str, seen: int) -> int:
        _, kind, *rest = (*path.split("/"), "")
        if kind == "ok":
            await asyncio.sleep(int(rest[0]) / 1000)
            return 200
        if kind == "flaky":
            return 500 if seen <= int(rest[0]) else 200
        return 500


class Sink:
    """The service as a child process."""

    def __init__(self, journal: Path, *, sync: bool = True) -> None:
        self.journal = journal
        argv = [sys.executable, "-m", "tests.torture.sink", str(journal), *([] if sync else ["unsynced"])]
        self._child = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
        assert self._child.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._child.stdout.readline())}"

    def close(self) -> None:
        self._child.terminate()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:  # what it has seen is on the disk
            self._child.kill()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()


async def main(path: Path, *, sync: bool) -> None:
    service = Service(Journal(path, sync=sync))
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sync="unsynced" not in sys.argv[2:]))
