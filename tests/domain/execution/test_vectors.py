"""The worked cases of the semantics, each through the decider."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.executions import Run

VECTORS = sorted((Path(__file__).parents[2] / "golden" / "vectors").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    vector: dict[str, Any] = json.loads(path.read_text())
    return vector


def matches(expected: Any, found: Any) -> bool:
    """Equal, of the same JSON types, where "ANY" stands for an error object."""
    if expected == "ANY":
        return isinstance(found, dict) and set(found) == {"code", "message"}
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and set(expected) == set(found)
            and all(matches(expected[name], found[name]) for name in expected)
        )
    if isinstance(expected, list):
        return isinstance(found, list) and len(expected) == len(found) and all(map(matches, expected, found))
    return type(expected) is type(found) and bool(expected == found)


def check(vector: dict[str, Any], run: Run) -> None:
    expected = vector["expected"]
    assert run.status == expected["status"]
    assert matches(expected["nodes"], run.nodes), (expected["nodes"], run.nodes)
    if expected["status"] == "completed":
        assert matches(expected["output"], run.output)
    else:
        assert run.error.node_id == expected["error"]["node_id"]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = load(path)
    run = Run(vector["workflow"]).start(vector["input"]).settle()
    check(vector, run)


def test_there_are_vectors() -> None:
    assert len(VECTORS) >= 37
