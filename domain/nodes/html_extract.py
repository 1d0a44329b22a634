"""`html_extract`: takes values out of HTML by CSS selectors."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from domain.execution.events import Item, Items
from domain.expressions import Scope
from domain.nodes.html_bounds import check_html
from domain.nodes.node_type import MAIN, POOLED, Example, NodeType, Operation, Pure, map_items
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.paths import put_path
from domain.nodes.selectors import Selector, Tree, parse_selector
from domain.nodes.texts import field_path, long_text, utf8

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_VALUES: Final = 100


def _bind(parameters: Parameters) -> Operation:
    html_of = parameters.evaluator("html")
    rows = parameters.rows("values")
    if not rows and isinstance(parameters.source("values"), list):
        parameters.refuse("values", "needs at least one value {name, selector}")
    if len(rows) > _VALUES:
        parameters.refuse("values", f"may have at most {_VALUES} values")
    values = [value for row in rows if (value := _Value.of(row)) is not None]
    keep = parameters.plain("keep")

    def extract(scope: Scope, item: Item) -> Items:
        tree = _parsed(html_of(scope))
        json = dict(item["json"]) if keep else {}
        for value in values:
            put_path(json, value.path, value.taken(tree))
        return [{**item, "json": json}]

    return Pure(lambda run: map_items(run, extract), weight=POOLED)


def _parsed(html: str) -> Tree:
    from selectolax.lexbor import LexborHTMLParser

    check_html(html)
    return Tree(LexborHTMLParser(utf8(html)))


class _Value:
    """One value: which elements, and what is taken of them."""

    __slots__ = ("every", "path", "selector", "take")

    def __init__(self, row: Parameters, selector: Selector) -> None:
        self.path = field_path(row, "name")
        self.selector = selector
        self.every = row.plain("all")
        attribute = row.plain("attribute") or ""
        taken = row.plain("take")
        if (taken == "attribute") != bool(attribute):
            row.refuse("attribute", "is the attribute's name where take is attribute, and only there")
        self.take = _taker(taken, attribute)

    @staticmethod
    def of(row: Parameters) -> "_Value | None":
        try:
            return _Value(row, parse_selector(row.plain("selector") or ""))
        except ValueError as error:
            if row.given("selector"):
                row.refuse("selector", str(error))
            return None

    def taken(self, tree: Tree) -> Any:
        """The first element's value, null without one; a list with `all`."""
        found = tree.find(self.selector)
        if self.every:
            return [self.take(element) for element in found]
        return self.take(found[0]) if found else None


def _taker(taken: str, attribute: str) -> "Callable[[LexborNode], Any]":
    if taken == "attribute":
        return lambda element: element.attributes.get(attribute.lower(), None)
    if taken == "html":
        return lambda element: element.html or ""
    if taken == "inner_html":
        return lambda element: element.inner_html or ""
    if taken == "raw_text":
        return lambda element: element.text()
    return lambda element: " ".join(element.text().split())


HTML_EXTRACT = NodeType(
    "html_extract",
    "HTML extract",
    "Takes values out of HTML by CSS selectors: of the first element that matches (null if none does), or of all. "
    "HTML is read as browsers read it; nothing is loaded, no script runs.",
    _bind,
    (
        long_text("html", "The HTML, such as {{ $json.body }}."),
        Parameter(
            "values",
            "rows",
            "What is taken.",
            required=True,
            of=(
                Parameter("name", "text", "The field that gets it.", required=True, expression=False),
                Parameter("selector", "text", "A CSS selector such as #price > b.", required=True, expression=False),
                Parameter(
                    "take",
                    "text",
                    "text (white space made single), raw_text, html (with its own tag), inner_html, or attribute.",
                    default="text",
                    expression=False,
                    choices=("text", "raw_text", "html", "inner_html", "attribute"),
                ),
                Parameter("attribute", "text", "The attribute's name, such as href.", expression=False),
                Parameter("all", "boolean", "A list of all that match.", default=False, expression=False),
            ),
        ),
        Parameter("keep", "boolean", "Keep the other fields of the item.", default=False, expression=False),
    ),
    examples=(
        Example(
            "The title and all links of a page.",
            {
                "html": "{{ $json.page }}",
                "values": [
                    {"name": "title", "selector": "h1"},
                    {"name": "links", "selector": "nav a", "take": "attribute", "attribute": "href", "all": True},
                ],
            },
            [{"page": '<h1>Our <i>shop</i></h1><nav><a href="/a">A</a> <a href="/b">B</a></nav>'}],
            {MAIN: [{"title": "Our shop", "links": ["/a", "/b"]}]},
        ),
    ),
)
