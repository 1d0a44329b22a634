"""Writes the table of docs/effect-classes.md: node × operation × effect class, from the node types themselves.

python -m linkflow.effect_docs            writes it
python -m linkflow.effect_docs --check    exits with 1 if it differs from what would be written
"""

import sys
from pathlib import Path

from domain.nodes.node_type import Effects, NodeType
from domain.nodes.parameters import Parameters
from domain.nodes.registry import NODE_TYPES
from domain.nodes.variants import parameters_of

PAGE = Path(__file__).parents[1] / "docs" / "effect-classes.md"
_BEGIN = "<!-- begin: made by `python -m linkflow.effect_docs` -->"
_END = "<!-- end -->"


def rows() -> list[tuple[str, str, str]]:
    """(node type, operation, effect class) of everything that has effects."""
    found: list[tuple[str, str, str]] = []
    for name in sorted(NODE_TYPES):
        node_type = NODE_TYPES[name]
        if set(node_type.effects) == {"pure"}:
            continue
        if node_type.variants:
            found += [(name, " ".join(each.selects.values()) or each.title, each.effect) for each in node_type.variants]
        else:
            found += [(name, says, effect) for says, effect in _by_method(node_type)]
    return found


def _by_method(node_type: NodeType) -> list[tuple[str, str]]:
    """The classes of a node whose method decides; else those that it names."""
    methods = next((each.choices for each in node_type.parameters if each.name == "method"), ())
    if not methods:
        return [("", effect) for effect in node_type.effects]
    told: list[tuple[str, str]] = []
    for keyed in (False, True):
        for method in methods:
            values = {
                "method": method,
                "url": "http://example.com/",
                "headers": {"Idempotency-Key": "k"} if keyed else {},
            }
            parameters = Parameters(parameters_of(node_type, values), values, lambda _path, _message: None)
            operation = node_type.bind(parameters)
            assert isinstance(operation, Effects)
            plain = dict(told).get(str(method))
            if not keyed:
                told.append((str(method), operation.effect_class))
            elif operation.effect_class != plain:
                told.append((f"{method} with an Idempotency-Key header", operation.effect_class))
    return told


def table() -> str:
    lines = ["| node | operation | effect class |", "|---|---|---|"]
    lines += [f"| [`{name}`](nodes/{name}.md) | {says} | {effect} |" for name, says, effect in rows()]
    pure = ", ".join(f"`{name}`" for name in sorted(NODE_TYPES) if set(NODE_TYPES[name].effects) == {"pure"})
    return "\n".join([*lines, "", f"Pure: {pure}."])


def page(text: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table()}\n{_END}{after}"


def main(arguments: list[str]) -> int:
    """The command's exit status."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = page(text)
    if arguments == ["--check"]:
        if wanted != text:
            sys.stderr.write("docs/effect-classes.md is not what the nodes say; run python -m linkflow.effect_docs\n")
        return int(wanted != text)
    if arguments:
        sys.stderr.write(__doc__ or "")
        return 2
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
