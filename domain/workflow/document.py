"""The workflow document as users write it: a typed, frozen model and its validation.

`parse_document` checks the shape (fields, types, limits, unique ids); what the graph and the node types mean is checked
by `domain.workflow.graph.compile_workflow`.
"""

from typing import Any, Literal, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from domain.errors import InvalidDocument
from domain.retries import RetryPolicy
from domain.workflow.fields import Fields, Problems, check_bounds, kind_of
from domain.workflow.retry_fields import NO_REPEAT, execution_retries, node_retry

MAX_NODES = 1_000
MAX_CONNECTIONS = 5_000
MAX_ID = 100
MAX_NAME = 200
MAX_NOTES = 20_000
MAX_CONCURRENT = 100_000
MAX_TIMEOUT_SECONDS = 30 * 86_400

OnError = Literal["fail", "continue", "error_output"]
OnUnknownOutcome = Literal["fail", "retry", "ask"]


class NodeDocument(msgspec.Struct, frozen=True):
    """One node. `timeout_seconds` is for one effect, or one run in the compute pool; None takes the node type's own."""

    id: str
    type: str
    parameters: dict[str, Any]
    name: str = ""
    position: tuple[float, float] | None = None
    notes: str = ""
    disabled: bool = False
    credentials: str | dict[str, str] | None = None
    type_version: int = 1
    retry: RetryPolicy = RetryPolicy()
    timeout_seconds: float | None = None
    on_error: OnError = "fail"
    on_unknown_outcome: OnUnknownOutcome = "fail"


class Connection(msgspec.Struct, frozen=True):
    """From an output port of one node to an input port of another (`from` and `to` in the document)."""

    source: str
    target: str
    output: str = "main"
    input: str = "main"


class Concurrency(msgspec.Struct, frozen=True):
    """At most `limit` executions side by side: of the workflow, or of each value of the expression `key`."""

    limit: int
    key: str = ""
    when_full: Literal["queue", "skip"] = "queue"


class Settings(msgspec.Struct, frozen=True):
    """`timeout_seconds`: for the whole execution, time in waits not counted. `error_workflow`: the id of the workflow
    that starts when an execution fails."""

    timezone: str = "UTC"
    timeout_seconds: float = 300.0
    priority: Literal["low", "normal", "high"] = "normal"
    error_workflow: str | None = None
    retries: RetryPolicy = NO_REPEAT
    concurrency: Concurrency | None = None


class WorkflowDocument(msgspec.Struct, frozen=True):
    name: str
    nodes: tuple[NodeDocument, ...]
    connections: tuple[Connection, ...] = ()
    settings: Settings = Settings()


def parse_document(document: Any) -> WorkflowDocument:
    """The typed document of decoded JSON. Raises InvalidDocument with every problem found."""
    problems = Problems()
    if not isinstance(document, dict):
        problems.add("", f"a workflow is an object with name, nodes and connections, not {kind_of(document)}")
        raise InvalidDocument(problems)
    if not check_bounds(document, problems):
        raise InvalidDocument(problems)
    fields = Fields(document, "", problems)
    parsed = WorkflowDocument(
        name=fields.text("name", minimum=1, maximum=MAX_NAME),
        nodes=tuple(_nodes(fields, problems)),
        connections=tuple(_connections(fields, problems)),
        settings=_settings(fields, problems),
    )
    fields.finish()
    _check_ids(parsed, problems)
    if problems:
        raise InvalidDocument(problems)
    return parsed


def _nodes(fields: Fields, problems: Problems) -> list[NodeDocument]:
    nodes = []
    for index, value in enumerate(fields.list("nodes", maximum=MAX_NODES, required=True)):
        if isinstance(value, dict):
            nodes.append(_node(value, f"nodes[{index}]", problems))
        else:
            problems.add(f"nodes[{index}]", f"a node is an object with id and type, not {kind_of(value)}")
    return nodes


def _node(value: dict[str, Any], path: str, problems: Problems) -> NodeDocument:
    shown = value.get("id")
    owner = f"node {shown[:MAX_ID]!r}: " if isinstance(shown, str) else ""
    fields = Fields(value, path, problems, owner)
    node = NodeDocument(
        id=fields.text("id", minimum=1, maximum=MAX_ID),
        type=fields.text("type", minimum=1, maximum=MAX_ID),
        parameters=fields.object("parameters"),
        name=fields.text("name", maximum=MAX_NAME),
        position=_position(fields),
        notes=fields.text("notes", maximum=MAX_NOTES),
        disabled=fields.flag("disabled"),
        credentials=_credentials(fields),
        type_version=fields.integer("type_version", 1, minimum=1, maximum=1_000),
        retry=node_retry(fields, problems),
        timeout_seconds=fields.number("timeout_seconds", None, minimum=0.001, maximum=86_400),
        on_error=cast(OnError, fields.choice("on_error", "fail", ("fail", "continue", "error_output"))),
        on_unknown_outcome=cast(
            OnUnknownOutcome, fields.choice("on_unknown_outcome", "fail", ("fail", "retry", "ask"))
        ),
    )
    fields.finish()
    return node


def _position(fields: Fields) -> tuple[float, float] | None:
    value = fields.any("position")
    if value is None:
        return None
    pair = [value.get("x"), value.get("y")] if isinstance(value, dict) and set(value) == {"x", "y"} else value
    if isinstance(pair, list) and len(pair) == 2 and all(type(number) in {int, float} for number in pair):
        return (pair[0], pair[1])
    fields.wrong("position", 'position must be [x, y] or {"x": …, "y": …} with numbers')
    return None


def _credentials(fields: Fields) -> str | dict[str, str] | None:
    value = fields.any("credentials")
    if value is None or (isinstance(value, str) and 0 < len(value) <= MAX_ID):
        return value
    if isinstance(value, dict) and all(isinstance(entry, str) and 0 < len(entry) <= MAX_ID for entry in value.values()):
        return value
    fields.wrong("credentials", "credentials must be a credential's id, or an object of such ids")
    return None


def _connections(fields: Fields, problems: Problems) -> list[Connection]:
    connections = []
    for index, value in enumerate(fields.list("connections", maximum=MAX_CONNECTIONS)):
        path = f"connections[{index}]"
        if not isinstance(value, dict):
            problems.add(path, f"a connection is an object with from and to, not {kind_of(value)}")
            continue
        entry = Fields(value, path, problems)
        connections.append(
            Connection(
                source=entry.text("from", minimum=1, maximum=MAX_ID),
                target=entry.text("to", minimum=1, maximum=MAX_ID),
                output=entry.text("output", "main", minimum=1 if "output" in value else 0, maximum=MAX_ID),
                input=entry.text("input", "main", minimum=1 if "input" in value else 0, maximum=MAX_ID),
            )
        )
        entry.finish()
    return connections


def _settings(fields: Fields, problems: Problems) -> Settings:
    value = Fields(fields.object("settings"), "settings", problems)
    timezone = value.text("timezone", "UTC", maximum=64)
    if not _is_timezone(timezone):
        value.wrong("timezone", f"{timezone!r} is no time zone; use an IANA name such as Europe/Berlin")
    settings = Settings(
        timezone=timezone,
        timeout_seconds=value.number("timeout_seconds", 300.0, minimum=1, maximum=MAX_TIMEOUT_SECONDS) or 300.0,
        priority=cast(Any, value.choice("priority", "normal", ("low", "normal", "high"))),
        error_workflow=_workflow_id(value, "error_workflow"),
        retries=execution_retries(value, problems),
        concurrency=_concurrency(value, problems),
    )
    value.finish()
    return settings


def _workflow_id(fields: Fields, name: str) -> str | None:
    value = fields.any(name)
    try:
        return None if value is None else str(UUID(value))
    except (ValueError, TypeError, AttributeError):
        fields.wrong(name, f"{name!r} must be the id of a workflow")
        return None


def _concurrency(settings: Fields, problems: Problems) -> Concurrency | None:
    if not settings.given("concurrency"):
        settings.any("concurrency")
        return None
    value = Fields(settings.object("concurrency"), settings.at("concurrency"), problems)
    if not value.given("limit"):
        value.wrong("limit", "'limit' is missing; give how many executions may go on side by side")
    concurrency = Concurrency(
        limit=value.integer("limit", 1, minimum=1, maximum=MAX_CONCURRENT),
        key=value.text("key", maximum=MAX_NOTES),
        when_full=cast(Any, value.choice("when_full", "queue", ("queue", "skip"))),
    )
    value.finish()
    return concurrency


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


def _check_ids(document: WorkflowDocument, problems: Problems) -> None:
    first: dict[str, int] = {}
    for index, node in enumerate(document.nodes):
        if node.id in first:
            problems.add(
                f"nodes[{index}].id", f"node {node.id!r}: nodes[{first[node.id]}] has the same id; ids must be unique"
            )
        first.setdefault(node.id, index)
