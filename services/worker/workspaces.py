"""The shares of workspaces as the operator set them, read anew every few seconds: they say who goes first and how many
go on side by side, never what is decided."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from infra.postgres.waiting import waited_out
from infra.telemetry.logs import get_logger

LOOK_SECONDS = 2.0
_log = get_logger("worker.workspaces")

Load = Callable[[], Awaitable[Mapping[str, tuple[float, int | None]]]]


class WorkspaceShares:
    """`run` looks until it is cancelled; with the database away, what was known last holds."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._shares: Mapping[str, tuple[float, int | None]] = {}

    def weight(self, workspace: str) -> float:
        share = self._shares.get(workspace)
        return share[0] if share is not None else 1.0

    def concurrent(self, workspace: str) -> int | None:
        share = self._shares.get(workspace)
        return share[1] if share is not None else None

    async def look(self) -> None:
        self._shares = await self._load()

    async def run(self) -> None:
        while True:
            with waited_out(_log, "the shares of workspaces cannot be read", quiet=True):
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)
