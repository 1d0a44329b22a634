"""Which of a workspace's variables a workflow version can see: those that its texts name behind `$vars`.

Only these are looked up when an execution starts, and recorded with it. Found in the text, not by running it: a name
too many costs a little room, so whatever is not plainly `$vars.name` or `$vars['name']` stands for all of them.
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
    r"""\s*(?:(?:\?\.|\.)\s*([A-Za-z_]\w*)|(?:\?\.\s*)?\[\s*(?:'([A-Za-z_]\w*)'|"([A-Za-z_]\w*)")\s*\])"""
    r"""(?![\w$])(?!\s*(?:\(|`|\?\.\s*\(|/[/*]))"""  # not a method of all of them
)


def names_in(texts: Iterable[str]) -> VariableNames:
    """The variables that expressions or code name."""
    names: set[str] = set()
    for text in texts:
        for mention in _MENTION.finditer(text):
            named = _NAMED.match(text, mention.end())
            if named is None:
                return None
            names.add(next(name for name in named.groups() if name))
    return frozenset(names)


def both(one: VariableNames, other: VariableNames) -> VariableNames:
    return None if one is None or other is None else one | other


def seen(variables: Mapping[str, Any], names: VariableNames) -> dict[str, Any]:
    """Those of `variables` that are among `names`, in the order of their names."""
    return {name: variables[name] for name in sorted(variables) if names is None or name in names}
