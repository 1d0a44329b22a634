"""Recorded executions fold, for ever, into the states they had when they were recorded."""

import json
from pathlib import Path

import pytest

from schemas.registry import EVENTS
from tests.golden.histories import expected_path, folded, histories, read_history
from tests.golden.scenarios import SCENARIOS


@pytest.mark.parametrize("path", histories(), ids=lambda path: path.stem)
def test_a_history_folds_into_what_it_was(path: Path) -> None:
    assert folded(path) == json.loads(expected_path(path).read_text(encoding="utf-8"))


def test_every_scenario_is_recorded() -> None:
    assert {path.stem for path in histories()} >= set(SCENARIOS)


def test_every_event_of_an_execution_stands_in_some_history() -> None:
    recorded = {event.type for path in histories() for commit in read_history(path)[1] for event in commit.events}
    assert {name for name in EVENTS.entries if name.startswith("execution.")} - recorded == set()
