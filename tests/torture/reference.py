"""The reference machine of one execution: which event may follow which, written from the documents."""

from typing import Any

from tests.torture.facts import TERMINAL, Event

EFFECT = frozenset({"execution.node_attempted", "execution.attempt_concluded", "execution.retry_scheduled"})

UNDER_WAY = frozenset({None, "attempt", "retry", "waiting", "children"})
OVER = frozenset({"concluded", "told nobody"})


class Illegal(Exception):
    """An event that may not stand where it stands."""


class Machine:
    """Status, and per run (node, number) what is under way, as events say."""

    def __init__(self) -> None:
        self.status = "none"
        self.runs: dict[tuple[str, int], str] = {}
        self.attempts: dict[tuple[str, int], int] = {}
        self.next_run: dict[str, int] = {}
        self.children: dict[tuple[str, int], dict[int, str]] = {}

    def take(self, event: Event) -> None:
        """Raises Illegal."""
        data = event.data
        match event.type:
            case "execution.queued":
                self._need(self.status == "none", event, "a second start")
                self.status = "queued"
            case "execution.started":
                self._need(self.status == "queued", event, f"started while {self.status}")
                self.status = "running"
            case "execution.parked":
                self._need(self.status == "running", event, f"parked while {self.status}")
                self.status = "waiting"
            case "execution.resumed":
                self._need(self.status == "waiting", event, f"resumed while {self.status}")
                self.status = "running"
            case kind if kind in TERMINAL:
                self._end(event)
            case "execution.response_given" | "execution.recovered":
                self._open(event)
            case _:
                self._run(event, data)

    def _end(self, event: Event) -> None:
        self._need(self.status in {"queued", "running", "waiting"}, event, f"{event.type} while {self.status}")
        if event.type == "execution.completed":
            busy = [run for run, state in self.runs.items() if state not in {"done", "failed", "cancelled"}]
            self._need(not busy, event, f"completed while {busy[:2]} were under way")
        self.status = event.type

    def _open(self, event: Event) -> None:
        self._need(self.status in {"running", "waiting"}, event, f"{event.type} while {self.status}")

    def _run(self, event: Event, data: dict[str, Any]) -> None:
        run = (data["node"], data.get("run", 0))
        before = self.runs.get(run)
        closed = self.status in TERMINAL
        if closed:
            late = event.type == "execution.attempt_concluded" and data.get("late")
            self._need(bool(late) or event.type == "execution.node_cancelled", event, f"after {self.status}")
            return
        if event.type != "execution.node_cancelled":
            self._open(event)
        if before is None:
            self._need(run[1] == self.next_run.get(run[0], 0), event, f"run {run[1]} out of order")
            self.next_run[run[0]] = run[1] + 1
        match event.type:
            case "execution.node_attempted":
                self._need(before in {None, "attempt", "retry"}, event, f"an attempt of a run that is {before}")
                self._need(data["attempt"] == self.attempts.get(run, 0) + 1, event, "attempts do not count up")
                self.attempts[run] = data["attempt"]
                self.runs[run] = "attempt"
            case "execution.attempt_concluded":
                self._need(before in {"attempt", "retry"} or bool(data.get("late")), event, f"concluded while {before}")
            case "execution.retry_scheduled":
                pure = before is None and not data["indexes"]
                self._need(pure or before in {"attempt", "retry"}, event, f"a retry of a run that is {before}")
                self.runs[run] = "retry"
            case "execution.node_outcome_unknown":
                self._need(before == "attempt", event, f"unknown while {before}")
            case "execution.verdict_given":
                self._need(before in {"attempt", "retry"}, event, f"a verdict on a run that is {before}")
            case "execution.node_waiting":
                self._need(before is None, event, f"waiting while {before}")
                self.runs[run] = "waiting"
            case "execution.children_started":
                self._need(before in {None, "children"}, event, f"children of a run that is {before}")
                self.runs[run] = "children"
                opened = self.children.setdefault(run, {})
                for child in data["children"]:
                    self._need(child["item"] not in opened, event, f"item {child['item']} has a second child")
                    opened[child["item"]] = child["execution_id"] if data.get("awaited", True) else "told nobody"
            case "execution.child_concluded":
                self._need(before == "children", event, f"a child of a run that is {before}")
                known = self.children[run].setdefault(data["item"], data["child"])
                self._need(known == data["child"], event, f"item {data['item']} concluded by another child, or twice")
                self.children[run][data["item"]] = "concluded"
            case "execution.node_completed":
                self._need(before in UNDER_WAY, event, f"completed twice ({before})")
                busy = [child for child in self.children.get(run, {}).values() if child not in OVER]
                self._need(not busy, event, f"completed before {busy[:2]}")
                self.runs[run] = "done"
            case "execution.node_failed":
                self._need(before in UNDER_WAY, event, f"failed while {before}")
                self.runs[run] = "failed"
            case "execution.node_cancelled":
                self._need(before in UNDER_WAY, event, f"cancelled while {before}")
                self.runs[run] = "cancelled"
            case _:
                raise Illegal(f"unknown event {event.type}")

    def _need(self, condition: bool, event: Event, why: str) -> None:
        if not condition:
            raise Illegal(f"{event.commit.value['stream']} v{event.version}: {why}")


def run_machine(events: list[Event]) -> Machine:
    machine = Machine()
    for event in events:
        machine.take(event)
    return machine
