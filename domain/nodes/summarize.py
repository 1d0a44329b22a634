"""`summarize`: one item a group, with counts, sums and so on of its items."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from domain.execution.events import Items
from domain.expressions import UNDEFINED, to_text
from domain.expressions.numbers import as_number
from domain.nodes.failures import NodeFailure
from domain.nodes.keys import content_of, contents_at
from domain.nodes.node_type import MAIN, Example, NodeType, Operation, Output, Pure, Run
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import put_path, read_path, split_path
from domain.nodes.texts import MAX_TEXT

_FIELDS: Final = 100
_INFINITE: Final = float("inf")


class _Column:
    """One field of the result: `values` are the field's values that are there and not null."""

    __slots__ = ("compute", "field", "into", "path", "separator")

    def __init__(self, row: Parameters) -> None:
        operation = row.plain("operation") or "count"
        self.field: str = row.plain("field") or ""
        self.path = split_path(self.field) if self.field else ()
        default = f"{operation}_{self.field.replace('.', '_')}" if self.field else operation
        self.into = split_path(row.plain("into") or default)
        self.separator: str = row.plain("separator")
        self.compute: Callable[[_Column, list[Any]], Any] = _OPERATIONS[operation]
        if not self.field and operation != "count":
            row.refuse("field", f"is missing: {operation} needs a field")
        if not all(self.path) or not all(self.into):
            row.refuse("into" if all(self.path) else "field", "is no field name: it has an empty part")

    def of(self, items: Items) -> Any:
        if not self.path:
            return len(items)
        found = (read_path(item["json"], self.path) for item in items)
        return self.compute(self, [value for value in found if value is not None and value is not UNDEFINED])

    def numbers(self, values: list[Any]) -> list[Any]:
        for value in values:
            if type(value) is not int and type(value) is not float:
                raise NodeFailure("not_a_number", f"field {self.field!r} holds {str(value)[:60]!r}, which is no number")
        return values

    def comparable(self, values: list[Any]) -> list[Any]:
        for value in values:
            if isinstance(value, bool | list | dict):
                raise NodeFailure(
                    "not_comparable", f"field {self.field!r} holds {str(value)[:60]!r}, neither number nor text"
                )
        return values


def _sum(values: list[Any]) -> Any:
    """As JavaScript adds: in doubles, from left to right; null if there is no such number."""
    total: int | float = 0
    for value in values:
        total = as_number(total + value)
    return _finite(total)


def _finite(number: float) -> Any:
    return None if number != number or abs(number) == _INFINITE else number  # noqa: PLR0124 - NaN


def _average(column: _Column, values: list[Any]) -> Any:
    total = _sum(column.numbers(values))
    if not values or total is None:
        return None
    quotient = total / len(values)
    return int(quotient) if quotient.is_integer() and abs(quotient) < 2**53 else quotient


def _order(value: Any) -> tuple[bool, Any]:
    """Numbers before texts, texts by code point."""
    return isinstance(value, str), value


def _concatenated(column: _Column, values: list[Any]) -> str:
    texts = [to_text(value) for value in values]
    if sum(map(len, texts)) + len(column.separator) * len(texts) > MAX_TEXT:
        raise NodeFailure("text_too_long", f"the text would be longer than {MAX_TEXT:,} characters")
    return column.separator.join(texts)


_OPERATIONS: Final[dict[str, Callable[[_Column, list[Any]], Any]]] = {
    "count": lambda _, values: len(values),
    "count_unique": lambda _, values: len({content_of(value) for value in values}),
    "sum": lambda column, values: _sum(column.numbers(values)),
    "average": _average,
    "min": lambda column, values: min(column.comparable(values), key=_order, default=None),
    "max": lambda column, values: max(column.comparable(values), key=_order, default=None),
    "concatenate": _concatenated,
    "append": lambda _, values: values,
    "first": lambda _, values: values[0] if values else None,
    "last": lambda _, values: values[-1] if values else None,
}


def _bind(parameters: Parameters) -> Operation:
    columns = [_Column(row) for row in parameters.rows("fields")]
    if not columns and isinstance(parameters.source("fields"), list):
        parameters.refuse("fields", "needs at least one field {field, operation}")
    if len(columns) > _FIELDS:
        parameters.refuse("fields", f"may have at most {_FIELDS} fields")
    names = parameters.plain("group_by")
    if not all(isinstance(name, str) and all(name.split(".")) for name in names):
        parameters.refuse("group_by", 'takes names of fields, such as ["customer.city"]')
    paths = [split_path(str(name)) for name in names]
    written = [column.into for column in columns] + paths
    for column in columns:
        if written.count(column.into) > 1:
            parameters.refuse("fields", f"two results would be called {'.'.join(column.into)!r}; name them by into")
            break

    def run(run: Run) -> Output:
        return Output({MAIN: [{"json": _summary(group, columns, paths)} for group in _groups(run.items, paths)]})

    return Pure(run, weight=len(columns) + len(paths))


def _groups(items: Items, paths: Sequence[Sequence[str]]) -> list[Items]:
    """The items by the values of these fields, groups in order of their first items."""
    groups: dict[Hashable, Items] = {}
    for item in items:
        groups.setdefault(contents_at(item["json"], paths), []).append(item)
    return list(groups.values())


def _summary(group: Items, columns: list[_Column], paths: Sequence[Sequence[str]]) -> dict[str, Any]:
    json: dict[str, Any] = {}
    for path in paths:
        value = read_path(group[0]["json"], path)
        if value is not UNDEFINED:
            put_path(json, path, value)
    for column in columns:
        put_path(json, column.into, column.of(group))
    return json


SUMMARIZE = NodeType(
    "summarize",
    "Summarize",
    "Groups items by fields and makes one item a group, in order of first appearance. Values that are missing or null "
    "count for nothing; sum and average take numbers only, min and max numbers and texts (numbers come first).",
    _bind,
    (
        Parameter(
            "fields",
            "rows",
            "What is computed of each group.",
            required=True,
            of=(
                Parameter("field", "text", "The field; only count can do without: all items.", expression=False),
                Parameter(
                    "operation",
                    "text",
                    "What is computed; append makes a list.",
                    required=True,
                    expression=False,
                    choices=tuple(_OPERATIONS),
                ),
                Parameter("into", "text", "The name of the result; else such as sum_price.", expression=False),
                Parameter(
                    "separator",
                    "text",
                    "Between the texts of concatenate.",
                    default=", ",
                    expression=False,
                    longest=100,
                ),
            ),
        ),
        Parameter(
            "group_by", "list", "Names of the fields to group by; none: all items in one.", default=[], expression=False
        ),
    ),
    examples=(
        Example(
            "Turnover and orders by country.",
            {
                "group_by": ["country"],
                "fields": [{"field": "price", "operation": "sum"}, {"operation": "count", "into": "orders"}],
            },
            [{"country": "DE", "price": 10}, {"country": "FR", "price": 5}, {"country": "DE", "price": 2.5}],
            {MAIN: [{"country": "DE", "sum_price": 12.5, "orders": 2}, {"country": "FR", "sum_price": 5, "orders": 1}]},
        ),
    ),
)
