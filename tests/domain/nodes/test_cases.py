"""Small workflows kept as data (tests/golden/cases), each through the decider and with every pure run in the pool.

A case: `says`, `nodes` ([id, type, parameters, other fields?]; the manual trigger `start` is there), `links`, `input`,
and one of `output` (jsons of the execution's output), `runs` (node → jsons of its last run on `main`), `ports` (node →
port → jsons of its last run), `fails` ([node, code]). Expressions' results were computed by node.js, others by hand.
"""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from domain.execution import course
from tests.domain.execution.test_vectors import matches
from tests.support.executions import Run, node, workflow

FOLDER = Path(__file__).parents[2] / "golden" / "cases"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['says']}")
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]


def run_of(case: dict[str, Any]) -> Run:
    nodes = [node("start", "manual")]
    nodes += [
        node(id_, type_, parameters, **(rest[0] if rest else {})) for id_, type_, parameters, *rest in case["nodes"]
    ]
    return Run(workflow(nodes, *case["links"], **case.get("settings", {}))).start(case["input"]).settle()


def jsons(made: list[dict[str, Any]]) -> list[Any]:
    return [item["json"] for item in made]


def check(case: dict[str, Any], run: Run) -> None:
    if "fails" in case:
        assert run.status == "failed"
        assert [run.error.node_id, run.error.code] == case["fails"]
        return
    assert run.status == "completed", run.error
    if "output" in case:
        assert matches(case["output"], jsons(run.output)), run.output
    for id_, expected in case.get("runs", {}).items():
        assert matches(expected, jsons(run.nodes[id_][-1].get("main", []))), run.nodes[id_]
    for id_, expected in case.get("ports", {}).items():
        found = {port: jsons(made) for port, made in run.nodes[id_][-1].items()}
        assert matches(expected, found), found
    assert {"output", "runs", "ports"} & set(case), "the case expects nothing"


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    check(case, run_of(case))


@pytest.mark.parametrize("case", CASES)
def test_case_in_the_compute_pool(case: dict[str, Any]) -> None:
    with patch.object(course, "HEAVY", -1):
        check(case, run_of(case))


def test_there_are_cases() -> None:
    assert len(CASES) >= 60
