"""What nodes that work on texts share: long text parameters, bytes in base64, where the result goes."""

import base64
import binascii
from typing import Any, Final

from domain.execution.events import Item
from domain.nodes.failures import NodeFailure
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import put_path, split_path

MAX_TEXT: Final = 5_000_000
"""Characters of a text that a node takes: as much as a request body may have."""


def long_text(name: str, docs: str) -> Parameter:
    """A required text as long as a document."""
    return Parameter(name, "text", docs, required=True, longest=MAX_TEXT)


def field_path(parameters: Parameters, name: str) -> tuple[str, ...]:
    """The path of a parameter that names a field; noted as a problem if it has an empty part."""
    path = split_path(parameters.plain(name) or "")
    if not all(path) and parameters.given(name):
        parameters.refuse(name, "is no field name: it is empty or has an empty part")
    return path


def with_field(item: Item, path: tuple[str, ...], value: Any) -> Item:
    """The item with one more field."""
    json = dict(item["json"])
    put_path(json, path, value)
    return {**item, "json": json}


def utf8(text: str) -> bytes:
    """The text's bytes. Raises NodeFailure for half a surrogate pair, which has none."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NodeFailure("bad_text", "the text holds half a character (a lone surrogate)") from None


def from_base64(text: str, *, url: bool = False) -> bytes:
    """The bytes of base64 text, padded or not; white space is left out. Raises NodeFailure."""
    compact = "".join(text.split()).rstrip("=")
    try:
        padded = (compact + "=" * (-len(compact) % 4)).encode("ascii")
        return base64.b64decode(padded, b"-_" if url else None, validate=True)
    except (binascii.Error, ValueError):
        raise NodeFailure("bad_text", "the text is no base64") from None
