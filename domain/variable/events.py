"""Facts recorded for the variables of one workspace. Times are milliseconds since 1970.

`version` grows with every change to any of them, so that a name that was deleted and made anew never has a version
that it had before.
"""

from typing import Any

import msgspec


class VariableCreated(msgspec.Struct, frozen=True, omit_defaults=True):
    """`request_id`, `fingerprint`: of the request that asked for it, so that the same one creates it once."""

    name: str
    value: Any
    version: int
    at: int
    description: str = ""
    request_id: str = ""
    fingerprint: str = ""


class VariableChanged(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    value: Any
    version: int
    at: int
    description: str = ""


class VariableDeleted(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    version: int
    at: int


VariableEvent = VariableCreated | VariableChanged | VariableDeleted
