"""What can be asked of an execution. The first three arrive by the log; the rest come from its owner.

Every command is decided at `now`: owner's time in ms, the latest tick plus what has passed since, never the wall clock.
"""

from typing import Any, Literal

import msgspec

from domain.effects import ItemResult
from domain.execution.events import ErrorInfo, Items, Origin, Reply, Source, Verdict


class Command(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All commands to an execution."""


class TakenRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """A finished run of another execution whose output is taken over."""

    node: str
    run: int
    outputs: dict[str, Items]
    sources: list[Source] = []
    attempts: int = 0


class StartExecution(Command, frozen=True):
    """Run `workflow_version` of a workflow from `trigger_node` with `items`.

    Version 0: the active one, else the newest, as its owner knows it when it decides. No trigger node: the first that
    fits `trigger_type`. No priority: the workflow's. `origin` is told how it ends, also if it is refused.

    `fingerprint`: a hash of what was asked; the same execution id with another fingerprint is rejected
    (`idempotency_mismatch`). `queued_at` comes from the caller and keys the read model's rows. `begin_at`: not before.
    `first`: the first of the executions that repeat one another: what `origin` knows.
    `taken_runs`: runs of `retry_of` that are not done again, in the order in which they ended, its trigger's first.
    `variables`: what it sees in `$vars` of the execution that it repeats or goes on with, whatever they are now.
    """

    execution_id: str
    workflow_id: str
    workflow_version: int
    trigger_node: str
    trigger_type: str
    items: Items
    queued_at: int
    priority: str = "normal"
    fingerprint: str = ""
    reply: Reply = "none"
    retry_of: str | None = None
    origin: Origin | None = None
    depth: int = 0
    retry_count: int = 0
    begin_at: int | None = None
    first: str | None = None
    taken_runs: list[TakenRun] = []
    variables: dict[str, Any] = {}


class CancelExecution(Command, frozen=True):
    reason: str = ""


class GiveVerdict(Command, frozen=True):
    """A person says what became of an unsafe attempt: happened (with this result), or not (`run_again`, `fail`).

    `items`: for these items only; None: for all that wait for a verdict.
    """

    node: str
    run: int
    verdict: Verdict
    result: Any = None
    items: list[int] | None = None


class ResumeWait(Command, frozen=True):
    """A resume link was used for a run of a wait node. `items`: of a webhook's call; `approved`: a person's word."""

    node: str
    run: int
    kind: Literal["webhook", "approval"]
    expires: int
    method: str = ""
    items: Items = []
    approved: bool | None = None
    comment: str = ""


class ConcludeChild(Command, frozen=True):
    """How the execution ended that an item of a node run started. `status` refused: it never began."""

    node: str
    run: int
    item: int
    child: str
    status: Literal["completed", "failed", "cancelled", "timeout", "refused"]
    output: Items = []
    error: ErrorInfo | None = None


class GrantSlot(Command, frozen=True, kw_only=False):
    """A limit gives the place that was asked for."""

    stream: str
    key: str


class RefuseSlot(Command, frozen=True, kw_only=False):
    """All places of a limit are taken, and the execution was not to wait for one."""

    stream: str
    key: str


class Begin(Command, frozen=True):
    """Start a queued execution (its start was put off under pressure)."""


class ConcludeAttempt(Command, frozen=True):
    node: str
    run: int
    attempt: int
    results: list[ItemResult]


class AttemptNotStarted(Command, frozen=True):
    """The attempt was not started within its deadline and never will be: it is safe to make a new one."""

    node: str
    run: int
    attempt: int


class ConcludeCompute(Command, frozen=True):
    """What a run that was computed in the pool put out (`result`, an Output), or why the pool could not do it.

    `answer`: the sandbox's, to a node's code, or to the expressions of a run with effects or a wait. `sources`: where
    the run's input came from, if the result was reckoned ahead: it counts only for that input.
    """

    node: str
    run: int
    result: Any
    error: ErrorInfo | None = None
    answer: bytes | None = None
    sources: list[Source] | None = None


class PassTime(Command, frozen=True):
    """Fire what is due at `now`: waits, retries, time-outs, attempts whose outcome will never be known."""


class Resume(Command, frozen=True):
    """A new owner goes on: read and idempotent attempts are made anew (rule 10), pure work is asked for again."""


ExecutionCommand = (
    StartExecution
    | CancelExecution
    | GiveVerdict
    | ConcludeChild
    | ResumeWait
    | GrantSlot
    | RefuseSlot
    | Begin
    | ConcludeAttempt
    | AttemptNotStarted
    | ConcludeCompute
    | PassTime
    | Resume
)
