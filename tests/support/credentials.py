"""Credentials for tests: the real decider and vault over rows in memory, and a provider that is a function."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from domain.credential import decider
from domain.credential.commands import CreateCredential
from domain.credential.state import Credential
from domain.credential.types import CREDENTIAL_TYPES
from domain.decision import Outcome
from domain.effects import EffectError, HttpRequest
from infra.vault import Place, Vault
from projections.credentials.queries import SealedCredential
from services.worker.effects.credentials import AWAY_SECONDS, Credentials

WORKSPACE = "0b9a6c1e-5f1d-4a38-9d53-3f6d1f0c7a11"
NOW = 1_795_000_000_000
KEY = bytes(range(32))


class MemoryCredentials:
    """Streams, rows and the lock of an installation, shared by all workers of a test. `now`: their wall clock."""

    def __init__(self, vault: Vault | None = None) -> None:
        self.vault = vault or Vault.of_key(KEY)
        self.states: dict[tuple[str, str], Credential] = {}
        self.expires: dict[tuple[str, str], int | None] = {}
        self.used: dict[tuple[str, str], int] = {}
        self.told: list[tuple[str, Any, Outcome]] = []
        self.looks = 0
        self.now = NOW
        self.away: BaseException | None = None
        self.hidden = False
        self._locks: dict[str, asyncio.Lock] = {}
        self._visible: dict[tuple[str, str], Credential] = {}

    # --- CredentialRows ---

    async def find(self, workspace: str, credential_id: str) -> SealedCredential | None:
        await asyncio.sleep(0)
        self.looks += 1
        if self.away is not None:
            raise self.away
        key = (workspace, credential_id)
        state = self._visible.get(key)
        if state is None or state.deleted:
            return None
        expires, used = self.expires.get(key), self.used.get(key)
        return SealedCredential(
            credential_id,
            state.type,
            state.fields,
            state.sealed,
            state.generation,
            None if expires is None else datetime.fromtimestamp(expires / 1_000, UTC),
            None if used is None else datetime.fromtimestamp(used / 1_000, UTC),
            state.revision,
        )

    @asynccontextmanager
    async def alone(self, credential_id: str) -> AsyncIterator[None]:
        async with self._locks.setdefault(credential_id, asyncio.Lock()):
            yield

    # --- Teller ---

    async def tell(self, workspace: str, stream: str, command: Any) -> None:
        await asyncio.sleep(0)
        key = (workspace, stream.removeprefix("credential-"))
        decision = decider.decide(command, self.states.get(key), workspace=workspace, stream_id=stream)
        self.told.append((stream, command, decision.outcome))
        if decision.state is not None:
            self.states[key] = decision.state
        for event in decision.events:
            if type(event).__name__ == "TokensStored":
                self.expires[key] = event.expires_at
            if type(event).__name__ == "CredentialUsed":
                self.used[key] = event.at
        if not self.hidden:
            self.show()

    async def close(self) -> None:
        return

    # --- for tests ---

    def show(self) -> None:
        """The projector catches up."""
        self._visible = dict(self.states)

    async def add(self, credential_id: str, type_: str, values: dict[str, str], workspace: str = WORKSPACE) -> None:
        secret = {field.name for field in CREDENTIAL_TYPES[type_].fields if field.secret}
        sealed = {
            name: self.vault.seal(value, Place(workspace, credential_id, name))
            for name, value in values.items()
            if name in secret
        }
        plain = {name: value for name, value in values.items() if name not in secret}
        await self.tell(
            workspace,
            f"credential-{credential_id}",
            CreateCredential(credential_id, type_, "test", plain, sealed, self.now),
        )
        assert self.told[-1][2].kind == "accepted", self.told[-1]

    def worker(
        self,
        provider: Callable[[HttpRequest], dict[str, Any] | EffectError] | None = None,
        seconds: Callable[[], float] | None = None,
        patience: float = AWAY_SECONDS,
    ) -> Credentials:
        """What one worker of this installation opens credentials by."""

        async def fetch(_workspace: str, request: HttpRequest) -> dict[str, Any] | EffectError:
            await asyncio.sleep(0.001)
            assert provider is not None, "no provider expected"
            return provider(request)

        clock = {"seconds": seconds} if seconds is not None else {}
        return Credentials(self, self.vault, self, fetch, wall=lambda: self.now, patience=patience, **clock)
