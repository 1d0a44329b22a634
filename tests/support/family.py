"""Executions that start each other, without a log: what a decision wants sent is carried to whom it is for.

    family = Family({PARENT: document, CHILD: other})
    family.start(PARENT).settle()

`sent` keeps every command, so that a test can send it again: that must change nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.decision import OutgoingCommand, rejected
from domain.effects import PerformAttempt
from domain.execution.commands import PassTime, StartExecution
from domain.execution.endings import EXECUTION_STREAM, refused
from domain.workflow.graph import Graph
from tests.support.executions import EXECUTION, NOW, Run, compiled

PARENT = "00000000-0000-4000-8000-000000000001"
CHILD = "00000000-0000-4000-8000-000000000002"
OTHER = "00000000-0000-4000-8000-000000000003"


class Family:
    """Workflows by id, executions by id. All of them share one time."""

    def __init__(self, workflows: Mapping[str, dict[str, Any]]) -> None:
        self.graphs: dict[str, Graph] = {name: compiled(document) for name, document in workflows.items()}
        self.runs: dict[str, Run] = {}
        self.waiting: list[OutgoingCommand] = []
        self.sent: list[OutgoingCommand] = []
        self.now = NOW

    def start(self, workflow: str, jsons: Sequence[dict[str, Any]] = ({},), **fields: Any) -> "Family":
        run = self.runs[EXECUTION] = Run(self.graphs[workflow])
        run.start(jsons, workflow_id=workflow, **fields)
        self.collect(run)
        return self

    @property
    def first(self) -> Run:
        return self.runs[EXECUTION]

    @property
    def others(self) -> list[Run]:
        return [run for name, run in self.runs.items() if name != EXECUTION]

    def deliver(self, command: OutgoingCommand) -> None:
        """What the owner of the command's stream makes of it."""
        name = command.stream.removeprefix(EXECUTION_STREAM)
        asked = command.command
        run = self.runs.get(name)
        if run is not None:
            run.now = self.now
            run.do(asked)
            self.collect(run)
        elif isinstance(asked, StartExecution):
            self._begin(name, asked)

    def _begin(self, name: str, asked: StartExecution) -> None:
        graph = self.graphs.get(asked.workflow_id)
        if graph is None:
            nothing = rejected("workflow_not_found", "there is none")
            self.send(refused(asked, name, None, nothing, self.now).commands)
            return
        run = Run(graph, now=self.now, execution=name).do(asked)
        if run.state is not None:
            self.runs[name] = run
        self.collect(run)

    def deliver_all(self, limit: int = 10_000) -> "Family":
        for _ in range(limit):
            if not self.waiting:
                return self
            self.deliver(self.waiting.pop(0))
        raise AssertionError("commands without end")

    def pass_time(self, milliseconds: int = 0) -> "Family":
        self.now += milliseconds
        for run in list(self.runs.values()):
            self.at(run, PassTime())
        return self

    def at(self, run: Run, command: Any) -> "Family":
        run.now = self.now
        run.do(command)
        self.collect(run)
        return self

    def settle(self, limit: int = 1_000) -> "Family":
        """Carry commands and pass time until nobody has anything to do by itself."""
        for _ in range(limit):
            self.deliver_all()
            dues = [run.state.next_due for run in self.runs.values() if run.state and not run.state.closed]
            due = min((due for due in dues if due is not None), default=None)
            if due is None or any(
                isinstance(effect, PerformAttempt) for run in self.runs.values() for effect in run.open
            ):
                return self
            self.pass_time(max(0, due - self.now))
        raise AssertionError("it does not come to rest")

    def restart(self) -> "Family":
        """New owners for all: states from snapshots, and every command that was ever sent is sent once more."""
        for run in self.runs.values():
            run.now = self.now
            if run.state is not None:
                run.restart()
                self.collect(run)
        self.waiting += self.sent
        return self

    def collect(self, run: Run) -> None:
        """Take over what a run wants sent."""
        commands, run.commands = run.commands, []
        self.send(commands)

    def send(self, commands: Sequence[OutgoingCommand]) -> None:
        self.waiting += commands
        self.sent += commands
