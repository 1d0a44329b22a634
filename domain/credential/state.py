"""What a credential's decider has to remember."""

import msgspec

from domain.credential.events import (
    ConnectionBegun,
    ConnectionEnded,
    CredentialCreated,
    CredentialDeleted,
    CredentialEvent,
    CredentialResealed,
    CredentialTested,
    CredentialUpdated,
    CredentialUsed,
    TokensStored,
)
from domain.errors import ImpossibleHistory
from domain.snapshots import Snapshots

SNAPSHOT_FORMAT = 1
TOKENS = frozenset({"access_token", "refresh_token"})
"""Secrets that the provider gives: in `sealed` beside the fields that people fill in."""


class Credential(msgspec.Struct, frozen=True, array_like=True):
    """`version`: what people see, moved by updates; `revision`: of the stream, moved by every event; `generation`: of
    its tokens, 0 before the first; `states`: of connections begun → when they expire."""

    type: str
    name: str
    fields: dict[str, str]
    sealed: dict[str, str]
    fingerprint: str = ""
    version: int = 1
    revision: int = 1
    generation: int = 0
    used_at: int = 0
    deleted: bool = False
    states: dict[str, int] = {}

    @property
    def secrets(self) -> dict[str, str]:
        """The sealed fields that people filled in."""
        return {name: sealed for name, sealed in self.sealed.items() if name not in TOKENS}


def evolve(state: Credential | None, event: CredentialEvent) -> Credential:
    """The state after `event`. Raises ImpossibleHistory."""
    if state is None:
        if not isinstance(event, CredentialCreated):
            raise ImpossibleHistory(f"{type(event).__name__} before CredentialCreated")
        return Credential(event.type, event.name, event.fields, event.sealed, event.fingerprint)
    if state.deleted:
        raise ImpossibleHistory(f"{type(event).__name__} of a credential that was deleted")
    state = msgspec.structs.replace(state, revision=state.revision + 1)
    replace = msgspec.structs.replace
    match event:
        case CredentialCreated():
            raise ImpossibleHistory("CredentialCreated for a credential that exists")
        case CredentialUpdated(name=name, fields=fields, version=version):
            sealed = event.sealed | ({} if event.disconnected else _tokens(state))
            return replace(state, name=name, fields=fields, sealed=sealed, version=version)
        case CredentialDeleted():
            return replace(state, fields={}, sealed={}, states={}, deleted=True)
        case CredentialResealed(sealed=sealed):
            return replace(state, sealed=sealed)
        case ConnectionBegun(state_id=state_id, expires=expires, at=at):
            open_ones = {each: until for each, until in state.states.items() if until > at}
            return replace(state, states=open_ones | {state_id: expires})
        case TokensStored(generation=generation):
            return replace(state, sealed=state.sealed | event.sealed, generation=generation)
        case ConnectionEnded(state_id=state_id):
            return state if state_id else replace(state, sealed=state.secrets)
        case CredentialUsed(at=at):
            return replace(state, used_at=at)
        case CredentialTested():
            return state


def _tokens(state: Credential) -> dict[str, str]:
    return {name: sealed for name, sealed in state.sealed.items() if name in TOKENS}


_snapshots = Snapshots(Credential, SNAPSHOT_FORMAT)
snapshot = _snapshots.snapshot
restore = _snapshots.restore
