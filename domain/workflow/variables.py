"""Which of a workspace's variables a workflow version can see: those that its texts name behind `$vars`.

Only these are looked up when an execution starts, and recorded with it. Found in the text, not by running it: a name
too many costs a little room, so whatever is not plainly `$vars.name` or `$vars['name']` stands for all of them: also
what is spelled with escapes.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

VARIABLES: Final = "$vars"

VariableNames = frozenset[str] | None
"""Names of variables; None: any, they are computed."""

NO_NAMES: Final[frozenset[str]] = frozenset()

_MENTION = re.compile(r"(?<![\w$])\$vars(?![\w$])")
_NAMED = re.compile(
    r"""\s*(?:(?:\?\.|\.)\s*([A-Za-z_][A-Za-z0-9_]*)|(?:\?\.\s*)?\[\s*(?:'([A-Za-z_][A-Za-z0-9_]*)'|"([A-Za-z_][A-Za-z0-9_]*)")\s*\])"""
    r"""(?![\w$\\])(?!\s*(?:\(|`|\?\.\s*\(|/[/*]))"""  # not a method of all of them
)

_ESCAPED = re.compile(r"\\u(?:([0-9a-fA-F]{4})|\{0*([0-9a-fA-F]{1,6})\})")


def names_in(texts: Iterable[str]) -> VariableNames:
    """The variables that expressions or code name."""
    names: set[str] = set()
    for text in texts:
        if _spelled_otherwise(text):
            return None
        for mention in _MENTION.finditer(text):
            named = _NAMED.match(text, mention.end())
            if named is None:
                return None
            names.add(next(name for name in named.groups() if name))
    return frozenset(names)


def _spelled_otherwise(text: str) -> bool:
    """Whether escapes may stand for letters of a mention."""
    if "\\u" not in text:
        return False
    escapes = {_meant(each) for each in _ESCAPED.finditer(text)}
    return not escapes.isdisjoint(VARIABLES) and _MENTION.search(_ESCAPED.sub(_meant, text)) is not None


def _meant(escape: re.Match[str]) -> str:
    code = int(escape[1] or escape[2], 16)
    return chr(code) if code < 0x110000 else ""


def both(one: VariableNames, other: VariableNames) -> VariableNames:
    return None if one is None or other is None else one | other


def seen(variables: Mapping[str, Any], names: VariableNames) -> dict[str, Any]:
    """Those of `variables` that are among `names`, in the order of their names."""
    return {name: variables[name] for name in sorted(variables) if names is None or name in names}
