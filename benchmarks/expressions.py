"""Evaluations a second of typical expressions, on one core: `python -m benchmarks.expressions [--json]`."""

import json
import sys
import time
from dataclasses import dataclass
from typing import Any

from domain.expressions import Scope, compile_value

ITEM: dict[str, Any] = {
    "price": 12.5,
    "amount": 9,
    "a": {"b": 5},
    "name": "  Ada Lovelace ",
    "rows": [{"id": n, "price": n * 1.5, "tags": ["x", "y"]} for n in range(20)],
}


@dataclass(frozen=True, slots=True)
class Case:
    """One parameter value and how many evaluations a second it must reach (0: only shown)."""

    name: str
    value: Any
    budget: int


CASES = [
    Case("path", "{{ $json.a.b }}", 1_000_000),
    Case("condition", "{{ $json.price * $json.amount > 100 ? 'large' : 'small' }}", 150_000),
    Case("mixed text", "Order of {{ $json.name }}: {{ $json.price }} EUR", 0),
    Case("method", "{{ $json.name.trim().toUpperCase() }}", 0),
    Case("object", "{{ {id: $json.a.b, total: $json.price * $json.amount, ok: true} }}", 0),
    Case("optional chain", "{{ $json?.missing?.deep.path ?? 'none' }}", 0),
    Case("map and filter, 20 rows", "{{ $json.rows.filter(r => r.price > 9).map(r => ({id: r.id, p: r.price})) }}", 0),
    Case("reduce, 20 rows", "{{ $json.rows.reduce((sum, r) => sum + r.price, 0) }}", 0),
    Case("template literal", "{{ `${$json.name}-${$json.amount}` }}", 0),
    Case("pattern: test", "{{ /^\\s*ada\\b/i.test($json.name) }}", 0),
    Case("pattern: replace", "{{ $json.name.replace(/(\\w+) (\\w+)/, '$2, $1') }}", 0),
    Case("groupBy and sum, 20 rows", "{{ $json.rows.groupBy('tags').values().map(g => g.sum('price')) }}", 0),
    Case("date", "{{ $now.plus({days: 1}).startOf('day').toISO() }}", 0),
    Case("nested parameters", {"url": "x", "body": {"n": "{{ $json.a.b }}", "t": ["{{ $json.price }}", 1]}}, 0),
]


def rate(case: Case, seconds: float = 0.3) -> float:
    """Evaluations (to JSON) a second, the best of three."""
    evaluate, scope, best = compile_value(case.value).evaluate_json, Scope(ITEM), 0.0
    for _ in range(3):
        count, started = 0, time.perf_counter()
        while (spent := time.perf_counter() - started) < seconds / 3:
            for _ in range(1000):
                evaluate(scope)
            count += 1000
        best = max(best, count / spent)
    return best


def compile_microseconds(case: Case) -> float:
    started = time.perf_counter()
    for _ in range(200):
        compile_value(case.value)
    return (time.perf_counter() - started) / 200 * 1e6


def main() -> int:
    """Print a table or JSON; 1 if a budget is missed."""
    results: list[dict[str, Any]] = [
        {
            "name": case.name,
            "per_second": round(rate(case)),
            "budget": case.budget,
            "compile_us": round(compile_microseconds(case), 1),
        }
        for case in CASES
    ]
    if "--json" in sys.argv:
        print(json.dumps(results))
    else:
        print(f"{'expression':28}{'per second':>14}{'budget':>12}{'compile µs':>12}")
        for result in results:
            budget = f"{result['budget']:,}" if result["budget"] else ""
            print(f"{result['name']:28}{result['per_second']:>14,}{budget:>12}{result['compile_us']:>12}")
    return int(any(result["per_second"] < result["budget"] for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
