"""Who owns which partitions, by leases in PostgreSQL (its clock), renewed every second, changes told by NOTIFY."""

import asyncio
import contextlib
import logging
import uuid
from datetime import timedelta

from infra.log.port import LogError
from infra.log.postgres_connection import Control

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
LEASE_SECONDS = 6.0


class PostgresMembership:
    """A Membership. A partition that is to move is given up once its loss was handed out by `assigned` and the
    caller came back for the next change, or at the second heartbeat after it at the latest."""

    def __init__(self, control: Control, group: str, member: str) -> None:
        self._control = control
        self._group = group
        self._member = member
        self._token = uuid.uuid4()
        self._current: frozenset[int] = frozenset()
        self._held: frozenset[int] = frozenset()
        self._patience = 0
        self._told: frozenset[int] | None = None
        self._joined = False
        self._beat = asyncio.Event()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take the name's place in the group; raises LogUnavailable, LogMismatch."""
        self._control.on_group(self._group, self._beat.set)
        try:
            await self._heartbeat(claim=True)
        except BaseException:
            self._control.off_group(self._group, self._beat.set)
            raise
        self._task = asyncio.create_task(self._keep(), name="log membership")

    def current(self) -> frozenset[int]:
        return self._current

    async def assigned(self) -> frozenset[int]:
        if self._told is not None and self._held != self._current:
            # The caller is done with the last change: what it lost may go to others.
            self._held = self._current
            self._beat.set()
        while not self._joined or self._told == self._current:
            self._changed.clear()
            await self._changed.wait()
        self._told = self._current
        return self._told

    async def close(self) -> None:
        self._control.off_group(self._group, self._beat.set)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            with contextlib.suppress(LogError):
                await self._control.fetchval(
                    "SELECT leave($1, $2, $3, $4)",
                    self._group,
                    self._member,
                    self._token,
                    self._control.schema,
                )
        self._set(frozenset())

    async def _keep(self) -> None:
        while True:
            self._beat.clear()
            try:
                await self._heartbeat(claim=False)
            except LogError as error:
                logger.warning("no heartbeat for %s in group %s: %s", self._member, self._group, error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._beat.wait()

    async def _heartbeat(self, *, claim: bool) -> None:
        if self._held != self._current:
            self._patience += 1
            if self._patience > 2:
                self._held = self._current
        mine: list[int] | None = await self._control.fetchval(
            "SELECT heartbeat($1, $2, $3, $4, $5, $6, $7)",
            self._group,
            self._member,
            self._token,
            claim,
            sorted(self._held),
            timedelta(seconds=LEASE_SECONDS),
            self._control.schema,
        )
        if mine is None:
            if self._current:
                logger.warning("another process is member %s of group %s now", self._member, self._group)
            self._held = frozenset()
            self._set(frozenset())
            return
        self._joined = True
        self._held |= frozenset(mine)
        self._set(frozenset(mine))

    def _set(self, current: frozenset[int]) -> None:
        if current != self._current:
            self._current = current
            self._patience = 0
        self._changed.set()
