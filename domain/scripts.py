"""What a sandbox is asked to run on behalf of a node, and what it answers.

A *script* is the code of a Code node, or expressions that the closed evaluator does not cover. The worker has it run
(infra/sandbox); its answer comes from a user's program, so nothing in it is believed before it has been checked here.
"""

from typing import Any, Literal

import msgspec

from domain.execution.events import Item, LogLine
from domain.nodes.failures import NodeFailure

Language = Literal["javascript", "python"]
Mode = Literal["all_items", "each_item", "expressions"]

UNAVAILABLE = "sandbox_unavailable"
MOST_LINES = 250
LONGEST_LINE = 2_100


class Script(msgspec.Struct, frozen=True):
    """Code of a Code node."""

    language: Language
    source: str
    mode: Mode


class ScriptCall(msgspec.Struct, frozen=True):
    """One run of a script. `key` names its source; `job`: JSON as infra/sandbox/inside reads it; time in seconds."""

    language: Language
    mode: Mode
    key: str
    job: bytes
    seconds: float


class ScriptError(msgspec.Struct, frozen=True):
    code: str
    message: str


class ScriptItem(msgspec.Struct, frozen=True):
    """An item that code put out; `sources`: numbers of the input items that it says, or is known, to be made of."""

    json: dict[str, Any]
    binary: dict[str, Any] | None = None
    sources: list[int] = msgspec.field(default=[], name="from")


class ScriptAnswer(msgspec.Struct, frozen=True):
    """`items`, `failures` (item, code, message, place), `logs` of code; `values` of expressions, by source and item."""

    items: list[ScriptItem] = []
    failures: list[tuple[int, str, str, int]] = []
    logs: list[LogLine] = []
    values: list[list[list[Any]]] = []
    error: ScriptError | None = None


_decode = msgspec.json.Decoder(ScriptAnswer).decode


def read_answer(answer: bytes) -> ScriptAnswer:
    """The answer, checked; its error stays a value, because its logs are wanted too. Raises NodeFailure."""
    try:
        read = _decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NodeFailure("invalid_output", f"what the code put out cannot be used: {error}") from None
    if len(read.logs) > MOST_LINES or any(len(line.text) > LONGEST_LINE for line in read.logs):
        raise NodeFailure("invalid_output", "the code logged more than is allowed")
    return read


def item_of(made: ScriptItem) -> Item:
    item: Item = {"json": made.json}
    if made.binary is not None:
        item["binary"] = made.binary
    return item
