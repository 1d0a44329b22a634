"""The values of a credential's fields: from JSON to the texts that are kept, and whether what is needed is there."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from domain.credential.credential_type import CredentialField, CredentialType
from domain.errors import Problem

MAX_VALUE = 20_000
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_INTEGER = re.compile(r"-?\d{1,15}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")


def read_values(type_: CredentialType, data: Mapping[str, Any]) -> tuple[dict[str, str], list[Problem]]:
    """Field → text of everything that `data` gives (what is null or empty is not given), and what is wrong with it.

    No problem repeats a value: it may be a secret.
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in data.items():
        field = type_.field(name)
        if field is None:
            known = ", ".join(each.name for each in type_.fields)
            problems.append(Problem(f"data.{name[:100]}", f"{type_.name} has no such field; it has {known}"))
            continue
        if value is None or value == "":
            continue
        text = _text(field, value)
        wrong = f"must be {_NAMES[field.kind]}" if text is None else _mismatch(field, text)
        if wrong is not None:
            problems.append(Problem(f"data.{name}", wrong))
        elif text is not None:
            values[name] = text
    return values, problems


def missing_fields(type_: CredentialType, given: Collection[str]) -> list[Problem]:
    """The required fields that have neither a value in `given` nor a default."""
    return [
        Problem(f"data.{field.name}", f"is missing: {field.title}")
        for field in type_.fields
        if field.required and not field.default and field.name not in given
    ]


def complete(type_: CredentialType, values: Mapping[str, str]) -> dict[str, str]:
    """The values with the defaults of what was not given."""
    return {field.name: field.default for field in type_.fields if field.default} | dict(values)


def shown_value(field: CredentialField, text: str) -> str | int | bool | Any:
    """A plain value as the API shows it: of the type that the form takes."""
    match field.kind:
        case "integer":
            return int(text)
        case "boolean":
            return text == "true"
        case "object":
            return msgspec.json.decode(text)
        case _:
            return text


_NAMES = {
    "text": "a text",
    "multiline": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object of texts",
}


def _text(field: CredentialField, value: Any) -> str | None:
    match field.kind:
        case "integer":
            text = str(value) if type(value) is int else value
            return text if isinstance(text, str) and _INTEGER.fullmatch(text) else None
        case "boolean":
            if isinstance(value, bool):
                return "true" if value else "false"
            return value if value in {"true", "false"} else None
        case "object":
            if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
                return None
            return msgspec.json.encode(value).decode()
        case _:
            return value if isinstance(value, str) else None


def _mismatch(field: CredentialField, text: str) -> str | None:
    if len(text) > MAX_VALUE:
        return f"must have at most {MAX_VALUE:,} characters"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds text that is not valid Unicode"
    if field.pattern and not re.fullmatch(field.pattern, text):
        return f"must match {field.pattern}"
    if field.choices and text not in field.choices:
        return f"must be one of {', '.join(field.choices)}"
    if field.kind == "text" and _CONTROLS.search(text):
        return "must not hold line breaks or other control characters"
    if field.kind == "multiline" and "\0" in text:
        return "must not hold a NUL character"
    if field.kind == "object":
        entries: dict[str, str] = msgspec.json.decode(text)
        if field.name == "headers" and not all(_HEADER_NAME.fullmatch(name) for name in entries):
            return "must have names that a header can have"
        if any(_CONTROLS.search(name) or _CONTROLS.search(value) for name, value in entries.items()):
            return "must not hold line breaks or other control characters"
    return None
