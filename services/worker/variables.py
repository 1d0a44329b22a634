"""The variables of workspaces, for the executions that start: what the read model has when a start is decided.

Who changes a variable is answered once the read model has the change, and a start is read from the log after that: so
what starts behind the answer sees the change. What an execution was given stands in its first event.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

from domain.variable.decider import stream_of
from domain.workflow.variables import VariableNames, seen
from infra.log.port import Log, Topic
from infra.postgres.pool import Connections, Pool
from projections.variables.queries import load_values
from schemas.envelope import partition_of
from services.worker.read_models import ASK_AGAIN_SECONDS, WAIT_SECONDS, ReadModelsBehind, projected

VariablesKey = tuple[str, VariableNames]
"""(workspace, names that a workflow version asks for)"""

Values = Mapping[VariablesKey, Mapping[str, Any]]

NOTHING: Final[Values] = {}
_PROJECTION: Final = "variables"


class Variables(Protocol):
    async def load(self, keys: Collection[VariablesKey]) -> Values:
        """By key the values of those that there are, now."""
        ...


class NoVariables:
    """There is no read model."""

    async def load(self, keys: Collection[VariablesKey]) -> Values:
        return {key: {} for key in keys}


class WorkspaceVariables:
    """Variables from the read model.

    A change that was answered is in it, unless this PostgreSQL is not the one that had it: a backup beside a newer log,
    a standby that was behind, read models that are made anew. So it is waited for what the log has, once for each
    partition of it and again when the pool has made another connection; after that it only grows.
    """

    def __init__(self, pool: Pool, log: Log, connections: Connections, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._pool = pool
        self._log = log
        self._connections = connections
        self._wait_seconds = wait_seconds
        self._caught_up: dict[int, int] = {}
        """Partition → how many connections the pool had made before that was seen."""

    async def load(self, keys: Collection[VariablesKey]) -> Values:
        """Raises ReadModelsBehind if the projector does not get there in time, or what log and database raise."""
        partitions = {partition_of(stream_of(workspace), self._log.partitions) for workspace, _ in keys}
        while True:
            for partition in self._behind(partitions):
                await self._catch_up(partition)
            found = await load_values(self._pool, keys)
            if not self._behind(partitions):  # else it may be that another PostgreSQL was asked
                break
        return {(workspace, names): seen(found.get(workspace, {}), names) for workspace, names in keys}

    def _behind(self, partitions: Collection[int]) -> list[int]:
        return [each for each in partitions if self._caught_up.get(each) != self._connections.made]

    async def _catch_up(self, partition: int) -> None:
        made = self._connections.made
        deadline = asyncio.get_running_loop().time() + self._wait_seconds
        end = await self._log.end_offset(Topic.EVENTS, partition)
        while not await projected(self._pool, _PROJECTION, partition, end):
            if asyncio.get_running_loop().time() > deadline:
                raise ReadModelsBehind(f"the variables in partition {partition} are not in the read model yet")
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        self._caught_up[partition] = made
