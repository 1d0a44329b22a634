"""There is one way to run a user's text, and names and data of users are never anything but names and data."""

# ruff: noqa: E501 - programs in one line each

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from domain.expressions import ExpressionError
from domain.nodes.node_type import Pure
from domain.nodes.parameters import Parameters
from domain.nodes.registry import NODE_TYPES
from tests.domain.nodes.test_examples import EXAMPLES
from tests.sandbox.conftest import Ask
from tests.support.executions import Run, node, workflow

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "schemas", "projections", "infra", "services", "linkflow")
RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
STARTS_PROGRAMS = {
    "infra/postgres/embedded.py", "infra/postgres/server_user.py", "infra/processes.py", "infra/sandbox/layout.py",
    "infra/sandbox/zygote.py", "services/cli/supervisor.py", "services/cli/up.py",
}  # fmt: skip
"""Modules that start other programs, none with anything of a user in its arguments."""


@cache
def modules() -> list[tuple[str, ast.Module]]:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for each in ast.walk(tree):
        if isinstance(each, ast.Call):
            name = ast.unparse(each.func)
            yield name, each


def test_only_the_sandbox_runs_text() -> None:
    """S03: no module outside of infra/sandbox/inside hands text to an interpreter, Python's or another."""
    for path, tree in modules():
        if path.startswith("infra/sandbox/inside/"):
            continue
        for name, call in calls(tree):
            assert name not in RUNS_TEXT, f"{path}:{call.lineno} calls {name}"
        for each in ast.walk(tree):
            if isinstance(each, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in each.names] + [getattr(each, "module", None) or ""]
                assert not {"quickjs", "_quickjs", "py_mini_racer"} & {name.split(".")[0] for name in names}, path


def test_every_node_type_that_runs_code_goes_through_the_one_runner() -> None:
    able = []
    for name, node_type in NODE_TYPES.items():
        values = node_type.examples[0].parameters if node_type.examples else {}
        operation = node_type.bind(Parameters(node_type.parameters, values, lambda _path, _message: None))
        if isinstance(operation, Pure) and operation.script is not None:
            able.append(name)
    assert able == ["code"]
    literal = [name for name, node_type in NODE_TYPES.items() if any(each.literal for each in node_type.parameters)]
    assert literal == ["code"]


def test_programs_are_started_in_few_places_and_never_by_a_shell() -> None:
    """S15, S16."""
    for path, tree in modules():
        for name, call in calls(tree):
            starts = name.startswith("subprocess.") or name in {"os.system", "os.popen", "os.execv", "os.spawnv"}
            starts = starts or "create_subprocess" in name
            assert not starts or path in STARTS_PROGRAMS, f"{path}:{call.lineno} starts a program: {name}"
            assert "subprocess_shell" not in name
            assert name not in {"os.system", "os.popen"}
            assert not any(word.arg == "shell" for word in call.keywords), f"{path}:{call.lineno}"


CANARY = "{{ 7*7 }}"
CANARIES = [CANARY, "${7*7}", "#{7*7}", "<%= 7*7 %>", "{{ $json.constructor }}", "`${7*7}`", "__7*7__"]


@pytest.mark.parametrize(
    ("type_", "example"), [each for each in EXAMPLES if not NODE_TYPES[each.values[0]].credential_required]
)
def test_data_is_never_evaluated(type_: str, example: Any) -> None:
    """S04: canaries in every text of every example's input; what comes out has them as they are, or fails."""
    inputs = example.items if isinstance(example.items, dict) else {"main": example.items}
    for canary in CANARIES:
        given = {port: [_with(item, canary) for item in items] for port, items in inputs.items()}
        nodes = [
            node("start", "manual"),
            node("x", type_, dict(example.parameters)),
            node("y", "set", {"fields": {"z": 1}}),
        ]
        links = ["x -> y"] if "main" in _outputs(type_, example) else []
        for port in inputs:
            nodes.append(node(port, "split_out", {"field": port}))
            links += [f"start -> {port}", f"{port} -> x.{port}"]
        run = Run(workflow(nodes, *links)).start([given]).settle()
        text = json.dumps([event.outputs for event in run.events if hasattr(event, "outputs")])
        assert not re.search(r"(?<![0-9a-f])49(?![0-9a-f])", text.replace(canary, "")), text


def _with(value: Any, canary: str) -> Any:
    if isinstance(value, str):
        return f"{value}{canary}"
    if isinstance(value, list):
        return [_with(item, canary) for item in value]
    if isinstance(value, dict):
        return {name: _with(item, canary) for name, item in value.items()} | {"canary": canary}
    return value


def _outputs(type_: str, example: Any) -> tuple[str, ...]:
    node_type = NODE_TYPES[type_]
    return node_type.bind(Parameters(node_type.parameters, dict(example.parameters), lambda _p, _m: None)).outputs


async def test_code_gets_data_as_data(ask: Ask) -> None:
    for canary in [*CANARIES, "'); throw 1; ('", "\u2028", "\\", "</script>", "\0", "\ud800"]:
        for language, source in (("javascript", "return {got: $json.x}"), ("python", "return {'got': _json.x}")):
            answer = await ask(source, language, items=[{"json": {"x": canary}}])
            assert answer["items"][0]["json"]["got"] in {canary, "\ufffd"}, (language, canary, answer)


NAMES = ["../../etc/passwd", "a\0b", "a\nb", "$(id)", "`id`", "x" * 100, "раураl", "--upload-pack=touch /tmp/x", "; rm -rf /", "%00", "a'b\"c", "__proto__", "constructor"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_are_only_names(name: str) -> None:
    """S15, S16: nodes of such names run code, and code asks for them."""
    quoted = json.dumps(name)
    python = f"return {{'got': _({quoted}).first().json.v, 'name': _workflow.name}}"
    run = Run(
        workflow(
            [
                node("start", "manual"),
                node(name, "set", {"fields": {"v": 7}}),
                node("js", "code", {"source": f"return {{got: $({quoted}).first().json.v, name: $workflow.name}}"}),
                node("py", "code", {"language": "python", "source": python}),
            ],
            "start -> js",
        )
        | {
            "name": name,
            "connections": [
                {"from": a, "output": "main", "to": b, "input": "main"}
                for a, b in (("start", name), (name, "js"), ("js", "py"))
            ],
        }
    )
    run.start([{}]).settle()
    assert run.status == "completed", run.events[-1]
    for id_ in ("js", "py"):
        assert run.nodes[id_][0]["main"][0]["json"] == {"got": 7, "name": name}


FORBIDDEN_FIELDS = ["__proto__", "__class__.x", "a.__globals__.b", "a.__proto__", "__init__.__globals__"]


@pytest.mark.parametrize("field", FORBIDDEN_FIELDS)
def test_deep_setting_refuses_names_of_the_inside(field: str) -> None:
    """S17: when it is saved, or, where the names are computed, when it runs; other executions see nothing of it."""
    from domain.errors import InvalidDocument

    fixed = workflow([node("start", "manual"), node("x", "set", {"fields": {field: 1}})], "start -> x")
    with pytest.raises(InvalidDocument, match="cannot be set"):
        Run(fixed)
    computed = workflow([node("start", "manual"), node("x", "set", {"fields": "{{ $json }}"})], "start -> x")
    run = Run(computed).start([json.loads(json.dumps({field: 1}))]).settle()
    assert run.status == "failed"
    assert run.error.code == "bad_parameter"
    after = Run(computed).start([{"fine": 1}]).settle()
    assert after.output[0]["json"] == {"fine": 1}


async def test_prototypes_are_one_runs_own(ask: Ask) -> None:
    """S17 in code: what a run does to prototypes, also by data, is gone with it."""
    evil = [{"json": json.loads('{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}')}]
    merge = "const deep = (a, b) => { for (const k in b) a[k] = typeof b[k] === 'object' ? deep(a[k] ?? {}, b[k]) : b[k]; return a }; deep({}, $json); return {}"
    await ask(merge, items=evil)
    assert (await ask("return {seen: ({}).polluted ?? null}"))["items"][0]["json"] == {"seen": None}


def test_where_an_expression_needs_the_sandbox_and_it_cannot() -> None:
    from domain.errors import InvalidDocument

    for type_, parameters in (("loop", {"batch_size": "{{ new Map().size }}"}),):
        with pytest.raises((InvalidDocument, ExpressionError)):
            Run(workflow([node("start", "manual"), node("x", type_, parameters)], "start -> x"))
