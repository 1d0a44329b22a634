"""A regular expression's source to its syntax tree: ECMAScript's grammar, with the web's leniency outside `u`."""

import re
from typing import Final, NoReturn

from domain.expressions import utf16
from domain.expressions.errors import LIMIT, SYNTAX, UNSUPPORTED, ExpressionError
from domain.expressions.regex import classes
from domain.expressions.regex.classes import CharSet, Ranges
from domain.expressions.regex.syntax import (
    AnyOf,
    Assertion,
    BackReference,
    Char,
    Choice,
    Group,
    Look,
    Part,
    Repeat,
    Sequence,
)

MAX_NESTING: Final = 40
_QUANTIFIER = re.compile(r"\{(\d+)(?:(,)(\d*))?\}", re.ASCII)
_GROUP_NAME = re.compile(r"<((?:[^\W\d]|\$)[\w$]*)>")
_ESCAPED_OR_CLASS = re.compile(r"\\.|\[(?:\\.|[^\]\\])*+\]", re.DOTALL)
_OPENING = re.compile(r"\((?!\?)|\(\?<(?![=!])([^>]*)>?")
_NAMED = re.compile(r"\(\?<(?![=!])")
_HEX: Final = {"x": re.compile(r"[\da-fA-F]{2}", re.ASCII), "u": re.compile(r"[\da-fA-F]{4}", re.ASCII)}
_CODE_POINT = re.compile(r"\{([\da-fA-F]+)\}", re.ASCII)
_PROPERTY = re.compile(r"\{([\w=]+)\}", re.ASCII)
_OCTAL = re.compile(r"[0-3][0-7]{0,2}|[4-7][0-7]?", re.ASCII)
_DECIMAL = re.compile(r"[1-9]\d*", re.ASCII)
_LOW_SURROGATE = re.compile(r"\\u([dD][c-fC-F][\da-fA-F]{2})", re.ASCII)
_CONTROLS: Final = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
_SYNTAX: Final = "^$\\.*+?()[]{}|/"
_LOOKS: Final = {"?=": (True, False), "?!": (True, True), "?<=": (False, False), "?<!": (False, True)}


def _bare(source: str) -> str:
    """The pattern without escapes and classes: what is left of parentheses opens or closes groups."""
    return _ESCAPED_OR_CLASS.sub("x", source)


class PatternParser:
    """Parses one pattern. `names` and `groups` are known after `parse`."""

    def __init__(self, source: str, flags: str) -> None:
        self.unicode = "u" in flags
        self.ignore_case = "i" in flags
        self.dot_all = "s" in flags
        self.source = utf16.narrow(source) if self.unicode else utf16.widen(source)
        self.place = 0
        self.groups = 0
        self.names: dict[str, int] = {}
        self._depth = 0
        self._total = self._count_groups()
        self._named = _NAMED.search(_bare(self.source)) is not None

    def fail(self, message: str, code: str = SYNTAX) -> NoReturn:
        raise ExpressionError(code, f"regular expression /{self.source[:60]}/: {message}")

    def _count_groups(self) -> int:
        """How many capturing groups the whole pattern has: `\\2` means something else where there is but one."""
        return len(_OPENING.findall(_bare(self.source)))

    def parse(self) -> Part:
        """The whole pattern. Raises ExpressionError."""
        part = self._choice()
        if self.place < len(self.source):
            self.fail("unmatched ')'")
        return part

    def _at(self, text: str) -> bool:
        return self.source.startswith(text, self.place)

    def _accept(self, text: str) -> bool:
        if not self._at(text):
            return False
        self.place += len(text)
        return True

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.source, self.place)
        if found:
            self.place = found.end()
        return found

    def _choice(self) -> Part:
        self._depth += 1
        if self._depth > MAX_NESTING:
            self.fail(f"groups are nested more than {MAX_NESTING} deep", LIMIT)
        options = [self._sequence()]
        while self._accept("|"):
            options.append(self._sequence())
        self._depth -= 1
        return options[0] if len(options) == 1 else Choice(options)

    def _sequence(self) -> Part:
        parts: list[Part] = []
        while self.place < len(self.source) and not self._at("|") and not self._at(")"):
            before = self.groups
            part = self._term()
            parts.append(self._quantified(part, before))
        return parts[0] if len(parts) == 1 else Sequence(parts)

    def _quantified(self, part: Part, before: int) -> Part:
        least, most = self._quantifier()
        if least < 0:
            return part
        lookahead = isinstance(part, Look) and part.ahead and not self.unicode
        if isinstance(part, Assertion) or (isinstance(part, Look) and not lookahead):
            self.fail("nothing to repeat")
        return Repeat(part, least, most, not self._accept("?"), before + 1, self.groups + 1)

    def _quantifier(self) -> tuple[int, int | None]:
        """Least and most, (-1, None) for none."""
        for sign, least, most in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._accept(sign):
                return least, most
        found = self._match(_QUANTIFIER)
        if found is None:
            return -1, None
        if len(found[0]) > 24:
            self.fail("a count is too large", LIMIT)
        low = int(found[1])
        high = low if found[2] is None else int(found[3]) if found[3] else None
        if high is not None and high < low:
            self.fail("numbers out of order in {} quantifier")
        return low, high

    def _term(self) -> Part:
        char = self.source[self.place]
        if char == "(":
            return self._group()
        if char == "[":
            self.place += 1
            return self._set(self._class())
        if char == "\\":
            self.place += 1
            return self._escape()
        if char in "*+?":
            self.fail("nothing to repeat")
        if char == "{" and (self.unicode or _QUANTIFIER.match(self.source, self.place)):
            self.fail("nothing to repeat")
        if self.unicode and char in "]}":
            self.fail(f"lone {char!r}")
        self.place += 1
        match char:
            case "^" | "$":
                return Assertion(char)
            case ".":
                return AnyOf(CharSet(classes.EVERYTHING if self.dot_all else classes.inverted(classes.LINE_ENDS)))
        return self._char(char)

    def _char(self, char: str) -> Part:
        if not self.ignore_case:
            return Char(char)
        ranges = classes.ignoring_case(classes.of_chars(char), self.unicode)
        return Char(char) if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else AnyOf(CharSet(ranges))

    def _set(self, ranges: Ranges) -> Part:
        return AnyOf(CharSet(classes.ignoring_case(ranges, self.unicode) if self.ignore_case else ranges))

    def _group(self) -> Part:
        self.place += 1
        for sign in ("?<=", "?<!", "?=", "?!"):
            if self._accept(sign):
                return Look(self._closed(), *_LOOKS[sign])
        if self._accept("?:"):
            return Sequence([self._closed()])
        index = 0
        if self._accept("?"):
            name = self._match(_GROUP_NAME)
            if name is None:
                self.fail("this kind of group is not supported", UNSUPPORTED if not self._at("<") else SYNTAX)
            if name[1] in self.names:
                self.fail(f"the group name {name[1]!r} is there twice")
            self.names[name[1]] = self.groups + 1
        self.groups += 1
        index = self.groups
        return Group(index, self._closed())

    def _closed(self) -> Part:
        body = self._choice()
        if not self._accept(")"):
            self.fail("a group has no end")
        return body

    # -- escapes

    def _escape(self) -> Part:
        char = self.source[self.place : self.place + 1]
        if not char:
            self.fail("\\ at the end")
        if char in "bB":
            self.place += 1
            return Assertion(char)
        if char == "k" and (self.unicode or self._named):
            return self._named_reference()
        found = _DECIMAL.match(self.source, self.place)
        if found and len(found[0]) < 6 and int(found[0]) <= self._total:
            self.place = found.end()
            return BackReference(int(found[0]))
        if found and self.unicode:
            self.fail("no such group")
        ranges = self._class_escape()
        return self._char(self._char_escape(in_class=False)) if ranges is None else self._set(ranges)

    def _named_reference(self) -> Part:
        self.place += 1
        name = self._match(_GROUP_NAME)
        if name is None:
            self.fail("malformed \\k<name>")
        if name[1] in self.names:
            return BackReference(self.names[name[1]])
        index = self._index_of_later_name(name[1])
        return BackReference(index)

    def _index_of_later_name(self, name: str) -> int:
        """A reference may stand before its group."""
        for number, found in enumerate(_OPENING.finditer(_bare(self.source)), 1):
            if found[1] == name:
                return number
        return self.fail(f"no group is named {name!r}")

    def _class_escape(self) -> Ranges | None:
        r"""`\d`, `\w`, `\s`, their opposites and `\p{…}`."""
        char = self.source[self.place : self.place + 1]
        known = {"d": classes.DIGIT, "w": self._word(), "s": classes.SPACE}.get(char.lower())
        if known is not None and char:
            self.place += 1
            return classes.inverted(known) if char.isupper() else known
        if char in {"p", "P"} and self.unicode:
            self.place += 1
            name = self._match(_PROPERTY)
            if name is None:
                self.fail("malformed property")
            ranges = classes.property_ranges(name[1])
            return classes.inverted(ranges) if char == "P" else ranges
        return None

    def _word(self) -> Ranges:
        if self.unicode and self.ignore_case:
            return classes.merged([*classes.WORD, (0x17F, 0x17F), (0x212A, 0x212A)])
        return classes.WORD

    def _char_escape(self, *, in_class: bool) -> str:
        """The character that an escape stands for; the parser is behind the backslash."""
        char = self.source[self.place]
        self.place += 1
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "c":
            return self._control(in_class=in_class)
        if char in _HEX:
            return self._hex(char)
        if char.isdecimal() and char.isascii():
            return self._octal(char)
        if self.unicode and char not in _SYNTAX and not (in_class and char == "-"):
            self.fail(f"invalid escape \\{char}")
        return char

    def _control(self, *, in_class: bool) -> str:
        letter = self.source[self.place : self.place + 1]
        wide = in_class and not self.unicode and (letter.isdecimal() or letter == "_")
        if letter and letter.isascii() and (letter.isalpha() or wide):
            self.place += 1
            return chr(ord(letter) % 32)
        if self.unicode:
            self.fail("invalid escape \\c")
        self.place -= 1
        return "\\"

    def _hex(self, kind: str) -> str:
        found = self._match(_HEX[kind])
        if found is None and kind == "u" and self.unicode and (point := self._match(_CODE_POINT)):
            if len(point[1].lstrip("0")) > 6 or int(point[1], 16) > classes.LAST:
                self.fail("a code point is too large")
            return chr(int(point[1], 16))
        if found is None:
            if self.unicode:
                self.fail(f"invalid escape \\{kind}")
            return kind
        code = int(found[0], 16)
        if self.unicode and 0xD800 <= code <= 0xDBFF and (low := self._match(_LOW_SURROGATE)):
            return utf16.narrow(chr(code) + chr(int(low[1], 16)))
        return chr(code)

    def _octal(self, char: str) -> str:
        following = self.source[self.place : self.place + 1]
        if char == "0" and not (following.isascii() and following.isdecimal()):
            return "\0"
        if self.unicode:
            self.fail("octal escapes are not possible with the flag u")
        self.place -= 1
        found = self._match(_OCTAL)
        if found is not None:
            return chr(int(found[0], 8))
        self.place += 1
        return char

    # -- classes

    def _class(self) -> Ranges:
        negative = self._accept("^")
        ranges: list[tuple[int, int]] = []
        while not self._accept("]"):
            first = self._class_atom()
            if not self._at("-") or self._at("-]"):
                ranges.extend(first)
                continue
            self.place += 1
            last = self._class_atom()
            if len(first) == len(last) == 1 and first[0][0] == first[0][1] and last[0][0] == last[0][1]:
                if last[0][0] < first[0][0]:
                    self.fail("range out of order in a class")
                ranges.append((first[0][0], last[0][0]))
            elif self.unicode:
                self.fail("invalid range in a class")
            else:
                ranges.extend([*first, (0x2D, 0x2D), *last])
        found = classes.merged(ranges)
        if not negative:
            return found
        # What is excluded is excluded in either case.
        found = classes.ignoring_case(found, self.unicode) if self.ignore_case else found
        return classes.inverted(found)

    def _class_atom(self) -> Ranges:
        if self.place >= len(self.source):
            self.fail("a class has no end")
        if not self._accept("\\"):
            self.place += 1
            return classes.of_chars(self.source[self.place - 1])
        if self.place >= len(self.source):
            self.fail("\\ at the end")
        if self._accept("b"):
            return classes.of_chars("\b")
        ranges = self._class_escape()
        if ranges is not None:
            return ranges
        if (
            not self.unicode
            and self._at("c")
            and not re.match(r"c\w", self.source[self.place : self.place + 2], re.ASCII)
        ):
            return classes.of_chars("\\")
        return classes.of_chars(self._char_escape(in_class=True))
