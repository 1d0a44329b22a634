"""The parts of an HTTP request that depend on the node's parameters: its body, its pages."""

from dataclasses import dataclass, field
from typing import Any

from domain.effects import FilePart, Pages
from domain.execution.events import Item
from domain.expressions import Scope, to_text
from domain.nodes.binary import OCTETS, find_binary
from domain.nodes.failures import BAD_PARAMETER, NodeFailure
from domain.nodes.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Body:
    """One of the kinds of bodies that HttpRequest knows; `content_type` where the user's headers name none."""

    content_type: str = ""
    json: Any = None
    text: str | None = None
    form: dict[str, Any] | None = None
    files: list[FilePart] = field(default_factory=list)
    multipart: bool = False
    data: str | None = None


class Bodies:
    """The bodies of a node's requests, by its `body_kind`."""

    def __init__(self, parameters: Parameters) -> None:
        self._kind = parameters.plain("body_kind")
        self._value = parameters.evaluator("body")
        self._type = parameters.evaluator("content_type")
        self._files = [
            (row.evaluator("field"), row.evaluator("binary"), row.evaluator("file_name"), row.evaluator("mime_type"))
            for row in parameters.rows("files")
        ]
        if parameters.rows("files") and self._kind != "multipart":
            parameters.refuse("files", "go with body_kind multipart")
        if self._kind in {"form", "multipart"} and _is_plain(parameters.source("body")):
            parameters.refuse("body", f"must be an object of fields for body_kind {self._kind}")

    def of(self, scope: Scope) -> Body:
        """The body of the scope's item. Raises NodeFailure, ExpressionError."""
        value, given_type = self._value(scope), self._type(scope) or ""
        match self._kind:
            case "none":
                return Body()
            case "json":
                return Body(given_type, json=value)
            case "text":
                return Body(given_type or "text/plain; charset=utf-8", text=to_text(value))
            case "form":
                return Body(form=self._fields(value))
            case "multipart":
                return Body(form=self._fields(value), files=self._file_parts(scope), multipart=True)
            case "binary":
                name = value if isinstance(value, str) and value else "data"
                file = find_binary(_item(scope), name)
                return Body(given_type or str(file.get("mime_type") or OCTETS), data=file["data"])
            case _:
                return Body(given_type, text=value) if isinstance(value, str) else Body(given_type, json=value)

    def _fields(self, value: Any) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise NodeFailure(BAD_PARAMETER, f"parameter 'body' must be an object of fields for body_kind {self._kind}")
        return value

    def _file_parts(self, scope: Scope) -> list[FilePart]:
        parts = []
        for field_of, binary_of, file_name_of, mime_type_of in self._files:
            file = find_binary(_item(scope), binary_of(scope))
            parts.append(
                FilePart(
                    field=field_of(scope),
                    data=file["data"],
                    file_name=file_name_of(scope) or str(file.get("file_name") or "file"),
                    mime_type=mime_type_of(scope) or str(file.get("mime_type") or OCTETS),
                )
            )
        return parts


def pages_of(parameters: Parameters) -> Pages | None:
    """How the node's lists go on; notes what does not fit together."""
    way = parameters.plain("paginate")
    if way == "off":
        return None
    parameter, at, size = (parameters.plain(name) for name in ("page_parameter", "next_at", "page_size"))
    if way in {"number", "offset", "cursor"} and not parameter:
        parameters.refuse("page_parameter", f"is missing: the parameter that paginate {way} changes")
    if way == "cursor" and not at:
        parameters.refuse("next_at", "is missing: where the body holds the next cursor")
    if way == "offset" and not size:
        parameters.refuse("page_size", "is missing: how many items a page has")
    return Pages(
        way=way,
        parameter=parameter,
        at=at,
        step=size if way == "offset" and size else 1,
        items_at=parameters.plain("items_at") if parameters.given("items_at") else None,
        size=size if parameters.given("items_at") else 0,
        in_body=parameters.plain("page_in") == "body",
        most_pages=parameters.plain("max_pages"),
        stop_at_most=parameters.plain("on_max_pages") == "stop",
    )


def _item(scope: Scope) -> Item:
    return scope.items[scope.item_index] if scope.item_index < len(scope.items) else {"json": scope.json}


def _is_plain(source: Any) -> bool:
    """A body that can never be an object: no object, no expression, not left out."""
    return source is not None and not isinstance(source, dict) and not (isinstance(source, str) and "{{" in source)
