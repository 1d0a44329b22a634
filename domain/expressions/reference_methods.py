"""The methods of `$input` and `$('id')`."""

from collections.abc import Callable, Mapping
from typing import Final

from domain.expressions.conversions import to_text
from domain.expressions.errors import REFERENCE, ExpressionError
from domain.expressions.limits import Budget
from domain.expressions.scope import ItemsReference
from domain.expressions.values import UNDEFINED, Value


def _port(port: Value) -> str | None:
    return None if port is UNDEFINED or port is None else to_text(port)


def _all(_: Budget, items: ItemsReference, port: Value = UNDEFINED, *__: Value) -> Value:
    return items.items(_port(port))


def _first(_: Budget, items: ItemsReference, port: Value = UNDEFINED, *__: Value) -> Value:
    found = items.items(_port(port))
    return found[0] if found else UNDEFINED


def _last(_: Budget, items: ItemsReference, port: Value = UNDEFINED, *__: Value) -> Value:
    found = items.items(_port(port))
    return found[-1] if found else UNDEFINED


def current_item(items: ItemsReference) -> Value:
    """The item that the current one comes from; where nothing is known of that the one at the same index, else the
    first. Raises ExpressionError if it comes from several."""
    if items.origin is not None:
        return items.origin
    if items.lost:
        raise ExpressionError(
            REFERENCE, f"the current item comes from several items of {items.name}; use .first(), .last() or .all()"
        )
    found = items.items(None)
    if not found:
        return UNDEFINED
    return found[items.index] if items.index < len(found) else found[0]


REFERENCE_METHODS: Final[Mapping[str, Callable[..., Value]]] = {"all": _all, "first": _first, "last": _last}
