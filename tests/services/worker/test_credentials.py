"""Opening credentials for interpreters: whose they are, what fits, what is kept and for how long, who renews tokens."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import pytest

from domain.credential.commands import (
    DeleteCredential,
    EndConnection,
    NoteCredentialUsed,
    StoreTokens,
    UpdateCredential,
)
from domain.effects import CredentialRef, EffectError, HttpRequest
from infra.vault import Place, Vault
from services.worker.effects.credentials import CredentialProblem, Credentials
from tests.support.credentials import NOW, WORKSPACE, MemoryCredentials

REF = ["http"]
CANARY = "canary-77aa33"
REQUEST = HttpRequest("GET", "https://api.example.com/me")
OAUTH = {
    "token_url": "https://id.example/token",
    "authorize_url": "https://id.example/allow",
    "client_id": "client",
    "client_secret": CANARY,
}


def tokens(access: str, refresh: str | None = None, lives: int = 3_600) -> dict[str, Any]:
    body = {"access_token": access, "token_type": "bearer", "expires_in": lives}
    return {"status": 200, "headers": {}, "body": body | ({"refresh_token": refresh} if refresh else {})}


async def connect(memory: MemoryCredentials, credential_id: str, refresh: str | None, expires_at: int) -> None:
    values = {"access_token": "old-token", "refresh_token": refresh}
    sealed = {
        name: memory.vault.seal(value, Place(WORKSPACE, credential_id, name))
        for name, value in values.items()
        if value is not None
    }
    await memory.tell(WORKSPACE, f"credential-{credential_id}", StoreTokens(sealed, 0, NOW, expires_at))


async def code_of(credentials: Credentials, ref: CredentialRef, workspace: str = WORKSPACE) -> str:
    with pytest.raises(CredentialProblem) as refused:
        await credentials.open(workspace, ref)
    assert CANARY not in f"{refused.value.message}{refused.value.as_error()}"
    return refused.value.code


async def test_an_interpreter_sees_the_secret_and_hides_it() -> None:
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "http_basic", {"user": "order", "password": CANARY})
    opened = await memory.worker().open(WORKSPACE, CredentialRef(name, REF))
    assert (opened.type, opened.fields["user"], opened.fields["password"]) == ("http_basic", "order", CANARY)
    sent = await memory.worker().authorise(REQUEST, opened)
    basic = sent.headers["Authorization"]
    echoed = {"body": {"you sent": basic, "password": [CANARY]}, "headers": {"x": f"a {CANARY.encode().hex()}"}}
    hidden = json.dumps(opened.hide_in(echoed))
    assert CANARY not in hidden
    assert basic.split()[1] not in hidden
    assert CANARY.encode().hex() not in hidden
    assert CANARY not in f"{opened!r} {opened}"


async def test_s11_another_workspace_has_no_such_credential() -> None:
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "http_bearer", {"token": CANARY}, workspace=str(uuid4()))
    assert await code_of(memory.worker(), CredentialRef(name, REF)) == "credential_not_found"
    assert await code_of(memory.worker(), CredentialRef("{{ $json.id }}", REF)) == "credential_not_found"


async def test_only_what_fits_is_opened() -> None:
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "http_bearer", {"token": CANARY})
    worker = memory.worker()
    for accepts in (["http"], ["http_bearer"], ["slack", "http_bearer"]):
        assert (await worker.open(WORKSPACE, CredentialRef(name, accepts))).fields["token"] == CANARY
    for accepts in (["http_basic"], ["slack"], []):
        assert await code_of(worker, CredentialRef(name, accepts)) == "credential_type_mismatch"


async def test_s25_rows_that_were_swapped_or_changed_do_not_open(caplog: pytest.LogCaptureFixture) -> None:
    memory, mine, theirs = MemoryCredentials(), str(uuid4()), str(uuid4())
    await memory.add(mine, "http_bearer", {"token": "my-own-token"})
    await memory.add(theirs, "http_bearer", {"token": CANARY}, workspace=str(uuid4()))
    stolen = next(state for (_, name), state in memory.states.items() if name == theirs)
    key = (WORKSPACE, mine)
    import msgspec

    memory.states[key] = msgspec.structs.replace(memory.states[key], sealed=stolen.sealed)
    memory.show()
    assert await code_of(memory.worker(), CredentialRef(mine, REF)) == "damaged_secret"
    memory.vault = Vault.of_key(bytes(32))
    assert await code_of(memory.worker(), CredentialRef(mine, REF)) == "unknown_key"


async def test_what_is_kept_is_looked_at_again_at_once() -> None:
    memory, name, now = MemoryCredentials(), str(uuid4()), [0.0]
    await memory.add(name, "http_bearer", {"token": "first-token"})
    worker, ref = memory.worker(seconds=lambda: now[0]), CredentialRef(name, REF)
    opened = await asyncio.gather(*(worker.open(WORKSPACE, ref) for _ in range(50)))
    assert {each.fields["token"] for each in opened} == {"first-token"}
    assert memory.looks == 1
    sealed = {"token": memory.vault.seal("second-token", Place(WORKSPACE, name, "token"))}
    await memory.tell(WORKSPACE, f"credential-{name}", UpdateCredential("test", {}, sealed, [], NOW))
    now[0] += 0.3
    assert (await worker.open(WORKSPACE, ref)).fields["token"] == "second-token"
    await memory.tell(WORKSPACE, f"credential-{name}", DeleteCredential(NOW))
    now[0] += 0.3
    assert await code_of(worker, ref) == "credential_not_found"


async def test_a_database_that_is_away_may_be_tried_again() -> None:
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "http_bearer", {"token": CANARY})
    memory.away = ConnectionRefusedError()
    with pytest.raises(CredentialProblem) as away:
        await memory.worker(patience=0.0).open(WORKSPACE, CredentialRef(name, REF))
    assert away.value.code == "credentials_unavailable"
    assert away.value.as_error().retriable
    waiting = asyncio.create_task(memory.worker().open(WORKSPACE, CredentialRef(name, REF)))
    while memory.looks < 2:
        await asyncio.sleep(0)
    memory.away = None
    assert (await waiting).fields["token"] == CANARY


async def test_what_was_opened_before_is_used_while_the_database_is_away() -> None:
    memory, name, now = MemoryCredentials(), str(uuid4()), [0.0]
    await memory.add(name, "http_bearer", {"token": CANARY})
    worker, ref = memory.worker(seconds=lambda: now[0]), CredentialRef(name, REF)
    await worker.open(WORKSPACE, ref)
    memory.away = ConnectionRefusedError()
    now[0] += 60.0
    assert (await worker.open(WORKSPACE, ref)).fields["token"] == CANARY


async def test_twenty_renewals_at_once_give_one_successor() -> None:
    """Four workers, five effects each; the provider takes a refresh token once."""
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "oauth2", OAUTH)
    await connect(memory, name, "refresh-1", NOW + 1_000)
    asked: list[str] = []

    def provider(request: HttpRequest) -> dict[str, Any]:
        given = parse_qs(request.body_text or "")["refresh_token"][0]
        if given in asked:
            return {"status": 400, "headers": {}, "body": {"error": "invalid_grant"}}
        asked.append(given)
        return tokens(f"access-{len(asked)}", f"refresh-{len(asked) + 1}")

    workers = [memory.worker(provider) for _ in range(4)]
    ref = CredentialRef(name, REF)
    opened = await asyncio.gather(*(worker.open(WORKSPACE, ref) for worker in workers for _ in range(5)))
    assert {each.fields["access_token"] for each in opened} == {"access-1"}
    assert asked == ["refresh-1"]
    memory.now += 3_600_000
    again = await asyncio.gather(*(worker.open(WORKSPACE, ref) for worker in workers for _ in range(5)))
    assert {each.fields["access_token"] for each in again} == {"access-2"}
    assert asked == ["refresh-1", "refresh-2"]


async def test_the_lock_is_held_until_the_tokens_are_visible() -> None:
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "oauth2", OAUTH)
    await connect(memory, name, "refresh-1", NOW - 1)
    asked: list[HttpRequest] = []

    def provider(request: HttpRequest) -> dict[str, Any]:
        asked.append(request)
        return tokens("access-1", "refresh-2")

    ref = CredentialRef(name, REF)
    memory.hidden = True
    both = [asyncio.create_task(memory.worker(provider).open(WORKSPACE, ref)) for _ in range(2)]
    while not any(isinstance(command, StoreTokens) and command.generation == 1 for _, command, _ in memory.told):
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in both)
    memory.hidden = False
    memory.show()
    assert {(await task).fields["access_token"] for task in both} == {"access-1"}
    assert len(asked) == 1


async def test_client_credentials_need_no_person() -> None:
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "oauth2", {**OAUTH, "grant": "client_credentials", "scope": "read"})

    def provider(request: HttpRequest) -> dict[str, Any]:
        assert parse_qs(request.body_text or "") == {"grant_type": ["client_credentials"], "scope": ["read"]}
        return tokens("machine-token")

    worker = memory.worker(provider)
    opened = await worker.open(WORKSPACE, CredentialRef(name, REF))
    assert (await worker.authorise(REQUEST, opened)).headers == {"Authorization": "Bearer machine-token"}


async def test_what_nobody_connected_is_not_used() -> None:
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "oauth2", OAUTH)
    assert await code_of(memory.worker(), CredentialRef(name, REF)) == "credential_not_connected"
    await connect(memory, name, None, NOW - 1)
    assert await code_of(memory.worker(), CredentialRef(name, REF)) == "credential_not_connected"


async def test_a_refused_grant_is_over_and_a_provider_in_trouble_is_not() -> None:
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "oauth2", OAUTH)
    await connect(memory, name, "refresh-1", NOW + 30_000)
    answer: dict[str, Any] | EffectError = EffectError("connection_failed", f"cannot connect with {CANARY}")
    worker, ref = memory.worker(lambda _: answer), CredentialRef(name, REF)
    assert (await worker.open(WORKSPACE, ref)).fields["access_token"] == "old-token"
    memory.now += 30_001
    with pytest.raises(CredentialProblem) as away:
        await worker.open(WORKSPACE, ref)
    assert (away.value.code, away.value.retriable) == ("oauth2_unavailable", True)
    assert CANARY not in away.value.message
    answer = {"status": 503, "headers": {}, "body": {"error": "server_error"}}
    with pytest.raises(CredentialProblem) as ill:
        await worker.open(WORKSPACE, ref)
    assert ill.value.retriable
    answer = {"status": 400, "headers": {}, "body": {"error": "invalid_grant"}}
    with pytest.raises(CredentialProblem) as over:
        await worker.open(WORKSPACE, ref)
    assert not over.value.retriable
    assert isinstance(memory.told[-1][1], EndConnection)
    assert "access_token" not in memory.states[WORKSPACE, name].sealed


async def test_a_token_refused_before_its_time_is_renewed_once() -> None:
    memory, name, now = MemoryCredentials(), str(uuid4()), [0.0]
    await memory.add(name, "oauth2", OAUTH)
    await connect(memory, name, "refresh-1", NOW + 3_600_000)
    worker = memory.worker(lambda _: tokens("access-1", "refresh-2"), seconds=lambda: now[0])
    ref = CredentialRef(name, REF)
    opened = await worker.open(WORKSPACE, ref)
    assert await worker.answer_refusal(REQUEST, opened, 403, {}) is None
    again = await worker.answer_refusal(REQUEST, opened, 401, {})
    assert again is not None
    assert again[0].headers == {"Authorization": "Bearer access-1"}
    assert again[1].hide("it was access-1") == "it was [hidden]"
    assert await worker.answer_refusal(REQUEST, await worker.open(WORKSPACE, ref), 401, {}) is None


async def test_digest_answers_a_challenge() -> None:
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "http_digest", {"user": "u", "password": CANARY, "allowed_hosts": "api.example.com"})
    worker = memory.worker()
    opened = await worker.open(WORKSPACE, CredentialRef(name, REF))
    challenge = {"www-authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'}
    again = await worker.answer_refusal(REQUEST, opened, 401, challenge)
    assert again is not None
    assert again[0].headers["Authorization"].startswith('Digest username="u"')
    assert CANARY not in again[0].headers["Authorization"]
    assert await worker.answer_refusal(REQUEST, opened, 401, {}) is None
    with pytest.raises(CredentialProblem):
        await worker.answer_refusal(REQUEST, opened, 401, challenge, "https://evil.example/")


async def test_uses_are_told_in_one_go_and_seldom() -> None:
    memory, name = MemoryCredentials(), str(uuid4())
    await memory.add(name, "http_bearer", {"token": CANARY})
    worker, ref = memory.worker(), CredentialRef(name, REF)
    for _ in range(100):
        await worker.open(WORKSPACE, ref)
    await worker.close()
    assert [command for _, command, _ in memory.told if isinstance(command, NoteCredentialUsed)] == [
        NoteCredentialUsed(NOW)
    ]
    other = memory.worker()
    await other.open(WORKSPACE, ref)
    await other.close()
    assert len(memory.told) == 2  # created, used: the row says that it was recorded just now
