"""HTML as Markdown: headings, paragraphs, emphasis, code, links, images, lists, quotes, rules. Tables become lines of
text, scripts and styles nothing."""

import re
from html.parser import HTMLParser
from typing import Final

from domain.nodes.html_bounds import check_html
from domain.nodes.texts import utf8

_BLOCKS: Final = frozenset(
    "p div section article header footer main nav table tr form figure dl dt dd".split()  # noqa: SIM905
)
_MARKS: Final = {"strong": "**", "b": "**", "em": "_", "i": "_", "del": "~~", "s": "~~", "code": "`"}
_SILENT: Final = frozenset({"script", "style", "head", "template"})
_RAW: Final = ["script", "style", "template", "noscript", "textarea", "iframe", "xmp", "noembed", "noframes", "title"]
_SPACE: Final = re.compile(r"\s+")
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<])")
_LINE_START: Final = re.compile(r"^(\s*)([#>+-]|\d+(?=[.)]))", re.MULTILINE)
_HEADING: Final = re.compile(r"h[1-6]")
_MAX_NESTED: Final = 50


def to_markdown(html: str) -> str:
    """The text in Markdown, without line ends around it. Raises NodeFailure for HTML that is nested too deeply.

    It is read and written again first: Python's own parser takes quadratic time for what is not well-formed.
    """
    from selectolax.lexbor import LexborHTMLParser

    check_html(html)
    document = LexborHTMLParser(utf8(html))
    document.strip_tags(_RAW)
    writer = _Writer()
    writer.feed(document.body.html or "" if document.body is not None else "")
    writer.close()
    return writer.finished()


class _Writer(HTMLParser):
    """`_prefixes`: what begins each line of the blocks that are open (quotes, list items)."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line: list[str] = []
        self._prefixes: list[str] = []
        self._marker = ""
        self._lists: list[int | None] = []
        self._links: list[str] = []
        self._silent = 0
        self._code = 0
        self._quoted = False
        self._gap = False

    def finished(self) -> str:
        self._end_block()
        return "\n".join(self._lines).strip("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _SILENT:
            self._silent += 1
        elif _HEADING.fullmatch(tag):
            self._end_block()
            self._line.append("#" * int(tag[1]) + " ")
        elif tag in _BLOCKS:
            self._end_block()
        elif tag in {"ul", "ol"}:
            self._end_block(gap=not self._lists)
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            self._start_item()
        elif tag == "blockquote" and len(self._prefixes) < _MAX_NESTED:
            self._end_block()
            self._prefixes.append("> ")
        elif tag == "pre":
            self._end_block()
            self._code += 1
            self._put_line("```")
        elif tag == "br":
            self._line.append("\\\n")
        elif tag == "hr":
            self._end_block()
            self._put_line("---")
            self._gap = True
        elif tag == "img":
            self._line.append(f"![{_escaped(given.get('alt') or '')}]({_address(given.get('src'))})")
        elif tag == "a":
            self._links.append(_address(given.get("href")))
            self._line.append("[")
        elif tag in _MARKS and not self._code:
            self._quoted = self._quoted or tag == "code"
            self._line.append(_MARKS[tag])

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS or _HEADING.fullmatch(tag):
            self._end_block()
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
            self._end_block(gap=not self._lists)
        elif tag == "li":
            self._end_item()
        elif tag == "blockquote" and self._prefixes and self._prefixes[-1] == "> ":
            self._end_block()
            self._prefixes.pop()
        elif tag == "pre" and self._code:
            self._end_code()
        elif tag == "a" and self._links:
            self._line.append(f"]({self._links.pop()})")
        elif tag in _MARKS and not self._code:
            self._quoted = self._quoted and tag != "code"
            self._line.append(_MARKS[tag])

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._code:
            self._line.append(data)
            return
        text = _SPACE.sub(" ", data)
        if not self._line:
            text = text.lstrip()
        if text:
            self._line.append(text if self._quoted else _escaped(text))

    def _start_item(self) -> None:
        self._end_block(gap=False)
        number = self._lists[-1] if self._lists else None
        self._marker = "- " if number is None else f"{number}. "
        if self._lists and number is not None:
            self._lists[-1] = number + 1
        if len(self._prefixes) < _MAX_NESTED:
            self._prefixes.append(" " * len(self._marker))

    def _end_item(self) -> None:
        self._end_block(gap=False)
        self._marker = ""
        if self._prefixes and self._prefixes[-1].isspace():
            self._prefixes.pop()

    def _end_code(self) -> None:
        for line in "".join(self._line).strip("\n").split("\n"):
            self._put_line(line)
        self._line = []
        self._put_line("```")
        self._code -= 1
        self._gap = True

    def _end_block(self, *, gap: bool = True) -> None:
        """Write the open line, if there is something in it."""
        text = "".join(self._line).strip()
        self._line = []
        self._quoted = False
        if text and text.strip("#"):
            for line in text.split("\n"):
                self._put_line(line.strip())
        self._gap = self._gap or (gap and bool(self._lines))

    def _put_line(self, line: str) -> None:
        prefix = "".join(self._prefixes)
        if self._gap and self._lines and not self._marker:
            self._lines.append(prefix.rstrip())
        elif self._gap and self._lines and len(self._lists) <= 1 and self._marker in {"- ", "1. "} and self._lines[-1]:
            self._lines.append("")
        self._gap = False
        if self._marker:
            prefix = prefix[: -len(self._marker)] + self._marker
            self._marker = ""
        self._lines.append((prefix + line).rstrip())


def _escaped(text: str) -> str:
    return _LINE_START.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", text))


def _address(address: str | None) -> str:
    return (address or "").strip().replace(" ", "%20").replace("(", "%28").replace(")", "%29")
