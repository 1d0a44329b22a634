"""Small workflows kept as data (tests/golden/workflows): what each of their nodes puts out in each run.

A workflow: `says`, `nodes` ([id, type, parameters, other fields?]; the manual trigger `start` is there), `links`,
`input`, `status`, `expected` (node → runs → port → jsons, or "ANY"; a node that is not named may do what it likes),
`error` ([node, message or null]), `settings`, `variables` (of the workspace). Written by hand from what the node types
and JavaScript promise.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.domain.execution.test_vectors import matches
from tests.support.executions import Run, node, workflow

FOLDER = Path(__file__).parents[2] / "golden" / "workflows"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['says']}")
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]


def document_of(case: dict[str, Any]) -> dict[str, Any]:
    nodes = [node("start", "manual")]
    nodes += [
        node(id_, type_, parameters, **(rest[0] if rest else {})) for id_, type_, parameters, *rest in case["nodes"]
    ]
    return workflow(nodes, *case["links"], **case.get("settings", {})) | {"name": "case"}


def check(case: dict[str, Any], status: str, found: dict[str, Any], error: tuple[str | None, str]) -> None:
    """`found`: node → runs → port → jsons."""
    assert status == case["status"], error
    if "error" in case:
        where, message = case["error"]
        assert error[0] == where
        assert message is None or error[1] == message
    for id_, expected in case["expected"].items():
        assert id_ in found, f"{id_} did not run"
        assert expected == "ANY" or matches(expected, found[id_]), (id_, found[id_])
    ran = set(found) - {"start"}
    assert ran <= {entry[0] for entry in case["nodes"]}


@pytest.mark.parametrize("case", CASES)
def test_workflow(case: dict[str, Any]) -> None:
    run = Run(document_of(case))
    run.variables = case.get("variables", {})
    run.start(case["input"]).settle()
    found = {
        id_: [{port: [item["json"] for item in items] for port, items in ports.items()} for ports in runs]
        for id_, runs in run.nodes.items()
    }
    error = (None, "") if run.status == "completed" else (run.error.node_id, run.error.message)
    check(case, run.status, found, error)


def test_there_are_workflows_of_several_nodes() -> None:
    assert len(CASES) >= 60
    assert all(len(case.values[0]["nodes"]) >= 2 for case in CASES)
