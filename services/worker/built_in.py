"""Built-in workflows among those of users: their versions are part of the program, not of a read model."""

from collections.abc import Iterable

from domain.subscription.built_in import built_in_graph, is_built_in
from domain.workflow.graph import Graph
from services.worker.versions import GraphKey, Versions


class WithBuiltIn:
    """`versions`, and those that are built in."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    def get(self, key: GraphKey) -> Graph | None:
        return built_in_graph(key[1], key[2]) if is_built_in(key[1]) else self._versions.get(key)

    def meant(self, key: GraphKey) -> GraphKey:
        return self._versions.meant(key)

    def document(self, key: GraphKey) -> bytes | None:
        """Of a built-in one there is none: it has nothing to compute."""
        return None if is_built_in(key[1]) else self._versions.document(key)

    def missing(self, keys: Iterable[GraphKey]) -> set[GraphKey]:
        return self._versions.missing(key for key in keys if not is_built_in(key[1]))

    async def load(self, keys: Iterable[GraphKey]) -> None:
        await self._versions.load([key for key in keys if not is_built_in(key[1])])
