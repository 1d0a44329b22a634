"""Cursors of lists: opaque to clients, (time, id) of the last item of the page before."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec

from services.api.problems import Problem

MAX_LIMIT = 200
DEFAULT_LIMIT = 50
_number = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0, le=2**53)]).decode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_cursor(moment: datetime, last: str) -> str:
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(msgspec.json.encode([micros, last])).rstrip(b"=").decode()


def decode_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """Raises Problem 422 `invalid_cursor`."""
    if cursor is None:
        return None
    try:
        micros, last = msgspec.json.decode(_unpacked(cursor), type=tuple[int, str])
        return _EPOCH + timedelta(microseconds=micros), str(UUID(last))
    except (ValueError, msgspec.DecodeError, OverflowError):
        raise _not_ours() from None


def encode_number(last: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(last)).rstrip(b"=").decode()


def decode_number(cursor: str | None) -> int:
    """The number behind which a list goes on, 0 without a cursor. Raises Problem 422 `invalid_cursor`."""
    if cursor is None:
        return 0
    try:
        number: int = _number(_unpacked(cursor))
        return number
    except (ValueError, msgspec.DecodeError):
        raise _not_ours() from None


def _unpacked(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))


def _not_ours() -> Problem:
    return Problem(
        422, "invalid_cursor", "This cursor is not one that a list of this API gave.", [("cursor", "is not valid")]
    )


def page(items: list[Any], next_cursor: str | None) -> bytes:
    return msgspec.json.encode({"items": items, "next_cursor": next_cursor})
