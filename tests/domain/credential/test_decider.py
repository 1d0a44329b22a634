"""Credentials, given–when–then: what may happen to one, and that nothing in clear gets past the decider."""

from typing import Any

import msgspec
import pytest

from domain.credential import commands as c
from domain.credential import events as e
from domain.credential.decider import USED_AGAIN_MS, decide, evolve, restore, snapshot
from domain.credential.state import Credential
from domain.decision import Decision
from domain.effects import CredentialRef, ExchangeCode, HttpRequest, TryCredential
from domain.errors import ImpossibleHistory
from infra.vault import Place, Vault

WORKSPACE = "0b9a6c1e-5f1d-4a38-9d53-3f6d1f0c7a11"
ID = "5a0f3c5e-8e0f-49f4-b7b0-1d2f9f2b6c41"
STREAM = f"credential-{ID}"
AT = 1_795_000_000_000
VAULT = Vault.of_key(bytes(32))


def sealed(field: str, secret: str = "s3cret") -> str:
    return VAULT.seal(secret, Place(WORKSPACE, ID, field))


PASSWORD, OTHER = sealed("password"), sealed("password", "other")
CODE = {"code": sealed("code"), "verifier": sealed("verifier")}
CREATED = e.CredentialCreated("http_basic", "Shop", {"user": "order"}, {"password": PASSWORD}, AT, "", "fp")
CONNECTABLE = e.CredentialCreated(
    "oauth2",
    "Mail",
    {"client_id": "c", "token_url": "https://id.example/token", "authorize_url": "https://id.example/allow"},
    {"client_secret": sealed("client_secret")},
    AT,
)
TOKENS = {"access_token": sealed("access_token"), "refresh_token": sealed("refresh_token")}


def given(*events: e.CredentialEvent) -> Credential | None:
    state: Credential | None = None
    for event in events:
        state = evolve(state, event)
    return state


def when(command: Any, *history: e.CredentialEvent, stream: str = STREAM) -> Decision:
    return decide(command, given(*history), workspace=WORKSPACE, stream_id=stream)


def create(**changes: Any) -> c.CreateCredential:
    command = c.CreateCredential(ID, "http_basic", "Shop", {"user": "order"}, {"password": PASSWORD}, AT, "", "fp")
    return msgspec.structs.replace(command, **changes)


def update(**changes: Any) -> c.UpdateCredential:
    return msgspec.structs.replace(c.UpdateCredential("Shop", {"user": "order"}, {}, ["password"], AT + 1), **changes)


def test_it_is_created_once() -> None:
    assert when(create()).events == [CREATED]
    assert when(create(), CREATED).outcome.kind == "duplicate"
    assert when(create(fingerprint="another"), CREATED).outcome.code == "idempotency_mismatch"
    assert when(create(), stream="credential-other").outcome.code == "wrong_stream"
    assert when(update()).outcome.code == "credential_not_found"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": " "}, "name"),
        ({"name": "n" * 101}, "name"),
        ({"description": "d" * 2001}, "description"),
        ({"fields": {}}, "data.user"),
        ({"sealed": {}}, "data.password"),
        ({"fields": {"user": "a\r\nb"}}, "data.user"),
        ({"fields": {"user": "order", "colour": "red"}}, "data.colour"),
        ({"fields": {"user": "order", "password": "in clear"}}, "data.password"),
        ({"sealed": {"password": "in clear"}}, "data"),
        ({"sealed": {"password": PASSWORD, "user": PASSWORD}}, "data.user"),
        ({"fields": {"user": "order", "test_url": "file:///etc/passwd"}}, "data.test_url"),
        ({"fields": {"user": "order", "test_url": "https://user:word@example.com/"}}, "data.test_url"),
    ],
)
def test_what_is_no_credential_is_refused_with_the_field(changes: dict[str, Any], path: str) -> None:
    outcome = when(create(**changes)).outcome
    assert outcome.code == "invalid_credential"
    assert path in [where for where, _ in outcome.problems]
    assert "in clear" not in str([m for _, m in outcome.problems]).replace("came in clear", "")


def test_an_unknown_type_is_refused() -> None:
    assert when(create(type="unheard-of")).outcome.code == "unknown_credential_type"


def test_secrets_can_be_kept_replaced_and_dropped() -> None:
    [kept] = when(update(fields={"user": "orders"}), CREATED).events
    assert kept == e.CredentialUpdated(2, "Shop", {"user": "orders"}, {"password": PASSWORD}, AT + 1)
    [replaced] = when(update(kept=[], sealed={"password": OTHER}), CREATED).events
    assert replaced.sealed == {"password": OTHER}
    assert when(update(kept=[]), CREATED).outcome.code == "invalid_credential"
    assert when(update(kept=["access_token", "password"]), CREATED).events[0].sealed == {"password": PASSWORD}


def test_somebody_else_may_be_faster() -> None:
    changed = when(update(), CREATED).events[0]
    assert when(update(expected_version=1), CREATED, changed).outcome.code == "version_conflict"
    assert when(update(expected_version=2), CREATED, changed).events[0].version == 3


def test_a_deleted_one_is_gone_with_its_secrets() -> None:
    deleted = when(c.DeleteCredential(AT), CREATED).events[0]
    state = given(CREATED, deleted)
    assert state is not None
    assert (state.deleted, state.sealed, state.fields) == (True, {}, {})
    assert when(c.DeleteCredential(AT), CREATED, deleted).outcome.kind == "duplicate"
    for command in (create(), update(), c.NoteCredentialUsed(AT), c.TestCredential("t", AT)):
        assert when(command, CREATED, deleted).outcome.code == "credential_deleted"
    with pytest.raises(ImpossibleHistory):
        given(CREATED, deleted, e.CredentialUsed(AT))


def test_new_keys_replace_exactly_what_was_read() -> None:
    resealed = {"password": OTHER}
    assert when(c.ResealCredential(resealed, 1, AT), CREATED).events == [e.CredentialResealed(resealed, AT)]
    changed = when(update(), CREATED).events[0]
    assert when(c.ResealCredential(resealed, 1, AT), CREATED, changed).outcome.code == "version_conflict"
    assert when(c.ResealCredential({}, 1, AT), CREATED).outcome.code == "invalid_credential"
    assert when(c.ResealCredential({"password": "clear"}, 1, AT), CREATED).outcome.code == "invalid_credential"


def test_a_use_is_recorded_once_in_a_while() -> None:
    used = when(c.NoteCredentialUsed(AT), CREATED).events
    assert used == [e.CredentialUsed(AT)]
    assert when(c.NoteCredentialUsed(AT + USED_AGAIN_MS - 1), CREATED, *used).events == []
    assert when(c.NoteCredentialUsed(AT + USED_AGAIN_MS), CREATED, *used).events == [
        e.CredentialUsed(AT + USED_AGAIN_MS)
    ]


def test_it_is_tried_out_by_a_worker() -> None:
    refused = when(c.TestCredential("t", AT), CREATED).outcome
    assert refused.code == "test_not_possible"
    decision = when(c.TestCredential("t", AT, "https://shop.example/me"), CREATED)
    assert decision.events == ()
    [work] = decision.effects
    assert isinstance(work, TryCredential)
    assert isinstance(work.effect, HttpRequest)
    assert work.effect.credential == CredentialRef(ID, ["http_basic"])
    assert work.effect.url == "https://shop.example/me"
    [told] = when(c.ConcludeTest("t", False, AT, "timeout", "no answer"), CREATED).events
    assert told == e.CredentialTested("t", False, AT, "timeout", "no answer")


def connect(**changes: Any) -> c.ConnectCredential:
    command = c.ConnectCredential("s1", CODE, "https://linkflow.example/cb", AT + 600_000, AT)
    return msgspec.structs.replace(command, **changes)


def test_a_consent_works_once_and_in_time() -> None:
    decision = when(connect(), CONNECTABLE)
    assert decision.events == [e.ConnectionBegun("s1", AT + 600_000, AT)]
    assert decision.effects == [ExchangeCode(ID, "s1", CODE, "https://linkflow.example/cb", 0)]
    assert when(connect(), CONNECTABLE, *decision.events).outcome.code == "state_used"
    assert when(connect(at=AT + 600_000), CONNECTABLE).outcome.code == "state_expired"
    assert when(connect(), CREATED).outcome.code == "not_oauth2"
    assert when(connect(sealed={"code": "clear"}), CONNECTABLE).outcome.code == "invalid_credential"


def test_used_consents_are_forgotten_when_they_could_not_be_used_anyway() -> None:
    state = given(CONNECTABLE, e.ConnectionBegun("s1", AT + 10, AT), e.ConnectionBegun("s2", AT + 99, AT + 10))
    assert state is not None
    assert state.states == {"s2": AT + 99}


def test_one_of_many_renewals_counts() -> None:
    first = when(c.StoreTokens(TOKENS, 0, AT, AT + 1, "read"), CONNECTABLE).events
    assert first == [e.TokensStored(TOKENS, 1, AT, AT + 1, "read")]
    assert when(c.StoreTokens(TOKENS, 0, AT), CONNECTABLE, *first).outcome.code == "tokens_moved"
    access = {"access_token": TOKENS["access_token"]}
    second = when(c.StoreTokens(access, 1, AT), CONNECTABLE, *first).events
    state = given(CONNECTABLE, *first, *second)
    assert state is not None
    assert state.generation == 2
    assert state.sealed["refresh_token"] == TOKENS["refresh_token"]
    # a person's own connection counts, whatever was renewed meanwhile
    assert when(c.StoreTokens(TOKENS, 0, AT, state_id="s1"), CONNECTABLE, *first).events[0].generation == 2
    for wrong in ({}, {"refresh_token": PASSWORD}, {"access_token": "clear"}, {**TOKENS, "password": PASSWORD}):
        assert when(c.StoreTokens(wrong, 0, AT), CONNECTABLE).outcome.code == "invalid_credential"


def test_an_end_of_the_grant_takes_the_tokens_away() -> None:
    stored = e.TokensStored(TOKENS, 1, AT)
    ended = when(c.EndConnection("oauth2_refused", "over", AT, 1), CONNECTABLE, stored).events
    state = given(CONNECTABLE, stored, *ended)
    assert state is not None
    assert set(state.sealed) == {"client_secret"}
    assert when(c.EndConnection("oauth2_refused", "over", AT, 0), CONNECTABLE, stored).outcome.code == "tokens_moved"
    failed = when(c.EndConnection("oauth2_refused", "no", AT, state_id="s1"), CONNECTABLE, stored).events
    state = given(CONNECTABLE, stored, *failed)
    assert state is not None
    assert set(state.sealed) == {"client_secret", *TOKENS}


def test_another_client_or_provider_needs_other_tokens() -> None:
    stored = e.TokensStored(TOKENS, 1, AT)
    same = c.UpdateCredential("Mail", dict(CONNECTABLE.fields), {}, ["client_secret"], AT)
    [renamed] = when(msgspec.structs.replace(same, name="Post"), CONNECTABLE, stored).events
    assert not renamed.disconnected
    state = given(CONNECTABLE, stored, renamed)
    assert state is not None
    assert set(state.sealed) == {"client_secret", *TOKENS}
    moved = {**same.fields, "token_url": "https://evil.example/token"}
    again = msgspec.structs.replace(same, fields=moved, kept=[], sealed={"client_secret": PASSWORD})
    [changed] = when(again, CONNECTABLE, stored).events
    assert changed.disconnected
    state = given(CONNECTABLE, stored, changed)
    assert state is not None
    assert set(state.sealed) == {"client_secret"}


@pytest.mark.parametrize("field", ["token_url", "allowed_hosts"])
def test_secrets_that_are_to_go_elsewhere_are_given_again(field: str) -> None:
    """Else who may change a credential could read its secrets, at an address of his own."""
    moved = {**CONNECTABLE.fields, field: "https://evil.example/token" if field == "token_url" else "evil.example"}
    stored = e.TokensStored(TOKENS, 1, AT)
    refused = when(c.UpdateCredential("Mail", moved, {}, ["client_secret"], AT), CONNECTABLE, stored)
    assert refused.events == ()
    assert [problem[0] for problem in refused.outcome.problems] == ["data.client_secret"]
    assert field in refused.outcome.problems[0][1]
    [changed] = when(c.UpdateCredential("Mail", moved, {"client_secret": PASSWORD}, [], AT), CONNECTABLE, stored).events
    state = given(CONNECTABLE, stored, changed)
    assert state is not None
    assert set(state.sealed) == {"client_secret"}


def test_a_snapshot_comes_back_as_it_went() -> None:
    state = given(CONNECTABLE, e.TokensStored(TOKENS, 1, AT), e.ConnectionBegun("s1", AT + 9, AT))
    assert state is not None
    assert restore(snapshot(state)) == state
    for damaged in (b"", b"\x92\x02\x90", msgspec.msgpack.encode((9, state))):
        with pytest.raises(ImpossibleHistory):
            restore(damaged)
