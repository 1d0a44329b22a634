"""Sends one HTTP request and follows its redirects: each hop judged by the egress guard, each answer bounded."""

from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Final

import aiohttp

from infra.egress.addresses import literal
from infra.egress.connector import Session, guarded_session
from infra.egress.guard import EgressGuard
from services.worker.effects.http_bodies import Answer, Unusable, headers_of, read_body
from services.worker.effects.redirects import Outgoing, follow, location_of

CONNECT_SECONDS: Final = 10.0


class Progress:
    """How far an effect came, for the question whether it may have happened."""

    __slots__ = ("answers", "sent")

    def __init__(self) -> None:
        self.sent = False
        self.answers = 0


class HttpExchange:
    """The one client of a worker. Requests of workflows start only from here."""

    def __init__(self, guard: EgressGuard) -> None:
        self._guard = guard
        self._session: Session | None = None

    async def send(self, sending: Outgoing, progress: Progress, *, redirects: int | None, limit: int) -> Answer:
        """The answer, at most `limit` bytes, after at most so many redirects; None: a redirect is the answer.

        Raises EgressRefused, Unusable, aiohttp's errors, OSError, ValueError, TypeError.
        """
        hops = 0
        while True:
            await self._judge(sending)
            async with self._request(sending, progress) as response:
                progress.answers += 1
                location = location_of(response.status, response.headers) if redirects is not None else None
                if location is None:
                    body = await read_body(response, limit)
                    return _answer(response, body, hops)
                response.close()  # its body is of no interest, and might never end
            if redirects is not None and hops >= redirects:
                raise Unusable("too_many_redirects", f"more than {redirects} redirects")
            sending = follow(sending, response.status, location)
            hops += 1

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _judge(self, sending: Outgoing) -> None:
        """What the connector's resolver does not see: literal addresses, and the target behind a proxy."""
        target, proxy = sending.target, sending.proxy
        if proxy is not None:
            await self._guard.resolve(target.host, target.port)
        for each in (target, proxy):
            if each is not None and literal(each.host) is not None:
                self._guard.judge(each.host)

    def _request(self, sending: Outgoing, progress: Progress) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._session is None or self._session.closed:
            self._session = guarded_session(self._guard, traces=[_note_sending()])
        return self._session.request(
            sending.method,
            sending.target.url,
            headers=sending.headers,
            data=sending.body,
            proxy=sending.proxy.url if sending.proxy is not None else None,
            ssl=sending.verify_tls,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            trace_request_ctx=progress,
        )


def _note_sending() -> aiohttp.TraceConfig:
    """Marks the moment from which a request may have happened: what fails before it (TLS, a proxy) sent nothing."""
    trace = aiohttp.TraceConfig()

    async def sending(_session: object, context: SimpleNamespace, _head: object) -> None:
        context.trace_request_ctx.sent = True

    trace.on_request_headers_sent.append(sending)
    return trace


def _answer(response: aiohttp.ClientResponse, body: bytes, hops: int) -> Answer:
    disposition = response.content_disposition
    return Answer(
        status=response.status,
        headers=headers_of(response),
        body=body,
        mime_type=response.content_type if "content-type" in response.headers else "",
        charset=response.charset or "utf-8",
        file_name=(disposition.filename if disposition is not None else None) or response.url.name,
        url=str(response.url),
        hops=hops,
    )
