"""The one error of expressions: what is wrong, for people, with a stable code for programs."""

from domain.errors import DomainError

SYNTAX = "expression_syntax"
TYPE = "expression_type"
RANGE = "expression_range"
REFERENCE = "expression_reference"
LIMIT = "expression_limit"
FORBIDDEN = "expression_forbidden"
UNSUPPORTED = "expression_unsupported"


class ExpressionError(DomainError):
    """An expression cannot be compiled or evaluated.

    `code` is one of this module's constants; `message` names what is wrong; `position` is the offset (in characters)
    in the source string, where it is known.
    """

    def __init__(self, code: str, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.position = position


def excerpt(source: str, position: int) -> str:
    """The few characters of the source around a position, on one line, for an error message."""
    start, end = max(0, position - 20), min(len(source), position + 20)
    shown = " ".join(source[start:end].split())
    return f"{'…' if start else ''}{shown}{'…' if end < len(source) else ''}"
