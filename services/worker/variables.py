"""The variables of workspaces, for the executions that start: what the read model has when a start is decided.

Who changes a variable is answered once the read model has the change, and a start is read from the log after that: so
what starts behind the answer sees the change. What an execution was given stands in its first event.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

import asyncpg

from domain.workflow.variables import VariableNames, seen
from projections.variables.queries import knows_variables, load_values

VariablesKey = tuple[str, VariableNames]
"""(workspace, names that a workflow version asks for)"""

Values = Mapping[VariablesKey, Mapping[str, Any]]

NOTHING: Final[Values] = {}


class Variables(Protocol):
    async def load(self, keys: Collection[VariablesKey]) -> Values:
        """By key the values of those that there are, now."""
        ...


class NoVariables:
    """There is no read model."""

    async def load(self, keys: Collection[VariablesKey]) -> Values:
        return {key: {} for key in keys}


class WorkspaceVariables:
    """Variables from the read model."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def load(self, keys: Collection[VariablesKey]) -> Values:
        try:
            found = await load_values(self._pool, keys)
        except asyncpg.UndefinedTableError:
            if await knows_variables(self._pool):  # a rebuild has just changed the tables
                raise
            found = {}  # these read models come from a LinkFlow without variables, and are being rebuilt
        return {(workspace, names): seen(found.get(workspace, {}), names) for workspace, names in keys}
