"""CSS selectors over parsed HTML in time linear in the document.

The parser's own engine backtracks over ancestors, so that `div div div p` can take minutes. Here it only finds the
elements of each compound (`div.x[a=b]`); combinators are followed by passes over the tree.
"""

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from domain.nodes.failures import NodeFailure

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_SELECTOR: Final = 1_000
_MAX_SIBLINGS: Final = 5_000
_TOKEN: Final = re.compile(
    r"""\\.|\s*([>+~,])\s*|(\s+)|\[(?:[^\]"']|"[^"]*"|'[^']*')*\]|"[^"]*"|'[^']*'|(:[\w-]+)?(\((?:[^()]|\([^()]*\))*\))"""
    r"""|[^\s>+~,\[(\\:]+|:{1,2}""",
    re.DOTALL,
)
_NESTED: Final = frozenset({":not", ":is", ":where"})
_COUNTING: Final = re.compile(r":(?:nth-|only-|first-of|last-of)", re.IGNORECASE)

Step = tuple[str, str]
"""A combinator ('' for the first) and a compound."""


class Selector(NamedTuple):
    """The alternatives of a selector, each a chain of steps. `counting`: it asks for places among siblings."""

    chains: tuple[tuple[Step, ...], ...]
    counting: bool


def parse_selector(text: str) -> Selector:
    """Raises ValueError that says what is wrong."""
    chains: list[tuple[Step, ...]] = []
    steps: list[Step] = []
    combinator, compound, place = "", "", 0
    text = text.strip()
    if not text or len(text) > MAX_SELECTOR:
        raise ValueError(f"must have 1 to {MAX_SELECTOR} characters")
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise ValueError(f"is no CSS selector: {text[place : place + 20]!r}")
        place = token.end()
        sign = token[1] or (" " if token[2] else "")
        if not sign:
            _check_pseudo(token[3], token[4])
            compound += token[0]
            continue
        if not compound:
            raise ValueError("is no CSS selector: something is missing between its parts")
        steps.append((combinator, compound))
        combinator, compound = ("", "") if sign == "," else (sign, "")
        if sign == ",":
            chains.append(tuple(steps))
            steps = []
    if not compound:
        raise ValueError("is no CSS selector: it ends too early")
    chains.append((*steps, (combinator, compound)))
    selector = Selector(tuple(chains), _COUNTING.search(text) is not None)
    _try(selector)
    return selector


def _check_pseudo(name: str | None, arguments: str | None) -> None:
    lower = (name or "").lower()
    inner = (arguments or "")[1:-1].strip()
    if lower == ":has" or (lower.startswith(":nth") and " of " in inner):
        raise ValueError(f"cannot use {lower}: it would look at the whole document for each element")
    if lower in _NESTED and re.search(r"[\s>+~(]", inner):
        raise ValueError(f"takes only simple selectors in {lower}(…)")


def _try(selector: Selector) -> None:
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    empty = LexborHTMLParser("<p></p>")
    for chain in selector.chains:
        for _, compound in chain:
            try:
                empty.css(compound)
            except SelectolaxError:
                raise ValueError(f"is no CSS selector: {compound[:60]!r}") from None


class Tree:
    """A parsed document: its elements in document order, with the numbers of parents and of the element before."""

    __slots__ = ("_before", "_document", "_elements", "_numbers", "_parents", "_siblings")

    def __init__(self, document: "LexborHTMLParser") -> None:
        self._document = document
        root = document.root
        nodes = [] if root is None else [node for node in root.traverse(include_text=False) if node.is_element_node]
        self._elements = nodes
        self._numbers = {node.mem_id: number for number, node in enumerate(nodes)}
        self._parents: list[int] = []
        self._before: list[int] = []
        last: dict[int, int] = {}
        count: dict[int, int] = {}
        for number, node in enumerate(nodes):
            above = node.parent
            parent = self._numbers.get(above.mem_id, -1) if above is not None else -1
            self._parents.append(parent)
            self._before.append(last.get(parent, -1))
            last[parent] = number
            count[parent] = count.get(parent, 0) + 1
        self._siblings = max(count.values(), default=0)

    def find(self, selector: Selector) -> "list[LexborNode]":
        """The elements that match, in document order. Raises NodeFailure."""
        if selector.counting and self._siblings > _MAX_SIBLINGS:
            raise NodeFailure(
                "too_many_elements",
                f"selectors that count siblings take at most {_MAX_SIBLINGS:,} elements beside each other",
            )
        found: set[int] = set()
        for chain in selector.chains:
            found |= self._chain(chain)
        return [self._elements[number] for number in sorted(found)]

    def _chain(self, chain: tuple[Step, ...]) -> set[int]:
        found: set[int] = set()
        for combinator, compound in chain:
            matches = {
                self._numbers[node.mem_id] for node in self._document.css(compound) if node.mem_id in self._numbers
            }
            found = self._related(found, combinator, matches) if combinator else matches
            if not found:
                break
        return found

    def _related(self, found: set[int], combinator: str, matches: set[int]) -> set[int]:
        links = self._parents if combinator in " >" else self._before
        if combinator in ">+":
            return {number for number in matches if links[number] in found}
        behind = [False] * len(links)
        for number, link in enumerate(links):
            behind[number] = link >= 0 and (link in found or behind[link])
        return {number for number in matches if behind[number]}
