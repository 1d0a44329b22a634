"""The types of events that can be subscribed to, and what matches them.

Their names are the wire names of the facts but for one: `execution.outcome_unknown`. Nothing that a delivery does is
among them, so that telling of events never makes events to tell of.
"""

from typing import Final

TYPES: Final[tuple[str, ...]] = (
    "execution.started",
    "execution.completed",
    "execution.failed",
    "execution.timed_out",
    "execution.cancelled",
    "execution.outcome_unknown",
    "workflow.created",
    "workflow.version_added",
    "workflow.activated",
    "workflow.deactivated",
    "workflow.archived",
    "schedule.created",
    "schedule.changed",
    "schedule.paused",
    "schedule.resumed",
    "schedule.ended",
    "schedule.deleted",
    "schedule.firings_skipped",
    "schedule.backfill_ended",
    "dead_letter.recorded",
    "dead_letter.reviewed",
    "dead_letter.redriven",
    "dead_letter.discarded",
    "subscription.disabled",
)
TEST_TYPE: Final = "subscription.test"
"""Sent when somebody tries a subscription out, whatever it is subscribed to."""

DISABLED_TYPE: Final = "subscription.disabled"

_FACTS: Final = {"execution.outcome_unknown": "execution.node_outcome_unknown"}
TYPE_OF_FACT: Final = {_FACTS.get(name, name): name for name in TYPES}
"""Wire name of a fact → the type under which it is told."""


def is_pattern(pattern: str) -> bool:
    """Whether `pattern` stands for any type: a type, `x.*`, or `*`."""
    return bool(matched(pattern))


def matched(pattern: str) -> frozenset[str]:
    """The types that `pattern` stands for."""
    if pattern == "*":
        return frozenset(TYPES)
    if pattern.endswith(".*"):
        return frozenset(name for name in TYPES if name.startswith(pattern[:-1]))
    return frozenset({pattern} & set(TYPES))


def wanted_types(patterns: list[str]) -> frozenset[str]:
    """All types that some pattern stands for."""
    return frozenset().union(*map(matched, patterns))
