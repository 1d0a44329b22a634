"""Nothing of Python can be reached: whatever is written, the result is JSON or an ExpressionError."""

# ruff: noqa: E501 - tables

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from domain.expressions import UNDEFINED, ExpressionError, NodeOutputs, Scope, compile_value

BASES = [
    "''",
    "[]",
    "({})",
    "(1)",
    "true",
    "(() => 1)",
    "$json",
    "$json.s",
    "$json.f.g",
    "Math",
    "JSON.parse",
    "$input",
    "$('a')",
    "$now",
    "parseInt",
    "''.at",
    "[].map",
    "/a/g",
    "'a'.match(/a/)",
    "DateTime",
    "DateTime.now",
    "$input.item",
]
DUNDERS = [
    "__class__",
    "__proto__",
    "__globals__",
    "__mro__",
    "__subclasses__",
    "__init__",
    "__dict__",
    "__builtins__",
    "__code__",
    "__getattribute__",
    "__reduce__",
    "__import__",
]
FORBIDDEN = ["constructor", "prototype", "eval", "Function", *DUNDERS]
PYTHON = ["call", "gi_frame", "f_globals", "tb_frame", "format", "format_map", "mro", "encode", "decode", "items", "members", "charge", "steps", "node", "ports", "real", "zfill", "translate", "isoformat", "_local", "maketrans", "append", "func_globals"]  # fmt: skip
ALONE = [
    "eval('1')", "Function('return 1')()", "this", "globalThis", "window", "process.env", "require('fs')", "import('fs')", "exec('1')", "open('/etc/passwd')",
    "getattr($json, 'x')", "vars()", "self", "os.system('id')", "new Function('x')", "(function(){})()", "class A {}", "arguments", "module", "constructor",
    "__proto__", "__import__('os')", "prototype", "async () => 1", "await 1", "yield 1", "super.x", "new.target", "import.meta", "lambda: 1", "f'{1}'",
    "[x for x in y]", "1 if 2 else 3", "$json.constructor.constructor('return process')()", "[]['map']['constructor']('x')()", "$json?.constructor",
    "({a: 1})?.['con' + 'structor']", "({['__proto__']: 1})", "({__proto__: null})", "({'__proto__': null})", "({constructor: 1})", "(({constructor: c}) => c)({})",
    "(({['con' + 'structor']: c}) => c)({})", "(({__proto__}) => 1)({})", "(constructor => 1)(1)", "((...__x) => 1)()", "`${[].constructor}`",
    "'constructor' in {}", "'__class__' in Math", "$json[['__class__']]", "$json[{toString: () => '__class__'}]", "$json['\\u005f_class__']", "$json.\\u0063onstructor",
    "Object.getPrototypeOf({})", "Object.defineProperty({}, 'a', {})", "Reflect.get", "Proxy", "Symbol.iterator", "WebAssembly", "parseInt.call", "parseInt.bind(1)", "[].map.apply([], [])",
    "Object.constructor", "Math.constructor", "JSON['__class__']", "(x => x).constructor('1')", "(x => x)['__globals__']", "'{0.__class__}'.format(1)", "'%s'.mod(1)", "$now.__class__",
    "$now['_local']", "$('a').ports", "$('a').items", "$input.charge(1)", "$json.s.encode('utf-8')", "'a'.join(['b'])", "'x'.translate", "[].append", "[].copy", "({}).items()",
    "({}).get('a')", "(1).real", "(1).bit_length()", "true.numerator", "String.prototype", "Array.prototype", "Object.keys.name", "(() => 1).name", "parseInt.members",
    "ｃonstructor", "$json.ｃonstructor.x", "$json['ｃonstructor'].x", "$json.__ｃlass__",
]  # fmt: skip
BEYOND = [
    "'x'.replace(/x/, eval)", "'x'.replace(/x/, (m, i, s) => s.constructor)", "'x'.replace(/(?<__proto__>x)/, '$<__proto__>')", "'a'.match(/(?<constructor>a)/).groups.constructor",
    "'a'.match(/a/).groups", "'a'.match(/a/).input", "'a'.match(/a/)['in' + 'put']", "/a/.program", "/a/.last_index", "/a/.text()", "/a/.has('g')", "/a/g.lastIndex = 1", "/a/.exec.call",
    "RegExp.prototype", "RegExp('(', 'x')", "RegExp.input", "RegExp.$1", "RegExp('\\\\p{L}', 'u').test('a')", "/a/[Symbol.match]", "/(?<a>x)(?<a>y)/", "/\\1{99999}/", "/a{9999999999999999999999999}/",
    "DateTime.fromISO.constructor", "DateTime.__class__", "DateTime['of_' + 'local']", "$now.of_local(1)", "$now.millis", "$now.zone", "$now.shifted({}, 1)", "$now.local.tzinfo",
    "DateTime.fromISO('2025-01-01', {zone: '../../etc/passwd'})", "$now.setZone('/etc/passwd')", "$now.setZone('..')", "$now.format('__class__')", "$now.toFormat(`${[].constructor}`)", "$now.extract('__class__')",
    "$now.set({__class__: 1})", "$now.set({tzinfo: 1})", "$now.set({fold: 1})", "$now.diff($now, ['__class__'])", "$now.plus({__init__: 1})", "'x'.hash('__class__')", "'x'.hash('shake_128')", "'x'.hash('sha256').__class__",
    "[{a: 1}].pluck('__class__')", "[{a: 1}].pluck('a.__class__')", "[{a: 1}].groupBy('__class__')", "[{a: 1}].sortBy('constructor')", "[{}].smartJoin('__proto__', 'x')", "({}).getField('__class__')", "({}).getField('a.constructor')",
    "({a: 1}).renameKeys('a', '__proto__')", "({a: 1}).hasField('__proto__')", "({a: 1}).keepFields('__proto__')", "({a: 1}).mapValues(eval)", "({}).merge({__proto__: 1})", "({}).mergeDeep(JSON.parse('{\"__proto__\": {\"x\": 1}}')).x",
    "[].sumBy('__class__')", "'{0.__class__}'.quote()", "'%(a)s'.urlDecode()", "'{{ 7*7 }}'.removeTags()", "'\\x00'.before('\\0')", "'a'.parseJson()", "'{\"__proto__\": 1}'.parseJson().__proto__", "(1).format(2, eval)", "(1).toCurrency('__c')",
    "(1).format.__globals__", "[].first.__code__", "'x'.toDateTime.call", "[].unique.bind([])", "$('a').of_run(0)", "$('a').origin", "$('a').lost", "$input.origin", "$('a').item.origin", "$input.item.origin.constructor",
]  # fmt: skip
CORPUS = [
    *ALONE,
    *BEYOND,
    *(f"{base}.{name}" for base in BASES for name in [*FORBIDDEN, *PYTHON]),
    *(f"{base}['{name[:3]}' + '{name[3:]}']" for base in BASES for name in [*FORBIDDEN, *PYTHON]),
    *(f"{base}.{name}()" for base in BASES for name in PYTHON),
]

_watched: list[str] = []
_watching = False


def _audit(event: str, _arguments: tuple[Any, ...]) -> None:
    if _watching and event.split(".", maxsplit=1)[0] in {
        "open",
        "exec",
        "import",
        "socket",
        "subprocess",
        "os",
        "ctypes",
        "compile",
    }:
        _watched.append(event)


sys.addaudithook(_audit)


@contextmanager
def watched() -> Iterator[list[str]]:
    """What Python's audit events say about files, imports, code and sockets meanwhile."""
    global _watching
    _watched.clear()
    _watching = True
    try:
        yield _watched
    finally:
        _watching = False


def is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(is_json, value))
    if isinstance(value, dict):
        return all(type(key) is str and is_json(item) for key, item in value.items())
    return value is None or type(value) in {bool, int, float, str}


def run(source: str) -> Any:
    """The JSON result, UNDEFINED, or the code of the error."""
    outputs = NodeOutputs({"main": [{"json": {"v": 1}}]}, "main")
    scope = Scope({"s": "x", "f": {"g": [1]}}, node=lambda _: outputs, items=[{"json": {}}], now=1_763_923_560_000)
    try:
        result = compile_value("{{ " + source + " }}").evaluate_json(scope)
    except ExpressionError as error:
        return error
    assert result is UNDEFINED or is_json(result), source
    return result


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Time zones, codecs and hints are loaded once, before anything is watched."""
    run("$now")
    run("'é😀'.length")
    run("zork")


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize("base", BASES)
def test_forbidden_names_are_refused_in_every_form(base: str, name: str) -> None:
    half = len(name) // 2
    for source in [
        f"{base}.{name}", f"{base}?.{name}", f"{base}['{name}']", f"{base}?.['{name}']", f"{base}[`{name}`]", f"{base}.{name}()",
        f"{base}['{name[:half]}' + '{name[half:]}']", f"{base}[['{name}']]", f"(({{{name}: x}}) => x)({base})",
        f"({{['{name[:half]}' + '{name[half:]}']: 1}})", f"(x => {base}[x])('{name}')", f"{base}['{name[:half]}' + '{name[half:]}'](1)",
    ]:  # fmt: skip
        error = run(source)
        assert isinstance(error, ExpressionError), source
        assert error.code == "expression_forbidden", source


def test_no_escape_reaches_anything() -> None:
    assert len(CORPUS) > 1_500
    with watched() as events:
        for source in CORPUS:
            run(source)
    assert events == []


def test_no_python_attribute_is_a_member() -> None:
    for base in BASES:
        for name in PYTHON:
            result = run(f"typeof ({base}).{name}")
            assert result == "undefined" or (name == "format" and base in {"$now", "(1)"}), (base, name)


def test_random_text_gives_json_or_an_error() -> None:
    chance = random.Random(7)
    pieces = [
        "$json", "$('a')", ".a", "[", "]", "(", ")", "{", "}", "=>", "x", ",", "'s'", "1", "+", "...", "?.", "`", "${", "?", ":", "!", "typeof ",
        " in ", "**", ".map", ".constructor", "__x", "=", ";", "return ", "const ", "/", "\\", "'", '"', "\n", "null", "??", "&&", "-", "0x", "1e", "}}", "{{", "😀", "\ud800",
        "/a(?<n>b)*/g", "/", "/[", ".match(", ".replace(", ".exec(", "$now", "DateTime.", "fromISO(", ".first()", ".groupBy(", ".sortBy(", ".toTitleCase()", ".hash(", ".plus(", "async ", "new ", "get ",
    ]  # fmt: skip
    for _ in range(40_000):
        run("".join(chance.choices(pieces, k=chance.randint(1, 12))))


def test_keys_of_data_may_have_any_name_but_are_not_read() -> None:
    assert run('Object.keys(JSON.parse(\'{"__proto__": 1, "constructor": 2}\'))') == ["__proto__", "constructor"]
    assert run('JSON.parse(\'{"__proto__": {"x": 1}}\').x') is UNDEFINED
    assert run("({}).x") is UNDEFINED
