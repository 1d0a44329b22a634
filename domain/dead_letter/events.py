"""Facts recorded for one dead letter."""

from typing import Any

import msgspec


class LetterRecorded(msgspec.Struct, frozen=True, omit_defaults=True):
    topic: str
    partition: int
    offset: int
    code: str
    reason: str
    at: int
    excerpt: str = ""
    command: str = ""
    tv: int = 0
    stream: str = ""
    body: Any = None
    outside: dict[str, str] = {}


class LetterReviewed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ten minutes after it was put aside: the operator is told (this event is on the feed); what is safe goes on."""

    at: int


class LetterRedriven(msgspec.Struct, frozen=True, omit_defaults=True):
    """It was sent again, to `stream`, for the `number`-th time. `by`: who asked, empty for the review."""

    at: int
    number: int
    stream: str
    by: str = ""


class LetterDiscarded(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int
    by: str = ""
    reason: str = ""


LetterEvent = LetterRecorded | LetterReviewed | LetterRedriven | LetterDiscarded
