"""Executions that start others: every command of a commit is answered, every child runs once, and parents are told the
truth (log protocol, rule 13)."""

from typing import Any

from tests.simulation.checkers.ledger import Ledger, Report


def unanswered(ledger: Ledger) -> list[str]:
    """Commands that stand in accepted commits and have no accepted answer yet."""
    return sorted(command for command in ledger.sent if command not in ledger.causes)


def check_families(ledger: Ledger, report: Report) -> None:
    """At the end: what a parent recorded of a child is how that ended, and nobody else is a child."""
    known: set[str] = set()
    for parent, history in ledger.histories.items():
        for item, child in history.children.items():
            known.add(child.execution)
            _check_child(ledger, report, f"{parent} {item}", child, ended=history.status)
    for execution, history in ledger.histories.items():
        if history.trigger_type != "sub_workflow" or ledger.queued(execution).get("retry_of"):
            continue  # a child that is repeated (`settings.retries`) is repeated by its own last commit
        if execution not in known:
            report("families", f"{execution} is a sub-workflow that no accepted commit started")


def _check_child(ledger: Ledger, report: Report, where: str, child: Any, *, ended: str) -> None:
    own = ledger.histories.get(child.execution)
    if child.concluded == "refused":
        if own is not None:
            report("families", f"{where}: the child ran, and its parent was told that it was refused")
    elif own is None:
        forgotten = not child.concluded and child.awaited and ended == "completed"
        if child.concluded not in {"", "timeout"} or forgotten:  # refused after its time, or nobody asks
            report("families", f"{where}: the child that is {child.concluded or 'open'} never ran")
    elif child.concluded and child.concluded != own.status and child.concluded != "timeout":
        report("families", f"{where}: the parent was told {child.concluded}, the child is {own.status}")
    elif not child.concluded and child.awaited and ended == "completed":
        report("families", f"{where}: the parent completed without the child that it waited for")
