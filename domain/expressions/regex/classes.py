"""Sets of characters: ranges, JavaScript's class escapes, letter case, Unicode's general categories."""

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from typing import Final, TypeAlias, final

from domain.expressions.errors import UNSUPPORTED, ExpressionError
from domain.expressions.numbers import WHITE_SPACE

Ranges: TypeAlias = tuple[tuple[int, int], ...]  # sorted, inclusive, neither overlapping nor touching

LAST: Final = 0x10FFFF
_CACHED: Final = 512


def merged(ranges: list[tuple[int, int]]) -> Ranges:
    """Any ranges in their normal form."""
    result: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)


def inverted(ranges: Ranges) -> Ranges:
    """Every character that is not in the ranges."""
    result, start = [], 0
    for low, high in ranges:
        if low > start:
            result.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        result.append((start, LAST))
    return tuple(result)


def of_chars(chars: str) -> Ranges:
    return merged([(ord(char), ord(char)) for char in chars])


DIGIT: Final = ((0x30, 0x39),)
WORD: Final = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Final = of_chars(WHITE_SPACE)
LINE_ENDS: Final = of_chars("\n\r\u2028\u2029")
EVERYTHING: Final = ((0, LAST),)


@final
class CharSet(dict[str, bool]):
    """Whether a character is in the ranges: `char_set[char]`, remembered for the first few hundred characters."""

    __slots__ = ("_starts", "pattern", "ranges")

    def __init__(self, ranges: Ranges) -> None:
        super().__init__()
        self.ranges = ranges
        self._starts = [low for low, _ in ranges]
        # One character of the set, for Python's own matcher: a single class cannot backtrack.
        self.pattern = "[" + "".join(map(_shown, ranges)) + "]" if ranges else "(?!)"

    def __missing__(self, char: str) -> bool:
        code = ord(char)
        place = bisect_right(self._starts, code) - 1
        found = place >= 0 and code <= self.ranges[place][1]
        if len(self) < _CACHED:
            self[char] = found
        return found

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharSet) and self.ranges == other.ranges


def _shown(one: tuple[int, int]) -> str:
    low, high = one
    return f"\\U{low:08x}-\\U{high:08x}"


@lru_cache(maxsize=256)
def bulk(pattern: str, quantifier: str) -> re.Pattern[str]:
    """Python's matcher for a run of one class."""
    return re.compile(pattern + quantifier)


# -- letter case


def canonical(char: str, unicode: bool) -> str:
    """What two characters have in common if they are equal under the flag `i`."""
    if unicode:
        folded = char.casefold()
        if len(folded) == 1:
            return folded
        lower = char.lower()
        return lower if len(lower) == 1 else char
    upper = char.upper()
    if len(upper) != 1 or (ord(char) >= 128 and ord(upper) < 128):
        return char
    return upper


@lru_cache(maxsize=2)
def _families(unicode: bool) -> dict[str, tuple[str, ...]]:
    """By each character that has any: the characters that are equal to it under the flag `i`."""
    groups: dict[str, list[str]] = {}
    for code in range(0x1E944 if unicode else 0x10000):
        char = chr(code)
        if (key := canonical(char, unicode)) != char:
            groups.setdefault(key, [key]).append(char)
    return {char: tuple(group) for group in groups.values() for char in group}


def ignoring_case(ranges: Ranges, unicode: bool) -> Ranges:
    """The ranges with everything that is equal to something in them under the flag `i`."""
    if not unicode and ranges and ranges[-1][1] < 128:
        letters = [chr(code) for low, high in ranges for code in range(low, high + 1)]
        return merged([*ranges, *((ord(char.swapcase()), ord(char.swapcase())) for char in letters if char.isalpha())])
    chars = CharSet(ranges)
    more = [(ord(other), ord(other)) for char, family in _families(unicode).items() if chars[char] for other in family]
    return merged([*ranges, *more])


# -- \p{…}


@lru_cache(maxsize=1)
def _categories() -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for code in range(LAST + 1):
        ranges = found.setdefault(unicodedata.category(chr(code)), [])
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return found


_LONG_NAMES: Final = {
    "Letter": "L", "Cased_Letter": "LC", "Uppercase_Letter": "Lu", "Lowercase_Letter": "Ll", "Titlecase_Letter": "Lt",
    "Modifier_Letter": "Lm", "Other_Letter": "Lo", "Mark": "M", "Nonspacing_Mark": "Mn", "Spacing_Mark": "Mc",
    "Enclosing_Mark": "Me", "Number": "N", "Decimal_Number": "Nd", "Letter_Number": "Nl", "Other_Number": "No",
    "Punctuation": "P", "Connector_Punctuation": "Pc", "Dash_Punctuation": "Pd", "Open_Punctuation": "Ps",
    "Close_Punctuation": "Pe", "Initial_Punctuation": "Pi", "Final_Punctuation": "Pf", "Other_Punctuation": "Po",
    "Symbol": "S", "Math_Symbol": "Sm", "Currency_Symbol": "Sc", "Modifier_Symbol": "Sk", "Other_Symbol": "So",
    "Separator": "Z", "Space_Separator": "Zs", "Line_Separator": "Zl", "Paragraph_Separator": "Zp",
    "Other": "C", "Control": "Cc", "Format": "Cf", "Surrogate": "Cs", "Private_Use": "Co", "Unassigned": "Cn",
    "punct": "P", "digit": "Nd", "cntrl": "Cc", "Combining_Mark": "M",
}  # fmt: skip
_BINARY: Final[dict[str, Ranges]] = {
    "Any": EVERYTHING,
    "ASCII": ((0, 127),),
    "White_Space": merged([*SPACE, (0x85, 0x85)]),
}


@lru_cache(maxsize=64)
def property_ranges(name: str) -> Ranges:
    """The characters of `\\p{name}`: a general category, Any, ASCII or White_Space."""
    key, _, value = name.partition("=")
    if value and key in {"General_Category", "gc"}:
        name = value
    if name in _BINARY and not value:
        return _BINARY[name] if name != "White_Space" else merged([r for r in _BINARY[name] if r != (0xFEFF, 0xFEFF)])
    short = _LONG_NAMES.get(name, name)
    wanted = {"Lu", "Ll", "Lt"} if short == "LC" else {one for one in _categories() if one.startswith(short)}
    if not short or not wanted or len(short) > 2:
        raise ExpressionError(UNSUPPORTED, f"the property \\p{{{name[:40]}}} is not supported in regular expressions")
    return merged([one for category in wanted for one in _categories()[category]])
