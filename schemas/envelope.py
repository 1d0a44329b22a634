"""What stands on the log: commands, commits, takeovers, ticks, dead letters. JSON by msgspec, with short headers.

FROZEN: every record ever written must decode for ever. Add optional fields with defaults only; golden files in
tests/golden/records check it. Times are milliseconds since 1970.

Headers (what a reader needs without decoding):
    k  kind: c command, m commit, o takeover, t tick, d dead letter
    i  command: its id
    w  workspace        s  stream
    e  commit: epoch as "offset:nonce"      n  commit: ordinal in the epoch, decimal
    c  commit: cause (id of the command it answers, or of what else made it)
    r  reply nonce: set by a caller that waits, echoed by the answer
    o  takeover: its nonce
    t  traceparent (W3C)
"""

from typing import Any
from zlib import crc32

import msgspec

from domain.decision import Outcome

Headers = tuple[tuple[str, bytes], ...]


class Epoch(msgspec.Struct, frozen=True, array_like=True):
    """A takeover record's offset and nonce: who owns a partition of a commit topic (rule 2)."""

    offset: int
    nonce: str

    def header(self) -> bytes:
        return b"%d:%s" % (self.offset, self.nonce.encode())

    @staticmethod
    def of_header(value: bytes) -> "Epoch":
        offset, _, nonce = value.partition(b":")
        return Epoch(int(offset), nonce.decode())


class CommandRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Asks a stream for something. `type` and `tv` name the command and its version in the registry.

    `made`: when the caller looked at the read model (rule 14); `data`: the command's own fields; `blobs`: those of
    them that are stored outside (field → blob id).
    """

    id: str
    type: str
    stream: str
    workspace: str
    made: int
    data: msgspec.Raw
    tv: int = 1
    actor: str = ""
    correlation: str = ""
    blobs: dict[str, str] = {}
    v: int = 1


class Answers(msgspec.Struct, frozen=True, array_like=True):
    """The input that a commit answers."""

    topic: str
    offset: int


class EventRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event: `type` and `v` name it in the registry. `blobs`: field of `data` → id of the blob that holds it."""

    type: str
    data: msgspec.Raw
    v: int = 1
    blobs: dict[str, str] = {}


class SentCommand(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command that the owner sends to another stream after acceptance (rule 13)."""

    id: str
    type: str
    stream: str
    data: msgspec.Raw
    tv: int = 1
    blobs: dict[str, str] = {}


class CommitRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One or more events of one stream, decided together; or an answer without events.

    `version`: of the first event (the stream's first event has 1); without events, that of the last one before
    (0 where the owner has forgotten a closed stream).
    `queued_at`: executions only, keys the read model's rows. `delivers`: it is of an execution that the system runs for
    a subscription, so that usage tells them apart without the execution's beginning.
    """

    id: str
    stream: str
    version: int
    epoch: Epoch
    n: int
    workspace: str
    time: int
    events: list[EventRecord] = []
    outcome: Outcome = Outcome()
    answers: Answers | None = None
    cause: str = ""
    correlation: str = ""
    actor: str = ""
    queued_at: int | None = None
    commands: list[SentCommand] = []
    delivers: bool = False
    v: int = 1


class TakeoverRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A worker announces itself as the owner of this partition; its offset and nonce are the epoch (rule 2)."""

    nonce: str
    owner: str
    time: int
    v: int = 1


class TickRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The passing of time: `time` never goes backwards; `leader` names who said so."""

    time: int
    leader: str
    v: int = 1


class DeadLetterRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input that could not be decoded or decided: where it was, why, and its bytes (base64 when JSON)."""

    topic: str
    partition: int
    offset: int
    code: str
    reason: str
    time: int
    value: bytes = b""
    headers: list[tuple[str, bytes]] = []
    workspace: str = ""
    v: int = 1


KIND_COMMAND, KIND_COMMIT, KIND_TAKEOVER, KIND_TICK, KIND_DEAD_LETTER = b"c", b"m", b"o", b"t", b"d"

encode = msgspec.json.Encoder().encode
decode_command = msgspec.json.Decoder(CommandRecord).decode
decode_commit = msgspec.json.Decoder(CommitRecord).decode
decode_takeover = msgspec.json.Decoder(TakeoverRecord).decode
decode_tick = msgspec.json.Decoder(TickRecord).decode
decode_dead_letter = msgspec.json.Decoder(DeadLetterRecord).decode


def partition_of(stream: str, partitions: int) -> int:
    """Where a stream lives, for ever."""
    return crc32(stream.encode()) % partitions


def header(headers: Headers, name: str) -> bytes | None:
    for key, value in headers:
        if key == name:
            return value
    return None


def as_json(value: Any) -> bytes:
    return encode(value)
