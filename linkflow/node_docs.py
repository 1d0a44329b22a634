"""Writes docs/nodes/ from the node types themselves.

python -m linkflow.node_docs            writes the pages
python -m linkflow.node_docs --check    says which differ from what would be written; exits with 1 if one does
"""

import json
import sys
from pathlib import Path
from typing import Any

from domain.nodes.catalogue import catalogue

FOLDER = Path(__file__).parents[1] / "docs" / "nodes"
_BY_HAND = frozenset({"writing-a-node.md"})
_MADE = "<!-- made by `python -m linkflow.node_docs` from the node's own definition: change it there -->"


def pages() -> dict[str, str]:
    """File name → content: one page a type and the list of all."""
    types = catalogue()
    made = {f"{each['type']}.md": _page(each) for each in types}
    made["README.md"] = _index(types)
    return made


def _index(types: list[dict[str, Any]]) -> str:
    rows = [f"| [`{each['type']}`]({each['type']}.md) | {each['title']} | {_cell(each['docs'])} |" for each in types]
    return "\n".join(
        [
            _MADE,
            "# Nodes",
            "",
            "How to add one: [writing a node](writing-a-node.md).",
            "",
            "| type | title | what it does |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _page(each: dict[str, Any]) -> str:
    lines = [_MADE, f"# {each['title']} (`{each['type']}`)", "", each["docs"], ""]
    lines += ["| | |", "|---|---|"]
    lines.append(f"| version | {each['version']} |")
    lines.append(f"| inputs | {_ports(each['inputs'])} |")
    outputs = _ports(each["outputs"]) + (" (the parameters decide)" if each["outputs_vary"] else "")
    lines.append(f"| outputs | {outputs} |")
    lines.append(f"| effect | {', '.join(each['effects'])} |")
    if each["credential_types"]:
        needed = "" if each["credential_required"] else " (can do without)"
        lines.append(f"| credential | {_ports(each['credential_types'])}{needed} |")
    if not each["can_be_disabled"]:
        lines.append("| | cannot be disabled |")
    lines += _operations(each) if each["operations"] else ["", "## Parameters", "", *_table(each["parameters"])]
    for example in each["examples"]:
        lines += ["", f"## Example: {example['says']}", ""]
        for title, key in (("Parameters", "parameters"), ("Items", "items"), ("Puts out", "outputs")):
            lines += [f"{title}:", "```json", json.dumps(example[key], indent=1, ensure_ascii=False), "```"]
    return "\n".join([*lines, ""])


def _operations(each: dict[str, Any]) -> list[str]:
    """A section for each thing that nodes of the type do."""
    names = [*each["operations"][0]["selects"]]
    lines = ["", "## Operations", "", f"| {' | '.join(names)} | | effect |", "|---" * (len(names) + 2) + "|"]
    for operation in each["operations"]:
        chosen = " | ".join(f"`{operation['selects'][name]}`" for name in names)
        lines.append(f"| {chosen} | {operation['title']} | {operation['effect']} |")
    for operation, branch in zip(each["operations"], each["parameters"]["oneOf"], strict=True):
        chosen = ", ".join(f"`{name}: {value}`" for name, value in operation["selects"].items())
        lines += ["", f"### {operation['title']}", "", f"{operation['docs']} ({chosen}; {operation['effect']})", ""]
        own = {name: given for name, given in branch["properties"].items() if name not in operation["selects"]}
        lines += _table({**branch, "properties": own})
        if operation["source"]:
            lines += ["", f"Documented at <{operation['source']}>."]
    return lines


def _table(schema: dict[str, Any]) -> list[str]:
    if not schema["properties"]:
        return ["None."]
    return ["| name | type | | default |", "|---|---|---|---|", *_rows(schema, "")]


def _rows(schema: dict[str, Any], prefix: str) -> list[str]:
    rows: list[str] = []
    for name, given in schema["properties"].items():
        plain = {**given["anyOf"][0], "expression": True} if "anyOf" in given else given
        kind = plain.get("type", "any")
        if "enum" in plain:
            kind = " \\| ".join(f"`{choice}`" for choice in plain["enum"])
        needed = " **required**" if name in schema["required"] else ""
        default = f"`{_cell(json.dumps(plain['default'], ensure_ascii=False))}`" if "default" in plain else ""
        rows.append(f"| `{prefix}{name}` | {kind} | {_cell(given['description'])}{needed} | {default} |")
        if "items" in plain and "properties" in plain["items"]:
            rows += _rows(plain["items"], f"{prefix}{name}[].")
    return rows


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _ports(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none: it is a trigger"


def differing(folder: Path = FOLDER) -> list[str]:
    """The pages that are missing, differ, or belong to no type any more."""
    wanted = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md") if path.name not in _BY_HAND}
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))


def write(folder: Path = FOLDER) -> None:
    """Make the folder's pages what `pages` says."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for name in differing(folder):
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()


def main(arguments: list[str]) -> int:
    """The command's exit status."""
    if arguments == ["--check"]:
        names = differing()
        for name in names:
            sys.stderr.write(f"docs/nodes/{name} is not what the node says; run python -m linkflow.node_docs\n")
        return 1 if names else 0
    if arguments:
        sys.stderr.write(__doc__ or "")
        return 2
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
