"""`code`: a user's JavaScript or Python, run in the sandbox; nothing of it runs here."""

import re
from unicodedata import normalize

from domain.execution.events import Items
from domain.expressions import UNDEFINED, Compiled
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import MAIN, POOLED, Example, Failure, NodeType, Operation, Output, Pure, Run
from domain.nodes.origins import inherit
from domain.nodes.parameters import Parameter, Parameters
from domain.scripts import UNAVAILABLE, Script, ScriptItem, item_of

_NODE = re.compile(r"""\$\(\s*(?:'([^'\\]*)'|"([^"\\]*)"|`([^`\\$]*)`)\s*\)""")
_PYTHON_NODE = re.compile(r"\b_(?:node)?\(")
_PYTHON_VARIABLES = re.compile(r"\b_vars\b")


def _bind(parameters: Parameters) -> Operation:
    language, source = parameters.plain("language"), parameters.plain("source") or ""
    mode = parameters.plain("mode")
    looked_at = source
    if language == "python":
        looked_at = _PYTHON_VARIABLES.sub("$vars", _PYTHON_NODE.sub("$(", source))
        if not source.isascii() and _mentions(normalize("NFKC", source)) > _mentions(source):
            looked_at += "\n$vars"  # Python takes some letters for those of ASCII: it may be any of them
    references = frozenset(next(filter(None, found), "") for found in _NODE.findall(looked_at))
    parameters.references |= references
    parameters.sources.append(
        Compiled(looked_at, _nothing, _nothing, constant=True, references=references, names=frozenset({"$", "$vars"}))
    )
    return Pure(_run, weight=POOLED, script=Script(language, source, mode))


def _mentions(source: str) -> int:
    return len(_PYTHON_VARIABLES.findall(source))


def _nothing(_scope: object) -> object:
    return UNDEFINED


def _run(run: Run) -> Output:
    """The output, from what the sandbox answered."""
    answer = run.scope.script
    if answer is None:
        raise NodeFailure(UNAVAILABLE, "code runs in a sandbox only, and there is none here")
    if answer.error is not None:
        failures = [Failure(index, answer.error.code, answer.error.message, 0) for index in range(len(run.items))]
        return Output({}, failures, logs=answer.logs)
    failures = [
        Failure(index, code, message, min(max(0, place), len(answer.items)))
        for index, code, message, place in answer.failures
        if 0 <= index < len(run.items)
    ]
    return Output({MAIN: _items(answer.items, run.items)}, sorted(failures), logs=answer.logs)


def _items(made: list[ScriptItem], items: Items) -> Items:
    """What was put out; an item that names the ones it was made of inherits their origins."""
    found: Items = []
    for one in made:
        sources = [items[number] for number in one.sources if 0 <= number < len(items)]
        found.append(inherit(item_of(one), *sources) if sources else item_of(one))
    return found


CODE = NodeType(
    "code",
    "Code",
    "Runs JavaScript or Python in a sandbox, once for all items or once for each. The source is the body of a function "
    "that returns a list of items such as `[{json: {…}}]`; plain objects are taken as items, a single one as a list of "
    "one, nothing as none. JavaScript sees `items`, `$input`, `$json`, `$item`, `$('node')`, `$itemIndex`, "
    "`$runIndex`, `$now`, `$today`, `$workflow`, `$execution`, `$vars`; Python the same with an underscore for the "
    "dollar sign (`_input`, `_json`, `_('node')`, …). What `console.log` or `print` say is kept with the run. There "
    "are no files, no network, no environment, no timers, no modules beside JavaScript's own and Python's standard "
    "library; time, memory and output are bounded (30 seconds unless `timeout_seconds` says otherwise, 128 MB, 8 MB).",
    _bind,
    (
        Parameter(
            "language",
            "text",
            "javascript or python.",
            default="javascript",
            expression=False,
            choices=("javascript", "python"),
        ),
        Parameter("source", "text", "The body of a function that returns items.", True, expression=False, literal=True),
        Parameter(
            "mode",
            "text",
            "all_items: runs once and sees all; each_item: runs for each item, and a failure is that item's.",
            default="all_items",
            expression=False,
            choices=("all_items", "each_item"),
        ),
    ),
    examples=(
        Example(
            "One item for each customer with the sum of their orders",
            {
                "source": "const sums = {};\n"
                "for (const {json} of items) sums[json.customer] = (sums[json.customer] ?? 0) + json.total;\n"
                "return Object.entries(sums).map(([customer, total]) => ({customer, total}));"
            },
            [{"customer": "Ada", "total": 3}, {"customer": "Bob", "total": 5}, {"customer": "Ada", "total": 4}],
            {MAIN: [{"customer": "Ada", "total": 7}, {"customer": "Bob", "total": 5}]},
        ),
        Example(
            "A field for each item, in JavaScript",
            {"mode": "each_item", "source": "return {...$json, position: $itemIndex + 1};"},
            [{"name": "first"}, {"name": "second"}],
            {MAIN: [{"name": "first", "position": 1}, {"name": "second", "position": 2}]},
        ),
        Example(
            "The middle value, in Python",
            {
                "language": "python",
                "source": "import statistics\nreturn {'median': statistics.median(item.json.n for item in items)}",
            },
            [{"n": 1}, {"n": 10}, {"n": 3}],
            {MAIN: [{"median": 3}]},
        ),
    ),
)
