"""The few ASGI things that the routes without a framework need."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = b"application/json"


def header_of(headers: Sequence[Header], name: bytes) -> bytes | None:
    """The first header of this (lower-case) name."""
    for key, value in headers:
        if key == name:
            return value
    return None


async def respond(
    send: Send,
    status: int,
    body: bytes,
    request_id: str,
    *,
    content_type: bytes = JSON,
    headers: Sequence[Header] = (),
    head: bool = False,
) -> None:
    """Send a whole response. `head`: as for a HEAD request, the body's length without the body."""
    sent: list[Header] = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        (b"x-content-type-options", b"nosniff"),
        *headers,
    ]
    if status == 204:
        sent = [pair for pair in sent if pair[0] not in (b"content-type", b"content-length")]
        body = b""
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": b"" if head else body})
