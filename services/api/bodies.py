"""Reading request bodies: bounded while they arrive, decoded with errors that say where."""

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from schemas.nesting import MAX_JSON_DEPTH, too_deep
from services.api.asgi import Header, Receive, header_of
from services.api.problems import Problem

MAX_BODY_BYTES = 5_000_000
_MAX_FORM_FIELDS = 1_000
_BYTE = re.compile(r"\(byte (\d+)\)")


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(receive: Receive, headers: Sequence[Header], limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body, at most `limit` bytes: more is refused before it is held (Problem 413)."""
    length = header_of(headers, b"content-length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
    return b"".join(parts)


def parse_json(body: bytes, decode: Callable[[bytes], Any] = msgspec.json.decode) -> Any:
    """The decoded body; raises Problem 400 `malformed_json` with line and column, or `json_too_deep`."""
    if not body:
        raise Problem(400, "malformed_json", "The body is empty; JSON was expected.")
    if too_deep(body):
        raise Problem(400, "json_too_deep", f"The JSON is nested more than {MAX_JSON_DEPTH} levels deep.")
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(body, error) from None


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object; raises Problem 400 for malformed JSON, 422 `wrong_type` for anything but an object."""
    value = parse_json(body)
    if not isinstance(value, dict):
        raise Problem(422, "wrong_type", "The body must be a JSON object.", [("", "must be an object")])
    return value


def parse_form(body: bytes) -> dict[str, Any]:
    """Form fields; a field that comes more than once becomes a list."""
    try:
        return fold_pairs(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS))
    except ValueError:
        raise Problem(400, "malformed_form", f"The form is not UTF-8 or has over {_MAX_FORM_FIELDS} fields.") from None


def fold_pairs(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    folded: dict[str, Any] = {}
    for name, value in pairs:
        if name not in folded:
            folded[name] = value
        elif isinstance(folded[name], list):
            folded[name].append(value)
        else:
            folded[name] = [folded[name], value]
    return folded


def _too_large(limit: int) -> Problem:
    return Problem(413, "body_too_large", f"The body is over the limit of {limit} bytes.")


def _malformed(body: bytes, error: Exception) -> Problem:
    if isinstance(error, UnicodeDecodeError):
        return Problem(400, "malformed_json", "The body is not valid UTF-8.")
    message = str(error)
    found = _BYTE.search(message)
    place = int(found.group(1)) if found else len(body)
    line = body.count(b"\n", 0, place) + 1
    column = place - (body.rfind(b"\n", 0, place) + 1) + 1
    reason = _BYTE.sub("", message.removeprefix("JSON is malformed: ")).strip()
    detail = f"Malformed JSON at line {line}, column {column} (byte {place}): {reason}."
    return Problem(400, "malformed_json", detail, [(f"byte {place}", reason)])
