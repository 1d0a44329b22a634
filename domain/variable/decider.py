"""Decides what may happen to the variables of a workspace: one stream holds them all, so that names are unique in it
and their number and size are bounded.

The state knows of each value its digest and size only: it stays in memory, the values are in the read model.

Outcome codes: invalid_variable, variable_exists, variable_not_found, variable_deleted, version_conflict,
too_many_variables, idempotency_mismatch, wrong_stream.
"""

import re
from hashlib import sha256
from typing import Any, Final, assert_never

import msgspec
from msgspec.structs import replace

from domain.decision import DUPLICATE, Decision, Outcome, rejected
from domain.errors import ImpossibleHistory
from domain.expressions.values import is_forbidden
from domain.snapshots import Snapshots
from domain.variable.commands import CreateVariable, DeleteVariable, SetVariable, VariableCommand
from domain.variable.events import VariableChanged, VariableCreated, VariableDeleted, VariableEvent

SNAPSHOT_FORMAT = 1
STREAM: Final = "variables-"
MAX_NAME: Final = 100
MAX_DESCRIPTION: Final = 2_000
MAX_VALUE: Final = 32_768
"""Bytes of a value as JSON."""
MAX_TOTAL: Final = 262_144
"""Bytes of all values of a workspace: so much an execution may have to record."""
MAX_VARIABLES: Final = 500
KEPT_REQUESTS: Final = 200
"""Requests whose variable is gone that are still known."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_json = msgspec.json.Encoder(order="deterministic").encode


class Variable(msgspec.Struct, frozen=True, array_like=True):
    """`digest`: of value and description; `size`: of the value as JSON, bytes."""

    version: int
    size: int
    digest: str
    request_id: str = ""
    fingerprint: str = ""


class Variables(msgspec.Struct, frozen=True, array_like=True):
    """By name. `version`: of the newest change; `gone`: requests whose variable was deleted, with their fingerprints,
    the newest last."""

    version: int = 0
    variables: dict[str, Variable] = {}
    gone: tuple[tuple[str, str], ...] = ()


def stream_of(workspace: str) -> str:
    return f"{STREAM}{workspace}"


def decide(command: VariableCommand, state: Variables | None, *, workspace: str, stream_id: str) -> Decision:
    """Answer a command to the variables of `stream_id`; refusals are outcomes, never exceptions."""
    state = state if state is not None else Variables()
    if stream_id != stream_of(workspace):
        return _refused(state, rejected("wrong_stream", "a workspace can only ask for its own variables"))
    match command:
        case CreateVariable():
            return _create(command, state)
        case SetVariable():
            return _set(command, state)
        case DeleteVariable():
            return _delete(command, state)
        case _:
            assert_never(command)


def _create(command: CreateVariable, state: Variables) -> Decision:
    repeated = _repeated(command, state)
    if repeated is not None:
        return _refused(state, repeated)
    if command.name in state.variables:
        return _refused(state, rejected("variable_exists", f"there is a variable {command.name!r} already"))
    wrong = _wrong(command, state)
    if wrong is not None:
        return _refused(state, wrong)
    created = VariableCreated(
        command.name,
        command.value,
        state.version + 1,
        command.at,
        command.description,
        command.request_id,
        command.fingerprint,
    )
    return _decided(state, created)


def _repeated(command: CreateVariable, state: Variables) -> Outcome | None:
    """The answer to a request that was made before under the same id; None if it was not."""
    if not command.request_id:
        return None
    there = {each.request_id: each.fingerprint for each in state.variables.values()}
    known = (there | dict(state.gone)).get(command.request_id)
    if known is None:
        return None
    if known != command.fingerprint:
        return rejected("idempotency_mismatch", "the same key was used for another variable")
    if command.request_id in there:
        return DUPLICATE
    return rejected("variable_deleted", "the variable that this request made was deleted")


def _set(command: SetVariable, state: Variables) -> Decision:
    found = state.variables.get(command.name)
    if found is None and command.must_exist:
        return _refused(state, _not_found(command.name))
    conflict = _conflict(command.name, found, command.expected_version)
    if conflict is not None:
        return _refused(state, conflict)
    if found is not None and found.digest == _digest(command.value, command.description):
        return _refused(state, DUPLICATE)
    wrong = _wrong(command, state)
    if wrong is not None:
        return _refused(state, wrong)
    kind = VariableCreated if found is None else VariableChanged
    return _decided(state, kind(command.name, command.value, state.version + 1, command.at, command.description))


def _delete(command: DeleteVariable, state: Variables) -> Decision:
    found = state.variables.get(command.name)
    if found is None:
        return _refused(state, _not_found(command.name))
    conflict = _conflict(command.name, found, command.expected_version)
    if conflict is not None:
        return _refused(state, conflict)
    return _decided(state, VariableDeleted(command.name, state.version + 1, command.at))


def _conflict(name: str, found: Variable | None, expected: int | None) -> Outcome | None:
    if expected is None or (found is not None and found.version == expected):
        return None
    if found is None:
        return _not_found(name)
    return rejected("version_conflict", f"the newest version is {found.version}, not {expected}: somebody was faster")


def _not_found(name: str) -> Outcome:
    return rejected("variable_not_found", f"there is no variable {name[:MAX_NAME]!r}")


def name_problem(name: str) -> str | None:
    """What keeps a name from being read as `$vars.name`."""
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        return f"takes 1 to {MAX_NAME} letters, digits and underscores, the first no digit"
    return "is a name that expressions cannot read" if is_forbidden(name) else None


def field_problems(name: str, value: Any, description: str) -> list[tuple[str, str]]:
    """(field, what is wrong with it), whatever other variables there are."""
    problem, size = name_problem(name), _size(value)
    problems = [("name", problem)] if problem is not None else []
    if len(description) > MAX_DESCRIPTION:
        problems.append(("description", f"takes at most {MAX_DESCRIPTION} characters"))
    if size > MAX_VALUE:
        problems.append(("value", f"has {size} bytes as JSON; it takes at most {MAX_VALUE}"))
    return problems


def _wrong(command: CreateVariable | SetVariable, state: Variables) -> Outcome | None:
    problems = field_problems(command.name, command.value, command.description)
    if problems:
        return rejected("invalid_variable", "the variable is not valid", problems)
    others = [each.size for name, each in state.variables.items() if name != command.name]
    if len(others) >= MAX_VARIABLES:
        return rejected("too_many_variables", f"a workspace has at most {MAX_VARIABLES} variables")
    if sum(others) + _size(command.value) > MAX_TOTAL:
        return rejected("too_many_variables", f"the values of a workspace have at most {MAX_TOTAL} bytes together")
    return None


def evolve(state: Variables | None, event: VariableEvent) -> Variables:
    """The state after `event`. Raises ImpossibleHistory."""
    state = state if state is not None else Variables()
    match event:
        case VariableCreated(name=name):
            if name in state.variables:
                raise ImpossibleHistory(f"variable {name} was created twice")
            return _with(state, event, event.request_id, event.fingerprint)
        case VariableChanged(name=name):
            known = _known(state, name)
            return _with(state, event, known.request_id, known.fingerprint)
        case VariableDeleted(name=name, version=version):
            known = _known(state, name)
            left = {each: variable for each, variable in state.variables.items() if each != name}
            gone = (*state.gone, (known.request_id, known.fingerprint)) if known.request_id else state.gone
            return Variables(version, left, gone[-KEPT_REQUESTS:])


def _with(state: Variables, event: VariableCreated | VariableChanged, request_id: str, fingerprint: str) -> Variables:
    size, digest = _size(event.value), _digest(event.value, event.description)
    variable = Variable(event.version, size, digest, request_id, fingerprint)
    return replace(state, version=event.version, variables=state.variables | {event.name: variable})


def _known(state: Variables, name: str) -> Variable:
    found = state.variables.get(name)
    if found is None:
        raise ImpossibleHistory(f"something happened to variable {name}, which was never created")
    return found


def _size(value: Any) -> int:
    return len(_json(value))


def _digest(value: Any, description: str) -> str:
    return sha256(_json([value, description])).hexdigest()[:32]


_snapshots = Snapshots(Variables, SNAPSHOT_FORMAT)
snapshot = _snapshots.snapshot
restore = _snapshots.restore


def _decided(state: Variables, event: VariableEvent) -> Decision:
    return Decision([event], evolve(state, event))


def _refused(state: Variables, outcome: Outcome) -> Decision:
    return Decision((), state, outcome)
