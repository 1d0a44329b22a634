"""Servers on loopback that must not be reached, a server that redirects, and a name server whose answers change."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import ip_address
from typing import cast

A, CNAME, AAAA = 1, 5, 28


class Sink:
    """Listens on 127.0.0.1 and ::1 (same port), counts connections, answers everything with an empty 200."""

    def __init__(self) -> None:
        self.connections = 0
        self.heads: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def open_sink() -> AsyncIterator[Sink]:
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    servers = [server]
    with contextlib.suppress(OSError):  # a host without IPv6
        servers.append(await asyncio.start_server(sink.serve, "::1", sink.port))
    try:
        yield sink
    finally:
        for each in servers:
            each.close()
            await each.wait_closed()


class Redirector:
    """Answers `/<status>` with that status and the `location` of the moment; notes the heads of requests."""

    def __init__(self) -> None:
        self.location = ""
        self.heads: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                status = head.split(b" ", 2)[1].lstrip(b"/").split(b"?")[0]
                moved = b"Location: " + self.location.encode() + b"\r\n" if status.startswith(b"30") else b""
                status = status if moved else b"404"
                writer.write(b"HTTP/1.1 " + status + b" So\r\n" + moved + b"Content-Length: 0\r\n\r\n")
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def open_redirector(host: str) -> AsyncIterator[Redirector]:
    redirector = Redirector()
    server = await asyncio.start_server(redirector.serve, host, 0)
    redirector.port = server.sockets[0].getsockname()[1]
    try:
        yield redirector
    finally:
        server.close()


class NameServer(asyncio.DatagramProtocol):
    """DNS over UDP on loopback. `answers[name]` gives the addresses of the nth question; `aliases` are CNAMEs."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[int], Sequence[str]]] = {}
        self.aliases: dict[str, str] = {}
        self.asked: dict[str, int] = {}
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _name(data, 12)
        (kind,) = struct.unpack_from(">H", data, end)
        records, owner = [], name
        while owner in self.aliases:
            records.append(_record(owner, CNAME, _spell(self.aliases[owner])))
            owner = self.aliases[owner]
        if kind == A:
            self.asked[name] = self.asked.get(name, 0) + 1
        addresses = self.answers.get(owner, lambda _n: ())(self.asked.get(name, 1))
        for text in addresses:
            address = ip_address(text)
            if kind == (A if address.version == 4 else AAAA):
                records.append(_record(owner, kind, address.packed))
        head = data[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0)
        assert self._transport is not None
        self._transport.sendto(head + data[12 : end + 4] + b"".join(records), addr)

    async def lookup(self, host: str, _port: int) -> list[str]:
        """As the system's resolver would ask: A and AAAA, following aliases."""
        return [*await self._ask(host, A), *await self._ask(host, AAAA)]

    async def _ask(self, host: str, kind: int) -> list[str]:
        loop = asyncio.get_running_loop()
        question = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + _spell(host) + struct.pack(">HH", kind, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", self.port))
            await loop.sock_sendall(sock, question)
            data = await loop.sock_recv(sock, 4096)
        (count,) = struct.unpack_from(">H", data, 6)
        place = _name(data, 12)[1] + 4
        found = []
        for _ in range(count):
            place = _name(data, place)[1]
            record, _class, _ttl, size = struct.unpack_from(">HHIH", data, place)
            if record == kind:
                found.append(str(ip_address(data[place + 10 : place + 10 + size])))
            place += 10 + size
        return found


@contextlib.asynccontextmanager
async def open_name_server() -> AsyncIterator[NameServer]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        NameServer, local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()


def _spell(name: str) -> bytes:
    labels = name.rstrip(".").encode("idna").split(b".")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _name(data: bytes, place: int) -> tuple[str, int]:
    labels = []
    while data[place]:
        size = data[place]
        labels.append(data[place + 1 : place + 1 + size].decode())
        place += size + 1
    return ".".join(labels), place + 1


def _record(owner: str, kind: int, content: bytes) -> bytes:
    return _spell(owner) + struct.pack(">HHIH", kind, 1, 0, len(content)) + content
