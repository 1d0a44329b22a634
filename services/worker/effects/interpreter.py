"""What performs the effects of one kind: one interpreter a kind, listed by the composition root."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from domain.effects import EffectClass, EffectError


@dataclass(frozen=True, slots=True)
class EffectContext:
    """For whom an effect is performed. `key`: the same for each repetition of an idempotent effect."""

    workspace: str
    execution_id: str
    node: str
    key: str
    effect_class: EffectClass
    trace: bytes | None = None


class Interpreter(Protocol):
    async def perform(self, effect: Any, context: EffectContext) -> Any | EffectError:
        """What came back, as plain JSON (it goes into an event), or why nothing did.

        Raises nothing but for cancellation. The only place that sees a credential's secret: none of it may stand in
        what is returned.
        """
        ...

    async def close(self) -> None: ...


Interpreters = Mapping[type, Interpreter]
"""By the type of the effect."""
