"""Where the names of arrow functions live: resolved to slots when the expression is compiled."""


class Locals:
    """The names of one arrow function. Slot 0 of its frame is the frame around it."""

    __slots__ = ("blocks", "parent", "size")

    def __init__(self, parent: "Locals | None") -> None:
        self.parent = parent
        self.blocks: list[dict[str, int]] = [{}]
        self.size = 1

    def declare(self, name: str) -> int | None:
        """The slot of a new name in the innermost block, None if the block has it already."""
        block = self.blocks[-1]
        if name in block:
            return None
        block[name] = self.size
        self.size += 1
        return block[name]

    def find(self, name: str) -> tuple[int, int] | None:
        """How many functions out, and the slot there."""
        hops, level = 0, self
        while True:
            for block in reversed(level.blocks):
                if name in block:
                    return hops, block[name]
            if level.parent is None:
                return None
            hops, level = hops + 1, level.parent
