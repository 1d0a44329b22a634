"""No expression holds a worker up or fills its memory, and every refusal is an ExpressionError."""

# ruff: noqa: E501 - tables

import time
import tracemalloc

import pytest

from domain.expressions import ExpressionError, Scope, compile_value

ENDLESS = [
    "(f => f(f))(f => f(f))",
    "((f, n) => f(f, n + 1))((f, n) => f(f, n + 1), 0)",
    "(() => { const f = n => f(n + 1); return f(0) })()",
    "'a'.repeat(1e9)",
    "'a'.repeat(1e6).repeat(1e6)",
    "'a'.padStart(1e9)",
    "'a'.padEnd(4e6, 'ab').padEnd(1e12)",
    "Array(1e9)",
    "Array.from({length: 1e9})",
    "Array.from({length: 99999}, () => 'x'.repeat(1e6))",
    "Array(90000).fill('x'.repeat(5e6)).join()",
    "Array(90000).fill('x'.repeat(5e6)).sort()",
    "Array(90000).fill('x'.repeat(5e6)).includes('x'.repeat(5e6 - 1) + 'y')",
    "JSON.stringify(Array(90000).fill('x'.repeat(5e6)))",
    "(s => Array(90000).fill(0).map(() => s + 'x'))('x'.repeat(1e6))",
    "((a, b) => Array(90000).fill(0).filter(() => a === b).length)('x'.repeat(4e6), 'x'.repeat(4e6))",
    "((a, b) => Array(90000).fill(0).filter(() => a < b).length)('x'.repeat(4e6), 'x'.repeat(4e6))",
    "((o, k) => Array(90000).fill(0).filter(() => o[k]).length)({['x'.repeat(4e6)]: 1}, 'x'.repeat(4e6))",
    "(s => Array(90000).fill(0).map(() => s.at(5)))('😀'.repeat(2e6))",
    "(s => Array(90000).fill(0).map(() => s.length))('9'.repeat(4e6)).map(() => Number('9'.repeat(4e6)))",
    "Array(20).fill(0).reduce(a => a.replaceAll('a', 'aaaaaaaaaa'), 'a')",
    "Array(60).fill(0).reduce(a => a + a, 'ab')",
    "Array(60).fill(0).reduce(a => [...a, ...a], [1])",
    "Array(60).fill(0).reduce(a => a.concat(a), [1])",
    "Array(60).fill(0).reduce(a => [a, a], 1)",
    "String(Array(60).fill(0).reduce(a => [a, a], 1))",
    "JSON.stringify(Array(60).fill(0).reduce(a => ({a, b: a}), 1))",
    "Array(60).fill(0).reduce(a => [a, a], 1).flat(Infinity)",
    "Array(60).fill(0).reduce(a => [a, a], 1) == 'x'",
    "String(Array(90000).fill(0).reduce(a => [a], 1))",
    "Array(90000).fill(0).reduce(a => ({a}), 1)",
    "((d) => d.flatMap(a => d.flatMap(b => d.flatMap(c => d.flatMap(e => d.map(f => f))))))([1,2,3,4,5,6,7,8,9,0])",
    "Math.max(...Array(99999).fill(0), ...Array(99999).fill(0))",
    "'x'.repeat(5e6).split('')",
    "[...'x'.repeat(5e6)]",
    "({...'x'.repeat(5e6)})",
    "encodeURIComponent('😀'.repeat(2e6))",
    "JSON.parse('['.repeat(5e5))",
    "('x'.repeat(60) + '!').match(/^(x+)\\1*(x+)\\2*(x+)\\3*(x+)\\4*$/)",
    "('x'.repeat(1e6) + '!').replace(/(x|y)*?z/g, '')",
    "Array(90000).fill('x'.repeat(1e6)).map(s => s.match(/x*y/))",
    "'x'.repeat(1e6).split(/(?:)/)",
    "'x'.repeat(5e6).match(/x/g)",
    "'x'.repeat(4e6).replace(/x/g, 'yyyyy')",
    "'x'.repeat(1e5).matchAll(/(x)(x)(x)(x)(x)(x)(x)(x)(x)(x)(x)(x)(x)?/g).map(m => m.input.toUpperCase() + 'a')",
    "RegExp('(?:x?){1000}'.repeat(50)).test('x')",
    "10 ** 400 > 1 ? 'x'.repeat(Infinity) : 0",
]  # fmt: skip


@pytest.mark.parametrize("source", ENDLESS)
def test_heavy_expressions_end_soon(source: str) -> None:
    compiled = compile_value("{{ " + source + " }}")
    started = time.process_time()
    with pytest.raises(ExpressionError) as error:
        compiled.evaluate_json(Scope({}))
    assert error.value.code in {"expression_limit", "expression_range"}
    assert time.process_time() - started < 3


def test_heavy_expressions_stay_small() -> None:
    tracemalloc.start()
    for source in ENDLESS[3:17]:
        with pytest.raises(ExpressionError):
            compile_value("{{ " + source + " }}").evaluate_json(Scope({}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000_000


@pytest.mark.parametrize(
    "source",
    [
        "(" * 10_000 + "1" + ")" * 10_000,
        "[" * 10_000 + "]" * 10_000,
        "{a:" * 10_000 + "1" + "}" * 10_000,
        "!" * 10_000 + "1",
        "-" + " -" * 10_000 + "1",
        "1+" * 10_000 + "1",
        "2**" * 10_000 + "2",
        "1?" * 5_000 + "1" + ":1" * 5_000,
        "`${" * 3_000 + "1" + "}`" * 3_000,
        "a=>" * 5_000 + "1",
        "$json" + ".a" * 20_000,
        "$json" + "?.a" * 20_000,
        "$json" + "[0]" * 20_000,
        "$json" + "()" * 20_000,
        "(" * 30_000,
        "/* " * 30_000,
        "`${" * 30_000,
        "(a=>{" * 5_000,
        "1 || " * 20_000 + "1",
        "'" + "x" * 200_000 + "'",
    ],
    ids=lambda source: source[:10],
)
def test_monstrous_sources_are_refused(source: str) -> None:
    started = time.process_time()
    with pytest.raises(ExpressionError) as error:
        compile_value("{{ " + source + " }}")
    assert error.value.code in {"expression_limit", "expression_syntax", "expression_unsupported"}
    assert time.process_time() - started < 3
    assert len(error.value.message) < 300


def test_ordinary_sizes_fit() -> None:
    rows = [{"id": n, "price": n / 10, "tags": ["a", "b"]} for n in range(10_000)]
    source = (
        "$json.rows.filter(r => r.price > 10).map(r => ({id: r.id, label: `${r.id}: ${r.price.toFixed(2)}`})).length"
    )
    assert compile_value("{{ " + source + " }}").evaluate(Scope({"rows": rows})) == 9_899
    text = "ab,cd;" * 10_000
    assert (
        len(compile_value("{{ $json.t.split(';').map(x => x.toUpperCase()) }}").evaluate(Scope({"t": text}))) == 10_001
    )
    assert len(compile_value("{{ JSON.stringify($json) }}").evaluate(Scope({"rows": rows}))) > 100_000
    chain = " + ".join(["$json.a"] * 100)
    assert compile_value("{{ " + chain + " }}").evaluate(Scope({"a": 1})) == 100


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^(a+)+$", "a" * 3000 + "!"),
        (r"^(a|a)*$", "a" * 3000 + "!"),
        (r"^(a|aa)+$", "a" * 3000 + "!"),
        (r"(x+x+)+y", "x" * 3000),
        (r"(.*)*b", "a" * 3000),
        (r"\s+$", " " * 20_000 + "x"),
        (r"a*a*a*a*a*a*b", "a" * 2000),
        (r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$", "a" * 2000 + "!"),
        (r"(?=(a+)+b)a", "a" * 100),
        (r"(?:a|b|ab)*c", "ab" * 1500),
        (r"^(?:(?:a?)*)*$", "a" * 1500 + "b"),
    ],
)  # fmt: skip
def test_patterns_that_hang_backtracking_engines_are_decided(pattern: str, text: str) -> None:
    compiled = compile_value("{{ RegExp($json.p).test($json.t) }}")
    started = time.process_time()
    assert compiled.evaluate(Scope({"p": pattern, "t": text})) is False
    assert time.process_time() - started < 1


def test_each_evaluation_has_its_own_budget() -> None:
    compiled = compile_value("{{ $json.xs.map(x => x + 1).length }}")
    scope = Scope({"xs": list(range(60))}, step_limit=100)
    assert [compiled.evaluate(scope) for _ in range(10)] == [60] * 10
    scope.json = {"xs": list(range(200))}
    with pytest.raises(ExpressionError) as error:
        compiled.evaluate(scope)
    assert error.value.code == "expression_limit"
