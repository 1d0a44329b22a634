"""Which facts of a batch somebody wants to hear of: found by headers first, decoded only where it is worth it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from domain.subscription.definition import Definition, WebhookChannel
from domain.subscription.topics import DISABLED_TYPE, TYPE_OF_FACT, wanted_types
from infra.log.port import Record
from projections.subscriptions.queries import ActiveSubscription
from schemas.cursors import encode_cursor
from schemas.envelope import CommitRecord, EventRecord, decode_commit, header
from schemas.errors import DECODING_ERRORS
from schemas.fence import Fence
from services.scheduler.places import Place, Slot

LETTER = b"letter-"
_KINDS = (b"execution-", b"workflow-", b"schedule-", LETTER, b"subscription-")
_FACT_OF_TYPE = {name: fact for fact, name in TYPE_OF_FACT.items()}
_definition = msgspec.json.Decoder(Definition).decode


@dataclass(frozen=True, slots=True)
class Interest:
    """An active subscription. `facts`: wire names of what it wants."""

    id: str
    workspace: str
    definition: Definition
    facts: frozenset[str]

    @staticmethod
    def of(row: ActiveSubscription) -> "Interest":
        definition = _definition(row.definition)
        wanted = wanted_types(definition.events)
        if not isinstance(definition.channel, WebhookChannel):
            wanted |= {DISABLED_TYPE}  # people hear of it when another subscription was disabled
        return Interest(row.id, row.workspace_id, definition, frozenset(_FACT_OF_TYPE[name] for name in wanted))


class Interests:
    """All active subscriptions, by workspace. `operator`: the workspace that hears of all dead letters."""

    def __init__(self, rows: Iterable[ActiveSubscription], operator: str) -> None:
        self._by_workspace: dict[str, list[Interest]] = {}
        for row in rows:
            self._by_workspace.setdefault(row.workspace_id, []).append(Interest.of(row))
        self._operator = self._by_workspace.get(operator, [])
        self._names = {
            workspace.encode(): _names(each.facts for each in interests)
            for workspace, interests in self._by_workspace.items()
        }
        self._letters = tuple(name for name in _names(each.facts for each in self._operator) if b"dead_letter." in name)

    def __bool__(self) -> bool:
        return bool(self._by_workspace)

    def names(self, workspace: bytes, stream: bytes) -> Sequence[bytes]:
        """Wire names, in JSON, of the facts of this stream that are wanted: without one of them no commit matters."""
        if not stream.startswith(_KINDS):
            return ()
        found = self._names.get(workspace, ())
        return (*found, *self._letters) if stream.startswith(LETTER) else found

    def of(self, workspace: str, stream: str, fact: str) -> list[Interest]:
        """Who wants this fact, whatever else they ask of it."""
        candidates = self._by_workspace.get(workspace, [])
        if stream.startswith("letter-") and candidates is not self._operator:
            candidates = [*candidates, *self._operator]
        own = stream.removeprefix("subscription-")
        return [each for each in candidates if fact in each.facts and each.id != own]


def _names(facts: Iterable[frozenset[str]]) -> tuple[bytes, ...]:
    return tuple(f'"{name}"'.encode() for name in sorted(frozenset().union(*facts)))


@dataclass(frozen=True, slots=True)
class Found:
    """A fact, where it stands, and who wants it. `cursor`: of the feed, behind it."""

    slot: Slot
    offset: int
    place: int
    commit: CommitRecord
    event: EventRecord
    cursor: str
    interests: list[Interest]

    @property
    def kind(self) -> str:
        return self.commit.stream.partition("-")[0]

    @property
    def key(self) -> str:
        return self.commit.stream.partition("-")[2]


class Following:
    """Where a reading of the commit topics is; `take` brings it on by a record. `slots`: in the order of a cursor."""

    def __init__(self, places: dict[Slot, Place], slots: Sequence[Slot]) -> None:
        self._slots = {slot: number for number, slot in enumerate(slots)}
        self._fences: dict[Slot, Fence] = {slot: place.fence() for slot, place in places.items()}
        self._anchors = [places[slot].anchor for slot in slots]

    @property
    def places(self) -> dict[Slot, Place]:
        return {
            slot: Place(fence.next_offset, fence.epoch, fence.next_n, self._anchors[self._slots[slot]])
            for slot, fence in self._fences.items()
        }

    def take(self, record: Record, interests: Interests) -> list[Found]:
        """The facts of the record that somebody wants. Raises GapInLog."""
        slot: Slot = (record.topic, record.partition)
        number = self._slots[slot]
        fence = self._fences[slot]
        if not fence.accept(record.offset, record.headers):
            if fence.epoch is not None and fence.epoch.offset == record.offset:
                self._anchors[number] = record.offset
            return []
        before, self._anchors[number] = self._anchors[number], record.offset
        stream = header(record.headers, "s") or b""
        names = interests.names(header(record.headers, "w") or b"", stream)
        if not any(name in record.value for name in names):
            return []
        try:
            commit: CommitRecord = decode_commit(record.value)
        except DECODING_ERRORS:
            return []  # the projector makes a dead letter of it
        return [
            Found(slot, record.offset, place, commit, event, self._cursor(number, before, place, commit), wanted)
            for place, event in enumerate(commit.events)
            if event.type in TYPE_OF_FACT and (wanted := interests.of(commit.workspace, commit.stream, event.type))
        ]

    def _cursor(self, number: int, before: int, place: int, commit: CommitRecord) -> str:
        if place == len(commit.events) - 1:
            return encode_cursor(self._anchors)
        anchors = list(self._anchors)
        anchors[number] = before
        return encode_cursor(anchors, number, place + 1)
