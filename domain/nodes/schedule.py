"""`schedule`: starts by itself, when its time has come."""

from domain.nodes.node_type import NodeType, Operation, Trigger
from domain.nodes.parameters import Parameter, Parameters
from domain.schedule.reading import FIELDS, read_schedule


def _bind(parameters: Parameters) -> Operation:
    given = {name: parameters.plain(name) for name in FIELDS if parameters.given(name)}
    for field, message in read_schedule(given, "UTC").problems:
        parameters.refuse(field, message)
    return Trigger()


SCHEDULE = NodeType(
    "schedule",
    "Schedule",
    "Starts by itself while the workflow is active: by cron, at an interval, or once. The item: scheduled_at, "
    "fired_at, late_by_seconds, schedule_id, local_time, timezone, and dst where a change of the clocks moved it.",
    _bind,
    (
        Parameter(
            "cron",
            "text",
            "Minute, hour, day of month, month, day of week (six fields: seconds first), or an alias such as @daily.",
            expression=False,
            longest=300,
        ),
        Parameter(
            "every",
            "object",
            'An interval: {"minutes": 15}, with seconds, minutes, hours, days, and an anchor to count from.',
            expression=False,
        ),
        Parameter("at", "text", "Once: an ISO date and time.", expression=False, longest=100),
        Parameter("timezone", "text", "An IANA name; the workflow's unless given.", expression=False, longest=64),
        Parameter(
            "missed_runs",
            "any",
            "What becomes of runs that nobody could start in time: none, last (default) or all, or an object with "
            "policy, limit and grace_seconds.",
            expression=False,
        ),
        Parameter(
            "overlap",
            "text",
            "While the run before is still open: allow starts another one, skip does not, queue starts it afterwards.",
            default="allow",
            expression=False,
            choices=("allow", "skip", "queue"),
        ),
        Parameter("queue_limit", "integer", "How many runs may wait with overlap queue.", default=10, expression=False),
        Parameter(
            "jitter_seconds",
            "integer",
            "Puts each run off by its own share of so many seconds.",
            default=0,
            expression=False,
        ),
    ),
)
