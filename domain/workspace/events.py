"""Facts recorded for one workspace. Times are milliseconds since 1970."""

import msgspec


class WorkspaceCreated(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    at: int


class ApiKeyAdded(msgspec.Struct, frozen=True, omit_defaults=True):
    key_id: str
    key_hash: str
    prefix: str
    name: str
    at: int


class ApiKeyRevoked(msgspec.Struct, frozen=True, omit_defaults=True):
    key_id: str
    at: int


class ShareSet(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int
    weight: float = 1.0
    concurrent: int | None = None


class RetentionSet(msgspec.Struct, frozen=True, omit_defaults=True):
    at: int
    days: int | None = None
    payload_days: int | None = None


WorkspaceEvent = WorkspaceCreated | ApiKeyAdded | ApiKeyRevoked | ShareSet | RetentionSet
