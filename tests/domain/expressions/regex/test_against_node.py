"""Our regular expressions beside those of a real JavaScript engine."""

# ruff: noqa: E501 - tables

import json
import shutil
import subprocess
from typing import Any

import pytest

from domain.expressions import UNDEFINED, ExpressionError, Scope, compile_value
from tests.domain.expressions.regex.generator import RegexGenerator

NODE = shutil.which("node")
# A group that matched nothing is '' for some replace functions of V8, undefined by ECMAScript: both are '' here.
RUNNER = r"""
const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const plain = (v) => v === undefined ? '<undefined>' : Array.isArray(v) ? Array.from(v, plain) : v;
const full = (m) => m === null ? null : [plain([...m]), m.index, m.groups ? Object.entries(m.groups).map(plain) : null];
const one = ([source, flags, text]) => {
  let re;
  try { re = new RegExp(source, flags); } catch (e) { return e.name; }
  const fresh = () => new RegExp(source, flags);
  const out = [];
  out.push(full(re.exec(text)), re.lastIndex, full(re.exec(text)), re.lastIndex);
  out.push(plain(text.match(fresh())), text.search(fresh()), plain(text.split(fresh())), plain(text.split(fresh(), 2)));
  out.push(text.replace(fresh(), "<$&|$1|$`|$$>"), text.replace(fresh(), (...a) => JSON.stringify(a.filter((x) => typeof x !== 'object').map((x) => x ?? ''))));
  out.push(flags.includes('g') ? [...text.matchAll(fresh())].map(full) : 0);
  return out;
};
process.stdout.write(JSON.stringify(cases.map(one)));
"""
OURS = compile_value(
    """{{ (() => {
  const plain = v => v === undefined ? '<undefined>' : Array.isArray(v) ? v.map(x => plain(x)) : v;
  const full = m => m === null ? null : [plain(m), m.index, m.groups ? Object.entries(m.groups).map(x => plain(x)) : null];
  const fresh = () => RegExp($json.source, $json.flags);
  const re = fresh(), text = $json.text;
  const first = full(re.exec(text)), moved = re.lastIndex, second = full(re.exec(text));
  return [first, moved, second, re.lastIndex, plain(text.match(fresh())), text.search(fresh()), plain(text.split(fresh())), plain(text.split(fresh(), 2)),
    text.replace(fresh(), '<$&|$1|$`|$$>'), text.replace(fresh(), (...a) => JSON.stringify(a.filter(x => typeof x !== 'object').map(x => x ?? ''))),
    $json.flags.includes('g') ? text.matchAll(fresh()).map(m => full(m)) : 0];
})() }}"""
)


def by_node(cases: list[tuple[str, str, str]]) -> list[Any]:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", RUNNER], input=json.dumps(cases), capture_output=True, text=True, check=True, timeout=120
    )
    results: list[Any] = json.loads(done.stdout)
    return results


def by_us(case: tuple[str, str, str]) -> Any:
    source, flags, text = case
    try:
        value = OURS.evaluate(Scope({"source": source, "flags": flags, "text": text}, step_limit=1_000_000))
    except ExpressionError as error:
        return error.code
    assert value is not UNDEFINED
    return value


@pytest.mark.skipif(NODE is None, reason="Node.js is not on this machine: nothing to compare with")
@pytest.mark.parametrize("seed", range(3))
def test_random_patterns_give_what_node_gives(seed: int) -> None:
    generator = RegexGenerator(seed)
    cases = [generator.case() for _ in range(3000)]
    found, matched = [], 0
    for case, theirs in zip(cases, by_node(cases), strict=True):
        if "u" in case[1] and "\\B" in case[0] and max(case[2], default="") > "\uffff":
            continue  # V8 also looks between the halves of a surrogate pair, ECMAScript does not
        ours = by_us(case)
        if theirs == "SyntaxError":
            if ours != "expression_syntax":
                found.append(f"{case}\n  node: SyntaxError\n  ours: {json.dumps(ours)[:400]}")
        elif ours != theirs:
            found.append(f"{case}\n  node: {json.dumps(theirs)[:600]}\n  ours: {json.dumps(ours)[:600]}")
        else:
            matched += theirs[0] is not None
    assert not found, f"{len(found)} differ, the shortest:\n" + "\n".join(sorted(found, key=len)[:8])
    assert matched > len(cases) * 0.3
