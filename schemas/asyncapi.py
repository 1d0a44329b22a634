"""The log as an AsyncAPI 3 document: topics as channels, kinds of records as messages, and their headers."""

from typing import Any

import msgspec

from schemas import envelope
from schemas.codec import Codec, Entry
from schemas.registry import COMMANDS, EVENTS, OWNER_ONLY

_PREFIX = "#/components/schemas/"

_CHANNELS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "commands": ("linkflow.commands", ("command",), "What is asked of every aggregate but executions."),
    "events": ("linkflow.events", ("commit", "takeover"), "The commits that answer linkflow.commands. Kept for ever."),
    "executionCommands": ("linkflow.execution-commands", ("executionCommand",), "What is asked of executions."),
    "executions": (
        "linkflow.executions",
        ("executionCommit", "takeover"),
        "The commits that answer linkflow.execution-commands.",
    ),
    "ticks": ("linkflow.ticks", ("tick",), "Time: one record a second and partition."),
    "deadLetters": ("linkflow.dead-letters", ("deadLetter",), "Inputs that could not be decoded or decided."),
}
"""Channel → (topic, its messages, what it holds)."""

_OPERATIONS: dict[str, tuple[str, str, str]] = {
    "askAggregates": ("send", "commands", "The API appends commands."),
    "askExecutions": ("send", "executionCommands", "The API appends commands; workers append those of other streams."),
    "tellTime": ("send", "ticks", "The leading scheduler appends a tick a second to each partition."),
    "commitAggregates": ("send", "events", "The owner of a partition appends what it decided."),
    "commitExecutions": ("send", "executions", "The owner of a partition appends what it decided."),
    "followAggregates": (
        "receive",
        "events",
        "Projector, API and subscribers; only commits that pass the fence count.",
    ),
    "followExecutions": ("receive", "executions", "Projector, API and subscribers; only what passes the fence counts."),
    "buryInput": ("send", "deadLetters", "What could not be decoded or decided."),
}

_HEADERS: dict[str, str] = {
    "k": "Kind: c command, m commit, o takeover, t tick, d dead letter.",
    "i": "Id of the command.",
    "w": "Id of the workspace.",
    "s": "Stream.",
    "e": "Epoch of the commit's writer, as offset:nonce of its takeover record.",
    "n": "Ordinal of the commit in its epoch, decimal.",
    "c": "Cause of the commit: id of the command that it answers.",
    "r": "Nonce of a caller that waits, echoed by the answer.",
    "o": "Nonce of a takeover.",
    "t": "Trace context (W3C traceparent).",
}

_MESSAGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "command": ("CommandRecord", "k", ("i", "w", "s", "r", "t")),
    "executionCommand": ("ExecutionCommandRecord", "k", ("i", "w", "s", "r", "t")),
    "commit": ("CommitRecord", "k", ("e", "n", "w", "s", "c", "r", "t")),
    "executionCommit": ("ExecutionCommitRecord", "k", ("e", "n", "w", "s", "c", "r", "t")),
    "takeover": ("TakeoverRecord", "k", ("o",)),
    "tick": ("TickRecord", "k", ()),
    "deadLetter": ("DeadLetterRecord", "k", ("w",)),
}
"""Message → (payload schema, header that is always there, headers that may be there)."""


def asyncapi() -> dict[str, Any]:
    """The document. Topics may carry an installation's prefix (LINKFLOW_LOG_PREFIX)."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "LinkFlow log",
            "version": "1",
            "description": "Records are JSON. Fields of `data` that are larger than 64 KB are stored outside: they are "
            "absent there (required ones too) and named in `blobs`. Who reads commits must apply the fence of "
            "docs/log-protocol.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in _CHANNELS},
        "operations": {name: _operation(name) for name in _OPERATIONS},
        "components": {"messages": {name: _message(name) for name in _MESSAGES}, "schemas": _schemas()},
    }


def _channel(name: str) -> dict[str, Any]:
    topic, messages, description = _CHANNELS[name]
    return {
        "address": topic,
        "description": description,
        "messages": {each: {"$ref": f"#/components/messages/{each}"} for each in messages},
    }


def _operation(name: str) -> dict[str, Any]:
    action, channel, summary = _OPERATIONS[name]
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _message(name: str) -> dict[str, Any]:
    payload, always, sometimes = _MESSAGES[name]
    return {
        "name": name,
        "headers": {
            "type": "object",
            "properties": {each: {"type": "string", "description": _HEADERS[each]} for each in (always, *sometimes)},
            "required": [always],
        },
        "payload": {"$ref": f"{_PREFIX}{payload}"},
    }


def _schemas() -> dict[str, Any]:
    entries: list[Entry] = [*EVENTS.entries.values(), *COMMANDS.entries.values()]
    kinds: list[Any] = [
        envelope.CommandRecord,
        envelope.CommitRecord,
        envelope.TakeoverRecord,
        envelope.TickRecord,
        envelope.DeadLetterRecord,
        *(entry.type for entry in entries if entry.name not in OWNER_ONLY),
    ]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_PREFIX + "{name}")
    for lane in ("", "Execution"):
        schemas[f"{lane}EventRecord"] = _tagged(schemas["EventRecord"], EVENTS, lane, "v")
        schemas[f"{lane}CommandRecord"] = _tagged(schemas["CommandRecord"], COMMANDS, lane, "tv")
    schemas["ExecutionCommitRecord"] = _with_events(schemas["CommitRecord"], "ExecutionEventRecord")
    return dict(sorted(schemas.items()))


def _tagged(record: dict[str, Any], codec: Codec, lane: str, version_field: str) -> dict[str, Any]:
    """The record's schema with one case a type of its lane: its name, its version, and the data that goes with it."""
    cases = [
        {
            "title": f"{entry.name} version {entry.version}",
            "properties": {
                "type": {"const": entry.name},
                version_field: {"const": entry.version, "default": 1},
                "data": {"$ref": f"{_PREFIX}{entry.type.__name__}"},
            },
        }
        for entry in codec.entries.values()
        if entry.name.startswith("execution.") == (lane == "Execution") and entry.name not in OWNER_ONLY
    ]
    return {**{key: value for key, value in record.items() if key != "oneOf"}, "oneOf": cases}


def _with_events(commit: dict[str, Any], events: str) -> dict[str, Any]:
    properties = {
        **commit["properties"],
        "events": {"type": "array", "items": {"$ref": f"{_PREFIX}{events}"}, "default": []},
    }
    return {**commit, "title": "ExecutionCommitRecord", "properties": properties}
