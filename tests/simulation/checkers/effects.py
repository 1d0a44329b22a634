"""Requests that reached the world against the attempts that the log knows of."""

import uuid

from tests.simulation.checkers.ledger import Ledger, Report
from tests.simulation.world import Request


class EffectsChecker:
    """Every request has an accepted attempt before it; an unsafe one is sent at most once for each attempt."""

    def __init__(self, ledger: Ledger, report: Report) -> None:
        self._ledger = ledger
        self._report = report
        self._items: dict[str, tuple[str, str, int, int]] = {}
        self._known: set[tuple[str, str, int, int]] = set()
        self._seen: dict[str, int] = {}

    def arrived(self, request: Request) -> None:
        """At the moment a request arrives."""
        count = self._seen[request.key] = self._seen.get(request.key, 0) + 1
        made, _, what = self._attempts(request.key)
        if count > made:
            self._report("effects", f"{what}: request {count} at {request.time:.3f} s, accepted attempts: {made}")

    def finish(self) -> None:
        """At the end: an attempt that was declared never started has no request."""
        for key, count in self._seen.items():
            made, not_started, what = self._attempts(key)
            if count > made - not_started and self._class(key) == "unsafe":
                self._report(
                    "effects",
                    f"{what}: {count} requests of an unsafe effect, {made} attempts of which {not_started} were given "
                    "up as never started",
                )

    def _attempts(self, key: str) -> tuple[int, int, str]:
        item = self._find(key)
        if item is None:
            return 0, 0, f"the effect with key {key}"
        execution, node, run, index = item
        tried = self._ledger.histories[execution].attempts[node, run, index]
        return tried.made, tried.not_started, f"{node} run {run} item {index} of {execution}"

    def _class(self, key: str) -> str:
        item = self._find(key)
        return self._ledger.histories[item[0]].attempts[item[1:]].effect_class if item else ""

    def _find(self, key: str) -> tuple[str, str, int, int] | None:
        """The item whose key this is: keys are derived from execution, node, run and item (design.md 5)."""
        if key not in self._items:
            for execution, history in self._ledger.histories.items():
                for node, run, index in history.attempts:
                    item = execution, node, run, index
                    if item not in self._known:
                        self._known.add(item)
                        self._items[str(uuid.uuid5(uuid.UUID(execution), f"{node}:{run}:{index}"))] = item
        return self._items.get(key)
