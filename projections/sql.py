"""SQL files beside the code that uses them: `queries.sql` holds named queries, `tables.sql` the tables."""

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


def read_sql(package: str, name: str) -> str:
    """The text of a .sql file of `package`."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def parse_queries(text: str) -> Mapping[str, str]:
    """Queries by name: each begins with a line `-- name: the_name`. ValueError if a name stands twice."""
    parts = _NAME.split(text)
    names, bodies = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        raise ValueError("a query name stands twice")
    return {name: body.strip().rstrip(";") for name, body in zip(names, bodies, strict=True)}


def load_queries(package: str) -> Mapping[str, str]:
    """The named queries of `package`'s queries.sql."""
    return parse_queries(read_sql(package, "queries.sql"))


class Conditions:
    """The conditions of a query that its caller chooses, with their arguments in order."""

    def __init__(self) -> None:
        self.arguments: list[Any] = []
        self._texts: list[str] = []

    def add(self, condition: str, *values: Any) -> None:
        """`condition` has `{}` where the places of `values` belong."""
        begin = len(self.arguments) + 1
        self._texts.append(condition.format(*(f"${begin + place}" for place in range(len(values)))))
        self.arguments.extend(values)

    @property
    def text(self) -> str:
        return " AND ".join(self._texts)

    @property
    def next(self) -> str:
        """The place of an argument that follows."""
        return f"${len(self.arguments) + 1}"
