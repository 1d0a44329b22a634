"""`csv`: items from separated text, and separated text from items."""

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from domain.execution.events import Item, Items
from domain.expressions import UNDEFINED, Scope, to_text
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import MAIN, POOLED, Example, NodeType, Operation, Output, Pure, Run, map_items
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import put_path, read_path, split_path
from domain.nodes.texts import MAX_TEXT, field_path

MAX_ROWS: Final = 100_000
_LINE_ENDS: Final = {"lf": "\n", "crlf": "\r\n"}
_BOM: Final = "\ufeff"


def _bind(parameters: Parameters) -> Operation:
    delimiter, quote = parameters.plain("delimiter"), parameters.plain("quote")
    for name, sign in (("delimiter", delimiter), ("quote", quote)):
        if len(sign) != 1 or sign in "\r\n\0 ":
            parameters.refuse(name, "must be one character, such as ; or a tab, no space and no line end")
    if delimiter == quote:
        parameters.refuse("quote", "must differ from the delimiter")
    if parameters.plain("operation") == "write":
        return _writer(parameters, delimiter, quote)
    return _reader(parameters, delimiter, quote)


def _reader(parameters: Parameters, delimiter: str, quote: str) -> Operation:
    if not parameters.given("text"):
        parameters.refuse("text", "is missing: read needs the text")
    text_of, header = parameters.evaluator("text"), parameters.plain("header")
    names = _names(parameters)

    def read(scope: Scope, _item: Item) -> Items:
        text = text_of(scope)
        rows = _rows((text or "").removeprefix(_BOM), delimiter, quote)
        columns = names
        if header:
            first = next(rows, [])
            columns = names or first
        return [{"json": _record(row, columns)} for row in rows]

    return Pure(lambda run: map_items(run, read), weight=POOLED)


def _names(parameters: Parameters) -> list[str]:
    names = parameters.plain("columns")
    if all(isinstance(name, str) for name in names):
        return list(names)
    parameters.refuse("columns", "takes names of columns, such as ['id', 'name']")
    return []


def _rows(text: str, delimiter: str, quote: str) -> Iterator[list[str]]:
    """The rows that are not empty. Raises NodeFailure."""
    csv.field_size_limit(MAX_TEXT)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, strict=True)
    count = 0
    try:
        for row in lines:
            if row:
                count += 1
                if count > MAX_ROWS + 1:
                    raise NodeFailure("too_many_items", f"the text has more than {MAX_ROWS:,} rows")
                yield row
    except csv.Error as error:
        raise NodeFailure("bad_csv", f"line {lines.line_num}: {error}") from None


def _record(row: list[str], columns: list[str]) -> dict[str, Any]:
    """Fields by name; what is beyond the names is called by its number, what a short row lacks is left out."""
    named = dict(zip(columns, row, strict=False))
    for number in range(len(columns), len(row)):
        named[f"column_{number + 1}"] = row[number]
    return named


def _writer(parameters: Parameters, delimiter: str, quote: str) -> Operation:
    into, header = field_path(parameters, "into"), parameters.plain("header")
    end, names = _LINE_ENDS[parameters.plain("line_end")], _names(parameters)

    def write(run: Run) -> Output:
        columns = names or list(dict.fromkeys(name for item in run.items for name in item["json"]))
        paths = [split_path(name) for name in names] or [(name,) for name in columns]
        out = io.StringIO(newline="")
        lines = csv.writer(out, delimiter=delimiter, quotechar=quote, lineterminator=end)
        if header:
            lines.writerow(columns)
        for item in run.items:
            lines.writerow([_cell(read_path(item["json"], path)) for path in paths])
            if out.tell() > MAX_TEXT:
                raise NodeFailure("text_too_long", f"the text would be longer than {MAX_TEXT:,} characters")
        json: dict[str, Any] = {}
        put_path(json, into, out.getvalue())
        return Output({MAIN: [{"json": json}]})

    return Pure(write, weight=POOLED)


def _cell(value: Any) -> str:
    if value is None or value is UNDEFINED:
        return ""
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else to_text(value)


CSV = NodeType(
    "csv",
    "CSV",
    "read: one item a row of separated text, all values as text. write: one item with the text of all items; lists and "
    "objects as JSON, null and missing fields empty.",
    _bind,
    (
        Parameter("operation", "text", "What is done.", required=True, expression=False, choices=("read", "write")),
        Parameter("text", "text", "read: the text, such as {{ $json.body }}.", longest=MAX_TEXT),
        Parameter("delimiter", "text", "Between two values.", default=",", expression=False),
        Parameter(
            "quote", "text", "Around values that hold a delimiter; doubled within.", default='"', expression=False
        ),
        Parameter("header", "boolean", "The first row has the names.", default=True, expression=False),
        Parameter(
            "columns",
            "list",
            "The names: read takes them instead of the first row's, write takes these fields (dots reach nested ones).",
            default=[],
            expression=False,
        ),
        Parameter("line_end", "text", "write: lf or crlf.", default="lf", expression=False, choices=tuple(_LINE_ENDS)),
        Parameter("into", "text", "write: the field that gets the text.", default="csv", expression=False),
    ),
    examples=(
        Example(
            "A list of prices.",
            {"operation": "read", "text": "{{ $json.body }}", "delimiter": ";"},
            [{"body": 'name;price\n"Tea; green";3.50\nCoffee;4\n'}],
            {MAIN: [{"name": "Tea; green", "price": "3.50"}, {"name": "Coffee", "price": "4"}]},
        ),
        Example(
            "All items as one text.",
            {"operation": "write"},
            [{"id": 1, "name": 'the "best"'}, {"id": 2, "tags": ["a"]}],
            {MAIN: [{"csv": 'id,name,tags\n1,"the ""best""",\n2,,"[""a""]"\n'}]},
        ),
    ),
)
