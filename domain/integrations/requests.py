"""Building an operation's HTTP request out of the values of one item."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from domain.effects import CredentialRef, HttpRequest
from domain.integrations.shape import Integration, Operation, Request, Values
from domain.integrations.values import as_text
from domain.nodes.failures import BAD_PARAMETER, NodeFailure

_HOLE: Final = re.compile(r"\{(\w+)(\*?)\}")
_UNSENDABLE: Final = re.compile(r"[\r\n\0]")


def http_request(
    integration: Integration, operation: Operation, values: Values, credential: CredentialRef | None
) -> HttpRequest:
    """The request, complete but for what the credential adds. Raises NodeFailure for a value that cannot be sent."""
    request = operation.request
    assert isinstance(request, Request)
    query: dict[str, Any] = dict(request.query)
    headers: dict[str, str] = {**integration.headers, **request.headers}
    body: dict[str, Any] = dict(request.body)
    for field in operation.fields:
        value = values[field.parameter.name]
        if value is None:
            continue
        match field.place:
            case "query":
                query[field.sent_as] = value
            case "header":
                headers[field.sent_as] = _header(field.parameter.name, value)
            case "body":
                _put(body, field.sent_as, value)
            case "fields" | "more":
                body.update(value)
            case "path" | "local":
                pass
    sends = request.method != "GET" and (body or any(each.place in {"body", "fields"} for each in operation.fields))
    return HttpRequest(
        method=request.method,
        url=integration.base_url + fill_path(request.path, values),
        query=query,
        headers=headers,
        body=body if sends and not request.form else None,
        form=form_of(body) if request.form else None,
        credential=credential,
    )


def fill_path(path: str, values: Mapping[str, Any]) -> str:
    """The path with its holes filled. A value can never leave its segment: not by a slash, a dot or a question mark."""

    def fill(hole: re.Match[str]) -> str:
        name, several = hole[1], bool(hole[2])
        text = as_text(values[name])
        segments = text.strip("/").split("/") if several else [text]
        if any(segment in {"", ".", ".."} for segment in segments):
            raise NodeFailure(BAD_PARAMETER, f"parameter {name!r} cannot stand in an address: {text[:100]!r}")
        return "/".join(quote(segment, safe="") for segment in segments)

    return _HOLE.sub(fill, path)


def holes(path: str) -> list[str]:
    """The names of the parameters in a path."""
    return [hole[1] for hole in _HOLE.finditer(path)]


def form_of(body: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a form: nested ones as `a[b]`, lists as `a[0]`."""
    return {name: value for key, entry in body.items() for name, value in _pairs(key, entry)}


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, entry in value.items() for pair in _pairs(f"{name}[{key}]", entry)]
    if isinstance(value, list):
        return [pair for index, entry in enumerate(value) for pair in _pairs(f"{name}[{index}]", entry)]
    return [] if value is None else [(name, as_text(value))]


def _put(body: dict[str, Any], place: str, value: Any) -> None:
    """Set a dotted place in a body that is this request's own."""
    *outer, last = place.split(".")
    for name in outer:
        inner = body.get(name)
        body[name] = dict(inner) if isinstance(inner, dict) else {}
        body = body[name]
    body[last] = value


def _header(name: str, value: Any) -> str:
    text = as_text(value)
    if _UNSENDABLE.search(text):
        raise NodeFailure(BAD_PARAMETER, f"parameter {name!r} cannot be sent as a header: it has a line break")
    return text
