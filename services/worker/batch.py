"""One batch of decisions: inputs in, records out. Everything between two appends of an owner.

Each input gets exactly one record, also when it is a duplicate, refused, garbage or poison (rule 6); a decision is one
record (rule 7); one that raises or does not fit becomes a short failure record (rule 8).
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from domain.dead_letter.decider import STREAM as LETTER
from domain.decision import Decision, Outcome, rejected
from domain.execution.commands import GrantSlot, StartExecution
from domain.execution.endings import refused
from domain.execution.slots import not_open
from domain.subscription.deliveries import TRIGGER
from infra.log.port import MAX_APPEND_BYTES, NewRecord, Record
from infra.telemetry import metrics
from infra.telemetry.logs import get_logger
from infra.telemetry.tracing import start_span
from schemas import registry
from schemas.envelope import Answers, CommandRecord, SentCommand, decode_command, header, partition_of
from schemas.errors import SchemaError, UnencodableRecord
from services.worker.clock import OwnerClock, wall_ms
from services.worker.commits import CommitEncoder, CommitTooLarge
from services.worker.dead_letters import dead_letter, recorded
from services.worker.lanes import EXECUTION, Entry, Lane
from services.worker.memory import PartitionMemory
from services.worker.recovery import find_blobs
from services.worker.remembered import STALE_AFTER_MS
from services.worker.surroundings import Surroundings
from services.worker.variables import VariablesKey
from services.worker.versions import GraphKey

BATCH_SECONDS = 0.02
"""After this long of deciding the batch goes out as it is, so that other partitions get their turn."""
BATCH_BYTES = MAX_APPEND_BYTES // 2
"""After so many bytes, too: one append takes no more than twice that, and the last record may be large."""

RECORDING_SECONDS = 0.0001
"""What a decision costs beside deciding: it is encoded, stored and projected."""

_log = get_logger("worker.batch")


@dataclass(frozen=True, slots=True)
class Internal:
    """An input from inside: a result, a timer, a recovery."""

    stream: str
    command: Any


@dataclass(slots=True)
class Decided:
    """What is acted upon once its record is accepted. `place`: in the batch; `answers`: the input's offset, or −1."""

    stream: str
    entry: Entry | None
    decision: Decision
    place: int
    answers: int = -1
    refused: str = ""
    outgoing: Sequence[tuple[SentCommand, str, str, bytes | None]] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """An input as it was read: decoded, or why not."""

    record: Record
    command: CommandRecord | None
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Why:
    """Where a commit comes from."""

    workspace: str
    cause: str
    answers: int = -1
    correlation: str = ""
    actor: str = ""
    reply: bytes | None = None
    trace: bytes | None = None


class Batch:
    """Decides a batch on the memory of one owner. The memory's states move on at once; if the append fails, the owner
    throws the memory away."""

    def __init__(
        self,
        around: Surroundings,
        lane: Lane,
        partition: int,
        memory: PartitionMemory,
        encoder: CommitEncoder,
        clock: OwnerClock,
        poison: int,
        *,
        crowded: bool = False,
    ) -> None:
        self.records: list[NewRecord] = []
        self.decided: list[Decided] = []
        self.dead_letters: list[NewRecord] = []
        self._bytes = 0
        self._around = around
        self._lane = lane
        self._partition = partition
        self._memory = memory
        self._encoder = encoder
        self._clock = clock
        self._poison = poison
        self._crowded = crowded
        self._variables: dict[VariablesKey, Mapping[str, Any]] = {}

    async def decide(
        self, internal: Sequence[Internal], inputs: Sequence[Record]
    ) -> tuple[Sequence[Internal], Sequence[Record]]:
        """Decide as many as fit into BATCH_SECONDS and BATCH_BYTES (at least one) and return the rest."""
        asked = [self._read(record) for record in inputs]
        blobs = await find_blobs(
            self._around,
            [(a.command.workspace, b) for a in asked if a.command for b in a.command.blobs.values()],
        )
        wanted, starting = self._graphs(internal, asked)
        if self._around.versions.missing(wanted):
            await self._around.versions.load(wanted)
        await self._load_variables(starting)
        started = time.perf_counter()
        if self._crowded:
            self._around.shares.settle(time.monotonic())
        deadline = started + BATCH_SECONDS
        done = 0
        for each in internal:
            self._decide_internal(each)
            done += 1
            if self._full(deadline):
                break
        answered = 0
        if done == len(internal) and not (done and self._full(deadline)):
            for ask in asked:
                self._decide_input(ask, blobs)
                answered += 1
                if self._full(deadline):
                    break
        metrics.DECIDE_SECONDS.labels(self._lane.name).observe(time.perf_counter() - started)
        return internal[done:], inputs[answered:]

    def _full(self, deadline: float) -> bool:
        return time.perf_counter() > deadline or self._bytes > BATCH_BYTES

    # --- reading inputs ---------------------------------------------------------------------------------------------

    def _read(self, record: Record) -> _Asked:
        try:
            command = decode_command(record.value)
        except Exception as error:  # noqa: BLE001 — whatever stands on the log, it costs one dead letter
            return _Asked(record, None, "undecodable", str(error) or type(error).__name__)
        if record.offset == self._poison:
            return _Asked(record, command, "poison", "deciding it took the process down repeatedly")
        if not self._lane.owns(command.stream):
            return _Asked(record, command, "misplaced", f"no stream {command.stream!r} in {self._lane.input_topic}")
        place = partition_of(command.stream, self._around.log.partitions)
        if place != self._partition:
            return _Asked(record, command, "misplaced", f"{command.stream} lives in partition {place}")
        return _Asked(record, command)

    def _graphs(self, internal: Sequence[Internal], asked: Sequence[_Asked]) -> tuple[set[GraphKey], set[GraphKey]]:
        """The versions that are needed, and those of executions that start."""
        keys: set[GraphKey] = set()
        starting: set[GraphKey] = set()
        entries = self._memory.entries
        for each in internal:
            entry = entries.get(each.stream)
            if entry is not None and entry.graph_key is not None:
                keys.add(entry.graph_key)
        for ask in asked:
            if ask.command is None:
                continue
            entry = entries.get(ask.command.stream)
            if entry is not None:
                key = entry.graph_key
            elif (key := self._lane.key_of_command(ask.command)) is not None:
                starting.add(key)
            if key is not None:
                keys.add(key)
        return keys, starting

    async def _load_variables(self, starting: set[GraphKey]) -> None:
        """What starts of these versions see. What one by reference means may change meanwhile: until all is there."""
        while (
            missing := {key for each in starting if (key := self._lane.variables_key(each)) is not None}
            - self._variables.keys()
        ):
            self._variables.update(await self._around.variables.load(missing))

    # --- deciding ---------------------------------------------------------------------------------------------------

    def _decide_internal(self, each: Internal) -> None:
        entry = self._memory.entries.get(each.stream)
        if entry is None:
            return
        decision = self._decision(each.command, entry, each.stream, entry.workspace)
        if not decision.events:
            entry.state = decision.state  # the same but for hints, such as what was sent to the compute pool
            self.decided.append(Decided(each.stream, entry, decision, 0))
            self._memory.unchanged(each.stream, entry, self._clock.now())
            return
        why = _Why(entry.workspace, type(each.command).__name__, trace=entry.trace)
        self._put(each.stream, entry, decision, each.command, why)

    def _decide_input(self, ask: _Asked, blobs: dict[str, bytes]) -> None:
        if ask.command is None or ask.code:
            self._refuse(ask, ask.code, ask.reason)
            return
        try:
            wanted = registry.decode_command_data(ask.command, blobs)
        except SchemaError as error:
            self._refuse(ask, error.code, str(error))
            return
        traced = header(ask.record.headers, "t")
        with start_span("decide", traced, stream=ask.command.stream) as trace:
            self._answer(ask.record, ask.command, wanted, trace or traced)

    def _answer(self, record: Record, command: CommandRecord, wanted: Any, trace: bytes | None) -> None:
        stream = command.stream
        entry = self._memory.entries.get(stream)
        state = entry.state if entry else None
        refused = self._refusal(record, command, wanted, entry)
        if refused is not None:
            closed = isinstance(wanted, GrantSlot) and refused.code == "execution_closed"
            decision = (
                not_open(wanted, stream.removeprefix(EXECUTION), state) if closed else Decision([], state, refused)
            )
        elif entry is not None and entry.workspace != command.workspace:
            decision = Decision([], state, rejected("not_found", "no such stream in this workspace"))
        else:
            decision = self._decision(wanted, entry, stream, command.workspace)
        metrics.DECISIONS.labels(self._lane.name, decision.outcome.kind).inc()
        why = _Why(
            command.workspace,
            command.id,
            record.offset,
            command.correlation,
            command.actor,
            header(record.headers, "r"),
            trace,
        )
        self._put(stream, entry, decision, wanted, why)

    def _refusal(self, record: Record, command: CommandRecord, wanted: Any, entry: Entry | None) -> Outcome | None:
        """Rule 14: what comes too late, and what was decided before and is closed."""
        if record.appended_at - command.made > STALE_AFTER_MS:
            return rejected("stale_command", "appended too long after it was made; send it again")
        remembered = self._memory.remembered.get(command.stream) if entry is None else None
        if remembered is None:
            return None
        if remembered.startswith("!"):
            return rejected(remembered[1:], "refused before under the same id")
        if not isinstance(wanted, StartExecution):
            return rejected("execution_closed", "the execution has ended")
        if wanted.fingerprint == remembered:
            return Outcome(kind="duplicate")
        return rejected("idempotency_mismatch", "the same key was used before with another request")

    def _decision(self, command: Any, entry: Entry | None, stream: str, workspace: str) -> Decision:
        started = time.perf_counter()
        try:
            if entry is not None and entry.state is None:
                self._lane.wake(entry)
            return self._lane.decide(
                command,
                entry,
                stream=stream,
                workspace=workspace,
                now=self._clock.now(),
                clock=wall_ms(),
                begin=self._begins(workspace),
                variables=self._variables,
            )
        except Exception as error:  # noqa: BLE001 — rule 8: whatever it is, the partition goes on
            _log.exception("deciding failed", stream=stream, command=type(command).__name__)
            return self._failed(command, entry, stream, workspace, "internal_error", f"{type(error).__name__}: {error}")
        finally:
            spent = time.perf_counter() - started
            self._around.shares.spend(workspace, spent + RECORDING_SECONDS, time.monotonic())

    def _begins(self, workspace: str) -> bool:
        """Whether a start of this workspace begins at once; else it is recorded as queued and stands in line."""
        if self._around.saturated(workspace):
            return False
        return not (self._crowded and self._around.shares.ahead(workspace))

    def _failed(
        self, command: Any, entry: Entry | None, stream: str, workspace: str, code: str, message: str
    ) -> Decision:
        outcome = Outcome(kind="failed", code=code, message=message)
        return self._lane.failure(command, entry, outcome, stream=stream, workspace=workspace, now=self._clock.now())

    def _refuse(self, ask: _Asked, code: str, reason: str) -> None:
        """A dead letter and an answer, so that the partition goes on. A poisonous start still becomes an execution."""
        record, command = ask.record, ask.command
        _log.warning("dead letter", topic=record.topic, offset=record.offset, code=code, reason=reason)
        metrics.DEAD_LETTERS.labels(code).inc()
        letter = dead_letter(record, command, code, reason)
        self.dead_letters.append(letter)
        self._bytes += len(letter.value)
        stream = command.stream if command else f"undecodable-{self._partition}"
        entry = self._memory.entries.get(stream) if code == "poison" else None
        decision = Decision([], entry.state if entry else None, Outcome(kind="failed", code=code, message=reason))
        wanted: Any = None
        if command is not None:
            with suppress(SchemaError):
                wanted = registry.decode_command_bare(command)
                decision = self._undecided(wanted, entry, command, decision)
        if not stream.startswith(LETTER):  # a letter that cannot be recorded is on the topic of dead letters
            told = recorded(record, command, code, reason, self._clock.now())
            decision = replace(decision, commands=[*decision.commands, told])
        why = _Why(
            command.workspace if command else "",
            command.id if command else "",
            record.offset,
            reply=header(record.headers, "r"),
        )
        self._put(stream, entry, decision, wanted, why)

    def _undecided(self, wanted: Any, entry: Entry | None, command: CommandRecord, answer: Decision) -> Decision:
        """What an input that is known but cannot be decided leaves behind. `wanted`: without its payloads."""
        code, reason = answer.outcome.code, answer.outcome.message
        if code == "poison":
            return self._failed(wanted, entry, command.stream, command.workspace, code, reason)
        if isinstance(wanted, StartExecution) and command.stream not in self._memory.entries:
            execution_id = command.stream.removeprefix(EXECUTION)
            return refused(wanted, execution_id, None, answer.outcome, self._clock.now())
        return answer

    # --- recording --------------------------------------------------------------------------------------------------

    def _put(self, stream: str, entry: Entry | None, decision: Decision, command: Any, why: _Why) -> None:
        """Encode the decision as the next record of the batch and move the state on to it."""
        if entry is None and decision.events:
            key = self._lane.key_of_first(why.workspace, decision.events)
            entry = Entry(key[0] if key else why.workspace, graph_key=key, trace=why.trace)
        version = entry.version if entry else 0
        try:
            encoded, queued_at = self._encode(stream, entry, version, decision, command, why)
        except (CommitTooLarge, UnencodableRecord) as error:
            known = entry if version else None
            decision = self._failed(command, known, stream, why.workspace, error.code, str(error))
            encoded, queued_at = self._encode(stream, entry, version, decision, command, why)
        self.records.append(encoded.record)
        self._bytes += len(encoded.record.value)
        kept = not decision.events and self._memory.refusal_is_kept(decision.outcome, version)
        self.decided.append(
            Decided(
                stream,
                entry,
                decision,
                len(self.records) - 1,
                why.answers,
                decision.outcome.code if kept else "",
                [(each, why.workspace, why.correlation or why.cause, why.trace) for each in encoded.commands],
            )
        )
        if entry is not None and decision.events:
            entry.state = decision.state
            entry.frozen = None
            entry.version = version + len(decision.events)
            entry.queued_at = queued_at
            self._memory.entries[stream] = entry

    def _encode(
        self, stream: str, entry: Entry | None, version: int, decision: Decision, command: Any, why: _Why
    ) -> tuple[Any, int | None]:
        queued_at = entry.queued_at if entry is not None else None
        if queued_at is None and decision.events and isinstance(command, StartExecution):
            queued_at = command.queued_at
        encoded = self._encoder.encode(
            stream,
            workspace=why.workspace,
            version=version + 1 if decision.events else version,
            time=wall_ms(),
            events=decision.events,
            outcome=decision.outcome,
            answers=Answers(self._lane.input_topic, why.answers) if why.answers >= 0 else None,
            cause=why.cause,
            correlation=why.correlation,
            actor=why.actor,
            queued_at=queued_at,
            delivers=_trigger_type(decision.state, command) == TRIGGER,
            outgoing=decision.commands,
            reply=why.reply,
            trace=why.trace,
        )
        return encoded, queued_at


def _trigger_type(state: Any, command: Any) -> str | None:
    """Of an execution; it is in the command where a start failed and there is no state."""
    found: str | None = getattr(state, "trigger_type", None) or getattr(command, "trigger_type", None)
    return found
