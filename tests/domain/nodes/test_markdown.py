"""Markdown to HTML and HTML to Markdown."""

from typing import Any

import pytest

from domain.nodes.html_to_markdown import to_markdown
from tests.domain.nodes.test_transform_nodes import code, main


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\n\nb", "<p>a</p>\n<p>b</p>\n"),
        ("- é\n- *b*", "<ul>\n<li>é</li>\n<li><em>b</em></li>\n</ul>\n"),
        ("~~x~~", "<p><s>x</s></p>\n"),
        ("<script>x</script>", "<p>&lt;script&gt;x&lt;/script&gt;</p>\n"),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>\n"),
        ("`a<b`", "<p><code>a&lt;b</code></p>\n"),
        ("", ""),
    ],
)
def test_markdown_to_html(text: str, html: str) -> None:
    assert main("markdown", {"operation": "to_html", "text": "{{ $json.t }}"}, {"t": text})[0]["result"] == html


def test_html_is_let_through_where_allowed() -> None:
    parameters = {"operation": "to_html", "text": "<b>x</b>", "allow_html": True}
    assert main("markdown", parameters, {})[0]["result"] == "<p><b>x</b></p>\n"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>A  b</h1>c", "# A b\n\nc"),
        ("<p>a <em>b</em> <strong>c</strong> <code>d_e</code></p>", "a _b_ **c** `d_e`"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", "- a\n  - b\n- c"),
        ("<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n>\n> b\n\nc"),
        ("<pre><code>x = 1\n  y</code></pre><p>z</p>", "```\nx = 1\n  y\n```\n\nz"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ('<img src="a b.png" alt="x"><a href="/(y)">z</a>', "![x](a%20b.png)[z](/%28y%29)"),
        ("<script>x</script><style>y</style>z", "z"),
        ("<p>1. *no* _list_</p>", "\\1. \\*no\\* \\_list\\_"),
        ("&lt;b&gt; ü", "\\<b> ü"),
        ("", ""),
    ],
)
def test_html_to_markdown(html: str, text: str) -> None:
    assert to_markdown(html) == text


@pytest.mark.parametrize("value", [5, None, "x" * 500_001])
def test_what_is_no_text(value: Any) -> None:
    assert code("markdown", {"operation": "to_html", "text": "{{ $json.t }}"}, {"t": value}) == "bad_parameter"


def test_html_of_any_shape_comes_to_an_end() -> None:
    assert to_markdown("<blockquote>" * 100 + "x").endswith("> x")
    assert to_markdown("<!" * 100_000 + ">x") == ">x".replace(">", "")
    assert to_markdown("</li></ul></a></pre>" * 10 + "<li>x") == "- x"
