"""JSON values to the types of a statement's parameters, and the values of rows to JSON.

Texts stand for what JSON has no value for, both ways: dates and times (ISO 8601), numeric, uuid, addresses; an interval
is bound as a number of seconds and read as ISO 8601; bytea is Base64; bigint is a number as far as every reader of JSON
has it exactly.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

_EXACT: Final = 2**53


class BadValue(ValueError):
    """A value that cannot be bound; the message says which and why."""


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    return known[str(value).lower()]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _bytes(value: Any) -> bytes:
    return b64decode(value, validate=True)


def _datetime(value: Any) -> datetime:
    """Without an offset it is UTC for timestamptz, and stays without one for timestamp."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000, _UTC)
    return datetime.fromisoformat(value)


_UTC: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00").tzinfo


def _with_zone(value: Any) -> datetime:
    moment = _datetime(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=_UTC)


def _without_zone(value: Any) -> datetime:
    moment = _datetime(value)
    return moment if moment.tzinfo is None else moment.astimezone(_UTC).replace(tzinfo=None)


def _date(value: Any) -> date:
    return date.fromisoformat(value[:10]) if isinstance(value, str) else _datetime(value).date()


def _interval(value: Any) -> timedelta:
    return timedelta(seconds=float(value))


_BOUND: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "int2": ("a whole number", _integer),
    "int4": ("a whole number", _integer),
    "int8": ("a whole number", _integer),
    "oid": ("a whole number", _integer),
    "float4": ("a number", float),
    "float8": ("a number", float),
    "numeric": ("a number", lambda value: Decimal(str(value))),
    "bool": ("true or false", _boolean),
    "json": ("a JSON value", _json),
    "jsonb": ("a JSON value", _json),
    "bytea": ("Base64", _bytes),
    "timestamptz": ("a date and time", _with_zone),
    "timestamp": ("a date and time", _without_zone),
    "date": ("a date", _date),
    "time": ("a time", time.fromisoformat),
    "timetz": ("a time", time.fromisoformat),
    "interval": ("a number of seconds", _interval),
    "uuid": ("a UUID", UUID),
}


def bound(values: list[Any], types: tuple[asyncpg.Type, ...]) -> list[Any]:
    """The values as the driver wants them. Raises BadValue."""
    if len(values) != len(types):
        raise BadValue(f"the statement has {len(types)} places ($1, …), but there are {len(values)} values")
    return [
        _bound(value, type_, f"${number}") for number, (value, type_) in enumerate(zip(values, types, strict=True), 1)
    ]


def _bound(value: Any, type_: asyncpg.Type, where: str) -> Any:
    if value is None and type_.name not in {"json", "jsonb"}:
        return None
    if type_.kind == "array":
        if not isinstance(value, list):
            raise BadValue(f"{where} must be a list, not {_shown(value)}")
        element = asyncpg.Type(0, type_.name.removesuffix("[]"), "scalar", "")
        return [_bound(each, element, f"{where}[{index}]") for index, each in enumerate(value)]
    if value is None:
        return None
    what, convert = _BOUND.get(type_.name, ("text", _text))
    try:
        return convert(value)
    except (ValueError, TypeError, KeyError, OverflowError, OSError, InvalidOperation):
        raise BadValue(f"{where} must be {what} for the type {type_.name}, not {_shown(value)}") from None


def _shown(value: Any) -> str:
    return _json(value)[:100]


def row_reader(attributes: tuple[asyncpg.Attribute, ...]) -> Callable[[asyncpg.Record], dict[str, Any]]:
    """From the driver's record to `{column: JSON value}`. Of two columns of one name the later one counts."""
    decoders = [
        (index, attribute.name, _from_json if attribute.type.name in {"json", "jsonb"} else plain)
        for index, attribute in enumerate(attributes)
    ]

    def read(record: asyncpg.Record) -> dict[str, Any]:
        return {name: decode(record[index]) for index, name, decode in decoders}

    return read


def _from_json(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str) else value


def plain(value: Any) -> Any:
    """A value of the driver as JSON."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -_EXACT <= value <= _EXACT else str(value)
        case float():
            return value if value - value == 0 else None
        case Decimal() | UUID():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return _iso_duration(value)
        case bytes():
            return b64encode(value).decode()
        case asyncpg.Record():
            return {name: plain(each) for name, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case asyncpg.Range():
            return {
                "lower": plain(value.lower),
                "upper": plain(value.upper),
                "lower_inc": value.lower_inc,
                "upper_inc": value.upper_inc,
                "empty": value.isempty,
            }
        case _:
            return str(value)


def _iso_duration(value: timedelta) -> str:
    return msgspec.json.decode(msgspec.json.encode(value), type=str)
