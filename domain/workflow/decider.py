"""Decides what may happen to a workflow: draft → active ⇄ inactive → archived; versions never change.

Outcome codes: invalid_workflow, idempotency_mismatch, workflow_not_found, workflow_archived, version_conflict,
version_not_found, endpoint_missing, invalid_endpoint, wrong_stream.
"""

import re
from collections.abc import Sequence
from typing import Any, assert_never

import msgspec

from domain.decision import DUPLICATE, Decision, Outcome, rejected
from domain.errors import InvalidDocument
from domain.workflow.commands import (
    ActivateWorkflow,
    ArchiveWorkflow,
    CreateWorkflow,
    DeactivateWorkflow,
    UpdateWorkflow,
    WorkflowCommand,
)
from domain.workflow.document import parse_document
from domain.workflow.events import (
    WebhookBinding,
    WorkflowActivated,
    WorkflowArchived,
    WorkflowCreated,
    WorkflowDeactivated,
    WorkflowEvent,
    WorkflowVersionAdded,
)
from domain.workflow.graph import compile_workflow
from domain.workflow.schedules import commands_after
from domain.workflow.state import Workflow, evolve, restore, snapshot

__all__ = ["Workflow", "decide", "evolve", "restore", "snapshot"]

_ENDPOINT_ID = re.compile(r"[A-Za-z0-9_-]{22,64}")
"""At least 128 bits in URL-safe characters: an endpoint id is a secret of sorts."""


def decide(command: WorkflowCommand, state: Workflow | None, *, workspace: str, stream_id: str) -> Decision:
    """Answer a command to the workflow of `stream_id` (`workflow-<id>`); refusals are outcomes, never exceptions."""
    if isinstance(command, CreateWorkflow):
        return _create(command, state, stream_id)
    if state is None:
        return _refused(state, rejected("workflow_not_found", "there is no such workflow"))
    if state.status == "archived":
        return _refused(state, rejected("workflow_archived", "the workflow is archived: it cannot be changed"))
    match command:
        case UpdateWorkflow():
            return _update(command, state)
        case ActivateWorkflow():
            return _with_schedules(stream_id, state, _activate(command, state), command.at)
        case DeactivateWorkflow(at=at):
            decided = _decided(state, [WorkflowDeactivated(at)] if state.status == "active" else [])
            return _with_schedules(stream_id, state, decided, at)
        case ArchiveWorkflow(at=at):
            return _with_schedules(stream_id, state, _decided(state, [WorkflowArchived(at)]), at)
        case _:
            assert_never(command)


def _create(command: CreateWorkflow, state: Workflow | None, stream_id: str) -> Decision:
    if stream_id != f"workflow-{command.workflow_id}":
        return _refused(state, rejected("wrong_stream", f"workflow {command.workflow_id} does not live here"))
    if state is not None:
        if state.fingerprint == command.fingerprint:
            return _refused(state, DUPLICATE)
        return _refused(state, rejected("idempotency_mismatch", "the same id was used for another workflow"))
    name = _name_if_valid(command.document)
    if isinstance(name, Outcome):
        return _refused(state, name)
    return _decided(state, [WorkflowCreated(name, command.document, command.at, command.fingerprint)])


def _update(command: UpdateWorkflow, state: Workflow) -> Decision:
    if command.expected_version is not None and command.expected_version != state.version:
        message = f"the newest version is {state.version}, not {command.expected_version}: somebody was faster"
        return _refused(state, rejected("version_conflict", message))
    name = _name_if_valid(command.document)
    if isinstance(name, Outcome):
        return _refused(state, name)
    return _decided(state, [WorkflowVersionAdded(state.version + 1, name, command.document, command.at)])


def _activate(command: ActivateWorkflow, state: Workflow) -> Decision:
    version = state.version if command.version is None else command.version
    if not 1 <= version <= state.version:
        return _refused(state, rejected("version_not_found", f"there are versions 1 to {state.version}"))
    if state.status == "active" and state.active_version == version:
        return _decided(state, [])
    bindings = _bindings(command, state, version)
    if isinstance(bindings, Outcome):
        return _refused(state, bindings)
    return _decided(state, [WorkflowActivated(version, bindings, command.at)])


def _with_schedules(stream_id: str, before: Workflow, decided: Decision, at: int) -> Decision:
    """The decision, with what its schedules are told (rule 13)."""
    if not decided.events:
        return decided
    workflow_id = stream_id.removeprefix("workflow-")
    return msgspec.structs.replace(decided, commands=commands_after(workflow_id, before, decided.state, at))


def _bindings(command: ActivateWorkflow, state: Workflow, version: int) -> list[WebhookBinding] | Outcome:
    """An endpoint for each webhook trigger: the one it had in any version before, else a new one."""
    bindings = []
    taken = {endpoint: node for node, endpoint in state.endpoints.items()}
    for hook in state.webhooks_of(version):
        endpoint = state.endpoints.get(hook.node) or command.new_endpoints.get(hook.node)
        if endpoint is None:
            return rejected("endpoint_missing", f"the webhook node {hook.node} came with no endpoint id: ask again")
        if not _ENDPOINT_ID.fullmatch(endpoint) or taken.setdefault(endpoint, hook.node) != hook.node:
            return rejected("invalid_endpoint", f"the endpoint id for {hook.node} is too short, malformed or in use")
        bindings.append(WebhookBinding(endpoint, hook.node, hook.method, hook.respond))
    return bindings


def _name_if_valid(document: dict[str, Any]) -> str | Outcome:
    """The workflow's name, or why the document is refused: nothing invalid enters the log, whoever sent it."""
    try:
        parsed = parse_document(document)
        compile_workflow(parsed)
    except InvalidDocument as invalid:
        problems = [(problem.path, problem.message) for problem in invalid.problems]
        return rejected(invalid.code, "the workflow is not valid", problems)
    return parsed.name


def _decided(state: Workflow | None, events: Sequence[WorkflowEvent]) -> Decision:
    for event in events:
        state = evolve(state, event)
    return Decision(events, state)


def _refused(state: Workflow | None, outcome: Outcome) -> Decision:
    return Decision((), state, outcome)
