"""Runs a program over a text: backtracking with an explicit stack, where a state that failed is never tried again.

Without backreferences the outcome of a state (instruction, position, whether the iterations under way have consumed
something) does not depend on how it was reached, so remembering those that failed makes the search linear in the text.
With backreferences it may take exponential time in theory: the steps of the evaluation bound it.
"""

from typing import Final

from domain.expressions.limits import Budget, too_many_steps
from domain.expressions.regex.classes import WORD, bulk, canonical
from domain.expressions.regex.program import (
    ASSERT,
    BACK,
    CHAR,
    CHAR_BEFORE,
    CHECK,
    JUMP,
    LOOK,
    MARK,
    MATCH,
    RESET,
    RUN,
    SAVE,
    SET,
    SPLIT,
    Program,
)

INSTRUCTIONS_PER_STEP: Final = 8
_LINE_ENDS: Final = frozenset("\n\r\u2028\u2029")
_WORD: Final = frozenset(chr(code) for low, high in WORD for code in range(low, high + 1))
_WORD_IGNORING_CASE: Final = _WORD | {"\u017f", "\u212a"}


class Search:
    """One search of a text (one character for each code unit, or code point with the flag `u`)."""

    __slots__ = ("_fuel", "_runs", "_seen", "_word", "program", "text")

    def __init__(self, program: Program, text: str) -> None:
        self.program = program
        self.text = text
        self._seen: set[int] = set()
        self._runs: dict[int, tuple[int, int]] = {}
        self._fuel = 0
        self._word = _WORD_IGNORING_CASE if program.unicode and program.ignore_case else _WORD

    def find(self, start: int, budget: Budget, *, sticky: bool = False) -> list[int] | None:
        """The saved positions of the first match from `start` on (-1: none), None without a match.

        Raises ExpressionError (expression_limit) if it takes too many steps.
        """
        self._fuel = max(budget.steps, 0) * INSTRUCTIONS_PER_STEP
        self._seen.clear()
        self._runs.clear()
        found = self._matched(0, start, [-1] * (2 * self.program.groups + 2)) if sticky else self._find(start)
        budget.steps = self._fuel // INSTRUCTIONS_PER_STEP
        return found

    def _find(self, start: int) -> list[int] | None:
        program, text = self.program, self.text
        blank = [-1] * (2 * program.groups + 2)
        first = None if program.first is None else bulk(program.first.pattern, "")
        place = start
        while place <= len(text):
            if first is not None:
                candidate = first.search(text, place)
                self._fuel -= 1 + ((candidate.start() if candidate else len(text)) - place >> 6)
                if candidate is None:
                    return None
                place = candidate.start()
            found = self._matched(0, place, blank.copy())
            if found is not None:
                return found
            place += 1
        return None

    def _matched(self, pc: int, pos: int, saves: list[int]) -> list[int] | None:  # noqa: PLR0915 - one hot loop
        """Run from one instruction and position; `saves` is changed."""
        program, text, seen = self.program, self.text, self._seen
        code, size, linear = program.code, len(text), program.linear
        marks = [-1] * program.marks
        stack: list[tuple[int, ...]] = []
        fuel = self._fuel
        while True:
            fuel -= 1
            if fuel < 0:
                self._fuel = 0
                raise too_many_steps()
            op, a, b = code[pc]
            ok = True
            if op == CHAR:
                if text.startswith(a, pos):
                    pos += len(a)
                    pc = b
                    continue
                ok = False
            elif op == SET:
                ok = pos < size and a[text[pos]]
                pos += 1
            elif op == SPLIT:
                if linear:
                    key = pc * (size + 1) + pos
                    for mark in marks:
                        key = key * 2 + (mark == pos)
                    if key in seen:
                        ok = False
                    else:
                        seen.add(key)
                if ok:
                    stack.append((b, pos))
                    pc = a
                    continue
            elif op == RUN:
                known = self._runs.get(pc) if linear else None
                if known is not None and known[0] <= pos <= known[1]:
                    ok = False
                else:
                    end = self._run(a, pos)
                    fuel -= end - pos >> 6
                    if known is not None and known[1] == end and pos < known[0]:
                        end, known = known[0] - 1, (pos, end)  # from the others on it failed already
                    else:
                        known = (pos, end)
                    if linear and a[1] == "*":
                        self._runs[pc] = known
                    if end > pos:
                        stack.append((pc + 1, end - 1, pos))
                    pos = end
            elif op == SAVE:
                stack.append((-1 - a, saves[a]))
                saves[a] = pos
            elif op == JUMP:
                pc = a
                continue
            elif op == RESET:
                for place in range(a, b):
                    if saves[place] >= 0:
                        stack.append((-1 - place, saves[place]))
                        saves[place] = -1
            elif op == MARK:
                stack.append((-1 - len(saves) - a, marks[a]))
                marks[a] = pos
            elif op == CHECK:
                ok = marks[a] != pos
            elif op == ASSERT:
                ok = self._holds(a, pos)
            elif op == LOOK:
                self._fuel = fuel
                inner = self._look(a[0], pos, saves)
                fuel = self._fuel
                ok = (inner is None) == a[1]
                if ok:
                    if inner is not None:
                        for place, value in enumerate(inner):
                            if saves[place] != value:
                                stack.append((-1 - place, saves[place]))
                                saves[place] = value
                    pc = b
                    continue
            elif op == BACK:
                step = self._repeated(saves[2 * a], saves[2 * a + 1], pos, b)
                ok = step is not None
                if step:
                    fuel -= abs(step) >> 4
                    pos += step
            elif op == MATCH:
                self._fuel = fuel
                return saves
            else:
                ok = pos > 0 and (text[pos - 1] == a if op == CHAR_BEFORE else a[text[pos - 1]])
                pos -= 1
            if ok:
                pc += 1
                continue
            # Back to the last choice.
            while stack:
                top = stack.pop()
                pc, pos = top[0], top[1]
                if pc < 0:
                    place = -1 - pc
                    if place < len(saves):
                        saves[place] = pos
                    else:
                        marks[place - len(saves)] = pos
                    continue
                if len(top) == 3 and pos > top[2]:
                    stack.append((pc, pos - 1, top[2]))
                break
            else:
                self._fuel = fuel
                return None

    def _run(self, run: tuple[str, str], pos: int) -> int:
        found = bulk(*run).match(self.text, pos)
        assert found is not None
        return found.end()

    def _look(self, pc: int, pos: int, saves: list[int]) -> list[int] | None:
        """A look-around on its own. What its states found out is kept only if all of them failed."""
        seen, runs = self._seen, self._runs
        self._seen, self._runs = set(), {}
        found = self._matched(pc, pos, saves.copy())
        self._seen, self._runs = seen, runs
        return found

    def _holds(self, kind: str, pos: int) -> bool:
        text, size = self.text, len(self.text)
        if kind == "^":
            return pos == 0 or (self.program.multiline and text[pos - 1] in _LINE_ENDS)
        if kind == "$":
            return pos == size or (self.program.multiline and text[pos] in _LINE_ENDS)
        before = pos > 0 and text[pos - 1] in self._word
        behind = pos < size and text[pos] in self._word
        return (before != behind) == (kind == "b")

    def _repeated(self, start: int, end: int, pos: int, ahead: bool) -> int | None:
        """How far the text of a group goes from here (0 if the group has none), None if something else stands here."""
        if start < 0 or end < 0:
            return 0
        length = end - start
        at = pos if ahead else pos - length
        if at < 0 or at + length > len(self.text):
            return None
        wanted, found = self.text[start:end], self.text[at : at + length]
        if wanted != found and not (self.program.ignore_case and self._equal(wanted, found)):
            return None
        return length if ahead else -length

    def _equal(self, left: str, right: str) -> bool:
        unicode = self.program.unicode
        return all(canonical(a, unicode) == canonical(b, unicode) for a, b in zip(left, right, strict=True))
