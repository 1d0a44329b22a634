"""Building an operation's HTTP request out of the values of one item."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from msgspec.structs import replace

from domain.effects import CredentialRef, HttpRequest, HttpStep
from domain.integrations.answers import put_at
from domain.integrations.shape import ITEM, Field, Integration, OfFile, Operation, Request, Values
from domain.integrations.values import as_text
from domain.nodes.binary import OCTETS, find_binary
from domain.nodes.failures import BAD_PARAMETER, NodeFailure

_HOLE: Final = re.compile(r"\{(\w+)(\*?)\}")
_UNSENDABLE: Final = re.compile(r"[\r\n\0]")


def http_request(
    integration: Integration, operation: Operation, values: Values, credential: CredentialRef | None
) -> HttpRequest:
    """The request with those that follow it, complete but for what the credential adds and what the answers say. Raises
    NodeFailure for a value that cannot be sent, or a file that is not there."""
    assert isinstance(operation.request, Request)
    first = _described(integration, operation.request, _fields(operation, 0), values)
    then = []
    for number, step in enumerate(operation.then, 1):
        elsewhere = bool(step.url_at)
        made = _described(integration, step.request, _fields(operation, number), values, elsewhere=elsewhere)
        following = made if elsewhere else replace(made, credential=credential)
        then.append(HttpStep(following, step.url_at, dict(step.fill)))
    return replace(first, credential=credential, then=then)


def _fields(operation: Operation, step: int) -> list[Field]:
    return [field for field in operation.fields if field.step == step]


def _described(
    integration: Integration, request: Request, fields: Sequence[Field], values: Values, *, elsewhere: bool = False
) -> HttpRequest:
    """One of the requests. `elsewhere`: an answer says to what address it goes."""
    query: dict[str, Any] = dict(request.query)
    headers: dict[str, str] = dict(request.headers) if elsewhere else {**integration.headers, **request.headers}
    body: dict[str, Any] = {name: _constant(value, values) for name, value in request.body.items()}
    for field in fields:
        value = values[field.parameter.name]
        if value is None:
            continue
        match field.place:
            case "query":
                query[field.sent_as] = value
            case "header":
                headers[field.sent_as] = _header(field.parameter.name, value)
            case "body":
                body = put_at(body, field.sent_as, value)
            case "fields" | "more":
                body.update(value)
            case "path" | "local":
                pass
    sends = request.method != "GET" and (body or any(each.place in {"body", "fields"} for each in fields))
    file = _file(request.file, values) if request.file else None
    if file is not None:
        headers["Content-Type"] = _header(request.file, file.get("mime_type") or OCTETS)
    return HttpRequest(
        method=request.method,
        url="" if elsewhere else integration.base_url + fill_path(request.path, values),
        query=query,
        headers=headers,
        body=body if sends and not request.form else None,
        form=form_of(body) if request.form else None,
        body_data=file["data"] if file is not None else None,
    )


def _constant(value: Any, values: Values) -> Any:
    if not isinstance(value, OfFile):
        return value
    file = _file(value.of, values)
    if value.fact == "size":
        data = file["data"]
        return 3 * len(data) // 4 - data[-2:].count("=")
    return str(file.get("file_name") or "file")


def _file(parameter: str, values: Values) -> Mapping[str, Any]:
    """The item's file that a parameter names. Raises NodeFailure `missing_binary`."""
    return find_binary(values[ITEM], as_text(values[parameter]))


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


def _header(name: str, value: Any) -> str:
    text = as_text(value)
    if _UNSENDABLE.search(text):
        raise NodeFailure(BAD_PARAMETER, f"parameter {name!r} cannot be sent as a header: it has a line break")
    return text
