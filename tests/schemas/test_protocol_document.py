"""docs/log-protocol.md and the decisions name what exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOCOL = (ROOT / "docs" / "log-protocol.md").read_text(encoding="utf-8")
ADR = ROOT / "docs" / "adr"


def test_every_file_that_the_protocol_names_exists() -> None:
    named = set(re.findall(r"`([\w/]+\.\w+)`", PROTOCOL))
    assert len(named) > 15
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_test_that_the_protocol_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PROTOCOL))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }
    assert sorted(named - there) == []


def test_rules_and_traces_are_complete() -> None:
    assert re.findall(r"^(\d+)\. \*\*", PROTOCOL, re.MULTILINE) == [str(number) for number in range(1, 15)]
    assert re.findall(r"^\| (\d+) \|", PROTOCOL, re.MULTILINE) == [str(number) for number in range(1, 20)]


def test_the_index_names_every_decision() -> None:
    index = (ADR / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in ADR.glob("[0-9]*.md")} == set(re.findall(r"\]\(([\w-]+\.md)\)", index))


@pytest.mark.parametrize("path", sorted(ADR.glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_a_decision_has_its_parts_and_its_number(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.name[:4]} ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
