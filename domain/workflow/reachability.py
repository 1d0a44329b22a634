"""Which nodes can reach which inputs: what merges and loops wait for (semantics, rules 9 to 12).

Nodes are numbers, sets of nodes are bit masks. A mask is computed when first asked for and kept: it depends on the
graph only.
"""

from collections.abc import Iterable, Sequence

IndexedLink = tuple[int, str, int, str]
"""(source, output port, target, input port)"""

LOOP_PORT = "loop"
_KEPT = 10_000  # masks; which loops are closed varies, and nested loops have many combinations


class Reachability:
    """`back`: positions of the connections that bring a loop's batch back. `enclosing[n]`: mask of the loops whose body
    node n is in (it can reach a back connection without passing through the loop)."""

    __slots__ = ("_links", "_masks", "_predecessors", "_sources", "back", "enclosing")

    def __init__(self, count: int, links: Sequence[IndexedLink], loops: set[int]) -> None:
        self._links = links
        successors: list[set[int]] = [set() for _ in range(count)]
        self._predecessors: list[set[int]] = [set() for _ in range(count)]
        for source, _, target, _ in links:
            successors[source].add(target)
            self._predecessors[target].add(source)
        self.back: frozenset[int] = frozenset(
            position for loop in sorted(loops) for position in _back_links(loop, links, successors)
        )
        self._sources: dict[tuple[int, str], list[int]] = {}
        for position, (source, _, target, port) in enumerate(links):
            key = (target, LOOP_PORT) if position in self.back else (target, port)
            if target not in loops or position in self.back:
                self._sources.setdefault(key, []).append(source)
        self._masks: dict[tuple[int, str, int], int] = {}
        self.enclosing = [0] * count
        for loop in loops:
            body = self.reaching(loop, LOOP_PORT, 0)
            for node in range(count):
                if body >> node & 1:
                    self.enclosing[node] |= 1 << loop

    def reaching(self, node: int, port: str, closed: int) -> int:
        """The nodes from which a path leads to an input of `node` (a loop's back connections: port `loop`), not through
        `node` itself nor through the nodes of the mask `closed`."""
        key = (node, port, closed)
        mask = self._masks.get(key)
        if mask is None:
            if len(self._masks) >= _KEPT:
                self._masks.clear()
            mask = self._masks[key] = _reach(
                self._sources.get((node, port), ()), self._predecessors, closed | 1 << node
            )
        return mask

    def forward_links(self) -> list[tuple[int, int]]:
        """All connections but those back to loops, as (source, target)."""
        return [
            (source, target) for position, (source, _, target, _) in enumerate(self._links) if position not in self.back
        ]


def _reach(starts: Iterable[int], neighbours: Sequence[set[int]], closed: int) -> int:
    """The mask of all nodes reached from `starts` (themselves included), not entering closed ones."""
    seen = 0
    stack = list(starts)
    while stack:
        node = stack.pop()
        if (seen | closed) >> node & 1:
            continue
        seen |= 1 << node
        stack.extend(neighbours[node])
    return seen


def _back_links(loop: int, links: Sequence[IndexedLink], successors: Sequence[set[int]]) -> list[int]:
    """The connections into the loop whose source can be reached from its `loop` output, not through the loop.

    Its own output `loop` connected straight to its input is an empty body: a way back, too.
    """
    starts = [target for source, output, target, _ in links if source == loop and output == LOOP_PORT]
    body = _reach(starts, successors, 1 << loop)
    return [
        position
        for position, (source, output, target, _) in enumerate(links)
        if target == loop and (body >> source & 1 or (source == loop and output == LOOP_PORT))
    ]


def cycle_of(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """The nodes of one cycle in order, [] if there is none. Iterative: graphs may be deep."""
    successors: list[list[int]] = [[] for _ in range(count)]
    for source, target in links:
        successors[source].append(target)
    state = [0] * count  # 0 not seen, 1 on the path, 2 done
    for start in range(count):
        if state[start]:
            continue
        path = [start]
        state[start] = 1
        ways = [iter(successors[start])]
        while path:
            following = next(ways[-1], None)
            if following is None:
                state[path.pop()] = 2
                ways.pop()
            elif state[following] == 1:
                return path[path.index(following) :]
            elif state[following] == 0:
                state[following] = 1
                path.append(following)
                ways.append(iter(successors[following]))
    return []
