"""Recorded histories: read them, fold them, and describe what they folded into."""

from pathlib import Path
from typing import Any

from domain.execution.decider import Execution, fold, restore, snapshot
from domain.workflow.document import parse_document
from domain.workflow.graph import Graph, compile_workflow
from schemas.envelope import CommitRecord, decode_commit
from schemas.registry import decode_event
from tests.golden.files import EXPECTED, HISTORIES


def histories() -> list[Path]:
    return sorted(HISTORIES.glob("*.jsonl"))


def expected_path(path: Path) -> Path:
    return EXPECTED / "histories" / f"{path.stem}.json"


def read_history(path: Path) -> tuple[Graph, list[CommitRecord]]:
    """The workflow that ran, and the commits of the execution."""
    commits = [decode_commit(line) for line in path.read_bytes().splitlines()]
    created = decode_event(commits[0].events[0])
    return compile_workflow(parse_document(created.document)), commits[1:]


def folded(path: Path) -> dict[str, Any]:
    """What is pinned of a history: its state after each commit, and more of the last one."""
    graph, commits = read_history(path)
    state: Execution | None = None
    version = 0
    steps = []
    for commit in commits:
        assert commit.version == version + 1
        version += len(commit.events)
        events = [decode_event(event) for event in commit.events]
        state = fold(state, events, graph, execution_id=commit.stream.removeprefix("execution-"))
        kept = restore(snapshot(state), graph)
        assert _step(version, state) == _step(version, kept), "a checkpoint keeps another state"
        steps.append(_step(version, state))
    assert state is not None
    last = {name: getattr(state, name) for name in ("workflow_id", "workflow_version", "queued_at", "fingerprint")}
    return {"steps": steps, "last": last | {"forgettable": state.forgettable, "next_due": state.next_due}}


def _step(version: int, state: Execution) -> dict[str, Any]:
    return {
        "version": version,
        "status": state.status,
        "under_way": [list(each) for each in sorted(state.under_way)],
    }
