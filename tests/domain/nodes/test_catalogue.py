"""The catalogue, its pages, and the node of docs/nodes/writing-a-node.md."""

import re
from pathlib import Path
from typing import Any

import pytest

from domain.nodes.catalogue import catalogue
from domain.nodes.registry import NODE_TYPES
from linkflow import node_docs
from tests.domain.nodes.test_examples import run_example


def test_the_pages_are_what_the_nodes_say() -> None:
    assert node_docs.main(["--check"]) == 0


def test_pages_that_differ_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(node_docs, "FOLDER", tmp_path)
    node_docs.write(tmp_path)
    (tmp_path / "set.md").write_text("x")
    (tmp_path / "gone.md").write_text("x")
    (tmp_path / "if.md").unlink()
    (tmp_path / "writing-a-node.md").write_text("by hand")
    assert node_docs.differing(tmp_path) == ["gone.md", "if.md", "set.md"]
    node_docs.write(tmp_path)
    assert node_docs.differing(tmp_path) == []
    assert node_docs.main(["--wrong"]) == 2
    assert "--check" in capsys.readouterr().err


def test_the_catalogue_has_every_type_with_its_ports() -> None:
    entries = {entry["type"]: entry for entry in catalogue()}
    assert set(entries) == set(NODE_TYPES)
    assert (entries["manual"]["kind"], entries["manual"]["inputs"]) == ("trigger", [])
    assert entries["compare"]["inputs"] == ["input1", "input2"]
    assert entries["compare"]["outputs"] == ["in_a_only", "same", "different", "in_b_only"]
    assert entries["merge"]["inputs"] == ["input1", "input2", "…"]
    assert entries["loop"]["outputs"] == ["loop", "done"]
    assert entries["http"]["effects"] == ["read", "idempotent", "unsafe"]
    assert entries["switch"]["outputs_vary"]
    assert entries["limit"]["parameters"]["required"] == ["count"]


def test_the_guide_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Python is run from top to bottom: the integration, its test functions, the node by hand."""
    text = (node_docs.FOLDER / "writing-a-node.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "writing-a-node.md", "exec"), names)
    tests = [name for name in names if name.startswith("test_")]
    assert len(tests) == 5
    for name in tests:
        names[name]()
    double = names["DOUBLE"]
    monkeypatch.setitem(NODE_TYPES, double.type, double)
    (example,) = double.examples
    run = run_example(double.type, example)
    assert [item["json"] for item in run.output] == example.outputs["main"]
