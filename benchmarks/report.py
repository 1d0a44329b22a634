"""The table: what was measured beside the budgets 'first' and 'goal' of the design, and the JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Budget:
    """At most or at least so much."""

    first: float
    goal: float
    bound: Literal["most", "least"] = "most"

    def holds(self, value: float, limit: float) -> bool:
        return value <= limit if self.bound == "most" else value >= limit

    def sign(self) -> str:
        return "≤" if self.bound == "most" else "≥"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value; without a budget it is for information."""

    workload: str
    what: str
    value: float
    unit: str
    budget: Budget | None = None
    note: str = ""

    def verdict(self) -> str:
        if self.budget is None:
            return ""
        if self.budget.holds(self.value, self.budget.goal):
            return "goal"
        return "first" if self.budget.holds(self.value, self.budget.first) else "MISSED"


@dataclass(slots=True)
class Report:
    """All rows of one log, the checks that failed, and facts about the run."""

    log: str
    rows: list[Row] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(
        self, workload: str, what: str, value: float, unit: str, budget: Budget | None = None, note: str = ""
    ) -> None:
        row = Row(workload, what, value, unit, budget, note)
        self.rows.append(row)
        print(f"  {_line(row)}", flush=True)

    def check(self, holds: bool, otherwise: str) -> None:
        """A result that is wrong makes the whole run fail, however fast it was."""
        if not holds:
            self.wrong.append(otherwise)
            print(f"  WRONG: {otherwise}", flush=True)

    def missed(self) -> list[Row]:
        return [row for row in self.rows if row.verdict() == "MISSED"]


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _line(row: Row) -> str:
    budget = "" if row.budget is None else f"   {row.budget.sign()} {_number(row.budget.first)} → {row.verdict()}"
    return f"{row.workload} {row.what}: {_number(row.value)} {row.unit}{budget}"


def table(reports: Sequence[Report]) -> str:
    """One line a value, the logs side by side."""
    keys: dict[tuple[str, str], Row] = {}
    found: dict[tuple[str, str, str], Row] = {}
    for report in reports:
        for row in report.rows:
            keys.setdefault((row.workload, row.what), row)
            found[report.log, row.workload, row.what] = row
    head = ["", "what", "unit", *(report.log for report in reports), "first", "goal"]
    lines = [head]
    for (workload, what), row in keys.items():
        budget = row.budget
        cells = [_cell(found.get((report.log, workload, what))) for report in reports]
        limits = (
            ["", ""] if budget is None else [f"{budget.sign()} {_number(each)}" for each in (budget.first, budget.goal)]
        )
        lines.append([workload, what, row.unit, *cells, *limits])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    numbers = range(3, len(head))
    drawn = [_drawn(line, widths, numbers) for line in lines]
    return "\n".join([drawn[0], "-" * len(drawn[0]), *drawn[1:]])


def _cell(row: Row | None) -> str:
    if row is None:
        return "–"
    return _number(row.value) + (" !" if row.verdict() == "MISSED" else "")


def _drawn(line: list[str], widths: list[int], numbers: range) -> str:
    cells = [
        cell.rjust(width) if column in numbers else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def as_json(reports: Sequence[Report]) -> str:
    return json.dumps([asdict(report) for report in reports], indent=1, default=str)


def write_json(reports: Sequence[Report], path: Path) -> None:
    path.write_text(as_json(reports) + "\n")
