"""The closed expression language of workflows: JavaScript's expression syntax over JSON values.

    compiled = compile_value("{{ $json.price * $json.amount }}")    # once per workflow version
    compiled.evaluate_json(Scope({"price": 2, "amount": 3}))         # 6

Nothing outside the given scope can be reached, nothing in it can be changed, and every evaluation is bounded.
"""

from domain.expressions.conversions import (
    deep_equals,
    kind_of,
    less_than,
    loose_equals,
    strict_equals,
    to_number,
    to_text,
    truthy,
)
from domain.expressions.errors import ExpressionError
from domain.expressions.json_text import to_json
from domain.expressions.scope import NodeOutputs, Scope
from domain.expressions.template import Compiled, compile_value
from domain.expressions.values import UNDEFINED, JsonValue, Undefined, Value

__all__ = [
    "UNDEFINED",
    "Compiled",
    "ExpressionError",
    "JsonValue",
    "NodeOutputs",
    "Scope",
    "Undefined",
    "Value",
    "compile_value",
    "deep_equals",
    "kind_of",
    "less_than",
    "loose_equals",
    "strict_equals",
    "to_json",
    "to_number",
    "to_text",
    "truthy",
]
