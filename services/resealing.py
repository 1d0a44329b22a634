"""Puts every credential's secrets under the newest key, by commands, while everything runs.

What is done stands in the log, what is left is seen in the rows: it may be cut off at any point and begun again. A
credential that changes meanwhile refuses what was sealed for its state before, and is done anew.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from domain.credential.commands import ResealCredential
from infra.vault import CannotOpen, Place, Vault, key_of
from projections.connection import Connection
from projections.credentials.queries import SealedSecrets, sealed_credentials
from services.worker.tell import Teller

AT_ONCE = 200
AGAIN_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_BEFORE_ALL = str(UUID(int=0))


@dataclass(slots=True)
class Resealed:
    """`done`: credentials under the newest key that were not before; `left`: those that are not yet (nobody decided or
    projected in time); `broken`: id → why it cannot be opened."""

    done: int = 0
    left: int = 0
    broken: dict[str, str] = field(default_factory=dict)


async def reseal_all(
    connection: Connection,
    vault: Vault,
    teller: Teller,
    *,
    within: float = 60.0,
    progress: Callable[[int], None] = lambda left: None,
) -> Resealed:
    """Returns when all that can be opened is under the newest key, or nothing has moved for `within` seconds."""
    told: dict[str, tuple[int, float]] = {}
    seen: set[str] = set()
    report = Resealed()
    moved, least = time.monotonic(), -1
    while True:
        old = await _under_old_keys(connection, vault)
        waiting = [each for each in old if each.id not in report.broken]
        seen |= {each.id for each in waiting}
        report.done, report.left = len(seen - report.broken.keys()) - len(waiting), len(waiting)
        progress(len(waiting))
        now = time.monotonic()
        if least < 0 or len(waiting) < least:
            moved, least = now, len(waiting)
        if not waiting or now - moved > within:
            return report
        for each in waiting:
            revision, at = told.get(each.id, (-1, 0.0))
            if revision != each.revision or now - at > AGAIN_SECONDS:
                await _reseal(each, vault, teller, report)
                told[each.id] = (each.revision, now)
        await asyncio.sleep(_LOOK_SECONDS)


async def _under_old_keys(connection: Connection, vault: Vault) -> list[SealedSecrets]:
    current = vault.current
    found: list[SealedSecrets] = []
    after = _BEFORE_ALL
    while batch := await sealed_credentials(connection, after, AT_ONCE):
        found += [each for each in batch if any(key_of(sealed) != current for sealed in each.sealed.values())]
        after = batch[-1].id
    return found


async def _reseal(each: SealedSecrets, vault: Vault, teller: Teller, report: Resealed) -> None:
    sealed: dict[str, str] = {}
    for name, old in each.sealed.items():
        place = Place(each.workspace_id, each.id, name)
        try:
            sealed[name] = vault.seal(vault.open(old, place), place)
        except CannotOpen as error:
            report.broken[each.id] = f"{name}: {error}"
            return
    command = ResealCredential(sealed, each.revision, time.time_ns() // 1_000_000)
    await teller.tell(each.workspace_id, f"credential-{each.id}", command)
