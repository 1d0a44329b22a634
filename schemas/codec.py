"""The machinery of the registry: wire names and versions ↔ classes, old versions lifted on their JSON.

A `Codec` is built once from its table and refuses a table that is inconsistent. Reading and writing are lookups in
dictionaries and cached encoders: this is on the path of every event.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_origin

import msgspec
from msgspec.structs import replace

from domain.encoded import Encoded
from schemas.errors import (
    DECODING_ERRORS,
    ENCODING_ERRORS,
    MalformedRecord,
    MissingBlob,
    UnencodableRecord,
    UnknownRecord,
)
from schemas.nesting import MAX_RECORD_DEPTH, too_deep
from schemas.payloads import NO_BLOBS, PAYLOAD_FIELDS, SPILL_OVER, Spill, join, split, without

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Lifts the JSON object of version v to version v + 1: pure, no defaults from outside."""

NO_FIELDS: Mapping[str, str] = {}
_encode = msgspec.json.Encoder().encode
_as_json = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Entry:
    """One class: its wire name, its current version, and how older versions are lifted, one step each.

    `upcasters[v]` takes version v to v + 1; there is one for every version below the current one.
    """

    name: str
    type: type[msgspec.Struct]
    version: int = 1
    upcasters: Mapping[int, Upcaster] | None = None

    @property
    def payload_fields(self) -> frozenset[str]:
        return PAYLOAD_FIELDS.intersection(self.type.__struct_fields__)

    @property
    def encodable_field(self) -> str | None:
        """The payload field that may be Encoded, if there is one."""
        fields = msgspec.structs.fields(self.type)
        found = [each.name for each in fields if each.name in PAYLOAD_FIELDS and get_origin(each.type) is dict]
        assert len(found) <= 1, "more than one is not provided for"
        return found[0] if found else None


class Codec:
    """Encodes and decodes the classes of one table."""

    __slots__ = ("_decoders", "_fillers", "_writers", "entries")

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries: dict[str, Entry] = {}
        self._writers: dict[type, tuple[str, int, frozenset[str], str | None]] = {}
        self._decoders: dict[str, tuple[int, Callable[[Any], Any]]] = {}
        self._fillers: dict[str, dict[str, bytes]] = {}
        for entry in entries:
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        if entry.name in self.entries:
            raise ValueError(f"{entry.name} is registered twice")
        if entry.type in self._writers:
            raise ValueError(f"{entry.type.__name__} is registered twice")
        if set(entry.upcasters or ()) != set(range(1, entry.version)):
            raise ValueError(f"{entry.name} version {entry.version} needs an upcaster for each version before it")
        self.entries[entry.name] = entry
        self._writers[entry.type] = (entry.name, entry.version, entry.payload_fields, entry.encodable_field)
        self._decoders[entry.name] = (entry.version, msgspec.json.Decoder(entry.type).decode)
        self._fillers[entry.name] = {
            field.encode_name: _empty(field.type)
            for field in msgspec.structs.fields(entry.type)
            if field.encode_name in PAYLOAD_FIELDS and field.required
        }

    def encode(
        self, value: Any, spill: Spill | None = None, over: int = SPILL_OVER
    ) -> tuple[str, int, msgspec.Raw, dict[str, str]]:
        """Wire name, version, data, blobs. Raises UnknownRecord (not registered), UnencodableRecord."""
        try:
            name, version, payloads, encodable = self._writers[type(value)]
        except KeyError:
            raise UnknownRecord(type(value).__name__, 0, "this class is not registered") from None
        known = NO_FIELDS
        if encodable is not None and spill is not None and type(getattr(value, encodable)) is Encoded:
            value, known = _without_known(value, encodable, spill, over)
        try:
            data = _encode(value)
        except ENCODING_ERRORS as error:
            raise UnencodableRecord(name, error) from error
        if known:
            data = without(data, known)
        # What is shorter has not so many brackets: most events are spared the look.
        if len(data) > 2 * MAX_RECORD_DEPTH and too_deep(data, MAX_RECORD_DEPTH):
            raise UnencodableRecord(name, ValueError(f"it is nested more than {MAX_RECORD_DEPTH} levels deep"))
        if len(data) > over and spill is not None and payloads:
            data, blobs = split(data, payloads, spill, over)
            return name, version, msgspec.Raw(data), {**blobs, **known}
        return name, version, msgspec.Raw(data), dict(known)

    def decode(
        self,
        name: str,
        version: int,
        data: msgspec.Raw,
        outside: Mapping[str, str] = NO_FIELDS,
        blobs: Mapping[str, bytes] = NO_BLOBS,
    ) -> Any:
        """The object. `outside`: field → blob id; `blobs`: blob id → its bytes.

        Raises UnknownRecord, MalformedRecord, MissingBlob.
        """
        try:
            current, decode = self._decoders[name]
        except KeyError:
            raise UnknownRecord(name, version, "no such type") from None
        try:
            if outside:
                data = msgspec.Raw(join(data, _contents(name, outside, blobs)))
            if version == current:
                return decode(data)
            return self._upcast(self.entries[name], version, data)
        except DECODING_ERRORS as error:
            raise MalformedRecord.of(name, version, error) from error

    def decode_bare(self, name: str, version: int, data: msgspec.Raw, outside: Mapping[str, str]) -> Any:
        """As `decode`, with the fields that are stored outside left empty ([], {} or None)."""
        fillers = self._fillers.get(name)
        if outside and fillers is not None:
            absent = {field: fillers[field] for field in outside if field in fillers}
            try:
                data = msgspec.Raw(join(data, absent))
            except DECODING_ERRORS as error:
                raise MalformedRecord.of(name, version, error) from error
        return self.decode(name, version, data)

    def _upcast(self, entry: Entry, version: int, data: msgspec.Raw) -> Any:
        if not 1 <= version < entry.version:
            raise UnknownRecord(entry.name, version, f"this program knows versions 1 to {entry.version}")
        value = _as_json(data)
        if not isinstance(value, dict):
            raise MalformedRecord(entry.name, version, "", "is not an object")
        for step in range(version, entry.version):
            try:
                value = (entry.upcasters or {})[step](value)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                message = f"cannot be lifted to version {step + 1}: {error!r}"
                raise MalformedRecord(entry.name, version, "", message) from error
        return msgspec.convert(value, entry.type, strict=True)


def _contents(name: str, outside: Mapping[str, str], blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    contents = {}
    for field, blob in outside.items():
        try:
            contents[field] = blobs[blob]
        except KeyError:
            raise MissingBlob(name, field, blob) from None
    return contents


def _empty(kind: Any) -> bytes:
    origin = getattr(kind, "__origin__", kind)
    return b"[]" if origin is list else b"{}" if origin is dict else b"null"


def _without_known(value: Any, field: str, spill: Spill, over: int) -> tuple[Any, Mapping[str, str]]:
    """`value` without this field if that is large: its JSON is known and not made again. And field → blob id."""
    json = getattr(value, field).json
    return (replace(value, **{field: {}}), {field: spill(json)}) if len(json) > over else (value, NO_FIELDS)
