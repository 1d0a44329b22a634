"""Decides what may happen to a workspace: it is created once, keys are added and revoked.

Outcome codes: invalid_workspace, invalid_share, invalid_retention, invalid_api_key, idempotency_mismatch,
workspace_not_found, api_key_exists, api_key_not_found, wrong_stream.
"""

import re
from collections.abc import Sequence
from typing import assert_never

import msgspec
from msgspec.structs import replace

from domain.decision import DUPLICATE, Decision, Outcome, rejected
from domain.errors import ImpossibleHistory
from domain.snapshots import Snapshots
from domain.workspace.commands import AddApiKey, CreateWorkspace, RevokeApiKey, SetRetention, SetShare, WorkspaceCommand
from domain.workspace.events import ApiKeyAdded, ApiKeyRevoked, RetentionSet, ShareSet, WorkspaceCreated, WorkspaceEvent

SNAPSHOT_FORMAT = 1
MAX_NAME = 200
MIN_WEIGHT = 0.01
MAX_WEIGHT = 1_000.0
MAX_RETENTION_DAYS = 3_650
_HASH = re.compile(r"[0-9a-f]{64}")


class ApiKey(msgspec.Struct, frozen=True, array_like=True):
    key_hash: str
    revoked: bool = False


class Workspace(msgspec.Struct, frozen=True, array_like=True):
    """`keys`: key id → key, revoked ones too, so that an id never means two keys."""

    name: str
    keys: dict[str, ApiKey]
    weight: float = 1.0
    concurrent: int | None = None
    retention_days: int | None = None
    payload_retention_days: int | None = None


def decide(command: WorkspaceCommand, state: Workspace | None, *, workspace: str, stream_id: str) -> Decision:
    """Answer a command from `workspace` to the workspace of `stream_id`; refusals are outcomes, never exceptions."""
    if stream_id != f"workspace-{workspace}":
        return _refused(state, rejected("wrong_stream", "a workspace can only ask for itself"))
    if isinstance(command, CreateWorkspace):
        return _create(command, state, workspace)
    if state is None:
        return _refused(state, rejected("workspace_not_found", "there is no such workspace"))
    match command:
        case AddApiKey():
            return _add_key(command, state)
        case RevokeApiKey(key_id=key_id, at=at):
            key = state.keys.get(key_id)
            if key is None:
                return _refused(state, rejected("api_key_not_found", "this workspace has no such key"))
            return _refused(state, DUPLICATE) if key.revoked else _decided(state, [ApiKeyRevoked(key_id, at)])
        case SetShare():
            return _set_share(command, state)
        case SetRetention():
            return _set_retention(command, state)
        case _:
            assert_never(command)


def _create(command: CreateWorkspace, state: Workspace | None, workspace: str) -> Decision:
    if command.workspace_id != workspace:
        return _refused(state, rejected("wrong_stream", f"workspace {command.workspace_id} does not live here"))
    if state is not None:
        if state.name == command.name:
            return _refused(state, DUPLICATE)
        return _refused(state, rejected("idempotency_mismatch", f"the workspace exists under the name {state.name}"))
    if not 1 <= len(command.name.strip()) <= MAX_NAME:
        problem = ("name", f"takes 1 to {MAX_NAME} characters")
        return _refused(state, rejected("invalid_workspace", "the workspace's name is not valid", [problem]))
    return _decided(state, [WorkspaceCreated(command.name, command.at)])


def _add_key(command: AddApiKey, state: Workspace) -> Decision:
    known = state.keys.get(command.key_id)
    if known is not None:
        if known.key_hash == command.key_hash:
            return _refused(state, DUPLICATE)
        return _refused(state, rejected("idempotency_mismatch", "the same id was used for another key"))
    if not _HASH.fullmatch(command.key_hash):
        problem = ("key_hash", "takes the key's SHA-256 as 64 lower-case hex digits")
        return _refused(state, rejected("invalid_api_key", "the key is not valid", [problem]))
    if any(key.key_hash == command.key_hash for key in state.keys.values()):
        return _refused(state, rejected("api_key_exists", "this key was added under another id"))
    return _decided(state, [ApiKeyAdded(command.key_id, command.key_hash, command.prefix, command.name, command.at)])


def _set_share(command: SetShare, state: Workspace) -> Decision:
    problems = []
    if not MIN_WEIGHT <= command.weight <= MAX_WEIGHT:
        problems.append(("weight", f"takes {MIN_WEIGHT:g} to {MAX_WEIGHT:g}"))
    if command.concurrent is not None and command.concurrent < 1:
        problems.append(("concurrent", "takes 1 or more; leave it out for no limit"))
    if problems:
        return _refused(state, rejected("invalid_share", "the workspace's share is not valid", problems))
    if (command.weight, command.concurrent) == (state.weight, state.concurrent):
        return _refused(state, DUPLICATE)
    return _decided(state, [ShareSet(command.at, command.weight, command.concurrent)])


def _set_retention(command: SetRetention, state: Workspace) -> Decision:
    problems = [
        (name, f"takes 1 to {MAX_RETENTION_DAYS} days; leave it out for what the installation has")
        for name, days in (("days", command.days), ("payload_days", command.payload_days))
        if days is not None and not 1 <= days <= MAX_RETENTION_DAYS
    ]
    if not problems and command.days is not None and (command.payload_days or 0) > command.days:
        problems.append(("payload_days", "cannot be more than days: payloads are not kept longer than the execution"))
    if problems:
        return _refused(state, rejected("invalid_retention", "the workspace's retention is not valid", problems))
    if (command.days, command.payload_days) == (state.retention_days, state.payload_retention_days):
        return _refused(state, DUPLICATE)
    return _decided(state, [RetentionSet(command.at, command.days, command.payload_days)])


def evolve(state: Workspace | None, event: WorkspaceEvent) -> Workspace:
    """The state after `event`. Raises ImpossibleHistory."""
    if state is None:
        if not isinstance(event, WorkspaceCreated):
            raise ImpossibleHistory(f"{type(event).__name__} before WorkspaceCreated")
        return Workspace(event.name, {})
    match event:
        case WorkspaceCreated():
            raise ImpossibleHistory("WorkspaceCreated for a workspace that exists")
        case ApiKeyAdded(key_id=key_id, key_hash=key_hash):
            return replace(state, keys=state.keys | {key_id: ApiKey(key_hash)})
        case ApiKeyRevoked(key_id=key_id):
            if key_id not in state.keys:
                raise ImpossibleHistory(f"key {key_id} was revoked but never added")
            return replace(state, keys=state.keys | {key_id: ApiKey(state.keys[key_id].key_hash, revoked=True)})
        case ShareSet(weight=weight, concurrent=concurrent):
            return replace(state, weight=weight, concurrent=concurrent)
        case RetentionSet(days=days, payload_days=payload_days):
            return replace(state, retention_days=days, payload_retention_days=payload_days)


_snapshots = Snapshots(Workspace, SNAPSHOT_FORMAT)
snapshot = _snapshots.snapshot
restore = _snapshots.restore


def _decided(state: Workspace | None, events: Sequence[WorkspaceEvent]) -> Decision:
    for event in events:
        state = evolve(state, event)
    return Decision(events, state)


def _refused(state: Workspace | None, outcome: Outcome) -> Decision:
    return Decision((), state, outcome)
