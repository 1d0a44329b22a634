"""What a workflow's decider has to remember: small, without the documents themselves."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from domain.errors import ImpossibleHistory
from domain.schedule.definition import MAX_NAME, Policies
from domain.schedule.reading import read_schedule
from domain.schedule.timing import Timing
from domain.snapshots import Snapshots
from domain.workflow.events import (
    WorkflowActivated,
    WorkflowArchived,
    WorkflowCreated,
    WorkflowDeactivated,
    WorkflowEvent,
    WorkflowVersionAdded,
)

WorkflowStatus = Literal["draft", "active", "inactive", "archived"]
SNAPSHOT_FORMAT = 1


class WebhookNode(msgspec.Struct, frozen=True, array_like=True):
    """A webhook trigger of a version: what an endpoint needs to know of it."""

    node: str
    method: str
    respond: str


class WebhooksSince(msgspec.Struct, frozen=True, array_like=True):
    """The webhook triggers from `version` on, until the next entry: most versions do not change them."""

    version: int
    nodes: tuple[WebhookNode, ...]


class ScheduleNode(msgspec.Struct, frozen=True, array_like=True):
    """A schedule trigger of a version: what its schedule is to be."""

    node: str
    name: str
    timing: Timing
    policies: Policies


class SchedulesSince(msgspec.Struct, frozen=True, array_like=True):
    """The schedule triggers from `version` on, until the next entry."""

    version: int
    nodes: tuple[ScheduleNode, ...]


class Workflow(msgspec.Struct, frozen=True, array_like=True):
    """`version`: the newest; `endpoints`: node → endpoint id, for ever, so that an endpoint keeps its id.

    `scheduled`: the nodes whose schedules run; `revision`: how often they may have changed.
    """

    status: WorkflowStatus
    version: int
    active_version: int | None
    fingerprint: str
    webhooks: tuple[WebhooksSince, ...]
    endpoints: dict[str, str]
    schedules: tuple[SchedulesSince, ...] = ()
    scheduled: tuple[str, ...] = ()
    revision: int = 0

    def schedules_of(self, version: int) -> tuple[ScheduleNode, ...]:
        """The schedule triggers of a version, in document order."""
        return next((entry.nodes for entry in reversed(self.schedules) if entry.version <= version), ())

    def webhooks_of(self, version: int) -> tuple[WebhookNode, ...]:
        """The webhook triggers of a version, in document order."""
        for entry in reversed(self.webhooks):
            if entry.version <= version:
                return entry.nodes
        return ()


def evolve(state: Workflow | None, event: WorkflowEvent) -> Workflow:
    """The state after `event`. Raises ImpossibleHistory."""
    if state is None:
        if not isinstance(event, WorkflowCreated):
            raise ImpossibleHistory(f"{type(event).__name__} before WorkflowCreated")
        hooks = (WebhooksSince(1, webhook_nodes(event.document)),)
        times = _with_schedules((), 1, event.document)
        return Workflow("draft", 1, None, event.fingerprint, hooks, {}, times)
    match event:
        case WorkflowCreated():
            raise ImpossibleHistory("WorkflowCreated for a workflow that exists")
        case WorkflowVersionAdded(version=version, document=document):
            webhooks = _with_version(state, version, document)
            schedules = _with_schedules(state.schedules, version, document)
            return msgspec.structs.replace(state, version=version, webhooks=webhooks, schedules=schedules)
        case WorkflowActivated(version=version, webhooks=webhooks):
            endpoints = state.endpoints | {hook.node: hook.endpoint_id for hook in webhooks}
            scheduled = tuple(each.node for each in state.schedules_of(version))
            active = msgspec.structs.replace(state, status="active", active_version=version, endpoints=endpoints)
            return msgspec.structs.replace(active, scheduled=scheduled, revision=state.revision + 1)
        case WorkflowDeactivated():
            return _silent(state, "inactive")
        case WorkflowArchived():
            return _silent(state, "archived")


def _silent(state: Workflow, status: WorkflowStatus) -> Workflow:
    return msgspec.structs.replace(state, status=status, active_version=None, scheduled=(), revision=state.revision + 1)


def webhook_nodes(document: Mapping[str, Any]) -> tuple[WebhookNode, ...]:
    """The webhook triggers of a stored document that can answer (disabled ones cannot).

    Reads stored documents of any age, so it takes what is there and checks nothing.
    """
    return tuple(
        WebhookNode(node["id"], parameters.get("method", DEFAULT_METHOD), parameters.get("respond", DEFAULT_RESPOND))
        for node in document.get("nodes", ())
        if node.get("type") == "webhook" and not node.get("disabled")
        for parameters in [node.get("parameters") or {}]
    )


def schedule_nodes(document: Mapping[str, Any]) -> tuple[ScheduleNode, ...]:
    """The schedule triggers of a stored document that are not disabled, with the workflow's time zone as theirs."""
    zone = (document.get("settings") or {}).get("timezone") or "UTC"
    found = []
    for node in document.get("nodes", ()):
        if node.get("type") != "schedule" or node.get("disabled"):
            continue
        timing, policies, _ = read_schedule(node.get("parameters") or {}, zone)
        if timing is not None:
            found.append(ScheduleNode(node["id"], (node.get("name") or node["id"])[:MAX_NAME], timing, policies))
    return tuple(found)


DEFAULT_METHOD = "POST"
DEFAULT_RESPOND = "at_once"


def _with_schedules(
    known: tuple[SchedulesSince, ...], version: int, document: Mapping[str, Any]
) -> tuple[SchedulesSince, ...]:
    nodes = schedule_nodes(document)
    return known if nodes == (known[-1].nodes if known else ()) else (*known, SchedulesSince(version, nodes))


def _with_version(state: Workflow, version: int, document: Mapping[str, Any]) -> tuple[WebhooksSince, ...]:
    if version != state.version + 1:
        raise ImpossibleHistory(f"version {version} after version {state.version}")
    nodes = webhook_nodes(document)
    if nodes == state.webhooks_of(state.version):
        return state.webhooks
    return (*state.webhooks, WebhooksSince(version, nodes))


_snapshots = Snapshots(Workflow, SNAPSHOT_FORMAT)
snapshot = _snapshots.snapshot
restore = _snapshots.restore
