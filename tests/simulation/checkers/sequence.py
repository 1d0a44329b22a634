"""The legal histories of one execution, as a small state machine of its own, on the JSON of its events."""

from dataclasses import dataclass, field
from typing import Any

ENDS = {
    "execution.completed": "completed",
    "execution.failed": "failed",
    "execution.cancelled": "cancelled",
    "execution.timed_out": "timeout",
}
SYSTEM_RETRIES = 3
OVER = frozenset({"completed", "failed", "cancelled"})
"""Phases of a run that is no more. The others: attempting, retrying, asked, waiting."""


class Illegal(Exception):
    """An event that no correct engine could have written at this place."""


@dataclass(slots=True)
class NodeRun:
    """One run of a node. `flying`: items of the newest attempt without a word about them; `since`: when it parked."""

    phase: str
    attempt: int = 0
    effect_class: str = ""
    flying: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    retry: set[int] = field(default_factory=set)
    since: float = 0.0


@dataclass(slots=True)
class Waited:
    """A wait that ended: wanted and real duration in seconds."""

    execution: str
    node: str
    wanted: float
    real: float


@dataclass(slots=True)
class Attempted:
    """Attempts per item of a node run: made, and declared never started (a new one came with no word about the old)."""

    effect_class: str
    made: int = 0
    not_started: int = 0
    retried: int = 0
    """By the node's own tries: neither the system's nor because nobody knew what became of one."""


@dataclass(slots=True)
class Child:
    """An execution that was started for an item of a run. `concluded`: as its parent was told, empty: not yet."""

    execution: str
    awaited: bool
    concluded: str = ""


class History:
    """One execution as its accepted events tell it. `document`: its workflow; `judged(node, run)`: whether a person
    asked for another attempt."""

    def __init__(self, execution: str, document: dict[str, Any], judged: Any) -> None:
        self.execution = execution
        self.status = ""
        self.runs: dict[tuple[str, int], NodeRun] = {}
        self.attempts: dict[tuple[str, int, int], Attempted] = {}
        self.waits: list[Waited] = []
        self.ended_at: float | None = None
        self.fingerprint = ""
        self.trigger_type = ""
        self.children: dict[tuple[str, int, int], Child] = {}
        self.recoveries = 0
        self._places: list[tuple[str, str]] = []
        self._begun: dict[str, int] = {}
        repeats = document.get("settings", {}).get("retries", 0)
        self._repeats = repeats["count"] if isinstance(repeats, dict) else repeats
        self._nodes = {node["id"]: node for node in document["nodes"]}
        self._judged = judged

    @property
    def over(self) -> bool:
        return self.ended_at is not None

    def take(self, kind: str, data: dict[str, Any], at: float) -> None:
        """The next event, decided at `at` (simulated seconds, by its owner's wall clock). Raises Illegal."""
        name = kind.removeprefix("execution.")
        if self.over and not (name == "attempt_concluded" and data.get("late")):
            raise Illegal(f"{kind} after the end")
        if not self.status and name != "queued":
            raise Illegal(f"{kind} before the execution was queued")
        if kind in ENDS:
            self._end(ENDS[kind], at)
            return
        getattr(self, f"_{name}")(data, at)

    # --- the execution ------------------------------------------------------------------------------------------------

    def _queued(self, data: dict[str, Any], at: float) -> None:
        self._expect(self.status == "", "queued twice")
        self._expect(data.get("retry_count", 0) <= self._repeats, f"repeated {data.get('retry_count')} times")
        self.status = "queued"
        self.fingerprint = data.get("fingerprint", "")
        self.trigger_type = data["trigger_type"]
        self._places = [(slot["stream"], slot["key"]) for slot in data.get("slots", ())]

    def _slots_asked(self, data: dict[str, Any], at: float) -> None:
        self._expect(self.status == "queued", f"asks for places in status {self.status}")

    def _slot_granted(self, data: dict[str, Any], at: float) -> None:
        self._expect(self.status == "queued", f"is given a place in status {self.status}")
        self._expect(self._places[:1] == [(data["stream"], data["key"])], f"is given {data}, {self._places} are next")
        del self._places[0]

    def _started(self, data: dict[str, Any], at: float) -> None:
        self._expect(self.status == "queued", "started twice")
        self._expect(not self._places, f"started without its places {self._places}")
        self.status = "running"

    def _parked(self, data: dict[str, Any], at: float) -> None:
        self._expect(self.status == "running", "parked without running")
        busy = [run for run in self.runs.values() if run.flying]
        self._expect(not busy, "parked while an attempt is under way")
        calling = [key for key, run in self.runs.items() if run.phase == "calling"]
        self._expect(not calling, f"parked while sub-workflows are under way: {calling}")
        self.status = "waiting"

    def _resumed(self, data: dict[str, Any], at: float) -> None:
        self._expect(self.status == "waiting", "resumed without being parked")
        self.status = "running"

    def _recovered(self, data: dict[str, Any], at: float) -> None:
        self._expect(self.status in {"running", "waiting"}, f"recovered in status {self.status}")
        self.recoveries += 1
        self._expect(data["count"] == self.recoveries, f"recovery {data['count']} after {self.recoveries - 1}")
        bounded = data["reason"] != "interrupted"  # that workers end never fails an execution
        few = data["in_a_row"] <= SYSTEM_RETRIES or not bounded
        self._expect(data["in_a_row"] >= 1 and few, f"recovery {data['in_a_row']} in a row")

    def _end(self, status: str, at: float) -> None:
        left = [key for key, run in self.runs.items() if run.phase not in OVER]
        self._expect(not left, f"ends as {status} with runs left: {left}")
        self._expect(status == "cancelled" or self.status in {"running", "waiting"} or status == "failed", "odd end")
        self.status = status
        self.ended_at = at

    def _response_given(self, data: dict[str, Any], at: float) -> None:
        self._expect(self.status == "running", "answers without running")

    # --- node runs ----------------------------------------------------------------------------------------------------

    def _node_attempted(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        run = self.runs.get(key)
        if run is None:
            run = self._begin(key, "attempting")
        self._expect(run.phase not in OVER | {"waiting"}, f"{key} is attempted again though it is {run.phase}")
        self._expect(data["attempt"] == run.attempt + 1, f"{key}: attempt {data['attempt']} after {run.attempt}")
        indexes = data["indexes"]
        self._expect(bool(indexes) and indexes == sorted(set(indexes)), f"{key}: items {indexes}")
        self._expect(self.status == "running", f"{key} is attempted in status {self.status}")
        run.effect_class = data["effect_class"]
        for index in indexes:
            tried = self.attempts.setdefault((*key, index), Attempted(run.effect_class))
            if index in run.flying:
                tried.not_started += 1
            again = index in run.unknown and index not in run.retry
            self._expect(
                not again or run.effect_class != "unsafe" or self._judged(*key),
                f"{key}: item {index} is attempted again after an unknown outcome that nobody has judged",
            )
            tried.made += 1
        run.unknown.difference_update(indexes)
        run.retry.difference_update(indexes)
        run.attempt = data["attempt"]
        run.flying = set(indexes)
        run.phase = "attempting"

    def _attempt_concluded(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        run = self.runs.get(key)
        if run is None:
            raise Illegal(f"{key}: results of an attempt that was never made")
        if data.get("late"):
            self._expect(data["attempt"] <= run.attempt, f"{key}: a late result of attempt {data['attempt']}")
            return
        self._expect(run.phase not in OVER, f"{key}: results though it is {run.phase}")
        for result in data["results"]:
            run.flying.discard(result["index"])
            run.unknown.discard(result["index"])
            run.retry.discard(result["index"])

    def _retry_scheduled(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        if self._nodes[key[0]]["type"] != "http":
            self._expect(not data["indexes"], f"{key}: items of a run without effects are tried again")
            run = self.runs.get(key) or self._begin(key, "retrying")
            self._expect(run.phase == "retrying", f"{key} is tried again though it is {run.phase}")
            return
        run = self._running(key)
        policy = self._nodes[key[0]].get("on_unknown_outcome", "fail")
        most = self._nodes[key[0]].get("retry", {}).get("attempts", 1) - 1
        for index in data["indexes"]:
            tried = self.attempts[(*key, index)]
            tried.retried += not (data.get("system") or index in run.unknown or self._judged(*key))
            self._expect(tried.retried <= most, f"{key}: item {index} is tried again {tried.retried} times of {most}")
            allowed = index not in run.unknown or policy == "retry" or self._judged(*key)
            self._expect(allowed, f"{key}: item {index} of unknown outcome is tried again without being asked for")
            run.flying.discard(index)
            run.retry.add(index)
        run.phase = "retrying"

    def _verdict_given(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        run = self._running(key)
        self._expect(set(data["indexes"]) <= run.unknown, f"{key}: a verdict on items that are known")

    def _node_outcome_unknown(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        run = self._running(key)
        self._expect(run.effect_class == "unsafe", f"{key}: unknown outcome of a {run.effect_class} effect")
        self._expect(data["attempt"] == run.attempt, f"{key}: unknown outcome of attempt {data['attempt']}")
        known = set(data["indexes"]) - run.flying - run.unknown
        self._expect(not known, f"{key}: unknown outcome of items {known} that have theirs")
        run.flying.difference_update(data["indexes"])
        run.unknown.update(data["indexes"])
        if data.get("asked"):
            self._expect(self._nodes[key[0]].get("on_unknown_outcome") == "ask", f"{key}: asked without being told to")
            run.phase = "asked"

    def _node_waiting(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        self._expect(self._nodes[key[0]]["type"] == "wait", f"{key} waits, but is no wait node")
        self._begin(key, "waiting").since = at

    def _children_started(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        self._expect(self._nodes[key[0]]["type"] == "execute_workflow", f"{key} calls, but is no call")
        run = self.runs.get(key) or self._begin(key, "calling")
        self._expect(run.phase == "calling", f"{key} starts executions though it is {run.phase}")
        for child in data["children"]:
            place = (*key, child["item"])
            self._expect(place not in self.children, f"{place} has a second child")
            self.children[place] = Child(child["execution_id"], data.get("awaited", True))

    def _child_concluded(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        self._expect(self._running(key).phase == "calling", f"{key} does not call")
        child = self.children.get((*key, data["item"]))
        if child is None:
            self._expect(not data["child"] and data["status"] in {"refused", "timeout"}, f"{key}: a child of no one")
            return
        self._expect(data["child"] == child.execution, f"{key}: item {data['item']} has another child")
        self._expect(child.awaited and not child.concluded, f"{key}: item {data['item']} concludes again")
        child.concluded = data["status"]

    def _node_completed(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        run = self.runs.get(key)
        if run is None:
            self._begin(key, "completed")
            return
        self._expect(run.phase not in OVER, f"{key} completes though it is {run.phase}")
        if run.phase == "waiting":
            wanted = float(self._nodes[key[0]]["parameters"]["seconds"])
            self.waits.append(Waited(self.execution, key[0], wanted, at - run.since))
        left = [
            each for place, each in self.children.items() if place[:2] == key and each.awaited and not each.concluded
        ]
        self._expect(not left, f"{key} completes without its children {left[:3]}")
        self._expect(not run.retry, f"{key} completes with items that were to be tried again")
        run.phase = "completed"
        run.flying = set()

    def _node_failed(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        run = self.runs.get(key) or self._begin(key, "attempting")
        self._expect(run.phase not in OVER, f"{key} fails though it is {run.phase}")
        run.phase = "failed"

    def _node_cancelled(self, data: dict[str, Any], at: float) -> None:
        key = data["node"], data["run"]
        run = self.runs.get(key) or self._begin(key, "attempting")
        self._expect(run.phase not in OVER, f"{key} is cancelled though it is {run.phase}")
        run.phase = "cancelled"

    # --- parts --------------------------------------------------------------------------------------------------------

    def _begin(self, key: tuple[str, int], phase: str) -> NodeRun:
        node, number = key
        self._expect(node in self._nodes, f"there is no node {node}")
        begun = self._begun.get(node, 0)
        self._expect(number == begun, f"run {number} of {node} begins where run {begun} is next")
        self._expect(self.status == "running" or (self.status == "waiting" and phase == "attempting"),
                     f"{key} begins in status {self.status}")  # fmt: skip
        self._begun[node] = begun + 1
        run = self.runs[key] = NodeRun(phase)
        return run

    def _running(self, key: tuple[str, int]) -> NodeRun:
        run = self.runs.get(key)
        if run is None or run.phase in OVER:
            raise Illegal(f"{key} is not under way")
        return run

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Illegal(otherwise)
