"""Values whose JSON is known already, because a process that made them has sent it: nobody encodes them again."""

from typing import TypeVar

Value = TypeVar("Value")


class Encoded(dict[str, Value]):
    """A dict with its JSON. Who changes it makes a plain one of it first."""

    __slots__ = ("json",)

    def __init__(self, values: dict[str, Value], json: bytes) -> None:
        super().__init__(values)
        self.json = json
