"""Resolves once, judges every address, and hands out only what may be connected to.

    guard = EgressGuard(settings.egress_allow)
    for address in await guard.resolve("db.example.com", 5432):   # raises EgressRefused, OSError
        connect to address.ip, address.port                        # never to the name: it may resolve to another

A name is refused if any of its addresses is special (a public address beside a private one is how rebinding begins),
unless the operator opened some and none is public: then those are used (`localhost` where only 127.0.0.1 is open).
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from ssl import SSLContext
from typing import Final

from infra.egress.addresses import IP, Allowed, canonical, literal, why_refused

RESOLVE_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 10.0
_REMEMBERED_SECONDS: Final = 30.0
_REMEMBERED: Final = 1_000
_THREADS: Final = 16

SETTING: Final = "LINKFLOW_EGRESS_ALLOW"

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → the IP addresses of a name. Raises OSError (socket.gaierror) where there are none."""


class EgressRefused(Exception):
    """A request may not go where it wants to; the message says why, and which setting allows it where one does."""

    code = "egress_refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Address:
    """A judged address of `host`: connect to `ip`, say `host` (TLS server name, Host header)."""

    host: str
    ip: str
    port: int
    family: socket.AddressFamily


class EgressGuard:
    """One a process. `allow`: addresses and ranges that are open besides public ones; ValueError for anything else."""

    def __init__(self, allow: Sequence[str], lookup: Lookup | None = None) -> None:
        self._allowed = Allowed(allow)
        self._threads: ThreadPoolExecutor | None = None
        self._lookup = lookup or self._ask_system
        self._known: OrderedDict[tuple[str, int], tuple[float, list[Address]]] = OrderedDict()
        self._good: set[str] = set()
        self._asking: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}

    async def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of `host`, all judged, at least one. Raises EgressRefused; OSError if it has none.

        What a name was judged to be is remembered for half a minute, addresses and all: nothing is looked up between
        the judgement and the connection.
        """
        spelled = literal(host)
        if spelled is not None:
            return self._judge(host, port, [spelled])
        key = (host, port)
        known = self._known.get(key)
        if known is not None and known[0] > asyncio.get_running_loop().time():
            return known[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(host, port))
            asking.add_done_callback(lambda task: self._answered(key, task))
        return await asyncio.shield(asking)

    def judge(self, ip: str) -> None:
        """Raises EgressRefused unless this very address may be connected to: the last look before a socket is made."""
        if ip in self._good:
            return
        why = why_refused(ip_address(ip), self._allowed)
        if why is not None:
            raise _refusal(ip, ip, why)
        if len(self._good) >= _REMEMBERED:
            self._good.clear()
        self._good.add(ip)

    async def open_connection(
        self, host: str, port: int, *, tls: SSLContext | None = None, seconds: float = CONNECT_SECONDS
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a judged address of `host`, with its name in TLS. Raises EgressRefused, OSError."""
        sock = await self.connect(host, port, seconds=seconds)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=host if tls else None)
        except BaseException:
            sock.close()
            raise

    async def connect(self, host: str, port: int, *, seconds: float = CONNECT_SECONDS) -> socket.socket:
        """A connected, non-blocking socket, for libraries that take one. Raises EgressRefused, OSError."""
        loop = asyncio.get_running_loop()
        failed: OSError | None = None
        async with asyncio.timeout(seconds):
            for address in await self.resolve(host, port):
                sock = socket.socket(address.family, socket.SOCK_STREAM)
                try:
                    sock.setblocking(False)
                    await loop.sock_connect(sock, (address.ip, address.port))
                except OSError as error:
                    sock.close()
                    failed = error
                except BaseException:
                    sock.close()
                    raise
                else:
                    return sock
        raise failed or OSError(f"{host} has no address")

    def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, host: str, port: int) -> list[Address]:
        if not host or len(host) > 253:
            raise socket.gaierror(socket.EAI_NONAME, "not a host name")
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await self._lookup(host, port)
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, f"no answer within {RESOLVE_SECONDS:g} seconds") from None
        except UnicodeError:
            raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
        return self._judge(host, port, [ip_address(text) for text in found])

    def _answered(self, key: tuple[str, int], task: asyncio.Task[list[Address]]) -> None:
        self._asking.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return
        self._known[key] = (asyncio.get_running_loop().time() + _REMEMBERED_SECONDS, task.result())
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _judge(self, host: str, port: int, found: Sequence[IP]) -> list[Address]:
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        refused = [(ip, why) for ip in found if (why := why_refused(ip, self._allowed)) is not None]
        usable = found
        if refused:
            usable = [ip for ip in found if self._allowed.opened(ip)]
            public = len(found) - len(refused) - len(usable)
            if public or not usable:
                ip, why = refused[0]
                raise _refusal(host, str(ip), why)
        return [_address(host, port, canonical(ip)) for ip in dict.fromkeys(usable)]

    async def _ask_system(self, host: str, port: int) -> Sequence[str]:
        """By getaddrinfo, in threads of its own: a slow name server holds up nothing but names."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "resolve")
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(entry[4][0]) for entry in found]


def _address(host: str, port: int, ip: IP) -> Address:
    return Address(host, str(ip), port, socket.AF_INET if ip.version == 4 else socket.AF_INET6)


def _refusal(host: str, ip: str, why: str) -> EgressRefused:
    named = ip if host.strip("[]") == ip else f"{host[:100]} ({ip})"
    return EgressRefused(f"{named} is not a public address: {why}. The operator opens it with {SETTING}={ip}")
