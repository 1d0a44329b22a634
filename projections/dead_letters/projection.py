"""Dead letters: what could not be decoded or decided, why, and what was done about it."""

import msgspec

from projections.facts import Commit, LetterDiscarded, LetterRecorded, LetterRedriven, LetterReviewed, payload, text
from projections.operations import Insert, Operation, Table, Update, Values

VERSION = 3

DEAD_LETTERS = Table(
    name="dead_letters",
    key=("id",),
    columns={
        "id": "uuid",
        "workspace_id": "uuid",
        "topic": "text",
        "partition": "integer",
        "position": "bigint",
        "code": "text",
        "reason": "text",
        "command": "text",
        "stream": "text",
        "excerpt": "text",
        "body": "json",
        "outside": "json",
        "status": "text",
        "attempts": "integer",
        "last_stream": "text",
        "last_by": "text",
        "discard_reason": "text",
        "reviewed_at": "time",
        "created_at": "time",
        "updated_at": "time",
        "stream_version": "bigint",
    },
)
TABLES = (DEAD_LETTERS,)

_encode = msgspec.json.Encoder(order="sorted").encode


def project(commit: Commit) -> list[Operation]:
    operations: list[Operation] = []
    key = (commit.id,)
    for event, version, blobs in commit.facts:
        match event:
            case LetterRecorded():
                values: Values = {
                    "workspace_id": commit.workspace or None,
                    "topic": event.topic,
                    "partition": event.partition,
                    "position": event.offset,
                    "code": text(event.code),
                    "reason": text(event.reason),
                    "command": text(event.command),
                    "stream": text(event.stream),
                    "excerpt": text(event.excerpt),
                    "body": payload(event.body, "body", blobs),
                    "outside": _encode(event.outside).decode() if event.outside else None,
                    "status": "open",
                    "attempts": 0,
                    "created_at": event.at,
                    "updated_at": event.at,
                    "stream_version": version,
                }
                operations.append(Insert("dead_letters", key, values))
            case LetterReviewed():
                seen: Values = {"reviewed_at": event.at, "updated_at": event.at, "stream_version": version}
                operations.append(Update("dead_letters", key, seen))
            case LetterRedriven():
                sent: Values = {
                    "status": "redriven",
                    "attempts": event.number,
                    "last_stream": text(event.stream),
                    "last_by": text(event.by),
                    "updated_at": event.at,
                    "stream_version": version,
                }
                operations.append(Update("dead_letters", key, sent))
            case LetterDiscarded():
                gone: Values = {
                    "status": "discarded",
                    "last_by": text(event.by),
                    "discard_reason": text(event.reason),
                    "body": None,
                    "updated_at": event.at,
                    "stream_version": version,
                }
                operations.append(Update("dead_letters", key, gone))
    return operations
