"""docs/expressions.md from the registry: `python -m linkflow.expression_docs [--check]`."""

import json
import sys
from pathlib import Path
from typing import Final

from domain.expressions.conveniences.registry import Entry
from domain.expressions.methods import REGISTRY

TARGET: Final = Path(__file__).parent.parent / "docs" / "expressions.md"
_TITLES: Final = {
    "string": "Strings",
    "number": "Numbers",
    "boolean": "Booleans",
    "array": "Arrays",
    "object": "Objects",
    "date": "Dates",
    "DateTime": "`DateTime`",
}
_INTRODUCTION: Final = """\
# Expressions

`{{ … }}` in a parameter holds an expression in JavaScript's syntax. A parameter that is one `{{ … }}` and nothing else
keeps the value's type; in mixed text the value becomes text. Nothing but the data below can be reached, and every
evaluation is bounded.

| name | what it is |
|---|---|
| `$json` | the current item's json |
| `$input` | the items of this run: `.all()`, `.first()`, `.last()`, `.item` |
| `$('id')` | the newest finished run of that node: `.all(port?)`, `.first(port?)`, `.last(port?)`, `.item` |
| `$itemIndex`, `$runIndex` | the number of the item, of the run, from 0 |
| `$now`, `$today` | the time and the day as dates in the workflow's zone |
| `$workflow`, `$execution` | facts of the workflow and the execution |
| `$vars` | the workspace's [variables](variables.md), as they were when the execution started |
| `$if(test, then, otherwise)` | only the branch that is taken is evaluated |
| `$ifEmpty(value, default)` | the default for null, undefined, `''`, `[]` and `{}` |

All of JavaScript's operators, literals, templates, optional chaining, destructuring and arrow functions are there, with
the methods of strings, arrays, numbers and objects, `Math`, `JSON`, `Object`, `Array`, `Number`, `String` and regular
expressions (`/…/dgimsuy` with `test`, `exec`, `match`, `matchAll`, `replace`, `replaceAll`, `search`, `split`): matched
in time linear in the text unless they have backreferences, and in a bounded number of steps always. Data is never
changed: `sort`, `reverse` and `fill` give a changed copy. What is beyond JavaScript is listed here. A field of an
object wins over a function of the same name. In the examples `$now` is 2025-11-23 19:46 in Europe/Berlin.

Dates have Luxon's fields (`year`, `month`, `day`, `hour`, `minute`, `second`, `millisecond`, `weekday`, `weekNumber`,
`quarter`, `ordinal`, `zoneName`, `ts`) and methods (`plus`, `minus`, `startOf`, `endOf`, `setZone`, `toUTC`, `toISO`,
`toISODate`, `toISOTime`, `toMillis`, `toSeconds`, `toFormat`) as well; patterns take `yyyy yy M MM MMM MMMM d dd H HH h
hh m mm s ss S SSS a E EEE EEEE W WW o ooo q Z ZZ ZZZ z X x`, text in single quotes stays.

| error | what it means |
|---|---|
| `expression_syntax` | it does not parse |
| `expression_reference` | a name or node that is not there |
| `expression_type`, `expression_range` | a value of the wrong kind, or out of range |
| `expression_limit` | too many steps, too deep or too large |
| `expression_forbidden` | a name that leads out of the data: always refused |
| `expression_unsupported` | JavaScript that neither this evaluator nor the sandbox covers, or no sandbox is there |

JavaScript beyond that (`new`, `let`, loops, `try`, `Map`, `Set`, `Date`, assignments, `push`, generators, `async`, …)
is evaluated in the sandbox of the [Code node](nodes/code.md), by QuickJS, before the node runs: for all of its items
at once, with a copy of the data for each, so that nothing that an expression changes is seen by another. That costs
some milliseconds a run. Such an expression knows JavaScript and the names above, of dates `$now` and `$today` with
their fields, `toISO`, `toISODate`, `toMillis`, `toSeconds` and `toJSDate`; what is listed below belongs to the
expression language alone, and an expression that needs both is refused when the workflow is saved. `new Date()` is
`$now`. `constructor`, `prototype`, `__proto__` and their like, `eval` and `Function` are errors there as well, also
where the name is computed. In nodes with effects and in waits the values are evaluated before the first attempt and
recorded; triggers, merges and loops take no such expressions. There is no `Intl`, and a text cannot be spread into an
object.
"""


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _row(entry: Entry) -> str:
    name = f"DateTime.{entry.signature}" if entry.kind == "DateTime" else entry.signature
    examples = "<br>".join(f"`{source}` → `{_shown(result)}`" for source, result in entry.examples)
    cells = (f"`{name}`", entry.docs, examples)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def render() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for kind, title in _TITLES.items():
        rows = [_row(entry) for entry in sorted(REGISTRY, key=lambda entry: entry.name) if entry.kind == kind]
        parts.append(
            "\n".join([f"## {title}", "", "| function | what it gives | examples |", "|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """Write the page; with `--check` only compare it: 1 if it is out of date."""
    page = render()
    if "--check" not in arguments:
        TARGET.write_text(page, "utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text("utf-8") == page:
        return 0
    sys.stderr.write(f"{TARGET.name} is out of date: python -m linkflow.expression_docs\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
