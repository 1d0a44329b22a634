"""What can be done with a dead letter: an input that could not be decoded or decided, and was put aside."""

from typing import Any

import msgspec


class RecordLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Put aside by the owner of `partition`. `code` and `reason` say why; `excerpt`: the beginning of what could not be
    read. If it could be: its type and version (`command`, `tv`), its stream, its data (`body`, JSON) and the fields of
    the data that are stored outside (`outside`: name → blob id)."""

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


class RedriveLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Send it once more, as a new command."""

    at: int
    by: str = ""


class DiscardLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """It was looked at and is not wanted."""

    at: int
    by: str = ""
    reason: str = ""
