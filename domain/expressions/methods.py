"""The methods of every type: JavaScript's and the conveniences, in one table each."""

from collections.abc import Callable, Mapping
from typing import Final

from domain.expressions.array_methods import ARRAY_METHODS
from domain.expressions.conveniences import arrays, contents, dates, encodings, numbers, objects, records, strings
from domain.expressions.conveniences.registry import REGISTRY, table
from domain.expressions.datetime_methods import DATE_METHODS
from domain.expressions.datetimes import DateTime
from domain.expressions.number_methods import BOOLEAN_METHODS, NUMBER_METHODS
from domain.expressions.object_methods import OBJECT_METHODS
from domain.expressions.reference_methods import REFERENCE_METHODS
from domain.expressions.regexp_methods import REGEXP_METHODS
from domain.expressions.regexps import RegExp
from domain.expressions.scope import ItemsReference
from domain.expressions.string_methods import STRING_METHODS
from domain.expressions.values import Value

__all__ = ["METHODS", "REGISTRY"]

Method = Callable[..., Value]
_OFFERED: Final = (
    arrays,
    contents,
    dates,
    encodings,
    numbers,
    objects,
    records,
    strings,
)  # importing them fills the registry

STRINGS: Final[Mapping[str, Method]] = {**table("string"), **STRING_METHODS}
ARRAYS: Final[Mapping[str, Method]] = {**table("array"), **ARRAY_METHODS}
_NUMBERS: Final[Mapping[str, Method]] = {**table("number"), **NUMBER_METHODS}

METHODS: Final[Mapping[type, Mapping[str, Method]]] = {
    str: STRINGS,
    list: ARRAYS,
    dict: {**table("object"), **OBJECT_METHODS},
    int: _NUMBERS,
    float: _NUMBERS,
    bool: {**table("boolean"), **BOOLEAN_METHODS},
    DateTime: {**table("date"), **DATE_METHODS},
    RegExp: REGEXP_METHODS,
    ItemsReference: REFERENCE_METHODS,
}
