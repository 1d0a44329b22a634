"""`markdown`: Markdown to HTML and back."""

from collections.abc import Callable
from typing import Final

from domain.execution.events import Item, Items
from domain.expressions import Scope
from domain.nodes.html_to_markdown import to_markdown
from domain.nodes.node_type import MAIN, POOLED, Example, NodeType, Operation, Pure, map_items
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.texts import field_path, with_field

MAX_MARKDOWN: Final = 500_000
"""Characters: rendering is the slowest of what nodes do with texts."""


def _bind(parameters: Parameters) -> Operation:
    text_of, into = parameters.evaluator("text"), field_path(parameters, "into")
    raw = parameters.plain("allow_html")
    work: Callable[[str], str] = to_markdown
    if parameters.plain("operation") == "to_html":
        work = lambda text: _to_html(text, raw)  # noqa: E731

    def convert(scope: Scope, item: Item) -> Items:
        return [with_field(item, into, work(text_of(scope)))]

    return Pure(lambda run: map_items(run, convert), weight=POOLED)


def _to_html(text: str, raw: bool) -> str:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": raw}).enable(["table", "strikethrough"])
    return str(reader.render(text))


MARKDOWN = NodeType(
    "markdown",
    "Markdown",
    "to_html: CommonMark with tables and ~~strikethrough~~; HTML within it is shown as text unless allowed, links to "
    "scripts are not made. to_markdown: headings, paragraphs, emphasis, code, links, images, lists, quotes and rules.",
    _bind,
    (
        Parameter(
            "operation", "text", "What is done.", required=True, expression=False, choices=("to_html", "to_markdown")
        ),
        Parameter("text", "text", "The Markdown or the HTML.", required=True, longest=MAX_MARKDOWN),
        Parameter("allow_html", "boolean", "to_html: let HTML through as it is.", default=False, expression=False),
        Parameter("into", "text", "The field that gets the result.", default="result", expression=False),
    ),
    examples=(
        Example(
            "A message as HTML.",
            {"operation": "to_html", "text": "{{ $json.text }}", "into": "html"},
            [{"text": "# Hi\n\nThis is **new**."}],
            {
                MAIN: [
                    {
                        "text": "# Hi\n\nThis is **new**.",
                        "html": "<h1>Hi</h1>\n<p>This is <strong>new</strong>.</p>\n",
                    }
                ]
            },
        ),
        Example(
            "A page as Markdown.",
            {"operation": "to_markdown", "text": "{{ $json.page }}", "into": "page"},
            [{"page": '<h2>News</h2><p>See <a href="/a">this</a>.</p><ul><li>one</li><li><b>two</b></li></ul>'}],
            {MAIN: [{"page": "## News\n\nSee [this](/a).\n\n- one\n- **two**"}]},
        ),
    ),
)
