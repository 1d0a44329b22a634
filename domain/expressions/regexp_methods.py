"""The methods that take a regular expression: of strings (`match`, …) and of expressions (`exec`, …)."""

from collections.abc import Callable, Mapping
from typing import Final, final

from domain.expressions import utf16
from domain.expressions.conversions import to_text
from domain.expressions.errors import TYPE, ExpressionError
from domain.expressions.limits import MAX_TEXT
from domain.expressions.regex.matcher import Search
from domain.expressions.regexps import RegExp, program_of
from domain.expressions.scope import Scope
from domain.expressions.values import UNDEFINED, Function, Value


@final
class Subject:
    """A text as a pattern sees it: code points under the flag u, else UTF-16 code units."""

    __slots__ = ("_wide", "expression", "search", "text")

    def __init__(self, expression: RegExp, text: str) -> None:
        self.expression = expression
        self.text = text if expression.program.unicode or text.isascii() else utf16.widen(text)
        self._wide = expression.program.unicode and not text.isascii()
        self.search = Search(expression.program, self.text)

    def index(self, place: int) -> int:
        """A place in `text` as an index of the language."""
        return utf16.length(self.text[:place]) if self._wide else place

    def place(self, index: int) -> int:
        """An index of the language as a place in `text`, beyond its end if it is."""
        if not self._wide:
            return index
        if index > utf16.length(self.text):
            return len(self.text) + 1
        return len(utf16.narrow(utf16.widen(self.text)[:index]))

    def part(self, start: int, end: int) -> str:
        return self.text[start:end] if self._wide else utf16.narrow(self.text[start:end])

    def groups(self, saves: list[int]) -> list[Value]:
        """The texts of the whole match and of its groups."""
        return [
            self.part(saves[at], saves[at + 1]) if saves[at] >= 0 and saves[at + 1] >= 0 else UNDEFINED
            for at in range(0, len(saves), 2)
        ]

    def named(self, found: list[Value]) -> Value:
        names = self.expression.program.names
        return {name: found[index] for name, index in names.items()} if names else UNDEFINED

    def result(self, scope: Scope, saves: list[int]) -> list[Value]:
        """The array that `exec` gives."""
        found = self.groups(saves)
        scope.charge(1 + (len(found) >> 3))
        original = self.text if self.expression.program.unicode else utf16.narrow(self.text)
        members = {"index": self.index(saves[0]), "input": original, "groups": self.named(found)}
        scope.remember_match(found, members)
        return found

    def all(self, scope: Scope) -> list[list[int]]:
        """The saved positions of every match, from the start on (under y as long as they follow each other)."""
        found: list[list[int]] = []
        place, sticky = 0, self.expression.has("y")
        while place <= len(self.text):
            saves = self.search.find(place, scope, sticky=sticky)
            if saves is None:
                break
            found.append(saves)
            scope.charge_elements(len(found) & 7)
            place = saves[1] + (saves[1] == saves[0])
        return found


def regexp(scope: Scope, pattern: Value = UNDEFINED, flags: Value = UNDEFINED, *_: Value) -> RegExp:
    """`RegExp(pattern, flags)`."""
    if type(pattern) is RegExp:
        return RegExp(
            program_of(pattern.program.source, pattern.program.flags if flags is UNDEFINED else to_text(flags))
        )
    source = "" if pattern is UNDEFINED else to_text(pattern, scope)
    scope.charge(1 + len(source))
    return RegExp(program_of(source, "" if flags is UNDEFINED else to_text(flags, scope)))


def _expression(scope: Scope, pattern: Value, flags: str = "") -> RegExp:
    return pattern if type(pattern) is RegExp else regexp(scope, pattern, flags)


def _must_be_global(expression: RegExp, name: str) -> None:
    if not expression.has("g"):
        raise ExpressionError(TYPE, f"{name} needs a regular expression with the flag g")


# -- of regular expressions


def _next(scope: Scope, expression: RegExp, text: str) -> tuple[Subject, list[int]] | None:
    """The match that `exec` finds; moves `last_index` where the flags say so."""
    subject = Subject(expression, text)
    moves = expression.has("g") or expression.has("y")
    start = subject.place(expression.last_index) if moves else 0
    saves = None
    if start <= len(subject.text):
        saves = subject.search.find(start, scope, sticky=expression.has("y"))
    if moves:
        expression.last_index = 0 if saves is None else subject.index(saves[1])
    return None if saves is None else (subject, saves)


def _exec(scope: Scope, expression: RegExp, text: Value = UNDEFINED, *_: Value) -> Value:
    found = _next(scope, expression, to_text(text, scope))
    return None if found is None else found[0].result(scope, found[1])


def _test(scope: Scope, expression: RegExp, text: Value = UNDEFINED, *_: Value) -> bool:
    return _next(scope, expression, to_text(text, scope)) is not None


REGEXP_METHODS: Final[Mapping[str, Callable[..., Value]]] = {
    "exec": _exec,
    "test": _test,
    "toString": lambda _scope, expression, *_: expression.text(),
    "valueOf": lambda _scope, expression, *_: expression,
}
REGEXP_FIELDS: Final[Mapping[str, Callable[[RegExp], Value]]] = {
    "source": lambda expression: expression.source,
    "flags": lambda expression: expression.program.flags,
    "lastIndex": lambda expression: expression.last_index,
    "global": lambda expression: expression.has("g"),
    "ignoreCase": lambda expression: expression.has("i"),
    "multiline": lambda expression: expression.has("m"),
    "dotAll": lambda expression: expression.has("s"),
    "unicode": lambda expression: expression.has("u"),
    "sticky": lambda expression: expression.has("y"),
    "hasIndices": lambda expression: expression.has("d"),
    "unicodeSets": lambda _expression: False,
}


# -- of strings


def match(scope: Scope, text: str, pattern: Value = UNDEFINED, *_: Value) -> Value:
    """`text.match(pattern)`: the first match, or under g the texts of all; null for none."""
    expression = _expression(scope, pattern)
    if not expression.has("g"):
        return _exec(scope, expression, text)
    subject = Subject(expression, text)
    found = [subject.part(saves[0], saves[1]) for saves in subject.all(scope)]
    expression.last_index = 0
    return found or None


def match_all(scope: Scope, text: str, pattern: Value = UNDEFINED, *_: Value) -> list[Value]:
    """`text.matchAll(pattern)`, as an array."""
    expression = _expression(scope, pattern, "g")
    _must_be_global(expression, "matchAll")
    subject = Subject(expression, text)
    return [subject.result(scope, saves) for saves in subject.all(scope)]


def search(scope: Scope, text: str, pattern: Value = UNDEFINED, *_: Value) -> int:
    """`text.search(pattern)`: the index of the first match or -1."""
    expression = _expression(scope, pattern)
    subject = Subject(expression, text)
    saves = subject.search.find(0, scope, sticky=expression.has("y"))
    return -1 if saves is None else subject.index(saves[0])


def replace(scope: Scope, text: str, expression: RegExp, new: Value, *, everywhere: bool) -> str:
    """`text.replace(expression, new)`, and `replaceAll`."""
    if everywhere:
        _must_be_global(expression, "replaceAll")
    template = "" if type(new) is Function else to_text(new, scope)
    subject = Subject(expression, text)
    if expression.has("g"):
        matches = subject.all(scope)
        expression.last_index = 0
    else:
        found = _next(scope, expression, text)
        matches = [] if found is None else [found[1]]
    if not matches:
        return text
    parts: list[str] = []
    done = length = 0
    for saves in matches:
        if type(new) is Function:
            made = to_text(new.call(scope, *_arguments(subject, saves, text)), scope)
        else:
            made = _expand(template, subject, saves) if "$" in template else template
        between = subject.part(done, saves[0])
        parts += (between, made)
        length += len(between) + len(made)
        if length > MAX_TEXT:
            scope.charge_text(length)
        done = saves[1]
    parts.append(subject.part(done, len(subject.text)))
    scope.charge_text(length + len(parts[-1]))
    return utf16.narrow("".join(parts))


def _arguments(subject: Subject, saves: list[int], text: str) -> list[Value]:
    groups = subject.groups(saves)
    named = subject.named(groups)
    more = [] if named is UNDEFINED else [named]
    return [*groups, subject.index(saves[0]), text, *more]


def _expand(template: str, subject: Subject, saves: list[int]) -> str:
    """`$$`, `$&`, `` $` ``, `$'`, `$1` to `$99` and `$<name>` in a replacement."""
    groups = subject.groups(saves)
    made: list[str] = []
    place = 0
    while (sign := template.find("$", place)) >= 0:
        made.append(template[place:sign])
        text, place = _reference(template, sign + 1, subject, saves, groups)
        made.append(text)
    made.append(template[place:])
    return "".join(made)


def _reference(template: str, at: int, subject: Subject, saves: list[int], groups: list[Value]) -> tuple[str, int]:
    """What the reference behind a `$` stands for, and where it ends."""
    match template[at : at + 1]:
        case "$":
            return "$", at + 1
        case "&":
            return groups[0], at + 1
        case "`":
            return subject.part(0, saves[0]), at + 1
        case "'":
            return subject.part(saves[1], len(subject.text)), at + 1
        case "<" if subject.expression.program.names and (end := template.find(">", at)) > 0:
            index = subject.expression.program.names.get(template[at + 1 : end])
            value = UNDEFINED if index is None else groups[index]
            return "" if value is UNDEFINED else str(value), end + 1
    for width in (2, 1):
        digits = template[at : at + width]
        if len(digits) == width and digits.isascii() and digits.isdecimal() and 1 <= int(digits) < len(groups):
            value = groups[int(digits)]
            return "" if value is UNDEFINED else str(value), at + width
    return "$", at


def split(scope: Scope, text: str, expression: RegExp, most: int) -> list[Value]:
    """`text.split(expression)`: the texts between the matches, and what groups matched."""
    subject = Subject(expression, text)
    size = len(subject.text)
    parts: list[Value] = []
    if size == 0:
        return [] if subject.search.find(0, scope, sticky=True) is not None else [text]
    done = place = 0
    while place < size:
        saves = subject.search.find(place, scope, sticky=expression.has("y"))
        if saves is None and expression.has("y"):
            place += 1
            continue
        if saves is None or saves[0] >= size:
            break
        if saves[1] == done or saves[1] == saves[0] == done:
            place = max(place, saves[0]) + 1
            continue
        parts.append(subject.part(done, saves[0]))
        parts.extend(subject.groups(saves)[1:])
        scope.charge_elements(len(parts) & 7)
        if len(parts) >= most:
            return parts[:most]
        done = saves[1]
        place = max(done, saves[0] + (saves[0] == saves[1]))
    parts.append(subject.part(done, size))
    return parts[:most]
