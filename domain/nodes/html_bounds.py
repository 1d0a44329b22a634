"""Refuses HTML whose tree would be far larger or deeper than its text: parsing it takes quadratic time or memory."""

import re
from typing import Final

from domain.nodes.failures import NodeFailure

MAX_DEPTH: Final = 500
_MAX_COPIES: Final = 1_000_000

_TAG: Final = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_FLAT: Final = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "dd",
        "dt",
        "embed",
        "hr",
        "html",
        "head",
        "body",
        "img",
        "input",
        "li",
        "link",
        "meta",
        "option",
        "p",
        "param",
        "source",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "track",
        "wbr",
    ]
)
"""Elements that end where the next of their kind begins, or that hold nothing; not so within svg and math."""
_FORMATTING: Final = frozenset(
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"]
)
"""Elements that a parser opens again in every block that follows, if they were not closed."""


def check_html(text: str) -> None:
    """Raises NodeFailure `html_too_deep`. The estimate errs on the side of more depth."""
    depth = formatting = copies = 0
    counts: dict[str, int] = {}
    for match in _TAG.finditer(text):
        name = match[2].lower()
        if name in _FLAT and not counts.get("svg") and not counts.get("math"):
            copies += formatting
        elif not match[1]:
            counts[name] = counts.get(name, 0) + 1
            depth += 1
            copies += formatting
            formatting += name in _FORMATTING
        elif counts.get(name):
            counts[name] -= 1
            depth -= 1
            formatting -= name in _FORMATTING
        if depth > MAX_DEPTH or copies > _MAX_COPIES:
            raise NodeFailure(
                "html_too_deep", f"the HTML has elements nested (or left open) more than {MAX_DEPTH} deep"
            )
