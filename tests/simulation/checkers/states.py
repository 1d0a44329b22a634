"""What owners hold in memory, against a fold of the accepted commits from the first on."""

import hashlib
from typing import Any

import msgspec

from domain.execution import decider
from domain.workflow.graph import Graph
from schemas import registry
from schemas.envelope import decode_commit
from services.worker.lanes import Entry, ExecutionLane
from services.worker.versions import Versions
from tests.simulation.checkers.ledger import Report
from tests.simulation.stores import SimBlobs
from tests.support.executions import view
from tests.support.workers import WORKSPACE, KnownVersions


class StatesChecker:
    """The state of every execution at every version, as a digest of all of it."""

    def __init__(self, versions: KnownVersions, blobs: SimBlobs, report: Report) -> None:
        self.compared = 0
        self._versions = versions
        self._blobs = blobs
        self._report = report
        self._states: dict[str, Any] = {}
        self._graphs: dict[str, Graph] = {}
        self._digests: dict[str, dict[int, bytes]] = {}

    def accepted(self, value: bytes) -> None:
        """The next accepted commit of its partition."""
        commit = decode_commit(value)
        if not commit.events or not commit.stream.startswith("execution-"):
            return
        blobs = self._blobs.now(commit.workspace, registry.blobs_of(commit))
        events = [registry.decode_event(event, blobs) for event in commit.events]
        stream, execution = commit.stream, commit.stream.removeprefix("execution-")
        if stream not in self._graphs:
            graph = self._versions.get((WORKSPACE, events[0].workflow_id, events[0].workflow_version))
            assert graph is not None
            self._graphs[stream] = graph
        state = decider.fold(self._states.get(stream), events, self._graphs[stream], execution_id=execution)
        self._states[stream] = state
        version = commit.version + len(events) - 1
        self._digests.setdefault(stream, {})[version] = _digest(state)

    def holds(self, entry: Entry) -> None:
        """An owner takes this state for accepted."""
        stream = f"execution-{entry.state.id}"
        known = self._digests.get(stream, {}).get(entry.version)
        self.compared += 1
        if known is None:
            self._report("states", f"{stream}: an owner holds version {entry.version}, which no accepted commit made")
        elif known != _digest(entry.state):
            self._report("states", f"{stream}: at version {entry.version} an owner's state is not the fold of the log")


def _digest(state: Any) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(view(state)), digest_size=12).digest()


class WatchedLane(ExecutionLane):
    """The lane of executions; every state that becomes accepted is shown to the checker."""

    def __init__(self, versions: Versions, checker: StatesChecker) -> None:
        super().__init__(versions)
        self._checker = checker

    def gone(self, entry: Entry) -> bool:
        self._checker.holds(entry)
        return super().gone(entry)
