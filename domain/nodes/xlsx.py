"""`xlsx`: items from a spreadsheet, and a spreadsheet from items. Files are base64 texts in a field."""

import base64
import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import msgspec

from domain.execution.events import Item, Items
from domain.expressions import UNDEFINED, Scope
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import MAIN, POOLED, NodeType, Operation, Output, Pure, Run, map_items
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import put_path, read_path, split_path
from domain.nodes.texts import MAX_TEXT, field_path, from_base64
from domain.nodes.xlsx_writer import MAX_CELL, Cell, workbook

MAX_CELLS: Final = 1_000_000
MAX_COLUMNS: Final = 16_384
MAX_UNPACKED: Final = 50_000_000
_SHEET_SIGNS: Final = frozenset("[]:*?/\\")


def _bind(parameters: Parameters) -> Operation:
    names = parameters.plain("columns")
    if not all(isinstance(name, str) for name in names):
        parameters.refuse("columns", 'takes names of columns, such as ["id", "name"]')
        names = []
    if parameters.plain("operation") == "write":
        return _writer(parameters, names)
    return _reader(parameters, names)


def _reader(parameters: Parameters, names: list[str]) -> Operation:
    if not parameters.given("file"):
        parameters.refuse("file", "is missing: read needs the file in base64")
    file_of, sheet, header = parameters.evaluator("file"), parameters.plain("sheet"), parameters.plain("header")

    def read(scope: Scope, _item: Item) -> Items:
        rows = _rows(from_base64(file_of(scope) or ""), sheet)
        columns = names
        if header:
            first = [str(value) for value in next(rows, [])]
            columns = names or first
        return [{"json": _record(row, columns)} for row in rows if any(value is not None for value in row)]

    return Pure(lambda run: map_items(run, read), weight=POOLED)


def _rows(data: bytes, sheet: str | None) -> Iterator[list[Any]]:
    """The sheet's rows as JSON values. Raises NodeFailure."""
    from python_calamine import CalamineError, CalamineWorkbook, ZipError

    _check_size(data)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        known = book.sheet_names
        if not known or (sheet is not None and sheet not in known):
            raise NodeFailure("no_such_sheet", f"there is no sheet {sheet!r}; there are {', '.join(known)[:200]}")
        found = book.get_sheet_by_name(sheet or known[0])
    except (CalamineError, ZipError, ValueError) as error:
        raise NodeFailure("bad_xlsx", f"no spreadsheet that can be read: {str(error)[:200]}") from None
    if found.height * found.width > MAX_CELLS:
        raise NodeFailure("too_many_cells", f"the sheet has more than {MAX_CELLS:,} cells")
    for row in found.iter_rows():
        yield [_value(value) for value in row]


def _check_size(data: bytes) -> None:
    """A small file can unpack to a huge one: the sizes that it claims are the most that is read of it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            unpacked = sum(entry.file_size for entry in package.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise NodeFailure("bad_xlsx", "no .xlsx file") from None
    if unpacked > MAX_UNPACKED:
        raise NodeFailure("xlsx_too_large", f"unpacked the file has more than {MAX_UNPACKED:,} bytes")


def _value(value: Any) -> Any:
    """Dates as ISO text, an empty cell as null, whole numbers as such."""
    if value == "" and isinstance(value, str):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value


def _record(row: list[Any], columns: list[str]) -> dict[str, Any]:
    named = {name: value for name, value in zip(columns, row, strict=False) if name and name != "None"}
    for number in range(len(columns), len(row)):
        if row[number] is not None:
            named[f"column_{number + 1}"] = row[number]
    return named


def _writer(parameters: Parameters, names: list[str]) -> Operation:
    into, header = field_path(parameters, "into"), parameters.plain("header")
    sheet = parameters.plain("sheet") or "Sheet1"
    if not 1 <= len(sheet) <= 31 or _SHEET_SIGNS & set(sheet) or not sheet.isprintable():
        parameters.refuse("sheet", "must have 1 to 31 characters, none of []:*?/\\")

    def write(run: Run) -> Output:
        columns = names or list(dict.fromkeys(name for item in run.items for name in item["json"]))
        paths = [split_path(name) for name in names] or [(name,) for name in columns]
        if len(columns) > MAX_COLUMNS or len(columns) * len(run.items) > MAX_CELLS:
            raise NodeFailure("too_many_cells", f"a sheet may have {MAX_COLUMNS:,} columns and {MAX_CELLS:,} cells")
        rows: list[list[Cell]] = [list(columns)] if header else []
        rows += [[_cell(read_path(item["json"], path)) for path in paths] for item in run.items]
        text = base64.b64encode(workbook(sheet, rows)).decode()
        if len(text) > MAX_TEXT:
            raise NodeFailure("text_too_long", f"the file would have more than {MAX_TEXT:,} characters in base64")
        json: dict[str, Any] = {}
        put_path(json, into, text)
        return Output({MAIN: [{"json": json}]})

    return Pure(write, weight=POOLED)


def _cell(value: Any) -> Cell:
    if value is None or value is UNDEFINED:
        return None
    if isinstance(value, list | dict):
        value = msgspec.json.encode(value).decode()
    if isinstance(value, str) and len(value) > MAX_CELL:
        raise NodeFailure("text_too_long", f"a cell holds {MAX_CELL:,} characters at most")
    return value  # type: ignore[no-any-return]


XLSX = NodeType(
    "xlsx",
    "Spreadsheet (xlsx)",
    "read: one item a row of a sheet; dates as ISO text, empty cells null. write: one item with a spreadsheet of all "
    "items; lists and objects as JSON text, nothing becomes a formula. Files are base64 in a field.",
    _bind,
    (
        Parameter("operation", "text", "What is done.", required=True, expression=False, choices=("read", "write")),
        Parameter("file", "text", "read: the file in base64.", longest=MAX_TEXT),
        Parameter("sheet", "text", "The sheet's name; read: else the first one, write: else Sheet1.", expression=False),
        Parameter("header", "boolean", "The first row has the names.", default=True, expression=False),
        Parameter(
            "columns",
            "list",
            "The names: read takes them instead of the first row's, write takes these fields (dots reach nested ones).",
            default=[],
            expression=False,
        ),
        Parameter("into", "text", "write: the field that gets the file.", default="file", expression=False),
    ),
)
