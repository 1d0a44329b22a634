"""Files that items carry, beside their json: `{"binary": {name: {data, mime_type, file_name, size}}}`.

`data` is base64, so that an item stays JSON; what is large is stored outside the record like every other payload
(docs/adr/0012). Names are chosen by whoever makes the file, `data` where nobody does.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from domain.execution.events import Item
from domain.nodes.failures import NodeFailure

DEFAULT_NAME: Final = "data"
OCTETS: Final = "application/octet-stream"
_TEXT: Final = re.compile(
    r"text/.*|application/(.*\+)?(json|xml|yaml|x-yaml|javascript|x-javascript|ecmascript|graphql|sql|toml"
    r"|x-ndjson|ndjson|jsonl|json-seq|x-www-form-urlencoded|xml-dtd|x-sh|rtf)|image/svg\+xml|.*\+(json|xml|yaml)"
)
_UNSAFE_IN_NAMES: Final = re.compile(r'[\x00-\x1f\x7f/\\"<>|:*?]+')


def make_binary(data: str, size: int, *, mime_type: str = OCTETS, file_name: str = "") -> dict[str, Any]:
    """A file as an item carries it. `data`: base64 of `size` bytes; the name is made harmless."""
    return {
        "data": data,
        "mime_type": mime_type or OCTETS,
        "file_name": harmless_file_name(file_name) or "file",
        "size": size,
    }


def find_binary(item: Item, name: str) -> Mapping[str, Any]:
    """The item's file of that name. Raises NodeFailure `missing_binary`, naming those that there are."""
    files = item.get("binary") or {}
    found = files.get(name)
    if not isinstance(found, dict) or not isinstance(found.get("data"), str):
        there = ", ".join(map(repr, files)) or "none"
        raise NodeFailure("missing_binary", f"the item has no file {name!r} (it has {there})")
    return found


def is_text_type(mime_type: str) -> bool:
    """Whether what is of this type is read as text (JSON and XML are), not carried as a file."""
    return bool(_TEXT.fullmatch(mime_type))


def harmless_file_name(name: str) -> str:
    """`name` without folders and signs that mean something to a file system, at most 200 characters."""
    last = re.split(r"[/\\]", name)[-1]
    return _UNSAFE_IN_NAMES.sub("_", last).strip(" .")[:200]
