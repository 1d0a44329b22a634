"""The programs that both JavaScript engines run before a user's text."""

from pathlib import Path

_HERE = Path(__file__).parent
_COMMON = "\n" * 10_000 + (_HERE / "common.js").read_text()
"""The empty lines tell the lines of a program from those of the code in an error's stack."""

_CODE = _COMMON + (_HERE / "code.js").read_text()
_EXPRESSIONS = _COMMON + (_HERE / "expressions.js").read_text()

START = "__start(__job)"
ANSWER = "__answer()"


def program_for(header: dict) -> str:
    """The program for a job: of a Code node, or of expressions."""
    return _EXPRESSIONS if header["mode"] == "expressions" else _CODE
