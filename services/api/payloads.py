"""What a webhook's body becomes: a value for the item's json, and files for its binary."""

from base64 import b64encode
from typing import Any

from domain.nodes.binary import DEFAULT_NAME, is_text_type, make_binary
from services.api.bodies import fold_pairs, parse_form, parse_json
from services.api.multipart import parse_multipart
from services.api.problems import Problem

Files = dict[str, dict[str, Any]]


def decode_payload(content_type: str, encoding: str, body: bytes) -> tuple[Any, Files]:
    """The body by its content type: JSON, a form with or without files, text, or one file (`data`).

    Nothing sent is an empty object. What a sender writes is data: it makes files of its own only by sending them, and
    none of its names means anything here. Raises Problem.
    """
    if not body:
        return {}, {}
    if encoding.strip().lower() not in {"", "identity"}:
        raise Problem(415, "unsupported_encoding", f"A body packed as {encoding[:40]!r} is not taken: send it plain.")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return parse_json(body), {}
    if kind == "application/x-www-form-urlencoded":
        return parse_form(body), {}
    if kind == "multipart/form-data":
        fields, files = parse_multipart(content_type, body)
        return fold_pairs(fields), files
    if kind and not is_text_type(kind):
        return {}, _file(kind, body)
    return _text(kind, body)


def _text(kind: str, body: bytes) -> tuple[Any, Files]:
    if not kind:
        try:
            return parse_json(body), {}
        except Problem:
            pass
    try:
        return body.decode(), {}
    except UnicodeDecodeError:
        return {}, _file(kind, body)


def _file(kind: str, body: bytes) -> Files:
    return {DEFAULT_NAME: make_binary(b64encode(body).decode(), len(body), mime_type=kind)}
