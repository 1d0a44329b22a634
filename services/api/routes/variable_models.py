"""Shapes of what is said about variables, for the OpenAPI document; examples, which tests send."""

from typing import Any

from pydantic import BaseModel, Field

from domain.variable.decider import MAX_DESCRIPTION, MAX_NAME, MAX_VALUE
from services.api.routes.examples import json_body

VARIABLE: dict[str, Any] = {"name": "region", "value": "eu1", "description": "Where the shop runs."}

_NAME = {"type": "string", "maxLength": MAX_NAME, "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
_FIELDS = {
    "value": {"description": f"Any JSON of at most {MAX_VALUE} bytes. No secrets: those belong into credentials."},
    "description": {"type": "string", "maxLength": MAX_DESCRIPTION, "default": ""},
}


def create_body() -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["name", "value"],
        "additionalProperties": False,
        "properties": {"name": _NAME, **_FIELDS},
    }
    return json_body(VARIABLE, schema)


def set_body() -> dict[str, Any]:
    schema = {"type": "object", "required": ["value"], "additionalProperties": False, "properties": _FIELDS}
    return json_body({name: VARIABLE[name] for name in _FIELDS}, schema)


class Variable(BaseModel):
    name: str = Field(examples=["region"], description="Workflows read it as $vars.name.")
    value: Any
    description: str
    version: int = Field(description="Grows with every change, also by deleting it and making it anew.")
    created_at: str
    updated_at: str


class VariablePage(BaseModel):
    items: list[Variable]
    next_cursor: str | None
