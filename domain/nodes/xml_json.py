"""`xml`: XML to JSON and back. Attributes are called `@name`, an element's own text `#text`."""

import re
from collections.abc import Callable
from typing import Any, Final
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from domain.execution.events import Item, Items
from domain.expressions import Scope, to_text
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import MAIN, POOLED, Example, NodeType, Operation, Pure, map_items
from domain.nodes.parameters import Parameter, Parameters
from domain.nodes.texts import MAX_TEXT, field_path, utf8, with_field

MAX_DEPTH: Final = 100
_NAME: Final = re.compile(r"[^\W\d][\w.\-:]*")
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


class _Reader:
    """Builds JSON from what expat reports. Document types, and with them entities, are refused."""

    __slots__ = ("_lists", "_stack", "_texts", "root")

    def __init__(self, lists: frozenset[str]) -> None:
        self._lists = lists
        self._stack: list[tuple[str, dict[str, Any]]] = []
        self._texts: list[list[str]] = []
        self.root: dict[str, Any] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise NodeFailure("xml_too_deep", f"the XML is nested more than {MAX_DEPTH} deep")
        self._stack.append((name, {f"@{key}": value for key, value in attributes.items()}))
        self._texts.append([])

    def text(self, data: str) -> None:
        self._texts[-1].append(data)

    def end(self, _name: str) -> None:
        name, json = self._stack.pop()
        text = "".join(self._texts.pop()).strip()
        if text and json:
            json["#text"] = text
        value: Any = json or text
        above = self._stack[-1][1] if self._stack else self.root
        if name in above:
            there = above[name]
            if isinstance(there, list):
                there.append(value)
            else:
                above[name] = [there, value]
        else:
            above[name] = [value] if name in self._lists else value


def _refuse_doctype(*_: Any) -> None:
    raise NodeFailure("xml_doctype", "XML with a document type (DOCTYPE) is not read: entities are not allowed")


def read_xml(text: str, lists: frozenset[str]) -> dict[str, Any]:
    """Raises NodeFailure for what is no well-formed XML."""
    reader = _Reader(lists)
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(utf8(text), True)
    except expat.ExpatError as error:
        raise NodeFailure("bad_xml", f"no well-formed XML: {error}") from None
    return reader.root


def write_xml(root: str, value: Any) -> str:
    """An element of this name, without line breaks. Raises NodeFailure for what XML cannot say."""
    parts: list[str] = []
    _write(parts, root, value, 0)
    text = "".join(parts)
    if len(text) > MAX_TEXT:
        raise NodeFailure("text_too_long", f"the XML would be longer than {MAX_TEXT:,} characters")
    return text


def _write(parts: list[str], name: str, value: Any, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise NodeFailure("xml_too_deep", f"the data is nested more than {MAX_DEPTH} deep")
    _check_name(name)
    if isinstance(value, list):
        for entry in value:
            _write(parts, name, {"item": entry} if isinstance(entry, list) else entry, depth + 1)
        return
    if not isinstance(value, dict):
        text = _text(value)
        parts.append(f"<{name}>{text}</{name}>" if text else f"<{name}/>")
        return
    attributes = "".join(_attribute(key, entry) for key, entry in value.items() if key.startswith("@"))
    parts.append(f"<{name}{attributes}>")
    size = len(parts)
    for key, entry in value.items():
        if key == "#text":
            parts.append(_text(entry))
        elif not key.startswith("@"):
            _write(parts, key, entry, depth + 1)
    if len(parts) == size:
        parts[-1] = f"<{name}{attributes}/>"
    else:
        parts.append(f"</{name}>")


def _attribute(key: str, value: Any) -> str:
    _check_name(key[1:])
    return f" {key[1:]}={quoteattr(_checked('' if value is None else to_text(value)))}"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise NodeFailure("bad_xml", f"{name[:60]!r} cannot be the name of an element or attribute")


def _text(value: Any) -> str:
    return "" if value is None else escape(_checked(to_text(value)))


def _checked(text: str) -> str:
    if _FORBIDDEN.search(text):
        raise NodeFailure("bad_xml", "a text holds control characters, which XML cannot hold")
    return text


def _bind(parameters: Parameters) -> Operation:
    into = field_path(parameters, "into")
    work = _writing(parameters) if parameters.plain("operation") == "to_xml" else _reading(parameters)

    def convert(scope: Scope, item: Item) -> Items:
        return [with_field(item, into, work(scope))]

    return Pure(lambda run: map_items(run, convert), weight=POOLED)


def _reading(parameters: Parameters) -> Callable[[Scope], Any]:
    if not parameters.given("xml"):
        parameters.refuse("xml", "is missing: to_json needs the text")
    names = parameters.plain("lists")
    if not all(isinstance(name, str) for name in names):
        parameters.refuse("lists", 'takes names of elements, such as ["item"]')
        names = []
    xml_of, lists = parameters.evaluator("xml"), frozenset(names)
    return lambda scope: read_xml(xml_of(scope) or "", lists)


def _writing(parameters: Parameters) -> Callable[[Scope], Any]:
    if not parameters.given("data"):
        parameters.refuse("data", "is missing: to_xml needs what is written")
    data_of, root = parameters.evaluator("data"), parameters.plain("root")
    if not _NAME.fullmatch(root):
        parameters.refuse("root", "cannot be the name of an element")
    return lambda scope: write_xml(root, data_of(scope))


XML = NodeType(
    "xml",
    "XML",
    "to_json: an element becomes an object with its attributes as @name and its text as #text, or just its text where "
    "it has nothing else; elements of one name become a list. Values stay text. to_xml is the way back. Document types "
    "and entities of one's own are refused.",
    _bind,
    (
        Parameter("operation", "text", "What is done.", required=True, expression=False, choices=("to_json", "to_xml")),
        Parameter("xml", "text", "to_json: the XML, such as {{ $json.body }}.", longest=MAX_TEXT),
        Parameter("lists", "list", "to_json: elements that are lists even alone.", default=[], expression=False),
        Parameter("data", "any", "to_xml: the root element's content."),
        Parameter("root", "text", "to_xml: the root element's name.", default="root", expression=False),
        Parameter("into", "text", "The field that gets the result.", default="data", expression=False),
    ),
    examples=(
        Example(
            "An order as JSON.",
            {"operation": "to_json", "xml": "{{ $json.body }}", "into": "body"},
            [{"body": '<order id="7"><sku>A</sku><sku>B</sku><note lang="en">quick</note></order>'}],
            {MAIN: [{"body": {"order": {"@id": "7", "sku": ["A", "B"], "note": {"@lang": "en", "#text": "quick"}}}}]},
        ),
        Example(
            "A price list as XML.",
            {"operation": "to_xml", "data": "{{ {price: [{'@of': 'tea', '#text': 3.5}, 4]} }}", "root": "prices"},
            [{}],
            {MAIN: [{"data": '<prices><price of="tea">3.5</price><price>4</price></prices>'}]},
        ),
    ),
)
