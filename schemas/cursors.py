"""The feed's cursor: base64url of the anchors of all partitions, so that a client that comes back misses nothing."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FORM = 1
_MAX_TEXT = 20_000


class InvalidCursor(ValueError):
    """Not a cursor of this installation."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """`anchors[slot]`: offset of the last record taken into account (-1: none). Of the next commit of `slot`, the
    first `done` events are known already."""

    anchors: tuple[int, ...]
    slot: int = 0
    done: int = 0

    def encode(self) -> str:
        return encode_cursor(self.anchors, self.slot, self.done)

    @staticmethod
    def decode(text: str, slots: int) -> "Cursor":
        """Raises InvalidCursor for what is malformed or of a log with another number of partitions."""
        if len(text) > _MAX_TEXT:
            raise InvalidCursor("the cursor is too long")
        try:
            raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
            if not raw or raw[0] != _FORM:
                raise InvalidCursor("the cursor is of another form")
            values = list(_varints(raw[1:]))
        except (ValueError, IndexError) as error:
            raise InvalidCursor("the cursor is malformed") from error
        if len(values) != slots + 2 or values[slots] >= slots:
            raise InvalidCursor("the cursor is of another log")
        return Cursor(tuple(value - 1 for value in values[:slots]), values[slots], values[slots + 1])


def encode_cursor(anchors: Sequence[int], slot: int = 0, done: int = 0) -> str:
    raw = bytearray((_FORM,))
    for anchor in anchors:
        _put_varint(raw, anchor + 1)
    _put_varint(raw, slot)
    _put_varint(raw, done)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _put_varint(raw: bytearray, value: int) -> None:
    while value > 0x7F:
        raw.append(value & 0x7F | 0x80)
        value >>= 7
    raw.append(value)


def _varints(raw: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in raw:
        value |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            if shift > 63:
                raise InvalidCursor("a number is too large")
        else:
            yield value
            value = shift = 0
    if shift:
        raise InvalidCursor("the cursor is cut off")
