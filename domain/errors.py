"""The errors that the domain raises, one tree, each with a stable code.

DomainError
├── InvalidDocument     a workflow document that cannot be accepted; `problems` name node and field
├── InvalidCommand      a command whose data does not fit its type; `problems` name the field
├── ExpressionError     see domain.expressions
└── ImpossibleHistory   events that no decider could have written: the log or the code is damaged

Refusals are values (`domain.decision.Rejected`), not exceptions.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what came in. `path` is like `nodes[2].parameters.url`; `message` says what to do."""

    path: str
    message: str


class DomainError(Exception):
    """Something the domain refuses to work with."""

    code = "domain_error"


class InvalidDocument(DomainError):
    code = "invalid_workflow"

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.path}: {p.message}" for p in problems))
        self.problems = problems


class InvalidCommand(DomainError):
    code = "invalid_command"

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.path}: {p.message}" for p in problems))
        self.problems = problems


class ImpossibleHistory(DomainError):
    code = "impossible_history"
