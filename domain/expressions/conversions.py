"""JavaScript's conversions and comparisons over the language's values."""

from domain.expressions import utf16
from domain.expressions.datetimes import DateTime
from domain.expressions.errors import TYPE, ExpressionError
from domain.expressions.limits import Budget, too_deep
from domain.expressions.numbers import as_number, format_number, parse_number
from domain.expressions.regexps import RegExp
from domain.expressions.values import NAN, UNDEFINED, Function, Namespace, Value


def truthy(value: Value) -> bool:
    """JavaScript's truthiness."""
    kind = type(value)
    if kind is bool:
        return value  # type: ignore[no-any-return]
    if kind is float:
        return bool(value != 0 and value == value)  # noqa: PLR0124 - NaN
    if kind is dict or kind is list:
        return True
    if value is None or value is UNDEFINED:
        return False
    return bool(value) if kind is str or kind is int else True


def type_of(value: Value) -> str:
    """JavaScript's typeof."""
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int() | float():
            return "number"
        case Function():
            return "function"
    return "undefined" if value is UNDEFINED else "object"


def kind_of(value: Value) -> str:
    """What a value is, for people."""
    if value is None:
        return "null"
    if type(value) is list:
        return "an array"
    if type(value) is DateTime:
        return "a date"
    if type(value) is RegExp:
        return "a regular expression"
    name = type_of(value)
    return {"object": "an object", "undefined": "undefined"}.get(name, f"a {name}")


def to_text(value: Value, budget: Budget | None = None) -> str:
    """JavaScript's String(value)."""
    if type(value) is str:
        return value
    if value is None:
        return "null"
    if value is UNDEFINED:
        return "undefined"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int or type(value) is float:
        return format_number(value)
    if type(value) is list:
        try:
            return join(value, ",", budget or Budget())
        except RecursionError:
            raise too_deep() from None
    if type(value) is DateTime:
        return value.iso()
    if type(value) is RegExp:
        return value.text()
    if type(value) is Function:
        return f"function {value.name}() {{ [closed] }}"
    return f"[object {value.name}]" if type(value) is Namespace else "[object Object]"


def units(text: str, budget: Budget) -> str:
    """One character for each UTF-16 code unit; what is not ASCII must be looked through and paid for."""
    if text.isascii():
        return text
    if len(text) > 256:
        budget.charge(len(text) >> 6)
    return utf16.widen(text)


def join(items: list[Value], separator: str, budget: Budget) -> str:
    """JavaScript's items.join(separator)."""
    budget.charge(1 + (len(items) >> 2))
    parts = [
        item if type(item) is str else "" if item is None or item is UNDEFINED else to_text(item, budget)
        for item in items
    ]
    budget.charge_text(sum(map(len, parts)) + len(separator) * len(parts))
    return utf16.narrow(separator.join(parts))


def to_primitive(value: Value, budget: Budget | None = None) -> Value:
    """A value that is no object: arrays, objects, dates and functions become their text."""
    kind = type(value)
    if kind is str or kind is int or kind is float or kind is bool or value is None or value is UNDEFINED:
        return value
    return to_text(value, budget)


def to_number(value: Value, budget: Budget | None = None) -> int | float:
    """JavaScript's Number(value)."""
    kind = type(value)
    if kind is int or kind is float:
        return as_number(value)
    if kind is bool:
        return 1 if value else 0
    if value is None:
        return 0
    if kind is str:
        if budget is not None and len(value) > 256:
            budget.charge(len(value) >> 6)
        return parse_number(value)
    if kind is DateTime:
        return value.millis  # type: ignore[no-any-return]
    if kind is list:
        return to_number(to_text(value, budget), budget)
    return NAN


def to_key(value: Value, budget: Budget | None = None) -> str:
    """A value as the name of a property."""
    return value if type(value) is str else to_text(value, budget)


def strict_equals(left: Value, right: Value) -> bool:
    """JavaScript's ===."""
    kind, other = type(left), type(right)
    if kind is other:
        if kind is dict or kind is list:
            return left is right
        return bool(left == right) if kind in _SCALARS else left is right
    if (kind is int and other is float) or (kind is float and other is int):
        return bool(left == right)
    return False


_SCALARS = frozenset({str, int, float, bool})


def pay_to_compare(value: Value, times: int, budget: Budget) -> None:
    """Comparing with a long text takes its length each time."""
    if type(value) is str and len(value) > 1024:
        budget.charge(times * (len(value) >> 9))


def same_value_zero(left: Value, right: Value) -> bool:
    """Like ===, but NaN equals NaN (includes)."""
    return strict_equals(left, right) or (
        type(left) is float and type(right) is float and left != left and right != right  # noqa: PLR0124
    )


def loose_equals(left: Value, right: Value, budget: Budget | None = None) -> bool:
    """JavaScript's ==."""
    kind, other = type(left), type(right)
    if left is None or left is UNDEFINED:
        return right is None or right is UNDEFINED
    if right is None or right is UNDEFINED:
        return False
    if kind is other or (kind in _NUMBERS and other in _NUMBERS):
        return strict_equals(left, right)
    if kind not in _SCALARS and other not in _SCALARS:
        return left is right
    left, right = to_primitive(left, budget), to_primitive(right, budget)
    if type(left) is str and type(right) is str:
        return left == right
    return to_number(left, budget) == to_number(right, budget)


_NUMBERS = frozenset({int, float})


def less_than(left: Value, right: Value, budget: Budget | None = None) -> bool | None:
    """JavaScript's abstract relational comparison left < right; None where a NaN is involved."""
    left = left.millis if type(left) is DateTime else to_primitive(left, budget)
    right = right.millis if type(right) is DateTime else to_primitive(right, budget)
    if type(left) is str and type(right) is str:
        if budget is not None:
            budget.charge_scan(min(len(left), len(right)))
        return utf16.less_than(left, right)
    a, b = to_number(left, budget), to_number(right, budget)
    if a != a or b != b:  # noqa: PLR0124 - NaN
        return None
    return a < b


def deep_equals(left: Value, right: Value) -> bool:
    """Equal by content: scalars by ===, lists element by element, objects by their entries in any order."""
    try:
        return _deep_equals(left, right)
    except RecursionError:
        raise too_deep() from None


def _deep_equals(left: Value, right: Value) -> bool:
    if left is right:
        return not (type(left) is float and left != left)  # noqa: PLR0124
    if type(left) is list and type(right) is list:
        return len(left) == len(right) and all(map(_deep_equals, left, right))
    if type(left) is dict and type(right) is dict:
        return len(left) == len(right) and all(
            key in right and _deep_equals(value, right[key]) for key, value in left.items()
        )
    return strict_equals(left, right)


def own_keys(value: dict[str, Value]) -> list[str]:
    """The keys in JavaScript's order: array indices ascending, then the others as they were added."""
    keys = list(value)
    indices = [key for key in keys if key[:1].isdigit() and _is_index(key)]
    if not indices:
        return keys
    found = set(indices)
    return sorted(indices, key=int) + [key for key in keys if key not in found]


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) <= 10 and (key == "0" or key[0] != "0") and int(key) < 2**32 - 1


def own_entries(value: Value, budget: Budget) -> list[tuple[str, Value]]:
    """The enumerable entries of any value, as Object.entries sees them. null and undefined raise an error."""
    if value is None or value is UNDEFINED:
        raise ExpressionError(TYPE, f"{kind_of(value)} has no entries; an object is needed")
    if type(value) is dict:
        budget.charge(1 + (len(value) >> 3))
        return [(key, value[key]) for key in own_keys(value)]
    if type(value) is list or type(value) is str:
        items: list[Value] = value if type(value) is list else list(units(str(value), budget))
        budget.charge(1 + (len(items) >> 3))
        return [(str(index), item) for index, item in enumerate(items)]
    return []


def iterate(value: Value, budget: Budget, what: str = "this") -> list[Value]:
    """The elements of an array or the characters of a string; anything else cannot be iterated."""
    if type(value) is list:
        budget.charge(1 + (len(value) >> 3))
        return value
    if type(value) is str:
        budget.charge_elements(len(value))
        return list(value)
    raise ExpressionError(TYPE, f"{what} is {kind_of(value)}, an array is needed")
