"""What one evaluation may use up, so that no expression can hold up a worker or fill its memory.

Steps are counted where work can multiply (calls of arrow functions, built-ins over data), not at every node: the
plain path pays nothing.
"""

from typing import Any

from domain.expressions.errors import LIMIT, ExpressionError

STEPS = 100_000
CALL_DEPTH = 64
MAX_TEXT = 5_000_000
MAX_ELEMENTS = 100_000
MAX_NESTING = 64  # of the source text: parentheses, literals, conditionals, functions
MAX_TREE = 200  # of the syntax tree: also chains such as a + b + c + …
MAX_CHAIN = 400  # of members and calls in a row
MAX_DATA_DEPTH = 200
MAX_SOURCE = 100_000


class Budget:
    """The steps and call depth left to one evaluation, and what it knows about arrays that are matches of regular
    expressions: by identity the array (so that it stays) and its `index`, `input` and `groups`."""

    __slots__ = ("depth", "matches", "steps")

    def __init__(self, steps: int = STEPS) -> None:
        self.steps = steps
        self.depth = 0
        self.matches: dict[int, tuple[list[Any], dict[str, Any]]] | None = None

    def remember_match(self, match: list[Any], members: dict[str, Any]) -> None:
        """Give an array the members of a match."""
        if self.matches is None:
            self.matches = {}
        self.matches[id(match)] = (match, members)

    def match_members(self, value: list[Any]) -> dict[str, Any]:
        """What a match has beside its elements; nothing for other arrays."""
        known = None if self.matches is None else self.matches.get(id(value))
        return {} if known is None else known[1]

    def charge(self, steps: int) -> None:
        """Use up some steps. Raises ExpressionError (expression_limit) when none are left."""
        self.steps -= steps
        if self.steps < 0:
            raise too_many_steps()

    def charge_text(self, length: int) -> None:
        """Pay for a text of so many characters that is about to be made."""
        if length > MAX_TEXT:
            raise ExpressionError(LIMIT, f"a text would be longer than {MAX_TEXT:,} characters")
        if length > 1024:
            self.charge(length >> 10)

    def charge_scan(self, length: int) -> None:
        """Pay for looking at each character of a text (comparing, searching)."""
        if length > 1024:
            self.charge(length >> 9)

    def charge_elements(self, count: int) -> None:
        """Pay for a list or an object of so many elements that is about to be made."""
        if count > MAX_ELEMENTS:
            raise ExpressionError(LIMIT, f"a list or object would have more than {MAX_ELEMENTS:,} elements")
        self.charge(1 + (count >> 3))


def too_many_steps() -> ExpressionError:
    return ExpressionError(LIMIT, "the expression takes too many steps; use a code node for heavy work")


def too_deep() -> ExpressionError:
    return ExpressionError(LIMIT, "the expression or its data is nested too deeply")
