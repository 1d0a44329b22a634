"""The connector of HTTP clients: every socket that it makes goes to an address that the guard has judged."""

import socket
from collections.abc import Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from infra.egress.guard import EgressGuard


class GuardedResolver(AbstractResolver):
    """Names to judged addresses. Raises EgressRefused, OSError."""

    def __init__(self, guard: EgressGuard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=address.host,
                host=address.ip,
                port=address.port,
                family=address.family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self._guard.resolve(host, port)
            if family in {socket.AF_UNSPEC, address.family}
        ]

    async def close(self) -> None:
        return


def guarded_connector(guard: EgressGuard, **options: Any) -> aiohttp.TCPConnector:
    """A connector whose names are resolved by the guard, and whose sockets are made for judged addresses alone.

    Literal addresses do not pass the resolver, so the last look is where the socket is made. A connection that is kept
    alive was judged when it was made, and serves no other host and port.
    """

    def judged_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _name, (ip, *_rest) = info
        guard.judge(ip)
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(
        resolver=GuardedResolver(guard),
        use_dns_cache=False,  # the guard remembers, together with its judgement
        socket_factory=judged_socket,
        limit=0,
        **options,
    )


Session = aiohttp.ClientSession
"""What `guarded_session` makes: for annotations, since nobody else may make one."""


def guarded_session(guard: EgressGuard, *, traces: Sequence[aiohttp.TraceConfig] = ()) -> Session:
    """A client for requests that users define: no cookies, no proxy from the environment, no credentials of ours."""
    return Session(
        connector=guarded_connector(guard),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers={"User-Agent": "LinkFlow"},
        trace_configs=list(traces),
    )
