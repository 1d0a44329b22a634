"""Performs HttpRequest: opens its credential, sends it (http_exchange), goes through its pages, hides its secrets."""

import asyncio
from dataclasses import replace
from typing import Any, Final

import aiohttp
import msgspec

from domain.effects import EffectError, HttpRequest
from domain.integrations.steps import MissingInAnswer, next_request
from domain.nodes.http_pages import items_of, next_page
from infra.egress.guard import EgressGuard, EgressRefused
from infra.egress.targets import Target, parse_target
from infra.telemetry import metrics
from services.worker.effects.credentials import CredentialProblem, Credentials, Opened
from services.worker.effects.http_bodies import (
    ACCEPT_ENCODING,
    Answer,
    Unusable,
    decode_body,
    encode_body,
    query_pairs,
)
from services.worker.effects.http_errors import error_of
from services.worker.effects.http_exchange import HttpExchange, Progress
from services.worker.effects.interpreter import EffectContext
from services.worker.effects.redirects import Outgoing, headers_for

_LONGEST_MESSAGE: Final = 600
"""Of an error; it is cut after its secrets are hidden, not before."""


class HttpEffects:
    """The interpreter of HttpRequest. Without `credentials` a request that names one fails."""

    def __init__(self, guard: EgressGuard, credentials: Credentials | None = None) -> None:
        self._exchange = HttpExchange(guard)
        self._credentials = credentials

    async def perform(self, effect: HttpRequest, context: EffectContext) -> dict[str, Any] | EffectError:
        """`{"status", "headers", "body", "binary"?, "earlier"?}`, or why not. Never raises but for cancellation."""
        started = asyncio.get_running_loop().time()
        result = await self._perform(effect, context)
        outcome = "error" if isinstance(result, EffectError) else str(result["status"] // 100) + "xx"
        metrics.EFFECTS.labels("http", outcome).inc()
        metrics.EFFECT_SECONDS.labels("http").observe(asyncio.get_running_loop().time() - started)
        return result

    async def close(self) -> None:
        await self._exchange.close()

    async def _perform(self, request: HttpRequest, context: EffectContext) -> dict[str, Any] | EffectError:
        call = _Call(self._exchange, self._credentials, request, context)
        seconds = min(request.timeout_seconds, request.exchange_seconds or request.timeout_seconds)
        try:
            if request.delay_seconds:
                seconds = await _wait(request, seconds)
            async with asyncio.timeout(seconds):
                return call.hidden(await call.all_steps())
        except CredentialProblem as problem:
            failed = problem.as_error()
        except Unusable as unusable:
            failed = unusable.error
        except (EgressRefused, aiohttp.ClientError, OSError, ValueError, TypeError) as error:
            failed = error_of(error, seconds)
        return call.hidden_error(failed)


async def _wait(request: HttpRequest, seconds: float) -> float:
    """Wait until it is this request's turn; returns what is left of `seconds`. Raises TimeoutError: nothing is."""
    left = request.timeout_seconds - request.delay_seconds
    await asyncio.sleep(min(request.delay_seconds, request.timeout_seconds))
    if left <= 0:
        raise TimeoutError
    return min(left, seconds)


class _Call:
    """One effect on its way: its credential, where it went first, and how far it came."""

    def __init__(
        self,
        exchange: HttpExchange,
        credentials: Credentials | None,
        request: HttpRequest,
        context: EffectContext,
    ) -> None:
        self._exchange = exchange
        self._credentials = credentials
        self._request = request
        self._context = context
        self._opened: Opened | None = None
        self._used: list[Opened] = []
        """The credential in every state in which it was sent: none of them may come back."""
        self._first: Target | None = None
        self._progress = Progress()
        self._room = request.max_response_bytes
        self._decisive = not request.then
        """The request that is under way is the last one."""

    async def all_steps(self) -> dict[str, Any]:
        """The answer of the last request, or of the first that nothing could follow on."""
        await self._open()
        value = await self._all_pages(self._request)
        answers = [value["body"]]
        for step in self._request.then:
            if value["status"] >= 400:
                return value
            try:
                following = next_request(step, answers)
            except MissingInAnswer as missing:
                return {**value, "missing": missing.place}
            self._check_address(following)
            self._progress = Progress()
            self._decisive = step is self._request.then[-1]
            value = await self._all_pages(following)
            answers.append(value["body"])
        return value

    def _check_address(self, request: HttpRequest) -> None:
        """What an answer says is no way out of encryption; where it leads, the egress guard judges as ever."""
        target = parse_target(request.url)
        if self._first is not None and self._first.scheme == "https" and target.scheme != "https":
            raise EgressRefused(f"the answer names {target.scheme}://{target.host}: it would go unencrypted")

    async def _all_pages(self, request: HttpRequest) -> dict[str, Any]:
        """The last page's answer, with the bodies of those before it."""
        earlier, count = list[Any](), 0
        while True:
            answer = await self._answer(request)
            value = {"status": answer.status, "headers": answer.headers, **self._decoded(answer)}
            pages = request.pages
            if pages is None or answer.status >= 400:
                return value
            if earlier:
                value["earlier"] = earlier
            following = next_page(request, answer.headers, value["body"])
            count += len(items_of(value["body"], pages.items_at or ""))
            if following is None or (pages.most_items and count >= pages.most_items):
                return value
            if len(earlier) + 1 >= pages.most_pages:
                if pages.stop_at_most:
                    return value
                raise Unusable("too_many_pages", f"the list has more than {pages.most_pages} pages")
            if following == request:
                raise Unusable("endless_pages", "the next page is the same as this one")
            earlier = [*earlier, value["body"]]
            self._room -= len(answer.body)
            request = following

    def hidden(self, value: dict[str, Any]) -> dict[str, Any]:
        """The value without the credential's secrets: a server may echo what it was sent."""
        for used in self._used:
            file = value.pop("binary", None)
            value = used.hide_in(value)
            if file is not None:  # its content is clean already, and would be no base64 any more
                value["binary"] = {**used.hide_in({**file, "data": ""}), "data": file["data"]}
        return value

    def hidden_error(self, error: EffectError) -> EffectError:
        """The error without secrets; it may have happened if the server had the request, as answers before show."""
        unknown = error.unknown and self._progress.sent
        if self._progress.answers and error.code in {"connection_failed", "tls_failed", "timeout", "invalid_request"}:
            unknown = True
        unknown = unknown and self._decisive
        return msgspec.structs.replace(error, unknown=unknown, message=self._hide(error.message)[:_LONGEST_MESSAGE])

    def _hide(self, text: str) -> str:
        for used in self._used:
            text = used.hide(text)
        return text

    def _decoded(self, answer: Answer) -> dict[str, Any]:
        return decode_body(answer, self._request.response, self._hide if self._used else None)

    async def _open(self) -> None:
        if self._request.credential is None:
            return
        if self._credentials is None:
            raise CredentialProblem("credentials_unavailable", "this worker has no credentials")
        self._opened = await self._credentials.open(self._context.workspace, self._request.credential)
        self._used.append(self._opened)

    async def _answer(self, request: HttpRequest) -> Answer:
        """One page: with the credential where the first one went, without it and all secrets anywhere else."""
        if self._first is not None:
            target = parse_target(request.url)
            if target.origin != self._first.origin:
                plain = msgspec.structs.replace(request, headers=headers_for(target, self._first, request.headers))
                return await self._send(plain)
        if self._opened is None or self._credentials is None or request.credential is None:
            return await self._send(request)
        authorised = await self._credentials.authorise(request, self._opened)
        answer = await self._send(authorised)
        if answer.status != 401 or answer.hops:
            return answer
        again = await self._credentials.answer_refusal(request, self._opened, answer.status, answer.headers, answer.url)
        if again is None:
            return answer
        request, self._opened = again
        if self._opened not in self._used:
            self._used.append(self._opened)
        return await self._send(request)

    async def _send(self, request: HttpRequest) -> Answer:
        sending = _outgoing(request, self._context)
        self._first = self._first or sending.target
        redirects = request.max_redirects if request.follow_redirects else None
        return await self._exchange.send(sending, self._progress, redirects=redirects, limit=self._room)


def _outgoing(request: HttpRequest, context: EffectContext) -> Outgoing:
    """Raises EgressRefused, ValueError, TypeError."""
    headers = {str(name): str(value) for name, value in request.headers.items()}
    given = {name.lower() for name in headers}
    body, content_type = encode_body(request)
    if content_type is not None and ("content-type" not in given or request.multipart or request.files):
        headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        headers["Content-Type"] = content_type  # a boundary is nothing that anybody could have given
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
    proxy = parse_target(request.proxy) if request.proxy else None
    return Outgoing(request.method, target, headers, body, proxy, request.verify_tls)
