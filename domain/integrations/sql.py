"""Building SQL statements out of names and values: names are quoted, values are always bound (S14).

No text of a user ever becomes a part of a statement: what is not a quoted name is one of the words in this module.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from domain.nodes.failures import BAD_PARAMETER, NodeFailure

_LONGEST_NAME: Final = 63
"""PostgreSQL's limit in bytes: it would cut longer names, so that two could become the same."""

COMPARISONS: Final[Mapping[str, str]] = {
    "=": "{column} = {value}",
    "<>": "{column} <> {value}",
    "<": "{column} < {value}",
    "<=": "{column} <= {value}",
    ">": "{column} > {value}",
    ">=": "{column} >= {value}",
    "like": "{column} LIKE {value}",
    "ilike": "{column} ILIKE {value}",
    "in": "{column} = ANY({value})",
    "not in": "{column} <> ALL({value})",
    "is null": "{column} IS NULL",
    "is not null": "{column} IS NOT NULL",
}
"""The operators of a condition and what they become."""


class Statement:
    """A statement in the making: its text, and the values in the order of their places."""

    __slots__ = ("_parts", "arguments")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.arguments: list[Any] = []

    @property
    def text(self) -> str:
        return " ".join(self._parts)

    def add(self, *words: str) -> "Statement":
        """Words of SQL; never a user's."""
        self._parts.extend(words)
        return self

    def bind(self, value: Any) -> str:
        """The place of a value."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"


def quoted(name: Any, what: str) -> str:
    """An identifier, quoted. Raises NodeFailure for what cannot be one; `what`: the parameter that has it."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise NodeFailure(BAD_PARAMETER, f"parameter {what!r}: {str(name)[:100]!r} is no name")
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        raise NodeFailure(BAD_PARAMETER, f"parameter {what!r}: {name[:100]!r} is longer than {_LONGEST_NAME} bytes")
    return '"' + name.replace('"', '""') + '"'


def table(schema: str | None, name: str) -> str:
    if schema:
        return f"{quoted(schema, 'schema')}.{quoted(name, 'table')}"
    return quoted(name, "table")


def columns(names: Sequence[Any] | None, what: str) -> str:
    """A list of columns; `*` where none is named."""
    return ", ".join(quoted(name, what) for name in names) if names else "*"


def where(statement: Statement, conditions: Sequence[Mapping[str, Any]]) -> None:
    """The conditions, all of which must hold. Raises NodeFailure."""
    parts = []
    for index, condition in enumerate(conditions):
        shape = COMPARISONS[condition["operator"]]
        value = condition.get("value")
        needs = "{value}" in shape
        if needs and value is None:
            raise NodeFailure(
                BAD_PARAMETER,
                f"parameter 'where[{index}].value' is missing (null is equal to nothing: use the operator is null)",
            )
        if condition["operator"] in {"in", "not in"} and not isinstance(value, list):
            raise NodeFailure(BAD_PARAMETER, f"parameter 'where[{index}].value' must be a list")
        column = quoted(condition["column"], f"where[{index}].column")
        parts.append(shape.format(column=column, value=statement.bind(value) if needs else ""))
    if parts:
        statement.add("WHERE", " AND ".join(parts))


def order(statement: Statement, by: Sequence[Mapping[str, Any]]) -> None:
    if by:
        parts = [
            quoted(each["column"], f"order_by[{index}].column") + (" DESC" if each.get("order") == "desc" else "")
            for index, each in enumerate(by)
        ]
        statement.add("ORDER BY", ", ".join(parts))


def given(values: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """The columns that are written. Raises NodeFailure where there are none."""
    if not values:
        raise NodeFailure(BAD_PARAMETER, f"parameter {what!r} must name at least one column")
    return values
