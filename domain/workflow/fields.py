"""Reading untrusted JSON objects field by field, collecting every problem instead of stopping at the first."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from domain.errors import Problem

MAX_DEPTH = 64
MAX_VALUES = 200_000


class Problems(list[Problem]):
    """Everything found wrong so far."""

    def add(self, path: str, message: str) -> None:
        self.append(Problem(path, message))


def check_bounds(value: Any, problems: Problems) -> bool:
    """Refuse what is nested deeper than MAX_DEPTH or has more than MAX_VALUES values; never recurses."""
    level: list[Any] = [value]
    count = 0
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for entry in level:
            if isinstance(entry, dict):
                below.extend(entry.values())
            elif isinstance(entry, list):
                below.extend(entry)
        count += len(below)
        if count > MAX_VALUES:
            problems.add("", f"the document has more than {MAX_VALUES} values; make it smaller")
            return False
        if not below:
            return True
        level = below
    problems.add("", f"the document is nested deeper than {MAX_DEPTH} levels; make it flatter")
    return False


def kind_of(value: Any) -> str:
    """The JSON name of a value's type, for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


class Fields:
    """One JSON object: each accessor takes a field out, checks it, and notes what is wrong with it.

    `owner` stands in front of every message (like `node 'a': `). A field with a problem reads as its default.
    """

    def __init__(self, values: Mapping[str, Any], path: str, problems: Problems, owner: str = "") -> None:
        self._values = values
        self._path = path
        self._problems = problems
        self._seen: set[str] = set()
        self.owner = owner

    def at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def wrong(self, name: str, message: str) -> None:
        self._problems.add(self.at(name), f"{self.owner}{message}")

    def _take(self, name: str) -> Any:
        self._seen.add(name)
        return self._values.get(name)

    def given(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str, default: str = "", *, minimum: int = 0, maximum: int) -> str:
        value = self._take(name)
        if value is None and name not in self._values:
            if minimum:
                self.wrong(name, f"{name!r} is missing; give {minimum} to {maximum} characters")
            return default
        if not isinstance(value, str):
            self.wrong(name, f"{name!r} must be text, not {kind_of(value)}")
        elif not minimum <= len(value) <= maximum:
            self.wrong(name, f"{name!r} must have {minimum} to {maximum} characters, not {len(value)}")
        else:
            return value
        return default

    def number(self, name: str, default: float | None, *, minimum: float, maximum: float) -> float | None:
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            self.wrong(name, f"{name!r} must be a number, not {kind_of(value)}")
        elif not minimum <= value <= maximum:
            self.wrong(name, f"{name!r} must be between {minimum:g} and {maximum:g}")
        else:
            return value
        return default

    def integer(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        value = self.number(name, default, minimum=minimum, maximum=maximum)
        if value is None or value != int(value):
            self.wrong(name, f"{name!r} must be a whole number")
            return default
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(name, f"{name!r} must be true or false, not {kind_of(value)}")
            return default
        return value

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        value = self._take(name)
        if value is None:
            return default
        if value not in choices:
            self.wrong(name, f"{name!r} must be one of {', '.join(choices)}")
            return default
        return str(value)

    def object(self, name: str) -> dict[str, Any]:
        value = self._take(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong(name, f"{name!r} must be an object, not {kind_of(value)}")
            return {}
        return value

    def list(self, name: str, *, maximum: int, required: bool = False) -> list[Any]:
        value = self._take(name)
        if value is None:
            if required:
                self.wrong(name, f"{name!r} is missing; give a list")
            return []
        if not isinstance(value, list):
            self.wrong(name, f"{name!r} must be a list, not {kind_of(value)}")
            return []
        if len(value) > maximum:
            self.wrong(name, f"{name!r} may have at most {maximum} entries, not {len(value)}")
            return []
        return value

    def any(self, name: str) -> Any:
        return self._take(name)

    def finish(self) -> None:
        """Note every field that nobody asked for."""
        for name in self._values:
            if name not in self._seen:
                shown = str(name)[:100]
                known = ", ".join(sorted(self._seen))
                self.wrong(shown, f"unknown field {shown!r}; known are {known}")
