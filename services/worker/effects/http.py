"""Performs HttpRequest. One session a process; requests start only from here."""

import asyncio
from typing import Any

import aiohttp
import msgspec

from domain.effects import EffectError, HttpRequest
from infra.telemetry import metrics
from services.worker.effects.interpreter import EffectContext

CONNECT_SECONDS = 10.0
_USER_AGENT = "LinkFlow"
_json_types = ("application/json", "+json")


class HttpEffects:
    """The HTTP client of a worker."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

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
        try:
            headers, data = _headers_and_body(request, context)
            async with self._client().request(
                request.method,
                request.url,
                params=_query(request.query),
                headers=headers,
                data=data,
                allow_redirects=request.follow_redirects,
                timeout=aiohttp.ClientTimeout(total=request.timeout_seconds, sock_connect=CONNECT_SECONDS),
            ) as response:
                return await _read(response, request.max_response_bytes)
        except (aiohttp.InvalidURL, ValueError, TypeError) as error:
            return EffectError("invalid_request", f"the request cannot be sent: {error}", retriable=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return EffectError("connection_failed", f"cannot connect: {error}")
        except TimeoutError:
            seconds = request.timeout_seconds
            return EffectError("timeout", f"no answer within {seconds:g} seconds", unknown=True)
        except (aiohttp.ClientError, OSError) as error:
            return EffectError(
                "connection_lost", f"the connection broke: {error or type(error).__name__}", unknown=True
            )

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
                headers={"User-Agent": _USER_AGENT},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _headers_and_body(request: HttpRequest, context: EffectContext) -> tuple[dict[str, str], bytes | None]:
    headers = {str(name): str(value) for name, value in request.headers.items()}
    given = {name.lower() for name in headers}
    data: bytes | None = None
    if request.body_text is not None:
        data = request.body_text.encode()
    elif request.body is not None:
        data = msgspec.json.encode(request.body)
        if "content-type" not in given:
            headers["Content-Type"] = "application/json"
    if context.effect_class == "idempotent" and "idempotency-key" not in given:
        headers["Idempotency-Key"] = context.key
    if context.trace is not None and "traceparent" not in given:
        headers["traceparent"] = context.trace.decode()
    return headers, data


def _query(query: dict[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        values = value if isinstance(value, list) else [value]
        pairs.extend((name, _text(each)) for each in values if each is not None)
    return pairs


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


async def _read(response: aiohttp.ClientResponse, limit: int) -> dict[str, Any] | EffectError:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(65_536):
        size += len(chunk)
        if size > limit:
            return EffectError("response_too_large", f"the answer is larger than {limit} bytes", retriable=False)
        chunks.append(chunk)
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return {"status": response.status, "headers": headers, "body": _decode(response, b"".join(chunks))}


def _decode(response: aiohttp.ClientResponse, body: bytes) -> Any:
    if not body:
        return None
    if response.content_type.endswith(_json_types):
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            pass
    try:
        return body.decode(response.charset or "utf-8", errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")
