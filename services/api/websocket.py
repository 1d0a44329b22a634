"""`GET /ws`: the feed over a WebSocket. The server answers pings and sends its own."""

import asyncio
from urllib.parse import parse_qs

import msgspec

from schemas.cursors import Cursor, InvalidCursor
from services.api.asgi import Receive, Scope, Send
from services.api.feed import Closed, Feed, slots_of
from services.api.frames import Wish
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import PROBLEM_JSON, Problem, reads_away
from services.api.reads import READS_AWAY

_PARAMETERS = frozenset(("cursor", "types", "workflow_id", "execution_id"))
_UPGRADE_HEADER = b"x-linkflow-cursor"


async def serve_feed(parts: Parts, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
    """Serve one client until it goes or is closed. Refusals are HTTP answers before the upgrade."""
    message = await receive()
    if message["type"] != "websocket.connect":
        return
    try:
        if scope["path"] != "/ws":
            raise Problem(404, "not_found", "There is no WebSocket at this address.")
        principal = await parts.authenticator.principal_of(scope)
        wish, cursor = _asked(scope["query_string"].decode("latin-1"), slots_of(parts.log))
        if not parts.follower.ready.is_set():
            raise Problem(503, "unavailable", "The feed is not ready yet.", headers=((b"retry-after", b"1"),))
    except Problem as problem:
        await _refuse(scope, send, problem, request_id)
        return
    except READS_AWAY:
        await _refuse(scope, send, reads_away(), request_id)
        return
    headers = [(b"x-request-id", request_id.encode()), (_UPGRADE_HEADER, parts.feed.cursor().encode())]
    await send({"type": "websocket.accept", "headers": headers})
    await _serve(parts.feed, principal, wish, cursor, receive, send)


async def _serve(
    feed: Feed, principal: Principal, wish: Wish, cursor: Cursor | None, receive: Receive, send: Send
) -> None:
    sending = asyncio.create_task(_send_frames(feed, principal.workspace_id, wish, cursor, send))
    listening = asyncio.create_task(_until_gone(receive))
    try:
        await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
        gone = listening.done()
    finally:
        for task in (sending, listening):
            task.cancel()
        results = await asyncio.gather(sending, listening, return_exceptions=True)
    closed = results[0]
    if isinstance(closed, Closed) and not gone:
        await send({"type": "websocket.close", "code": closed.code, "reason": closed.reason})
    elif isinstance(closed, Exception) and not isinstance(closed, OSError) and not gone:
        raise closed


async def _send_frames(feed: Feed, workspace: str, wish: Wish, cursor: Cursor | None, send: Send) -> None:
    frames = feed.open(workspace, wish, cursor)
    try:
        async for frame in frames:
            await send({"type": "websocket.send", "text": frame})
    finally:
        await frames.aclose()


async def _until_gone(receive: Receive) -> None:
    """Clients have nothing to say; what they send is read and dropped, so that pings are answered."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


def _asked(query: str, slots: int) -> tuple[Wish, Cursor | None]:
    given = parse_qs(query, keep_blank_values=True)
    if unknown := sorted(set(given) - _PARAMETERS):
        raise Problem(
            422, "invalid_parameters", f"Unknown parameter {unknown[0]}.", [(name, "is unknown") for name in unknown]
        )
    types = frozenset(name for text in given.get("types", ()) for name in text.split(",") if name)
    wish = Wish(types or None, _last(given, "workflow_id"), _last(given, "execution_id"))
    text = _last(given, "cursor")
    if text is None:
        return wish, None
    try:
        return wish, Cursor.decode(text, slots)
    except InvalidCursor as error:
        raise Problem(400, "invalid_cursor", f"{error}.", [("cursor", str(error))]) from None


def _last(given: dict[str, list[str]], name: str) -> str | None:
    values = given.get(name)
    return values[-1] or None if values else None


async def _refuse(scope: Scope, send: Send, problem: Problem, request_id: str) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": problem.code})
        return
    body = msgspec.json.encode(problem.document(request_id))
    headers = [
        (b"content-type", PROBLEM_JSON),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        *problem.headers,
    ]
    await send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
