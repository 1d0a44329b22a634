"""Regular expressions as values: what `/…/` gives."""

from functools import lru_cache
from typing import Final, final

from domain.expressions.errors import SYNTAX, UNSUPPORTED, ExpressionError
from domain.expressions.regex.program import Program, compile_pattern

FLAGS: Final = "dgimsuvy"
_MAX_PATTERN: Final = 10_000


@lru_cache(maxsize=256)
def program_of(source: str, flags: str) -> Program:
    """The compiled pattern. Raises ExpressionError for one that is malformed, too large or not covered."""
    if any(flag not in FLAGS for flag in flags) or len(set(flags)) < len(flags) or ("u" in flags and "v" in flags):
        raise ExpressionError(SYNTAX, f"invalid flags {flags[:20]!r} of a regular expression")
    if "v" in flags:
        raise ExpressionError(UNSUPPORTED, "the flag v of regular expressions is not supported")
    if len(source) > _MAX_PATTERN:
        raise ExpressionError(SYNTAX, f"a regular expression has more than {_MAX_PATTERN:,} characters")
    return compile_pattern(source, "".join(sorted(flags)))


@final
class RegExp:
    """A regular expression; `last_index` (UTF-16 code units) moves with `exec` and `test` under the flags g and y.

    Each evaluation of a literal makes its own, so nothing of it outlives the evaluation.
    """

    __slots__ = ("last_index", "program")

    def __init__(self, program: Program) -> None:
        self.program = program
        self.last_index = 0

    def has(self, flag: str) -> bool:
        return flag in self.program.flags

    def text(self) -> str:
        return f"/{self.source}/{self.program.flags}"

    @property
    def source(self) -> str:
        """As JavaScript shows it: `/` and line ends escaped."""
        return _escaped(self.program.source) or "(?:)"


def _escaped(source: str) -> str:
    made, in_class, place = [], False, 0
    while place < len(source):
        char = source[place]
        if char == "\\":
            made.append(source[place : place + 2])
            place += 2
            continue
        in_class = char == "[" or (in_class and char != "]")
        made.append("\\/" if char == "/" and not in_class else {"\n": "\\n", "\r": "\\r"}.get(char, char))
        place += 1
    return "".join(made)
