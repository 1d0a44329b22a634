"""Reads of credentials. People get rows without secrets; ciphertext is for the worker and for changing keys."""

from datetime import datetime
from uuid import UUID

import msgspec

from projections.connection import Connection, Row, as_uuid
from projections.sql import load_queries

_SQL = load_queries(__package__)
_decode_texts = msgspec.json.Decoder(dict[str, str]).decode


class CredentialRow(msgspec.Struct, frozen=True):
    """`secrets`: the secret fields that are set; `connection_error`, `last_test`: JSON."""

    id: str
    workspace_id: str
    type: str
    name: str
    description: str
    fields: dict[str, str]
    secrets: list[str]
    version: int
    connected: bool
    expires_at: datetime | None
    scope: str | None
    connection_error: str | None
    last_used_at: datetime | None
    last_test: str | None
    created_at: datetime
    updated_at: datetime
    fingerprint: str
    stream_version: int


class SealedCredential(msgspec.Struct, frozen=True):
    """`sealed`: all secrets as ciphertext, tokens too; `revision`: of the stream."""

    id: str
    type: str
    fields: dict[str, str]
    sealed: dict[str, str]
    generation: int
    expires_at: datetime | None
    last_used_at: datetime | None
    revision: int


class SealedSecrets(msgspec.Struct, frozen=True):
    """What changing keys needs of a credential of any workspace."""

    id: str
    workspace_id: str
    sealed: dict[str, str]
    revision: int


class PossibleUse(msgspec.Struct, frozen=True):
    """A version of a workflow whose document mentions a credential, or is stored outside (`{"$blob": …}`)."""

    workflow_id: str
    name: str
    status: str
    version: int
    active: bool
    document: str


async def get_credential(connection: Connection, workspace_id: str, credential_id: str) -> CredentialRow | None:
    workspace, credential = as_uuid(workspace_id), as_uuid(credential_id)
    if workspace is None or credential is None:
        return None
    row = await connection.fetchrow(_SQL["get_credential"], workspace, credential)
    return None if row is None else _credential(row)


async def list_credentials(
    connection: Connection,
    workspace_id: str,
    *,
    type_: str | None = None,
    name: str | None = None,
    limit: int = 50,
    before: tuple[datetime, str] | None = None,
) -> list[CredentialRow]:
    """Newest first. `name`: a part of it, in any case. `before`: (created_at, id) of the last one of the page."""
    workspace = as_uuid(workspace_id)
    created_at, last = (None, None) if before is None else (before[0], as_uuid(before[1]))
    if workspace is None or (before is not None and last is None):
        return []
    rows = await connection.fetch(_SQL["list_credentials"], workspace, type_, name, created_at, last, limit)
    return [_credential(row) for row in rows]


async def credential_types(connection: Connection, workspace_id: str, ids: list[str]) -> dict[str, str]:
    """Id → type, of those that are in this workspace. An id in another spelling than its own names nothing."""
    wanted = [known for each in ids if (known := as_uuid(each)) is not None]
    workspace = as_uuid(workspace_id)
    if workspace is None or not wanted:
        return {}
    rows = await connection.fetch(_SQL["credential_types"], workspace, wanted)
    return {row["id"]: row["type"] for row in rows}


async def sealed_credential(connection: Connection, workspace_id: str, credential_id: str) -> SealedCredential | None:
    """What an effect interpreter opens; None where this workspace has no such credential."""
    workspace, credential = as_uuid(workspace_id), as_uuid(credential_id)
    if workspace is None or credential is None:
        return None
    row = await connection.fetchrow(_SQL["sealed_credential"], workspace, credential)
    if row is None:
        return None
    return SealedCredential(
        id=row["id"],
        type=row["type"],
        fields=_decode_texts(row["fields"]),
        sealed=_sealed(row),
        generation=row["generation"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revision=row["stream_version"],
    )


async def sealed_credentials(connection: Connection, after: str, limit: int) -> list[SealedSecrets]:
    """For the operator's command line only: of all workspaces, by id, behind `after`."""
    rows = await connection.fetch(_SQL["sealed_credentials"], UUID(after), limit)
    return [SealedSecrets(row["id"], row["workspace_id"], _sealed(row), row["stream_version"]) for row in rows]


async def workflows_that_may_use(connection: Connection, workspace_id: str, credential_id: str) -> list[PossibleUse]:
    """Newest and active versions of workflows that are not archived; the caller reads the documents."""
    workspace, credential = as_uuid(workspace_id), as_uuid(credential_id)
    if workspace is None or credential is None:
        return []
    rows = await connection.fetch(_SQL["workflows_that_may_use"], workspace, str(credential))
    return [
        PossibleUse(
            row["workflow_id"], row["name"], row["status"], row["version"], bool(row["active"]), row["document"]
        )
        for row in rows
    ]


def _sealed(row: Row) -> dict[str, str]:
    tokens = {name: row[name] for name in ("access_token", "refresh_token") if row[name] is not None}
    return _decode_texts(row["sealed"]) | tokens


def _credential(row: Row) -> CredentialRow:
    return CredentialRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        type=row["type"],
        name=row["name"],
        description=row["description"],
        fields=_decode_texts(row["fields"]),
        secrets=sorted(row["secrets"]),
        version=row["version"],
        connected=row["connected"],
        expires_at=row["expires_at"],
        scope=row["scope"],
        connection_error=row["connection_error"],
        last_used_at=row["last_used_at"],
        last_test=row["last_test"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        fingerprint=row["fingerprint"],
        stream_version=row["stream_version"],
    )
