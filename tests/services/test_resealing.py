"""V11: keys change while credentials are used and changed; cut off anywhere, it goes on; old rows open meanwhile."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from domain.credential.commands import ResealCredential, UpdateCredential
from domain.effects import CredentialRef
from infra.settings import Settings
from infra.vault import Place, Vault, key_of
from infra.vault_keys import make_new_key, open_vault
from projections.credentials.queries import SealedSecrets
from services import resealing
from services.resealing import reseal_all
from tests.support.credentials import NOW, WORKSPACE, MemoryCredentials

COUNT = 25


class Cut(Exception):
    """SIGKILL, as far as an installation can tell: whatever was not in the log is gone."""


class Installation(MemoryCredentials):
    """With the queries that changing keys needs, and a teller that may be cut off."""

    def __init__(self, vault: Vault) -> None:
        super().__init__(vault)
        self.cut_after: int | None = None

    async def fetch(self, _query: str, after: Any, limit: int) -> list[dict[str, Any]]:
        ids = sorted(name for (_, name), state in self._visible.items() if name > str(after) and not state.deleted)
        rows = []
        for name in ids[:limit]:
            state = self._visible[WORKSPACE, name]
            rows.append(
                {
                    "id": name,
                    "workspace_id": WORKSPACE,
                    "sealed": json.dumps(state.sealed),
                    "access_token": None,
                    "refresh_token": None,
                    "stream_version": state.revision,
                }
            )
        return rows

    fetchrow = fetchval = None  # type: ignore[assignment]

    async def tell(self, workspace: str, stream: str, command: Any) -> None:
        if isinstance(command, ResealCredential) and self.cut_after is not None:
            self.cut_after -= 1
            if self.cut_after < 0:
                raise Cut
        await super().tell(workspace, stream, command)

    def keys_in_use(self) -> set[str]:
        return {key_of(sealed) for state in self.states.values() for sealed in state.sealed.values()}


async def installation(tmp_path: Path) -> tuple[Settings, Installation]:
    settings = Settings(data=tmp_path)
    it = Installation(open_vault(settings))
    for number in range(COUNT):
        await it.add(str(uuid4()), "http_basic", {"user": "u", "password": f"secret-{number}"})
    return settings, it


async def opens_all(it: Installation) -> bool:
    worker = it.worker()
    opened = [await worker.open(WORKSPACE, CredentialRef(name, ["http"])) for _, name in it.states]
    return sorted(each.fields["password"] for each in opened) == sorted(f"secret-{n}" for n in range(COUNT))


async def test_cut_off_at_every_point_it_goes_on(tmp_path: Path) -> None:
    settings, it = await installation(tmp_path)
    first = it.vault.current
    new = make_new_key(settings)
    for done in range(0, COUNT, 6):
        it.cut_after = 6
        try:
            await reseal_all(it, open_vault(settings), it)  # type: ignore[arg-type]
        except Cut:
            assert it.keys_in_use() == {first, new}
        assert await opens_all(it), done
    it.cut_after = None
    report = await reseal_all(it, open_vault(settings), it)  # type: ignore[arg-type]
    assert (report.left, report.broken) == (0, {})
    assert it.keys_in_use() == {new}
    assert await opens_all(it)


async def test_a_credential_that_changes_meanwhile_keeps_its_change(tmp_path: Path) -> None:
    settings, it = await installation(tmp_path)
    make_new_key(settings)
    name = min(name for _, name in it.states)
    old_vault, it.hidden = it.vault, True
    changing = asyncio.create_task(reseal_all(it, open_vault(settings), it))  # type: ignore[arg-type]
    while not it.told or not isinstance(it.told[-1][1], ResealCredential):
        await asyncio.sleep(0)
    # a process that was started before seals for itself; rows come late
    sealed = {"password": old_vault.seal("changed", Place(WORKSPACE, name, "password"))}
    await it.tell(WORKSPACE, f"credential-{name}", UpdateCredential("test", {"user": "u"}, sealed, [], NOW))
    it.hidden = False
    it.show()
    report = await changing
    assert (report.left, report.broken) == (0, {})
    opened = await it.worker().open(WORKSPACE, CredentialRef(name, ["http"]))
    assert opened.fields["password"] == "changed"
    assert it.keys_in_use() == {old_vault.current}


async def test_what_does_not_open_is_told_and_stops_nothing(tmp_path: Path) -> None:
    settings, it = await installation(tmp_path)
    strange = str(uuid4())
    it.vault, mine = Vault.of_key(bytes(32)), it.vault
    await it.add(strange, "http_basic", {"user": "u", "password": "other-installation"})
    it.vault = mine
    new = make_new_key(settings)
    report = await reseal_all(it, open_vault(settings), it)  # type: ignore[arg-type]
    assert (report.done, report.left) == (COUNT, 0)
    assert list(report.broken) == [strange]
    assert "other-installation" not in report.broken[strange]
    assert it.keys_in_use() == {new, Vault.of_key(bytes(32)).current}


async def test_nobody_there_is_said_and_not_waited_for(tmp_path: Path, monkeypatch: Any) -> None:
    settings, it = await installation(tmp_path)
    make_new_key(settings)
    it.hidden = True
    monkeypatch.setattr(resealing, "_LOOK_SECONDS", 0.001)
    report = await reseal_all(it, open_vault(settings), it, within=0.05)  # type: ignore[arg-type]
    assert report.left == COUNT
    assert isinstance((await resealing._under_old_keys(it, it.vault))[0], SealedSecrets)  # type: ignore[arg-type]
