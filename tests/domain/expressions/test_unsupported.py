"""Valid JavaScript that is not covered says exactly that; what leads out of the data is refused, whatever else is wrong."""

# ruff: noqa: E501 - tables

from typing import Any

import pytest

from domain.expressions import ExpressionError, Scope, compile_value
from tests.domain.expressions.test_against_node import NODE

UNSUPPORTED = [
    "new Date()",
    "new Map([[1,2]])",
    "async x => x",
    "async () => 1",
    "async (a, b) => 1",
    "await x",
    "function(){}",
    "(function(){ return 1 })()",
    "class A {}",
    "delete $json.a",
    "$json.a = 1",
    "$json.a += 1",
    "$json.n++",
    "++$json.n",
    "--$json.n",
    "(1, 2)",
    "1n",
    "tag`x`",
    "1 instanceof Object",
    "({get a() { return 1 }})",
    "({set a(v) {}})",
    "({a() { return 1 }})",
    "({async a() {}})",
    "({*g() {}})",
    "(() => { for (const x of [1]) {} })()",
    "(() => { while (true) {} })()",
    "(() => { do {} while (0) })()",
    "(() => { try { } catch {} })()",
    "(() => { throw 1 })()",
    "(() => { switch (1) {} })()",
    "(() => { var x = 1; return x })()",
    "(() => { let x; return x })()",
    "(() => { let x = 1; x = 2; return x })()",
    "(() => { function f() {} })()",
    "(() => { label: 1 })()",
    "(() => { debugger })()",
    "(() => { class B {} })()",
    "Math.random()",
    "Symbol('x')",
    "Symbol.iterator",
    "BigInt(1)",
    "Date.UTC(2020)",
    "Date.parse('2020')",
    "Date()",
    "Intl.NumberFormat()",
    "Promise.resolve(1)",
    "Map.groupBy([], x => x)",
    "Error('x')",
    "TypeError('x')",
    "Set",
    "WeakMap",
    "ArrayBuffer",
    "Uint8Array.from([1])",
    "escape('x')",
    "unescape('x')",
    "Object.freeze({})",
    "Object.getOwnPropertyNames({})",
    "Array.fromAsync([])",
    "String.raw`x`",
    "String.raw({raw: ['a']})",
    "Math.sumPrecise([1])",
    "JSON.rawJSON('1')",
    "'x'.anchor('y')",
    "'x'.isWellFormed()",
    "'x'.toWellFormed()",
    "(1).toLocaleString()",
    "[1].toLocaleString()",
    "[1].push(2)",
    "[1].copyWithin(0)",
    "(x => x).call(null, 1)",
    "(x => x).apply(null, [1])",
    "(x => x).bind(null)",
    "parseInt.call(null, '1')",
    "/a/v",
    "/\\p{Script=Greek}/u",
    "/(?i:a)/",
    "JSON.stringify({}, x => x)",
    "arguments[0]",
    "arguments",
    "[x, y] = [1, 2]",
    "({a} = {a: 1})",
    "a ||= 1",
    "$json.a ??= 1",
    "`${1}` `x`",
    "new.target",
    "$json instanceof Array",
    "$now.toLocaleString()",
    "parseInt.call(null, '1')",
]
LEADS_OUT = [
    "Object.create(null)",
    "import('fs')",
    "import.meta",
    "Object.prototype",
    "Reflect.get({}, 'a')",
    "Proxy({}, {})",
    "globalThis",
    "this",
    "this.a",
    "WebAssembly",
    "Object.getPrototypeOf({})",
    "Object.setPrototypeOf({}, {})",
    "Object.defineProperty({}, 'a', {})",
    "Object.getOwnPropertyDescriptor({}, 'a')",
    "Atomics",
    "SharedArrayBuffer",
    "FinalizationRegistry",
    "AsyncFunction('x')",
    "new Function('return 1')",
    "(function(){}).constructor('return process')()",
    "new (class { constructor() {} })().x",
    "(() => { for (const k in []) k.__proto__ })()",
    "[1, 2].sort(function(a, b) { return eval('a - b') })",
    "new Map([[`${(() => 1).constructor}`, 1]])",
    "await globalThis.fetch('x')",
    "$json.a = [].constructor",
    "async () => import('fs')",
    "x => { try { return this } catch {} }",
    "({get a() { return Reflect }})",
    "1 instanceof Function",
]


def code_of(source: str) -> str:
    with pytest.raises(ExpressionError) as error:
        compile_value("{{ " + source + " }}").evaluate_json(Scope({"a": 1, "n": 1}))
    return error.value.code


@pytest.mark.parametrize("source", UNSUPPORTED)
def test_what_is_not_covered_says_so(source: str) -> None:
    assert code_of(source) == "expression_unsupported"


RUN_TIME = {"$now.toLocaleString()"}  # refused: the language's own dates, and JavaScript's method


@pytest.mark.parametrize("source", [source for source in UNSUPPORTED if source not in RUN_TIME])
def test_it_is_known_when_the_workflow_is_saved(source: str) -> None:
    assert compile_value("{{ " + source + " }}").foreign, source


@pytest.mark.parametrize("source", LEADS_OUT)
def test_what_leads_out_is_never_handed_on(source: str) -> None:
    assert code_of(source) == "expression_forbidden"
    assert code_of(f"[new Date(), ({source})]") == "expression_forbidden"


@pytest.mark.parametrize(
    ("source", "code"),
    [("process.env", "expression_reference"), ("1 +", "expression_syntax"), ("'x'.zork()", "expression_type"), ("[1].map(2)", "expression_type")],
)  # fmt: skip
def test_other_errors_are_not_handed_on_either(source: str, code: str) -> None:
    assert code_of(source) == code


@pytest.mark.parametrize("json", [{"Proxy": 1, "this": 2, "import": 3, "globalThis": 4}])
def test_data_may_have_such_names(json: dict[str, Any]) -> None:
    compiled = compile_value("{{ $json.Proxy + $json.this + $json.import + $json['globalThis'] }}")
    assert compiled.evaluate_json(Scope(json)) == 10


def test_text_around_an_expression_says_nothing_about_it() -> None:
    assert compile_value("{{ new Date() }} is no constructor of {{ 1 }}").foreign == ("new Date()",)


@pytest.mark.skipif(NODE is None, reason="Node.js is not on this machine: nothing to compare with")
def test_what_is_called_valid_javascript_is() -> None:
    import json
    import subprocess

    program = r"""
    const sources = JSON.parse(require('fs').readFileSync(0, 'utf8'));
    const parses = (s) => { try { new Function('$json', 'return async () => (' + s + '\n)'); return true } catch (e) { return false } };
    process.stdout.write(JSON.stringify(sources.filter((s) => !parses(s))));
    """
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", program], input=json.dumps(UNSUPPORTED), capture_output=True, text=True, check=True
    )
    too_new = {r"/(?i:a)/"}  # modifiers are younger than this engine
    assert set(json.loads(done.stdout)) - too_new == set()
