"""The workflows that deliver: one node after its trigger, the same in every installation and every workspace.

They stand in no stream and no read model: they are part of the program, as their node types are.
"""

from functools import cache
from typing import Final

from domain.nodes.delivery import DELIVERY_TYPES
from domain.nodes.registry import NODE_TYPES
from domain.retries import DELIVERY_JOB, NOTIFICATION_JOB, JobLimits, RetryPolicy
from domain.subscription.deliveries import VERSION, WORKFLOWS
from domain.workflow.document import Connection, NodeDocument, Settings, WorkflowDocument
from domain.workflow.graph import Graph, compile_workflow

LONGEST_SECONDS: Final = 2 * 86_400.0
"""A receiver may ask for a day of patience (Retry-After) more than once."""

_NODES: Final = {
    "webhook": "deliver_webhook",
    "email": "notify_email",
    "slack": "notify_slack",
    "slack_webhook": "notify_slack_webhook",
}
_BY_ID: Final = {WORKFLOWS[kind]: kind for kind in WORKFLOWS}
_WEBHOOK_ON: Final = ("retriable", "300-409", "411-499")
"""A receiver that is being put in place answers 404: all that is not final is tried again."""


def is_built_in(workflow_id: str) -> bool:
    return workflow_id in _BY_ID


def built_in_graph(workflow_id: str, version: int) -> Graph | None:
    """The compiled version of a built-in workflow; None: there is no such one."""
    kind = _BY_ID.get(workflow_id)
    return _graph(kind) if kind is not None and version == VERSION else None


@cache
def _graph(kind: str) -> Graph:
    return compile_workflow(document(kind), NODE_TYPES | DELIVERY_TYPES)


def document(kind: str) -> WorkflowDocument:
    """Of a kind of channel."""
    job = DELIVERY_JOB if kind == "webhook" else NOTIFICATION_JOB
    deliver = NodeDocument(
        "deliver",
        _NODES[kind],
        {},
        retry=_policy(job, _WEBHOOK_ON if kind == "webhook" else ("retriable",)),
        timeout_seconds=job.timeout_seconds,
        # A notice that comes twice is better than one that does not come.
        on_unknown_outcome="retry",
    )
    return WorkflowDocument(
        f"Deliver by {kind}",
        (NodeDocument("event", "manual", {}), deliver),
        (Connection("event", "deliver"),),
        Settings(timeout_seconds=LONGEST_SECONDS),
    )


def _policy(job: JobLimits, on: tuple[str, ...]) -> RetryPolicy:
    retry = job.retry
    return RetryPolicy(retry.attempts, retry.delay_seconds, retry.backoff, retry.max_delay_seconds, 0.2, on)
