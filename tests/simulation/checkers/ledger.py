"""What the log says, record by record as it lands: a reading of the rules of docs/log-protocol.md of its own.

Accepted is a commit of the latest takeover's epoch with the next ordinal. Checked on the way: versions 1..n of every
stream without a gap, every input answered once and in order, histories legal, no decision that raised.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from infra.log.port import Record
from tests.simulation.checkers.sequence import History, Illegal
from tests.simulation.clocks import EPOCH_MS

Report = Callable[[str, str], None]

FORBIDDEN_OUTCOMES = frozenset(
    {"internal_error", "commit_too_large", "unencodable", "undecodable", "poison", "misplaced"}
)
"""Nothing in a simulation gives an owner a reason for these."""


@dataclass(slots=True)
class Place:
    """One partition of a commit topic."""

    epoch: tuple[int, str] = (-1, "")
    next_n: int = 0
    answered: int = 0
    accepted: int = 0
    void: int = 0
    takeovers: int = 0


@dataclass(slots=True)
class Accepted:
    """An accepted commit. `time`: simulated seconds at which it landed."""

    offset: int
    time: float
    commit: dict[str, Any]


@dataclass(slots=True)
class Stream:
    version: int = 0
    commits: list[Accepted] = field(default_factory=list)


class Ledger:
    """All commit topics. `expected(execution, workflow)` gives the document that it runs, `find_blob(workspace, id)`
    what is stored outside."""

    def __init__(
        self,
        report: Report,
        expected: Callable[[str, str], dict[str, Any]],
        judged: Callable[[str, str, int], bool],
        find_blob: Callable[[str, str], bytes],
    ) -> None:
        self.places: dict[tuple[str, int], Place] = {}
        self.streams: dict[str, Stream] = {}
        self.histories: dict[str, History] = {}
        self.commit_ids: dict[tuple[str, str], str] = {}
        self.sent: dict[str, str] = {}
        self.causes: set[str] = set()
        self._report = report
        self._expected = expected
        self._judged = judged
        self._find_blob = find_blob

    def take(self, record: Record, time: float) -> Accepted | None:
        """The next record of its partition; the accepted commit, if it is one."""
        headers = dict(record.headers)
        place = self.places.setdefault((str(record.topic), record.partition), Place())
        if headers["k"] == b"o":
            place.epoch = (record.offset, headers["o"].decode())
            place.next_n = 0
            place.takeovers += 1
            return None
        offset, _, nonce = headers["e"].decode().partition(":")
        if (int(offset), nonce) != place.epoch or int(headers["n"]) != place.next_n:
            place.void += 1
            return None
        place.next_n += 1
        place.accepted += 1
        accepted = Accepted(record.offset, time, json.loads(record.value))
        self._fill_in(accepted.commit)
        self.causes.add(accepted.commit.get("cause", ""))
        self.sent.update((each["id"], each["stream"]) for each in accepted.commit.get("commands", ()))
        self._check_answers(record, place, accepted.commit)
        self._check_stream(accepted)
        return accepted

    def _fill_in(self, commit: dict[str, Any]) -> None:
        """Fields that are stored outside."""
        for event in commit.get("events", []):
            for name, blob in event.get("blobs", {}).items():
                event["data"][name] = json.loads(self._find_blob(commit["workspace"], blob))

    def _check_answers(self, record: Record, place: Place, commit: dict[str, Any]) -> None:
        where = f"{record.topic}/{record.partition}@{record.offset}"
        answers = commit.get("answers")
        if answers is not None:
            if answers[1] != place.answered:
                self._report("answers", f"{where} answers input {answers[1]}, {place.answered} is next")
            place.answered = answers[1] + 1
        code = commit.get("outcome", {}).get("code", "")
        garbage = code == "undecodable" and commit["stream"].startswith(code)  # the checker of letters knows of it
        if code in FORBIDDEN_OUTCOMES and not garbage:
            self._report("outcomes", f"{where} {commit['stream']}: {commit['outcome']}")
        identity = str(record.topic), commit["id"]
        if identity in self.commit_ids:
            self._report("ids", f"{where} has the id of {self.commit_ids[identity]}: {commit['id']}")
        self.commit_ids[identity] = where

    def _check_stream(self, accepted: Accepted) -> None:
        commit = accepted.commit
        name, events = commit["stream"], commit.get("events", [])
        stream = self.streams.setdefault(name, Stream())
        stream.commits.append(accepted)
        if not events:
            if commit["version"] not in {stream.version, 0}:
                self._report("versions", f"{name}: an answer at version {commit['version']} behind {stream.version}")
            return
        if commit["version"] != stream.version + 1:
            self._report("versions", f"{name}: version {commit['version']} behind {stream.version}")
        stream.version = commit["version"] + len(events) - 1
        if name.startswith("execution-"):
            self._check_history(name.removeprefix("execution-"), events, (commit["time"] - EPOCH_MS) / 1_000)

    def _check_history(self, execution: str, events: list[dict[str, Any]], time: float) -> None:
        history = self.histories.get(execution)
        if history is None:

            def judged(node: str, run: int) -> bool:
                return self._judged(execution, node, run)

            history = self.histories[execution] = History(
                execution, self._expected(execution, events[0]["data"]["workflow_id"]), judged
            )
        for event in events:
            try:
                history.take(event["type"], event["data"], time)
            except Illegal as wrong:
                self._report("history", f"execution {execution} at {time:.3f} s: {wrong}")

    # --- at the end ---------------------------------------------------------------------------------------------------

    def queued(self, execution: str) -> dict[str, Any]:
        """What an execution of the log was asked to be."""
        commits = self.streams[f"execution-{execution}"].commits
        data: dict[str, Any] = next(e["data"] for each in commits for e in each.commit.get("events", ()))
        return data

    def unfinished(self) -> list[str]:
        return [execution for execution, history in self.histories.items() if not history.over]

    def check_answered(self, inputs: dict[tuple[str, int], int]) -> None:
        """`inputs`: how many inputs each partition of a commit topic has to answer."""
        for key, count in inputs.items():
            answered = self.places[key].answered if key in self.places else 0
            if answered != count:
                self._report("answers", f"{key}: {answered} of {count} inputs are answered")
