"""What can be wrong with a record, one tree, each with a stable code.

SchemaError
├── UnknownRecord      unknown_type       no such name, or a version that this program does not know
├── MalformedRecord    malformed_record   the data does not fit its type; `field` names where
├── MissingBlob        missing_blob       a field is stored outside and its bytes were not given
└── UnencodableRecord  unencodable        a value that JSON cannot hold (a lone surrogate, too deep a nesting)
"""

import re

import msgspec

_PATH = re.compile(r"at `\$\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]*)`")


class SchemaError(Exception):
    """A record that cannot be read or written."""

    code = "schema_error"


class UnknownRecord(SchemaError):
    """The registry has no such name, or not in this version."""

    code = "unknown_type"

    def __init__(self, name: str, version: int, why: str) -> None:
        super().__init__(f"{name} version {version}: {why}")
        self.name = name
        self.version = version


class MalformedRecord(SchemaError):
    """The data does not fit the type. `field` is like `items[2].json`, or empty where it is not JSON at all."""

    code = "malformed_record"

    def __init__(self, name: str, version: int, field: str, message: str) -> None:
        super().__init__(f"{name} version {version}: {field or 'data'}: {message}")
        self.name = name
        self.version = version
        self.field = field
        self.message = message

    @staticmethod
    def of(name: str, version: int, error: Exception) -> "MalformedRecord":
        """Name the field that msgspec complains about."""
        text = str(error)
        if isinstance(error, RecursionError):
            return MalformedRecord(name, version, "", "nested too deeply")
        path = _PATH.search(text)
        missing = _MISSING.search(text)
        parts = [path.group(1) if path else "", missing.group(1) if missing else ""]
        message = "is missing" if missing else text.partition(" - at ")[0]
        return MalformedRecord(name, version, ".".join(part for part in parts if part), message)


class MissingBlob(SchemaError):
    """A field of the record is stored outside and what it holds was not given."""

    code = "missing_blob"

    def __init__(self, name: str, field: str, blob: str) -> None:
        super().__init__(f"{name}: {field} is stored in blob {blob}, which was not given")
        self.name = name
        self.field = field
        self.blob = blob


class UnencodableRecord(SchemaError):
    """A value that cannot be written as JSON."""

    code = "unencodable"

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(f"{name}: {error}")
        self.name = name


DECODING_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
ENCODING_ERRORS = (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)
