"""Credentials: their newest state. `sealed` holds the secrets as ciphertext; nothing here can open one."""

import msgspec

from projections.facts import (
    Commit,
    ConnectionBegun,
    ConnectionEnded,
    CredentialCreated,
    CredentialDeleted,
    CredentialResealed,
    CredentialTested,
    CredentialUpdated,
    CredentialUsed,
    TokensStored,
    text,
)
from projections.operations import Delete, Insert, Operation, Table, Update, Values

VERSION = 1

CREDENTIALS = Table(
    name="credentials",
    key=("id",),
    columns={
        "id": "uuid",
        "workspace_id": "uuid",
        "type": "text",
        "name": "text",
        "description": "text",
        "fields": "json",
        "sealed": "json",
        "access_token": "text",
        "refresh_token": "text",
        "version": "integer",
        "generation": "integer",
        "expires_at": "time",
        "scope": "text",
        "connection_error": "json",
        "last_used_at": "time",
        "last_test": "json",
        "created_at": "time",
        "updated_at": "time",
        "fingerprint": "text",
        "stream_version": "bigint",
    },
)
TABLES = (CREDENTIALS,)
_TOKENS = ("access_token", "refresh_token")
_DISCONNECTED: Values = {"access_token": None, "refresh_token": None, "expires_at": None, "scope": None}


def project(commit: Commit) -> list[Operation]:
    operations: list[Operation] = []
    key = (commit.id,)
    for event, version, _ in commit.facts:
        if isinstance(event, CredentialCreated):
            operations.append(Insert("credentials", key, _created(commit, event, version)))
        elif isinstance(event, CredentialDeleted):
            operations.append(Delete("credentials", key))
        elif (changes := _changes(event)) is not None:
            operations.append(Update("credentials", key, {**changes, "stream_version": version}))
    return operations


def _created(commit: Commit, event: CredentialCreated, version: int) -> Values:
    return {
        "workspace_id": commit.workspace,
        "type": text(event.type),
        "name": text(event.name),
        "description": text(event.description),
        "fields": _json(event.fields),
        "sealed": _json(event.sealed),
        **_DISCONNECTED,
        "version": 1,
        "generation": 0,
        "connection_error": None,
        "last_used_at": None,
        "last_test": None,
        "created_at": event.at,
        "updated_at": event.at,
        "fingerprint": text(event.fingerprint),
        "stream_version": version,
    }


def _changes(event: object) -> Values | None:
    match event:
        case CredentialUpdated():
            changes: Values = {
                "name": text(event.name),
                "description": text(event.description),
                "fields": _json(event.fields),
                "sealed": _json(event.sealed),
                "version": event.version,
                "updated_at": event.at,
            }
            return changes | (_DISCONNECTED | {"connection_error": None} if event.disconnected else {})
        case CredentialResealed(sealed=sealed):
            tokens = {name: sealed[name] for name in _TOKENS if name in sealed}
            return {"sealed": _json({name: value for name, value in sealed.items() if name not in _TOKENS}), **tokens}
        case TokensStored():
            return {
                **event.sealed,
                "generation": event.generation,
                "expires_at": event.expires_at,
                "scope": text(event.scope),
                "connection_error": None,
            }
        case ConnectionEnded():
            error = {"code": event.code, "message": event.message, "at": event.at}
            return {"connection_error": _json(error), **({} if event.state_id else _DISCONNECTED)}
        case CredentialUsed(at=at):
            return {"last_used_at": at}
        case CredentialTested():
            last = {"ok": event.ok, "code": event.code, "message": event.message, "at": event.at}
            return {"last_test": _json(last)}
        case ConnectionBegun():
            return {}
    return None


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
