"""States of aggregates as bytes, for checkpoints: a form number and the state, in MessagePack."""

from typing import Any, Generic, TypeVar

import msgspec

from domain.errors import ImpossibleHistory

State = TypeVar("State", bound=msgspec.Struct)


class Snapshots(Generic[State]):
    """Snapshots of one type of states. A changed `form` makes older ones unreadable: they are folded from the log."""

    def __init__(self, kind: type[State], form: int) -> None:
        self._kind = kind
        self._form = form
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode: Any = msgspec.msgpack.Decoder(tuple[int, kind]).decode  # type: ignore[valid-type]

    def snapshot(self, state: State) -> bytes:
        return self._encode((self._form, state))

    def restore(self, data: bytes) -> State:
        """Raises ImpossibleHistory if it is not a snapshot of this program's."""
        name = self._kind.__name__
        try:
            form, state = self._decode(data)
        except msgspec.MsgspecError as error:
            raise ImpossibleHistory(f"not a snapshot of a {name}: {error}") from error
        if form != self._form:
            raise ImpossibleHistory(f"a snapshot of a {name} has form {form}, this program reads {self._form}")
        restored: State = state
        return restored
