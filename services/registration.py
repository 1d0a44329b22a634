"""Workspaces and API keys made by the operator: commands appended to the log like all others, with derived ids.

Asking twice is harmless: the stream answers the second as a duplicate. What was asked is there when the projection
shows it.
"""

import asyncio
import time
from uuid import NAMESPACE_URL, uuid5

import asyncpg

from domain.workspace.commands import AddApiKey, CreateWorkspace, RevokeApiKey, SetRetention, SetShare, WorkspaceCommand
from infra.keys import api_key_hash, api_key_hint
from infra.log.port import Log, LogError, NewRecord, Topic
from infra.postgres.pool import DATABASE_AWAY, open_connection
from infra.settings import Settings
from infra.telemetry.logs import get_logger
from projections.connection import Connection
from projections.workspaces.queries import ApiKeyRow, find_workspaces_by_name, list_api_keys
from schemas.envelope import KIND_COMMAND, encode, partition_of
from schemas.registry import command_record

DEFAULT_WORKSPACE = "default"
BOOTSTRAP_KEY = "bootstrap"
ACTOR = "operator"

_NAMESPACE = uuid5(NAMESPACE_URL, "https://linkflow.invalid/workspaces")
_POLL_SECONDS = 0.02

log = get_logger(__name__)


class NotRegistered(Exception):
    """What was asked is in the log, but was not seen in the read model in time."""

    code = "not_registered"


def workspace_id_of(name: str) -> str:
    """The id of the workspace that the operator calls `name`, for ever."""
    return str(uuid5(_NAMESPACE, name))


def key_id_of(key: str) -> str:
    return str(uuid5(_NAMESPACE, f"key:{api_key_hash(key)}"))


async def find_workspace(connection: Connection, name: str) -> str:
    """The id of the workspace called `name`: the oldest there is, else the one that `register_key` would make."""
    try:
        found = await find_workspaces_by_name(connection, name)
    except asyncpg.UndefinedTableError:
        found = []
    return found[0].id if found else workspace_id_of(name)


async def register_key(source: Log, workspace_id: str, workspace_name: str, key: str, key_name: str) -> None:
    """Ask for the workspace (unless it is there) and for the key in it. Raises LogError."""
    now = _now()
    create = CreateWorkspace(workspace_id=workspace_id, name=workspace_name, at=now)
    add = AddApiKey(key_id=key_id_of(key), key_hash=api_key_hash(key), prefix=api_key_hint(key), name=key_name, at=now)
    await _append(source, workspace_id, [(f"create:{workspace_id}", create), (f"add:{add.key_id}", add)])


async def revoke_key(source: Log, workspace_id: str, key_id: str) -> None:
    """Ask for the end of a key. Raises LogError."""
    await _append(source, workspace_id, [(f"revoke:{key_id}", RevokeApiKey(key_id=key_id, at=_now()))])


async def set_share(source: Log, workspace_id: str, weight: float, concurrent: int | None) -> None:
    """Ask for a workspace's share. Raises LogError."""
    command = SetShare(at=_now(), weight=weight, concurrent=concurrent)
    await _append(source, workspace_id, [(f"share:{workspace_id}:{command.at}", command)])


async def set_retention(source: Log, workspace_id: str, days: int | None, payload_days: int | None) -> None:
    """Ask for how long a workspace's executions are kept. Raises LogError."""
    command = SetRetention(at=_now(), days=days, payload_days=payload_days)
    await _append(source, workspace_id, [(f"retention:{workspace_id}:{command.at}", command)])


async def find_key(connection: Connection, workspace_id: str, key_id: str) -> ApiKeyRow | None:
    """The key, also a revoked one; None also while there is no read model at all."""
    try:
        keys = await list_api_keys(connection, workspace_id)
    except asyncpg.UndefinedTableError:
        return None
    return next((key for key in keys if key.key_id == key_id), None)


async def wait_for_key(
    connection: Connection, workspace_id: str, key_id: str, *, revoked: bool = False, within: float = 30.0
) -> ApiKeyRow:
    """Wait until the read model has the key (`revoked`: has it as revoked). Raises NotRegistered."""
    deadline = time.monotonic() + within
    while True:
        found = await find_key(connection, workspace_id, key_id)
        if found is not None and (found.revoked_at is not None or not revoked):
            return found
        if time.monotonic() > deadline:
            raise NotRegistered(
                f"the log has it, but it was not decided and projected within {within:g} s: are a worker and a"
                " projector running? It is done as soon as they are"
            )
        await asyncio.sleep(_POLL_SECONDS)


async def ensure_bootstrap_key(settings: Settings, source: Log, key: str) -> bool:
    """Ask for the first key unless the read model has it; returns whether it was asked for now. Raises LogError."""
    workspace_id = workspace_id_of(DEFAULT_WORKSPACE)
    connection = await open_connection(settings.database_url, application_name="linkflow registration")
    try:
        if await find_key(connection, workspace_id, key_id_of(key)) is not None:
            return False
    finally:
        await connection.close()
    await register_key(source, workspace_id, DEFAULT_WORKSPACE, key, BOOTSTRAP_KEY)
    return True


async def keep_trying_bootstrap_key(settings: Settings) -> None:
    """For a process that starts beside a log and a database that may not be there yet: until it is asked for."""
    from infra.log import open_log

    retried: tuple[type[BaseException], ...] = (LogError, *DATABASE_AWAY)
    while True:
        try:
            source = await open_log(settings.log, database_url=settings.database_url, prefix=settings.log_prefix)
            try:
                if await ensure_bootstrap_key(settings, source, settings.bootstrap_api_key):
                    log.info("the first API key was asked for", workspace=DEFAULT_WORKSPACE)
            finally:
                await source.close()
        except retried as error:
            log.warning("the first API key waits for the log", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(1.0)
        else:
            return


async def _append(source: Log, workspace_id: str, commands: list[tuple[str, WorkspaceCommand]]) -> None:
    stream = f"workspace-{workspace_id}"
    records = []
    for name, command in commands:
        command_id = str(uuid5(_NAMESPACE, name))
        record = command_record(command, id=command_id, stream=stream, workspace=workspace_id, made=_now(), actor=ACTOR)
        headers = (
            ("k", KIND_COMMAND),
            ("i", command_id.encode()),
            ("w", workspace_id.encode()),
            ("s", stream.encode()),
        )
        records.append(NewRecord(encode(record), headers, stream.encode()))
    writer = await source.writer()
    try:
        await writer.append(Topic.COMMANDS, partition_of(stream, source.partitions), records)
    finally:
        await writer.close()


def _now() -> int:
    return time.time_ns() // 1_000_000
