"""The helpers that nodes use on values."""

# ruff: noqa: E501 - tables

from typing import Any

import pytest

from domain.expressions import (
    UNDEFINED,
    ExpressionError,
    deep_equals,
    less_than,
    loose_equals,
    strict_equals,
    to_json,
    to_number,
    to_text,
    truthy,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, False), (0.0, False), (-0.0, False), (NAN, False), ("", False), (None, False), (UNDEFINED, False), (False, False),
        (1, True), (-1, True), (0.1, True), ("0", True), ("false", True), ([], True), ({}, True), (True, True), (float("inf"), True),
    ],
)  # fmt: skip
def test_truthy(value: Any, expected: bool) -> None:
    assert truthy(value) is expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"), (1.0, "1"), (-0.0, "0"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1.5e-7, "1.5e-7"), (0.000001, "0.000001"),
        (123456789012345680000.0, "123456789012345680000"), (NAN, "NaN"), (float("-inf"), "-Infinity"), (True, "true"), (None, "null"),
        (UNDEFINED, "undefined"), ([1, [None, 2]], "1,,2"), ({}, "[object Object]"), (2**53 + 1, "9007199254740992"), (10**400, "Infinity"),
    ],
)  # fmt: skip
def test_to_text(value: Any, text: str) -> None:
    assert to_text(value) == text


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (1.0, 1), (-0.0, 0), (0.5, 0.5), (1e300, 1e300), (NAN, None), (float("inf"), None), (2.0**53, 2**53), ("x", "x"), (UNDEFINED, None),
        ({"a": UNDEFINED, "b": [UNDEFINED, 2.0]}, {"b": [None, 2]}), ("a\ud83d", "a\ufffd"), ({"k\udc00": "\ud800"}, {"k\ufffd": "\ufffd"}),
    ],
)  # fmt: skip
def test_to_json(value: Any, json: Any) -> None:
    result = to_json(value)
    assert result == json
    assert type(result) is type(json)


def test_too_much_is_refused() -> None:
    value: Any = ["x"]
    for _ in range(40):
        value = [value, value]
    with pytest.raises(ExpressionError) as error:
        to_json(value)
    assert error.value.code == "expression_limit"
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for check in (to_json, to_text):
        with pytest.raises(ExpressionError):
            check(deep)
    with pytest.raises(ExpressionError):
        deep_equals(deep, [deep])


def test_equalities() -> None:
    one: list[Any] = [1]
    assert strict_equals(1, 1.0)
    assert not strict_equals(1, True)
    assert not strict_equals(NAN, NAN)
    assert strict_equals(one, one)
    assert not strict_equals(one, [1])
    assert loose_equals("1", 1)
    assert loose_equals(None, UNDEFINED)
    assert not loose_equals(None, 0)
    assert deep_equals({"a": [1, {"b": None}], "c": "x"}, {"c": "x", "a": [1.0, {"b": None}]})
    assert not deep_equals({"a": 1}, {"a": 1, "b": UNDEFINED})
    assert not deep_equals([1], [True])
    assert not deep_equals([NAN], [NAN])


def test_order() -> None:
    assert less_than(1, 2) is True
    assert less_than("10", "9") is True
    assert less_than("10", 9) is False
    assert less_than(UNDEFINED, 1) is None
    assert less_than("\U0001f600", "\ufffd") is True  # by UTF-16 code units
    assert to_number(" 0x10 ") == 16
