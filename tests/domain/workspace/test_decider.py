"""A workspace's rules: given what happened, when this is asked, then that is decided."""

from collections.abc import Sequence

import pytest

from domain.decision import ACCEPTED, DUPLICATE, Decision
from domain.errors import ImpossibleHistory
from domain.workspace.commands import AddApiKey, CreateWorkspace, RevokeApiKey, SetRetention, WorkspaceCommand
from domain.workspace.decider import Workspace, decide, evolve, restore, snapshot
from domain.workspace.events import ApiKeyAdded, ApiKeyRevoked, RetentionSet, WorkspaceCreated, WorkspaceEvent

ID = "0b9a6c1e-5f1d-4a38-9d53-3f6d1f0c7a11"
CREATED = WorkspaceCreated("Acme", 1)
ADDED = ApiKeyAdded("k1", "ab" * 32, "lf_abcd", "deploy", 2)
REVOKED = ApiKeyRevoked("k1", 3)


def given(*history: WorkspaceEvent) -> Workspace | None:
    state = None
    for event in history:
        state = evolve(state, event)
    return state


def ask(history: Sequence[WorkspaceEvent], command: WorkspaceCommand, workspace: str = ID) -> Decision:
    state = given(*history)
    decision = decide(command, state, workspace=workspace, stream_id=f"workspace-{ID}")
    assert decision.state == given(*history, *decision.events)
    assert decision.events == () or decision.outcome == ACCEPTED
    if decision.state is not None:
        assert restore(snapshot(decision.state)) == decision.state
    return decision


def refusal(history: Sequence[WorkspaceEvent], command: WorkspaceCommand, workspace: str = ID) -> str:
    decision = ask(history, command, workspace)
    assert decision.outcome.kind == "rejected"
    assert decision.outcome.message
    return decision.outcome.code


def test_a_workspace_is_created_once() -> None:
    assert list(ask([], CreateWorkspace(ID, "Acme", 1)).events) == [CREATED]
    assert ask([CREATED], CreateWorkspace(ID, "Acme", 9)).outcome == DUPLICATE
    assert refusal([CREATED], CreateWorkspace(ID, "Other", 9)) == "idempotency_mismatch"


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_a_workspace_has_a_name(name: str) -> None:
    decision = ask([], CreateWorkspace(ID, name, 1))
    assert (decision.outcome.code, decision.outcome.problems[0][0]) == ("invalid_workspace", "name")


def test_a_workspace_only_asks_for_itself() -> None:
    assert refusal([], CreateWorkspace("another", "Acme", 1)) == "wrong_stream"
    assert refusal([], CreateWorkspace("another", "Acme", 1), "another") == "wrong_stream"
    assert refusal([CREATED, ADDED], RevokeApiKey("k1", 1), "another") == "wrong_stream"


@pytest.mark.parametrize("command", [AddApiKey("k1", "ab" * 32, "lf_", "n", 1), RevokeApiKey("k1", 1)])
def test_what_does_not_exist_has_no_keys(command: WorkspaceCommand) -> None:
    assert refusal([], command) == "workspace_not_found"


def test_a_key_is_added_once() -> None:
    command = AddApiKey("k1", "ab" * 32, "lf_abcd", "deploy", 2)
    assert list(ask([CREATED], command).events) == [ADDED]
    assert ask([CREATED, ADDED], command).outcome == DUPLICATE
    assert refusal([CREATED, ADDED], AddApiKey("k1", "cd" * 32, "lf_", "deploy", 2)) == "idempotency_mismatch"
    assert refusal([CREATED, ADDED], AddApiKey("k2", "ab" * 32, "lf_", "deploy", 2)) == "api_key_exists"
    assert len(ask([CREATED, ADDED], AddApiKey("k2", "cd" * 32, "lf_", "deploy", 2)).events) == 1


@pytest.mark.parametrize("key_hash", ["", "ab" * 31, "AB" * 32, "zz" * 32, "ab" * 33, "ab" * 32 + "\n"])
def test_a_key_comes_as_a_hash(key_hash: str) -> None:
    decision = ask([CREATED], AddApiKey("k1", key_hash, "lf_", "deploy", 2))
    assert (decision.outcome.code, decision.outcome.problems[0][0]) == ("invalid_api_key", "key_hash")


def test_a_key_is_revoked_once_and_stays_revoked() -> None:
    assert list(ask([CREATED, ADDED], RevokeApiKey("k1", 3)).events) == [REVOKED]
    assert ask([CREATED, ADDED, REVOKED], RevokeApiKey("k1", 9)).outcome == DUPLICATE
    again = ask([CREATED, ADDED, REVOKED], AddApiKey("k1", "ab" * 32, "lf_abcd", "deploy", 9))
    assert again.outcome == DUPLICATE
    assert again.state.keys["k1"].revoked


def test_a_key_that_was_never_added_cannot_be_revoked() -> None:
    assert refusal([CREATED, ADDED], RevokeApiKey("k2", 3)) == "api_key_not_found"


@pytest.mark.parametrize("history", [[ADDED], [CREATED, CREATED], [CREATED, REVOKED]])
def test_a_history_that_no_decider_wrote_is_noticed(history: list[WorkspaceEvent]) -> None:
    with pytest.raises(ImpossibleHistory):
        given(*history)


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x92\x02\x92\xa1a\x80"])
def test_a_snapshot_that_cannot_be_read_is_an_error_of_the_domain(data: bytes) -> None:
    with pytest.raises(ImpossibleHistory):
        restore(data)


def test_retention_is_set_in_days_and_taken_back() -> None:
    assert list(ask([CREATED], SetRetention(5, 90, 7)).events) == [RetentionSet(5, 90, 7)]
    history = [CREATED, RetentionSet(5, 90, 7)]
    assert ask(history, SetRetention(6, 90, 7)).outcome == DUPLICATE
    assert list(ask(history, SetRetention(7)).events) == [RetentionSet(7)]
    assert refusal([], SetRetention(5, 90)) == "workspace_not_found"


@pytest.mark.parametrize(
    ("days", "payload_days", "named"),
    [(0, None, ["days"]), (3_651, None, ["days"]), (None, 0, ["payload_days"]), (7, 8, ["payload_days"])],
)
def test_retention_has_bounds(days: int | None, payload_days: int | None, named: list[str]) -> None:
    decision = ask([CREATED], SetRetention(5, days, payload_days))
    assert (decision.outcome.code, [path for path, _ in decision.outcome.problems]) == ("invalid_retention", named)
