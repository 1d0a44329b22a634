"""Expressions in the sandbox agree with the closed evaluator, and nothing leads out of the data in either (S01)."""

# ruff: noqa: E501 - tables

import json
import math
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from domain.expressions import UNDEFINED, ExpressionError, Scope, compile_value, to_json
from domain.expressions.foreign import read_answer, read_foreign
from domain.expressions.values import Function
from domain.workflow.variables import names_in, seen
from infra.sandbox import Limits, SandboxFailed, ScriptRequest
from tests.domain.expressions.generator import DATA, Generator
from tests.domain.expressions.test_closed import CORPUS
from tests.domain.expressions.test_unsupported import LEADS_OUT
from tests.sandbox.conftest import job
from tests.support.scripts import sandbox_of_tests

ESCAPES: list[str] = json.loads((Path(__file__).parent / "escapes.json").read_text(encoding="utf-8"))
ENDLESS = ("while (true)", "for (;;)", "2**", "1e8", "1e9", "10000000", "function f() { return f() }", "Atomics.wait")
ENGINE = ("{...", "toString(36)", "toString(2)")
"""Where QuickJS is not as the standard has it, or the standard leaves room: a text spread into an object, last digits."""
ON_PURPOSE = {"expression_limit", "expression_forbidden", "expression_unsupported"}
FUZZ_SEED, FUZZ_COUNT = 5, int(os.environ.get("LINKFLOW_TEST_FUZZ", "2000"))
LIMITS = Limits(seconds=20, memory=256 << 20)
ESCAPED = re.compile(r"(?<![\d.])49\.0(?!\d)")
"""What an escape of the corpus makes of `7*7`, if it gets through to something that runs text."""


AROUND = [
    "[new Date(), A, B]", "new Map([[A, B]])", "(() => { let v = A; return B })()", "`${A}${new Date()}`", "(A) || (B)", "A[B]", "(A)(B)",
    "(function (x) { return B })(A)", "(() => { for (const k of [A]) { try { return B } catch (e) { return e } } })()", "class { x = A }",
    "({get x() { return A }}).x", "(async () => { await A; return B })()", "[...A, ...B].push(1)", "A?.[B]", "new (A)(B)", "A + B + new Date()",
    "((x = A) => { var y = x; return y })()", "({[A]: B, d: new Date()})", "JSON.stringify(A, (k, v) => B)",
]  # fmt: skip


class Stopped(Exception):
    """The sandbox stopped the whole run: for its time, its memory or its output."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def by_sandbox(sources: list[str], data: dict[str, Any], limits: Limits = LIMITS) -> list[Any]:
    """What the sandbox makes of expressions with `$json` (or `$vars`, the same), as values; ExpressionErrors stand for
    themselves."""
    given = job(sources, "expressions", [{"json": data}], vars=data)
    asked = ScriptRequest("javascript", "expressions", "", given, limits)
    try:
        answer = json.loads(sandbox_of_tests().ask(asked))
    except SandboxFailed as error:
        raise Stopped(error.code) from None
    if "error" in answer:
        raise Stopped(answer["error"]["code"])
    found = []
    for (one,) in answer["values"]:
        try:
            found.append(read_answer(one))
        except ExpressionError as error:
            found.append(error)
    return found


def shown(value: Any) -> str:
    """A value as text that is the same for the same value of both."""
    if isinstance(value, ExpressionError):
        return "error"
    if value is UNDEFINED or type(value) is Function:
        return "undefined"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(_floats(to_json(value)), sort_keys=True)


def _floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    return float(value) if type(value) is int else value


def by_us(source: str) -> Any:
    """`$vars` holds only what the expression seems to name: that has to be enough."""
    scope = Scope(DATA, variables=seen(DATA, names_in([source])), step_limit=1_000_000)
    try:
        return compile_value("{{ " + source + " }}").evaluate(scope)
    except ExpressionError as error:
        return error


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_generated_expressions_agree(seed: int) -> None:
    """Both evaluators, the sandbox's with its keys guarded: what one gives the other gives."""
    generator = Generator(seed)
    sources = [generator.expression(1 + number % 4) for number in range(700)]
    sources[::3] = [source.replace("$json", "$vars") for source in sources[::3]]
    assert sum("$vars" in source for source in sources) > 100
    guarded = [read_foreign(source + " }}", 0, "").source for source in sources]
    differ, valued = [], 0
    for source, theirs in zip(sources, by_sandbox(guarded, DATA), strict=True):
        ours = by_us(source)
        if isinstance(ours, ExpressionError) and ours.code in ON_PURPOSE:
            continue
        if shown(ours) != shown(theirs) and not any(mark in source for mark in ENGINE):
            differ.append(f"{source}\n  sandbox: {shown(theirs)[:200]} {theirs}\n  ours: {shown(ours)[:200]} {ours}")
        valued += not isinstance(ours, ExpressionError)
    assert not differ, f"{len(differ)} differ, the shortest:\n" + "\n".join(sorted(differ, key=len)[:5])
    assert valued > len(sources) * 0.6


def in_product(source: str) -> tuple[str, ...]:
    """What a workflow with this expression would send to the sandbox; the closed evaluator's part is done here."""
    try:
        compiled = compile_value("{{ " + source + " }}")
        if not compiled.foreign:
            assert not ESCAPED.search(shown(compiled.evaluate(Scope({"s": "x", "f": {"g": 1}})))), source
        return compiled.foreign
    except ExpressionError:
        return ()


def test_there_are_enough_escapes() -> None:
    assert len(ESCAPES) == len(set(ESCAPES)) >= 300


def in_sandbox(sources: list[str], data: dict[str, Any]) -> list[tuple[str, Any]]:
    """Each source with its value; what has to be stopped is run again with the others, one by one."""
    found: list[tuple[str, Any]] = []
    for at in range(0, len(sources), 150):
        chunk = sources[at : at + 150]
        try:
            found += zip(chunk, by_sandbox(chunk, data, Limits(seconds=3)), strict=True)
        except Stopped:
            for source in chunk:
                try:
                    found += [(source, by_sandbox([source], data, Limits(seconds=0.3))[0])]
                except Stopped as stopped:
                    found += [(source, ExpressionError("stopped", str(stopped)))]
    return found


def test_no_escape_gets_through() -> None:
    """As a workflow would run it, and as it stands, past everything that refuses it before."""
    corpus = [source for source in [*ESCAPES, *CORPUS[::8], *LEADS_OUT] if not any(mark in source for mark in ENDLESS)]
    sent = [foreign for source in corpus for foreign in in_product(source)]
    for source, found in in_sandbox([*sent, *corpus], {"s": "x", "f": {"g": 1}}):
        text = shown(found)
        assert not ESCAPED.search(text), (source, text)
        assert "root:" not in text


@pytest.mark.parametrize("source", [source for source in ESCAPES if any(mark in source for mark in ENDLESS)])
def test_what_eats_time_or_memory_is_stopped(source: str) -> None:
    for foreign in in_product(source):
        try:
            by_sandbox([foreign], {}, Limits(seconds=0.3, memory=64 << 20))
        except Stopped as stopped:
            assert stopped.code in {"timeout", "out_of_memory", "output_too_large"}  # noqa: PT017 - or it gave a value
    assert by_sandbox(["new Map([[1, 2]]).get(1)"], {}) == [2]


def test_random_text_finds_no_way_out() -> None:
    """FUZZ_COUNT expressions from FUZZ_SEED, made of pieces of the corpus: JSON or an error, never 49."""
    dice = random.Random(FUZZ_SEED)
    pieces = [source for source in ESCAPES if not any(mark in source for mark in ENDLESS)]
    sources = []
    for _ in range(FUZZ_COUNT):
        around, (a, b) = dice.choice(AROUND), dice.sample(pieces, 2)
        source = around.replace("A", a).replace("B", b)
        for _ in range(dice.randint(0, 2)):  # and a cut, a doubled piece, two that change places
            at, to = sorted(dice.choices(range(len(source) + 1), k=2))
            source = dice.choice([source[:at] + source[to:], source[:to] + source[at:], source[at:] + source[:at]])
        sources.append(source)
    sent = [foreign for source in sources for foreign in in_product(source)]
    assert len(sent) > FUZZ_COUNT * 0.02, len(sent)
    for source, found in in_sandbox(sent, {"s": "x"}):
        assert not ESCAPED.search(shown(found)), source


def test_an_expression_changes_nothing_for_the_next() -> None:
    sources = [
        "$json.a = 7",
        "$json.xs.push(4)",
        "(() => { $json.o.b = 1; return $json.o })()",
        "$json",
        "new Date() - Date.now()",
    ]
    data = {"a": 1, "xs": [1], "o": {}}
    assert by_sandbox(sources, data) == [7, 2, {"b": 1}, data, 0]


def test_computed_keys_are_judged_when_they_are_known() -> None:
    for key in ("'const' + 'ructor'", "`__${'proto'}__`", "['prototype']", "{toString: () => 'eval'}", "'__' + 'x'"):
        for use in (
            "new Map()[{}]",
            "(({{[{}]: c}}) => [c, new Date()])({{}})",
            "[new Date(), {{[{}]: 1}}]",
            "new Map()?.[{}]",
        ):
            source = (
                use.replace("{{", "\0").replace("}}", "\1").replace("{}", key).replace("\0", "{").replace("\1", "}")
            )
            (foreign,) = compile_value("{{ " + source + " }}").foreign
            (found,) = by_sandbox([foreign], {})
            assert isinstance(found, ExpressionError), source
            assert found.code == "expression_forbidden", (source, found)


def test_what_belongs_to_the_language_alone_is_refused_when_it_is_saved() -> None:
    for source in (
        "new Date($now.plus({days: 1}))",
        "new Map([[1, 'x'.toTitleCase()]])",
        "[DateTime.now(), new Date()]",
    ):
        with pytest.raises(ExpressionError, match="no JavaScript: do without one of them") as error:
            compile_value("{{ " + source + " }}")
        assert error.value.code == "expression_unsupported"
