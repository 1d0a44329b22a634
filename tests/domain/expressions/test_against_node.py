"""The evaluator beside a real JavaScript engine: thousands of random expressions, the same results."""

import json
import math
import shutil
import subprocess
from typing import Any

import pytest

from domain.expressions import UNDEFINED, ExpressionError, Scope, compile_value
from domain.expressions.values import Function
from tests.domain.expressions.generator import DATA, Generator

NODE = shutil.which("node")
DIFFERENT_ON_PURPOSE = {"expression_limit", "expression_forbidden", "expression_unsupported"}

RUNNER = r"""
const {data, sources} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const show = (v) => {
  if (v === undefined) return {undefined: true};
  if (typeof v === 'number') return {number: Object.is(v, -0) ? '-0' : String(v)};
  if (typeof v === 'function') return {function: true};
  if (Array.isArray(v)) return Array.from(v, show);
  if (v !== null && typeof v === 'object') return {object: Object.entries(v).map(([k, x]) => [k, show(x)])};
  return v;
};
const one = (source) => {
  try {
    return show(new Function('$json', '"use strict"; return (' + source + ')')(JSON.parse(data)));
  } catch (e) {
    return {error: e.name, message: String(e.message).slice(0, 100)};
  }
};
process.stdout.write(JSON.stringify(sources.map(one)));
"""


def by_node(sources: list[str]) -> list[Any]:
    """What Node.js makes of each expression, with numbers, undefined, functions and errors marked."""
    assert NODE is not None
    request = json.dumps({"data": json.dumps(DATA), "sources": sources})
    done = subprocess.run([NODE, "-e", RUNNER], input=request, capture_output=True, text=True, check=True, timeout=120)
    results: list[Any] = json.loads(done.stdout)
    return results


def show(value: Any) -> Any:
    if value is UNDEFINED:
        return {"undefined": True}
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, Function):
        return {"function": True}
    if isinstance(value, int | float):
        zero = value == 0 and math.copysign(1, value) < 0
        return {"number": "-0" if zero else compile_value("{{ String($json.v) }}").evaluate(Scope({"v": value}))}
    if isinstance(value, list):
        return [show(item) for item in value]
    entries = compile_value("{{ Object.entries($json) }}").evaluate(Scope(value))
    return {"object": [[key, show(item)] for key, item in entries]}


def by_us(source: str) -> Any:
    try:
        return show(compile_value("{{ " + source + " }}").evaluate(Scope(DATA, step_limit=1_000_000)))
    except ExpressionError as error:
        return {"error": error.code, "message": error.message}


def differences(sources: list[str]) -> tuple[list[str], int, int]:
    """What differs, how many were refused on purpose, how many gave a value in both."""
    found: list[str] = []
    refused = valued = 0
    for source, theirs in zip(sources, by_node(sources), strict=True):
        ours = by_us(source)
        our_error = isinstance(ours, dict) and "error" in ours
        their_error = isinstance(theirs, dict) and "error" in theirs
        if our_error and ours["error"] in DIFFERENT_ON_PURPOSE:
            refused += 1
        elif our_error and their_error:
            continue
        elif ours != theirs:
            found.append(f"{source}\n  node: {json.dumps(theirs)[:300]}\n  ours: {json.dumps(ours)[:300]}")
        else:
            valued += 1
    return found, refused, valued


@pytest.mark.skipif(NODE is None, reason="Node.js is not on this machine: nothing to compare with")
@pytest.mark.parametrize("seed", range(3))
def test_random_expressions_give_what_node_gives(seed: int) -> None:
    generator = Generator(seed)
    sources = [generator.expression(1 + number % 4) for number in range(1500)]
    found, refused, valued = differences(sources)
    assert not found, f"{len(found)} differ, the shortest:\n" + "\n".join(sorted(found, key=len)[:5])
    assert refused < len(sources) * 0.02
    assert valued > len(sources) * 0.6
