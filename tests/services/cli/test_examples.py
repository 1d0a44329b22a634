"""Every example is a valid workflow document. tests/system/test_examples.py runs them over HTTP on both logs."""

import json
from pathlib import Path

import pytest

from domain.workflow.document import parse_document
from domain.workflow.graph import compile_workflow

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_is_a_valid_document(path: Path) -> None:
    compile_workflow(parse_document(json.loads(path.read_text())))


def test_each_is_in_the_readme() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    assert [path.name for path in EXAMPLES.glob("*.json") if f"`{path.name}`" not in readme] == []
