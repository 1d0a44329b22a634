"""Decides what may happen to a credential. Its secrets come in and are recorded as ciphertext: nothing here opens one.

Outcome codes: invalid_credential, unknown_credential_type, idempotency_mismatch, credential_not_found,
credential_deleted, version_conflict, tokens_moved, state_used, state_expired, not_oauth2, test_not_possible,
wrong_stream.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import assert_never

import msgspec

from domain.credential.commands import (
    ConcludeTest,
    ConnectCredential,
    CreateCredential,
    CredentialCommand,
    DeleteCredential,
    EndConnection,
    NoteCredentialUsed,
    ResealCredential,
    StoreTokens,
    TestCredential,
    UpdateCredential,
)
from domain.credential.credential_type import CredentialType
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
from domain.credential.oauth2 import AUTHORIZATION_CODE
from domain.credential.state import TOKENS, Credential, evolve, restore, snapshot
from domain.credential.types import CREDENTIAL_TYPES
from domain.credential.values import missing_fields, read_values
from domain.decision import ACCEPTED, DUPLICATE, Decision, Outcome, rejected
from domain.effects import CredentialRef, EffectRequest, ExchangeCode, TryCredential

__all__ = ["Credential", "decide", "evolve", "restore", "snapshot"]

MAX_NAME = 100
MAX_DESCRIPTION = 2_000
USED_AGAIN_MS = 300_000
"""A use is recorded once in so long."""
_SEALED = re.compile(r"\d{1,4}\.[0-9a-f]{8,64}\.[A-Za-z0-9_-]{38,60000}")
"""What ciphertext looks like (infra/vault.py): a secret in clear never gets past here by mistake."""
_CLIENT = ("grant", "token_url", "authorize_url", "client_id")
"""Tokens belong to these: where one changes, they are of no use; where they are sent to another place, they go, too."""


def decide(command: CredentialCommand, state: Credential | None, *, workspace: str, stream_id: str) -> Decision:
    """Answer a command to the credential of `stream_id`, `credential-<id>`; refusals are outcomes, no exceptions."""
    if isinstance(command, CreateCredential):
        return _create(command, state, stream_id)
    if state is None:
        return _refused(state, rejected("credential_not_found", "there is no such credential"))
    if state.deleted:
        if isinstance(command, DeleteCredential):
            return _refused(state, DUPLICATE)
        return _refused(state, rejected("credential_deleted", "the credential was deleted"))
    match command:
        case UpdateCredential():
            return _update(command, state)
        case DeleteCredential(at=at):
            return _decided(state, [CredentialDeleted(at)])
        case ResealCredential():
            return _reseal(command, state)
        case ConnectCredential():
            return _connect(command, state, stream_id)
        case StoreTokens():
            return _store(command, state)
        case EndConnection():
            return _end(command, state)
        case NoteCredentialUsed(at=at):
            return _decided(state, [CredentialUsed(at)] if at >= state.used_at + USED_AGAIN_MS else [])
        case TestCredential():
            return _try(command, state, stream_id)
        case ConcludeTest():
            tested = CredentialTested(command.test_id, command.ok, command.at, command.code, command.message)
            return _decided(state, [tested])
        case _:
            assert_never(command)


def _create(command: CreateCredential, state: Credential | None, stream_id: str) -> Decision:
    if stream_id != f"credential-{command.credential_id}":
        return _refused(state, rejected("wrong_stream", f"credential {command.credential_id} does not live here"))
    if state is not None:
        if state.deleted:
            return _refused(state, rejected("credential_deleted", "the credential was deleted"))
        if state.fingerprint == command.fingerprint:
            return _refused(state, DUPLICATE)
        return _refused(state, rejected("idempotency_mismatch", "the same id was used for another credential"))
    type_ = CREDENTIAL_TYPES.get(command.type)
    wrong = _wrong(type_, command.type, command, command.sealed)
    if wrong is not None:
        return _refused(state, wrong)
    created = CredentialCreated(
        command.type,
        command.name,
        command.fields,
        command.sealed,
        command.at,
        command.description,
        command.fingerprint,
    )
    return _decided(state, [created])


def _update(command: UpdateCredential, state: Credential) -> Decision:
    if command.expected_version is not None and command.expected_version != state.version:
        message = f"the newest version is {state.version}, not {command.expected_version}: somebody was faster"
        return _refused(state, rejected("version_conflict", message))
    kept = {name: state.secrets[name] for name in command.kept if name in state.secrets}
    sealed = kept | command.sealed
    type_ = CREDENTIAL_TYPES.get(state.type)
    redirecting = _redirecting(type_, command, state)
    wrong = _wrong(type_, state.type, command, sealed) or _redirected(redirecting, kept)
    if wrong is not None:
        return _refused(state, wrong)
    updated = CredentialUpdated(
        state.version + 1,
        command.name,
        command.fields,
        sealed,
        command.at,
        command.description,
        disconnected=bool(redirecting) or any(command.fields.get(name) != state.fields.get(name) for name in _CLIENT),
    )
    return _decided(state, [updated])


def _reseal(command: ResealCredential, state: Credential) -> Decision:
    if command.revision != state.revision:
        return _refused(state, rejected("version_conflict", "the credential has changed meanwhile: read it again"))
    if set(command.sealed) != set(state.sealed) or not _all_sealed(command.sealed):
        return _refused(state, rejected("invalid_credential", "not the secrets of this credential"))
    return _decided(state, [CredentialResealed(command.sealed, command.at)])


def _connect(command: ConnectCredential, state: Credential, stream_id: str) -> Decision:
    type_ = CREDENTIAL_TYPES.get(state.type)
    grant = state.fields.get("grant", AUTHORIZATION_CODE)
    if type_ is None or not type_.oauth2 or grant != AUTHORIZATION_CODE:
        return _refused(state, rejected("not_oauth2", "nobody has to allow a credential of this kind in a browser"))
    if command.state_id in state.states:
        return _refused(state, rejected("state_used", "this consent was used before: connect again"))
    if command.at >= command.expires:
        return _refused(state, rejected("state_expired", "this consent came too late: connect again"))
    if set(command.sealed) != {"code", "verifier"} or not _all_sealed(command.sealed):
        return _refused(state, rejected("invalid_credential", "not a consent"))
    exchange = ExchangeCode(_id(stream_id), command.state_id, command.sealed, command.redirect_uri, state.generation)
    return _decided(state, [ConnectionBegun(command.state_id, command.expires, command.at)], [exchange])


def _store(command: StoreTokens, state: Credential) -> Decision:
    # What a person connected just now counts, whatever was renewed meanwhile.
    if command.generation != state.generation and not command.state_id:
        return _refused(state, rejected("tokens_moved", "the tokens were renewed by somebody else"))
    if not set(command.sealed) <= TOKENS or "access_token" not in command.sealed or not _all_sealed(command.sealed):
        return _refused(state, rejected("invalid_credential", "not tokens"))
    stored = TokensStored(
        command.sealed, state.generation + 1, command.at, command.expires_at, command.scope, command.state_id
    )
    return _decided(state, [stored])


def _end(command: EndConnection, state: Credential) -> Decision:
    if not command.state_id and command.generation != state.generation:
        return _refused(state, rejected("tokens_moved", "the tokens were renewed by somebody else"))
    return _decided(state, [ConnectionEnded(command.code, command.message, command.at, command.state_id)])


def _try(command: TestCredential, state: Credential, stream_id: str) -> Decision:
    type_ = CREDENTIAL_TYPES.get(state.type)
    plain = state.fields | ({"test_url": command.url} if command.url else {})
    ref = CredentialRef(_id(stream_id), [state.type])
    effect = type_.test.effect(ref, plain) if type_ is not None and type_.test is not None else None
    if effect is None:
        message = "this credential cannot be tried out: give a test_url" if type_ else "its type is not known here"
        return _refused(state, rejected("test_not_possible", message))
    return Decision((), state, ACCEPTED, [TryCredential(ref.id, command.test_id, state.type, effect)])


def _id(stream_id: str) -> str:
    return stream_id.removeprefix("credential-")


def _wrong(
    type_: CredentialType | None, name: str, command: CreateCredential | UpdateCredential, sealed: Mapping[str, str]
) -> Outcome | None:
    """Why what was asked is no credential: nothing invalid enters the log, whoever sent it."""
    if type_ is None:
        return rejected("unknown_credential_type", f"there is no type of credentials {name[:100]!r}")
    problems: list[tuple[str, str]] = []
    if not 1 <= len(command.name.strip()) <= MAX_NAME:
        problems.append(("name", f"takes 1 to {MAX_NAME} characters"))
    if len(command.description) > MAX_DESCRIPTION:
        problems.append(("description", f"takes at most {MAX_DESCRIPTION} characters"))
    problems += _field_problems(type_, command.fields, sealed)
    return rejected("invalid_credential", "the credential is not valid", problems) if problems else None


def _redirecting(type_: CredentialType | None, command: UpdateCredential, state: Credential) -> list[str]:
    """The fields that change, and with them where the secrets are sent."""
    directing = [field for field in type_.fields if field.directs] if type_ is not None else []
    return [
        field.name
        for field in directing
        if command.fields.get(field.name, field.default) != state.fields.get(field.name, field.default)
    ]


def _redirected(redirecting: list[str], kept: Collection[str]) -> Outcome | None:
    """Whoever may change a credential, but never knew its secrets, must not have them sent to an address of his own."""
    if not redirecting or not kept:
        return None
    why = f"give it again: {', '.join(redirecting)} changes, and so where it is sent"
    return rejected(
        "invalid_credential", "the credential is not valid", [(f"data.{name}", why) for name in sorted(kept)]
    )


def _field_problems(
    type_: CredentialType, fields: Mapping[str, str], sealed: Mapping[str, str]
) -> list[tuple[str, str]]:
    secret = {field.name for field in type_.fields if field.secret}
    problems = [(f"data.{name[:100]}", "is secret and came in clear") for name in fields if name in secret]
    problems += [(f"data.{name[:100]}", "is no secret field of this type") for name in sealed if name not in secret]
    if not _all_sealed(sealed):
        problems.append(("data", "holds a secret that is not sealed"))
    plain = {name: text for name, text in fields.items() if name not in secret}
    values, wrong = read_values(type_, {name: _as_given(type_, name, text) for name, text in plain.items()})
    wrong += missing_fields(type_, _given(values, sealed))
    return problems + [(problem.path, problem.message) for problem in wrong]


def _given(values: Mapping[str, str], sealed: Mapping[str, str]) -> Collection[str]:
    return {*values, *sealed}


def _as_given(type_: CredentialType, name: str, text: str) -> object:
    """The kept text of a plain field as it would be given: an object as one."""
    field = type_.field(name)
    if field is None or field.kind != "object":
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _all_sealed(sealed: Mapping[str, str]) -> bool:
    return all(_SEALED.fullmatch(text) for text in sealed.values())


def _decided(
    state: Credential | None, events: Sequence[CredentialEvent], effects: Sequence[EffectRequest] = ()
) -> Decision:
    for event in events:
        state = evolve(state, event)
    return Decision(events, state, ACCEPTED, effects)


def _refused(state: Credential | None, outcome: Outcome) -> Decision:
    return Decision((), state, outcome)
