"""Large fields move out of a record: split them off when it is written, put them back when it is read. Pure.

A field of payload kind whose JSON is larger than SPILL_OVER bytes becomes a blob. In the record it is absent from
`data` and named in `blobs` (field → blob id). Blobs are stored before the append (infra/blobs.py).
"""

from collections.abc import Callable, Collection, Mapping
from hashlib import sha256

import msgspec

SPILL_OVER = 64 * 1024
"""Bytes of JSON that a field may have inside a record."""

PAYLOAD_FIELDS = frozenset(
    {"items", "outputs", "output", "body", "result", "results", "document", "taken_runs", "values", "variables"}
)
"""Fields that hold users' data and may be large, by name, in every event and command."""

Spill = Callable[[bytes], str]
"""Takes the JSON of a field to be stored outside and returns its blob id."""

NO_BLOBS: Mapping[str, bytes] = {}

_fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def blob_id(workspace: str, content: bytes) -> str:
    """The id under which `content` is stored: the same bytes of one workspace are stored once, never shared."""
    return sha256(workspace.encode() + b"\0" + content).hexdigest()


class BlobCollector:
    """A `Spill` that keeps what was split off, to be stored before the append: `blobs` is id → bytes."""

    __slots__ = ("blobs", "workspace")

    def __init__(self, workspace: str) -> None:
        self.workspace = workspace
        self.blobs: dict[str, bytes] = {}

    def __call__(self, content: bytes) -> str:
        key = blob_id(self.workspace, content)
        self.blobs[key] = content
        return key


def split(data: bytes, fields: Collection[str], spill: Spill, over: int = SPILL_OVER) -> tuple[bytes, dict[str, str]]:
    """`data` (a JSON object) without those of `fields` that are larger than `over` bytes, and field → blob id."""
    values = _fields_of(data)
    blobs = {name: spill(bytes(raw)) for name, raw in values.items() if name in fields and len(bytes(raw)) > over}
    return (without(data, blobs), blobs) if blobs else (data, {})


def without(data: bytes, fields: Collection[str]) -> bytes:
    """`data` (a JSON object) without these fields."""
    return _encode({name: raw for name, raw in _fields_of(data).items() if name not in fields})


def join(data: bytes | msgspec.Raw, contents: Mapping[str, bytes]) -> bytes:
    """`data` (a JSON object) with the fields in `contents` (field → its JSON) put back."""
    values = _fields_of(data)
    for name, content in contents.items():
        values[name] = msgspec.Raw(content)
    return _encode(values)
