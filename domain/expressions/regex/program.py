"""The syntax tree to a program of simple instructions for the matcher."""

from dataclasses import dataclass
from typing import Any, Final

from domain.expressions.errors import LIMIT, ExpressionError
from domain.expressions.regex.classes import CharSet, Ranges, merged
from domain.expressions.regex.parser import PatternParser
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
    nullable,
)

MAX_PROGRAM: Final = 5_000

# Instructions: (code, a, b). Forward ones first.
CHAR: Final = 0  # the text a stands here
SET: Final = 1  # one character of the set a
SPLIT: Final = 2  # go on at a; if that fails at b
JUMP: Final = 3
SAVE: Final = 4  # the position becomes the a-th of the saved ones
RUN: Final = 5  # as many characters as Python's pattern a finds; if that fails one less, and so on
RESET: Final = 6  # the saved positions a to b are gone
MARK: Final = 7  # remember where iteration a began
CHECK: Final = 8  # fail if iteration a consumed nothing
ASSERT: Final = 9
LOOK: Final = 10  # a: (first instruction, ahead, negative), go on at b
BACK: Final = 11  # what group a matched stands here; b: forward
MATCH: Final = 12
CHAR_BEFORE: Final = 13
SET_BEFORE: Final = 14

Instruction = tuple[int, Any, Any]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled pattern. `saves` positions are kept, `marks` iterations; `first`: what a match can begin with, None
    for anything; `linear`: no backreference, so that a state that failed once fails always."""

    source: str
    flags: str
    code: tuple[Instruction, ...]
    groups: int
    names: dict[str, int]
    marks: int
    first: CharSet | None
    linear: bool
    unicode: bool
    ignore_case: bool
    multiline: bool


class _Writer:
    def __init__(self, source: str) -> None:
        self.source = source
        self.code: list[Instruction] = []
        self.marks = 0
        self.linear = True
        self._in_nullable = 0

    def put(self, code: int, a: Any = None, b: Any = None) -> int:
        if len(self.code) >= MAX_PROGRAM:
            raise ExpressionError(LIMIT, f"regular expression /{self.source[:60]}/ is too large")
        self.code.append((code, a, b))
        return len(self.code) - 1

    def write(self, part: Part, ahead: bool) -> None:
        match part:
            case Char():
                self._char(part, ahead)
            case AnyOf():
                self.put(SET if ahead else SET_BEFORE, part.chars)
            case Sequence():
                for one in part.parts if ahead else reversed(part.parts):
                    self.write(one, ahead)
            case Choice():
                self._choice(part, ahead)
            case Group():
                first, second = (2 * part.index, 2 * part.index + 1) if ahead else (2 * part.index + 1, 2 * part.index)
                self.put(SAVE, first)
                self.write(part.body, ahead)
                self.put(SAVE, second)
            case Repeat():
                self._repeat(part, ahead)
            case Assertion():
                self.put(ASSERT, part.kind)
            case Look():
                place = self.put(LOOK)
                self.write(part.body, part.ahead)
                self.put(MATCH)
                self.code[place] = (LOOK, (place + 1, part.negative), len(self.code))
            case BackReference():
                self.linear = False
                self.put(BACK, part.index, ahead)

    def _char(self, part: Char, ahead: bool) -> None:
        self.put(CHAR if ahead else CHAR_BEFORE, part.char)

    def _choice(self, part: Choice, ahead: bool) -> None:
        jumps = []
        for option in part.options[:-1]:
            split = self.put(SPLIT)
            self.write(option, ahead)
            jumps.append(self.put(JUMP))
            self.code[split] = (SPLIT, split + 1, len(self.code))
        self.write(part.options[-1], ahead)
        for jump in jumps:
            self.code[jump] = (JUMP, len(self.code), None)

    def _repeat(self, part: Repeat, ahead: bool) -> None:
        if part.least > MAX_PROGRAM or (part.most or 0) > MAX_PROGRAM * 20:
            raise ExpressionError(LIMIT, f"regular expression /{self.source[:60]}/ has a count that is too large")
        possible = ahead and part.greedy and not self._in_nullable
        simple = part.body if possible and isinstance(part.body, Char | AnyOf) else None
        for _ in range(part.least):
            self._iteration(part, ahead)
        if part.most is not None and part.most <= part.least:
            return
        if simple is not None:
            chars = simple.chars if isinstance(simple, AnyOf) else CharSet(((ord(simple.char), ord(simple.char)),))
            quantifier = "*" if part.most is None else f"{{0,{part.most - part.least}}}"
            self.put(RUN, (chars.pattern, quantifier))
            return
        if part.most is None:
            self._endless(part, ahead)
        else:
            self._optional(part, ahead, part.most - part.least)

    def _iteration(self, part: Repeat, ahead: bool) -> None:
        if part.last > part.first:
            self.put(RESET, 2 * part.first, 2 * part.last)
        self.write(part.body, ahead)

    def _checked(self, part: Repeat, ahead: bool) -> None:
        """An iteration beyond the least must consume something."""
        if not nullable(part.body):
            self._iteration(part, ahead)
            return
        mark, self.marks = self.marks, self.marks + 1
        self._in_nullable += 1
        self.put(MARK, mark)
        self._iteration(part, ahead)
        self.put(CHECK, mark)
        self._in_nullable -= 1

    def _split(self, place: int, inside: int, behind: int, greedy: bool) -> None:
        self.code[place] = (SPLIT, inside, behind) if greedy else (SPLIT, behind, inside)

    def _endless(self, part: Repeat, ahead: bool) -> None:
        split = self.put(SPLIT)
        self._checked(part, ahead)
        self.put(JUMP, split)
        self._split(split, split + 1, len(self.code), part.greedy)

    def _optional(self, part: Repeat, ahead: bool, count: int) -> None:
        splits = []
        for _ in range(count):
            splits.append(self.put(SPLIT))
            self._checked(part, ahead)
        for split in splits:
            self._split(split, split + 1, len(self.code), part.greedy)


def _first(part: Part) -> Ranges | None:
    """The characters that a match can begin with; None if that says nothing."""
    match part:
        case Char():
            return ((ord(part.char), ord(part.char)),)
        case AnyOf():
            return part.chars.ranges
        case Group():
            return _first(part.body)
        case Repeat():
            return _first(part.body) if part.least > 0 else None
        case Choice():
            found = [_first(option) for option in part.options]
            known = [one for one in found if one is not None]
            return merged([each for one in known for each in one]) if len(known) == len(found) else None
        case Sequence():
            for one in part.parts:
                if not nullable(one):
                    return _first(one)
                if not isinstance(one, Assertion):
                    return None
    return None


def _joined(code: list[Instruction]) -> tuple[Instruction, ...]:
    """Characters in a row become one comparison; places stay, so that no jump changes."""
    targets = {a for op, a, _ in code if op in {SPLIT, JUMP}} | {b for op, _, b in code if op in {SPLIT, LOOK}}
    result = list(code)
    place = 0
    while place < len(code):
        end = place + 1
        if code[place][0] == CHAR:
            while end < len(code) and code[end][0] == CHAR and end not in targets:
                end += 1
            text = "".join(one[1] for one in code[place:end])
            result[place] = (CHAR, text, end)
        place = end
    return tuple(result)


def compile_pattern(source: str, flags: str) -> Program:
    """Raises ExpressionError: expression_syntax, expression_unsupported, expression_limit."""
    parser = PatternParser(source, flags)
    tree = parser.parse()
    writer = _Writer(parser.source)
    writer.put(SAVE, 0)
    writer.write(tree, True)
    writer.put(SAVE, 1)
    writer.put(MATCH)
    ranges = _first(tree)
    return Program(
        source=source,
        flags=flags,
        code=_joined(writer.code),
        groups=parser.groups,
        names=dict(parser.names),
        marks=writer.marks,
        first=None if ranges is None else CharSet(ranges),
        linear=writer.linear,
        unicode=parser.unicode,
        ignore_case=parser.ignore_case,
        multiline="m" in flags,
    )
