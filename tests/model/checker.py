"""A breadth-first checker of small models: every reachable state is looked at, so the first violation is the shortest.

A model is an object with an initial state, the steps out of a state, and what must hold. States are hashable and never
changed. Two kinds of property are checked:

* safety: `wrong(state)` names what is broken in this one state;
* progress: from every state a state with `finished(state)` can be reached. Faults (crashes, lost appends) come from a
  budget, so "can be reached" includes the states in which nothing fails any more.
"""

import gc
import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

S = TypeVar("S", bound=Hashable)

PROGRESS = "progress"
"""The property that a finished state stays reachable."""


class Model(Protocol[S]):
    """`steps` yields (what happens, the state after it); `wrong` yields (property, what is broken)."""

    def initial(self) -> S: ...

    def steps(self, state: S) -> Iterable[tuple[str, S]]: ...

    def wrong(self, state: S) -> Iterable[tuple[str, str]]: ...

    def finished(self, state: S) -> bool: ...

    def key(self, state: S) -> Hashable: ...


@dataclass(slots=True)
class Violation:
    """`steps` lead from the initial state to one in which `broken` is seen."""

    broken: str
    message: str
    steps: list[str]

    def __str__(self) -> str:
        lines = [f"  {number:2}. {step}" for number, step in enumerate(self.steps, 1)]
        return "\n".join([*lines, f"  → {self.broken}: {self.message}"])


@dataclass(slots=True)
class Result:
    """What one check saw. `complete`: every reachable state was looked at."""

    states: int
    transitions: int
    seconds: float
    complete: bool
    violation: Violation | None = None


class TooLarge(Exception):
    """The model has more states than the check was allowed to look at."""


@dataclass(slots=True)
class _Graph:
    """Reached states by number, with the step that found each first, and all edges backwards."""

    parents: list[int] = field(default_factory=lambda: [-1])
    labels: list[str] = field(default_factory=lambda: [""])
    before: list[list[int]] = field(default_factory=lambda: [[]])
    finished: list[int] = field(default_factory=list)

    def path(self, number: int) -> list[str]:
        steps: list[str] = []
        while self.parents[number] >= 0:
            steps.append(self.labels[number])
            number = self.parents[number]
        return steps[::-1]

    def first_stuck(self) -> int | None:
        """The first state (so one with the shortest path) from which no finished state can be reached."""
        reaches = bytearray(len(self.parents))
        todo = list(self.finished)
        for number in todo:
            reaches[number] = 1
        while todo:
            for number in self.before[todo.pop()]:
                if not reaches[number]:
                    reaches[number] = 1
                    todo.append(number)
        stuck = reaches.find(0)
        return None if stuck < 0 else stuck


def check(model: Model[S], *, only: str | None = None, max_states: int = 20_000_000) -> Result:
    """Look at every state of `model`, up to the first violation (of the property `only`, if it is given).

    Raises TooLarge beyond `max_states`: a check that is not complete must not pass for one.
    """
    with _no_collections():
        return _search(model, only, max_states)


@contextmanager
def _no_collections() -> Iterator[None]:
    """States make no cycles; to look for some among a million of them takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _search(model: Model[S], only: str | None, max_states: int) -> Result:
    began = time.perf_counter()
    graph = _Graph()
    first = model.initial()
    numbers: dict[Hashable, int] = {model.key(first): 0}
    level: list[tuple[int, S]] = [(0, first)]
    transitions = 0

    def result(violation: Violation | None = None) -> Result:
        return Result(len(numbers), transitions, time.perf_counter() - began, violation is None, violation)

    while level:
        below: list[tuple[int, S]] = []
        for number, state in level:
            for broken, message in model.wrong(state):
                if only is None or broken == only:
                    return result(Violation(broken, message, graph.path(number)))
            if model.finished(state):
                graph.finished.append(number)
            for label, after in model.steps(state):
                transitions += 1
                key = model.key(after)
                known = numbers.get(key)
                if known is None:
                    known = numbers[key] = len(numbers)
                    if known >= max_states:
                        raise TooLarge(f"more than {max_states} states")
                    graph.parents.append(number)
                    graph.labels.append(label)
                    graph.before.append([number])
                    below.append((known, after))
                else:
                    graph.before[known].append(number)
        level = below
    if only in {None, PROGRESS} and (stuck := graph.first_stuck()) is not None:
        return result(Violation(PROGRESS, "from here on nothing can finish it", graph.path(stuck)))
    return result()


class Rules:
    """Which rules of a model are on. Switches of the model only: the product has none."""

    names: Sequence[str] = ()

    def __init__(self, off: Iterable[str] = ()) -> None:
        self.off = frozenset(off)
        unknown = self.off - set(self.names)
        if unknown:
            raise ValueError(f"{type(self).__name__} has no rule {sorted(unknown)}")

    def on(self, name: str) -> bool:
        return name not in self.off

    @staticmethod
    def key(state: Hashable) -> Hashable:
        """What tells states apart; a symmetric model gives equal keys to states that are the same but for names."""
        return state


def replaced(items: tuple[S, ...], index: int, item: S) -> tuple[S, ...]:
    """`items` with another one at `index`."""
    return (*items[:index], item, *items[index + 1 :])
