"""What can be asked of the variables of a workspace. Times: milliseconds since 1970."""

from typing import Any

import msgspec


class CreateVariable(msgspec.Struct, frozen=True, omit_defaults=True):
    """`request_id`: derived from the caller's Idempotency-Key, if it sent one; `fingerprint`: a hash of what was asked,
    so that the same key with another body is refused. `value`: any JSON."""

    name: str
    value: Any
    at: int
    description: str = ""
    request_id: str = ""
    fingerprint: str = ""


class SetVariable(msgspec.Struct, frozen=True, omit_defaults=True):
    """The variable shall have this value, whether it is there or not. `expected_version`: it must be there, and this
    its version; `must_exist`: it must be there, in any version."""

    name: str
    value: Any
    at: int
    description: str = ""
    expected_version: int | None = None
    must_exist: bool = False


class DeleteVariable(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    at: int
    expected_version: int | None = None


VariableCommand = CreateVariable | SetVariable | DeleteVariable
