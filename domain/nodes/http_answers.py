"""What a node puts out for the answer of an HTTP server."""

import re
from typing import Any

import msgspec

from domain.execution.events import Item, Items
from domain.nodes.failures import NodeFailure
from domain.nodes.http_pages import items_of
from domain.nodes.parameters import Parameters
from domain.nodes.retry_after import retry_after_seconds

_RETRIABLE = frozenset({408, 425, 429})
_EXCERPT = 300
_STATUS_RANGE = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")


class Answers:
    """Turns `{"status", "headers", "body", "binary"?, "earlier"?}` into items, by the node's parameters."""

    def __init__(self, parameters: Parameters) -> None:
        self._full = parameters.plain("full_response")
        self._accepted = _accepted(parameters)
        self._file = parameters.plain("binary_name")
        self._paged = parameters.plain("paginate") != "off"
        self._items_at = parameters.plain("items_at") if parameters.given("items_at") else None

    def conclude(self, _item: Item, value: Any) -> Item | Items:
        """The item of an answer; of a list with pages an item a page, or an item an entry where `items_at` is given."""
        status, headers, body = value["status"], value.get("headers", {}), value.get("body")
        if status >= 400 and not any(low <= status <= high for low, high in self._accepted):
            raise NodeFailure(
                "http_status",
                f"the server answered {status}: {excerpt(body)}",
                retriable=status in _RETRIABLE or status >= 500,
                retry_after_seconds=retry_after_seconds(headers),
            )
        if self._paged:
            bodies = [*value.get("earlier", []), body]
            if self._items_at is not None:
                return [_item_of(entry) for each in bodies for entry in items_of(each, self._items_at)]
            if not self._full:
                return [_item_of(each) for each in bodies]
            return [{"json": {"status": status, "headers": headers, "body": each}} for each in bodies]
        made = {"json": {"status": status, "headers": headers, "body": body}} if self._full else _item_of(body)
        if value.get("binary") is not None:
            if not self._full:
                made = {"json": {}}
            made["binary"] = {self._file: value["binary"]}
        return made

    def of_verdict(self, result: Any) -> dict[str, Any]:
        return {"status": 200, "headers": {}, "body": result}


def _item_of(body: Any) -> Item:
    return {"json": body if isinstance(body, dict) else {"body": body}}


def _accepted(parameters: Parameters) -> list[tuple[int, int]]:
    accepted = []
    for entry in parameters.plain("accept_status"):
        match = _STATUS_RANGE.fullmatch(str(entry)) if type(entry) in {int, str} else None
        if match is None:
            parameters.refuse("accept_status", f"{str(entry)[:20]!r} is no status such as 404 or range such as 400-499")
        else:
            accepted.append((int(match[1]), int(match[2] or match[1])))
    return accepted


def excerpt(body: Any) -> str:
    """The beginning of an answer's body, on one line."""
    if body is None or body == "":
        return "no body"
    text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
    text = " ".join(text[: 4 * _EXCERPT].split())
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"
