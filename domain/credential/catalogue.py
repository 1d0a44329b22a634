"""What the API and the documentation say about types of credentials: enough to draw a form."""

from typing import Any

from domain.credential.credential_type import CredentialField, CredentialType
from domain.credential.types import CREDENTIAL_TYPES

_JSON_TYPES = {"integer": "integer", "boolean": "boolean", "object": "object"}


def describe_type(type_: CredentialType) -> dict[str, Any]:
    """One type, as JSON. `schema`: JSON Schema of a credential's `data`; `order`: its fields as a form shows them."""
    return {
        "type": type_.name,
        "title": type_.title,
        "docs": type_.docs,
        "http": type_.http is not None,
        "oauth2": type_.oauth2,
        "testable": type_.test is not None,
        "schema": {
            "type": "object",
            "properties": {field.name: _property(field) for field in type_.fields},
            "required": [field.name for field in type_.fields if field.required and not field.default],
            "additionalProperties": False,
        },
        "order": [field.name for field in type_.fields],
    }


def credential_catalogue() -> list[dict[str, Any]]:
    """All types, by name."""
    return [describe_type(CREDENTIAL_TYPES[name]) for name in sorted(CREDENTIAL_TYPES)]


def _property(field: CredentialField) -> dict[str, Any]:
    described: dict[str, Any] = {"title": field.title, "type": _JSON_TYPES.get(field.kind, "string")}
    if field.docs:
        described["description"] = field.docs
    if field.kind == "object":
        described["additionalProperties"] = {"type": "string"}
    if field.kind == "multiline":
        described["format"] = "multiline"
    if field.choices:
        described["enum"] = list(field.choices)
    if field.pattern:
        described["pattern"] = f"^({field.pattern})$"
    if field.default:
        described["default"] = _typed(field)
    if field.secret:
        described["writeOnly"] = True
        if field.kind == "text":
            described["format"] = "password"
    return described


def _typed(field: CredentialField) -> str | int | bool:
    if field.kind == "integer":
        return int(field.default)
    return field.default == "true" if field.kind == "boolean" else field.default
