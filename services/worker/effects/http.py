"""Performs HttpRequest: the one place where HTTP requests of workflows leave, through the egress guard.

Redirects are followed here and not by the client, so that every hop is judged like the first one.
"""

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import msgspec

from domain.effects import EffectError, HttpRequest
from infra.egress.addresses import literal
from infra.egress.connector import Session, guarded_session
from infra.egress.guard import EgressGuard, EgressRefused
from infra.egress.targets import parse_target
from infra.telemetry import metrics
from services.worker.effects.http_bodies import (
    ACCEPT_ENCODING,
    Unusable,
    decode_body,
    encode_body,
    headers_of,
    query_pairs,
    read_body,
)
from services.worker.effects.http_errors import error_of
from services.worker.effects.interpreter import EffectContext
from services.worker.effects.redirects import Outgoing, follow, location_of

CONNECT_SECONDS = 10.0


class HttpEffects:
    """The HTTP client of a worker."""

    def __init__(self, guard: EgressGuard) -> None:
        self._guard = guard
        self._session: Session | None = None

    async def perform(self, effect: HttpRequest, context: EffectContext) -> dict[str, Any] | EffectError:
        """`{"status", "headers", "body"}`, or why not. Never raises but for cancellation."""
        started = asyncio.get_running_loop().time()
        result = await self._perform(effect, context)
        outcome = "error" if isinstance(result, EffectError) else str(result["status"] // 100) + "xx"
        metrics.EFFECTS.labels("http", outcome).inc()
        metrics.EFFECT_SECONDS.labels("http").observe(asyncio.get_running_loop().time() - started)
        return result

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _perform(self, request: HttpRequest, context: EffectContext) -> dict[str, Any] | EffectError:
        progress = _Progress()
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await self._exchange(_outgoing(request, context), request, progress)
        except Unusable as unusable:
            return unusable.error
        except (EgressRefused, aiohttp.ClientError, OSError, ValueError, TypeError) as error:
            failed = error_of(error, request.timeout_seconds)
            if progress.answers and not failed.unknown:
                # the server had the request, and said so: what failed is a later hop
                return msgspec.structs.replace(failed, unknown=failed.code != EgressRefused.code)
            return failed

    async def _exchange(self, sending: Outgoing, request: HttpRequest, progress: "_Progress") -> dict[str, Any]:
        """One request with its redirects."""
        while True:
            async with self._send(sending) as response:
                progress.answers += 1
                location = location_of(response.status, response.headers) if request.follow_redirects else None
                if location is None:
                    body = await read_body(response, request.max_response_bytes)
                    return {
                        "status": response.status,
                        "headers": headers_of(response),
                        "body": decode_body(response.content_type, response.charset, body),
                    }
                if progress.answers > request.max_redirects:
                    raise Unusable("too_many_redirects", f"more than {request.max_redirects} redirects")
                response.close()  # its body is of no interest, and might never end
            sending = follow(sending, response.status, location)

    def _send(self, sending: Outgoing) -> Any:
        """The client's request: judged here where it names an address, by the resolver where it names a host."""
        if literal(sending.target.host) is not None:
            self._guard.judge(sending.target.host)
        return self._client().request(
            sending.method,
            sending.target.url,
            headers=sending.headers,
            data=sending.body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )

    def _client(self) -> Session:
        if self._session is None or self._session.closed:
            self._session = guarded_session(self._guard)
        return self._session


class _Progress:
    """How far an effect came: `answers` of servers that it had."""

    __slots__ = ("answers",)

    def __init__(self) -> None:
        self.answers = 0


def _outgoing(request: HttpRequest, context: EffectContext) -> Outgoing:
    """Raises EgressRefused, ValueError, TypeError."""
    headers = {str(name): str(value) for name, value in request.headers.items()}
    given = {name.lower() for name in headers}
    body, content_type = encode_body(request)
    if content_type is not None and "content-type" not in given:
        headers["Content-Type"] = content_type
    if context.effect_class == "idempotent" and "idempotency-key" not in given:
        headers["Idempotency-Key"] = context.key
    if context.trace is not None and "traceparent" not in given:
        headers["traceparent"] = context.trace.decode()
    if "accept-encoding" not in given:
        headers["Accept-Encoding"] = ACCEPT_ENCODING
    target = parse_target(request.url)
    pairs = query_pairs(request.query)
    if pairs:
        target = replace(target, url=target.url.extend_query(pairs))
    return Outgoing(request.method, target, headers, body)
