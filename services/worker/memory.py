"""What an owner holds of its partition: a fold of accepted commits, and nothing else.

`PartitionMemory` is made anew by every takeover: from the checkpoint, then from the commits behind it, then from the
owner's own commits as the log accepts them.
"""

import heapq
from collections.abc import Sequence
from typing import Any

from domain.decision import Outcome
from infra.postgres.checkpoints import Checkpoint, CheckpointChange, StoredState
from schemas.envelope import CommitRecord
from schemas.fence import Fence
from services.worker.lanes import Entry, Lane
from services.worker.outbox import Outbox
from services.worker.remembered import RememberedIds
from services.worker.shares import Line, Shares
from services.worker.versions import GraphKey

REMEMBERED_REFUSALS = frozenset({"workflow_not_found", "no_trigger", "unknown_trigger"})
"""A start refused for one of these is refused again under the same id (rule 14), whatever was activated meanwhile."""


class PartitionMemory:
    """States, due times, remembered ids, commands to send, and the place in both topics."""

    def __init__(self, lane: Lane, stored: Checkpoint | None = None, shares: Shares | None = None) -> None:
        stored = stored or Checkpoint()
        self.lane = lane
        self.fence: Fence = stored.fence
        self.answered = stored.answered
        self.entries: dict[str, Entry] = {}
        self.remembered = RememberedIds(stored.remembered)
        self.outbox = Outbox(stored.unsent)
        self.queued = Line(shares or Shares())
        self._due: list[tuple[int, str]] = []
        self._dirty: set[str] = set()
        self._stored: set[str] = set()
        self._saved_at = (stored.fence.next_offset, stored.answered, 0)
        self._sent_then = 0
        self._stored_at = {stored.fence.next_offset}
        self._busy_keys: set[GraphKey] = set()
        for each in stored.states:
            self._take_stored(each)

    def graphs_wanted(self) -> set[GraphKey]:
        """Versions that streams with something under way need after a takeover."""
        return set(self._busy_keys)

    def busy_streams(self) -> list[str]:
        """Streams with something under way: a takeover wakes them."""
        return [stream for stream, entry in self.entries.items() if not entry.parked]

    # --- folding ----------------------------------------------------------------------------------------------------

    def fold(self, offset: int, commit: CommitRecord, events: Sequence[Any], trace: bytes | None) -> None:
        """Take in an accepted commit that was read from the log."""
        if commit.answers is not None:
            self.answered = max(self.answered, commit.answers.offset + 1)
        for each in commit.commands:
            self.outbox.add(each, commit.workspace, commit.correlation, trace)
        if not events:
            if self.refusal_is_kept(commit.outcome, commit.version):
                self.remembered.add(commit.stream, f"!{commit.outcome.code}", offset)
            return
        entry = self.entries.get(commit.stream)
        if entry is None:
            entry = self.entries[commit.stream] = Entry(commit.workspace, trace=trace)
        self.lane.fold(entry, events, stream=commit.stream)
        entry.version = commit.version + len(events) - 1
        if commit.queued_at is not None:
            entry.queued_at = commit.queued_at
        self.changed(commit.stream, entry, offset)

    def refusal_is_kept(self, outcome: Outcome, version: int) -> bool:
        return self.lane.remembers and version == 0 and outcome.code in REMEMBERED_REFUSALS

    def changed(self, stream: str, entry: Entry, offset: int) -> None:
        """The stream's newest accepted commit stands at `offset`: settle its due time, let it go if it is closed."""
        self._dirty.add(stream)
        if entry.state is None:
            return
        self.lane.settle(entry, stream)
        self.note_queued(stream, entry)
        if self.lane.gone(entry):
            del self.entries[stream]
            self.remembered.add(stream, self.lane.fingerprint(entry), offset)
        else:
            self._set_alarm(stream, entry)

    def unchanged(self, stream: str, entry: Entry, now: int) -> None:
        """A decision without events: an alarm that went off too early is set again."""
        self.lane.settle(entry, stream)
        self.note_queued(stream, entry)
        if entry.due is not None and entry.due > now:
            self._set_alarm(stream, entry)

    def note_queued(self, stream: str, entry: Entry) -> None:
        """Starts that were put off stand in line."""
        if entry.queued:
            self.queued.add(stream, entry.workspace, self.lane.priority(entry))
        else:
            self.queued.discard(stream)

    # --- due times --------------------------------------------------------------------------------------------------

    def next_due(self) -> int | None:
        return self._due[0][0] if self._due else None

    def pop_due(self, now: int) -> list[str]:
        """Streams that wanted to be woken by `now`."""
        streams: list[str] = []
        while self._due and self._due[0][0] <= now:
            due, stream = heapq.heappop(self._due)
            entry = self.entries.get(stream)
            if entry is None:
                continue
            if entry.alarm == due:
                entry.alarm = None
            if entry.due == due:
                streams.append(stream)
        return streams

    def _set_alarm(self, stream: str, entry: Entry) -> None:
        if entry.due is not None and entry.due != entry.alarm:
            heapq.heappush(self._due, (entry.due, stream))
            entry.alarm = entry.due

    # --- checkpoints ------------------------------------------------------------------------------------------------

    def has_changed(self) -> bool:
        """Also if nothing was decided, but commands were sent: the next owner would send them again, when those who get
        them may have forgotten their ids long since."""
        return bool(self._dirty) or self._saved_at != (self.fence.next_offset, self.answered, self.outbox.sent)

    def collect_changes(self) -> tuple[CheckpointChange, set[str]]:
        """What a checkpoint must store now, and the streams it covers; `saved` or `not_saved` follows before the next
        call. Parked states become bytes on the way."""
        streams, self._dirty = self._dirty, set()
        self._sent_then = self.outbox.sent
        states: list[StoredState] = []
        gone: list[str] = []
        for stream in streams:
            entry = self.entries.get(stream)
            if entry is not None:
                states.append(self._freeze(stream, entry))
                self._stored.add(stream)  # now: also where the answer to a save is lost the row may be there
            elif stream in self._stored:
                gone.append(stream)
        change = CheckpointChange(
            after=frozenset(self._stored_at),
            fence=Fence(self.fence.next_offset, self.fence.epoch, self.fence.next_n),
            answered=self.answered,
            unsent=self.outbox.pending(),
            states=states,
            gone=gone,
            remembered=self.remembered.seal(),
            forgotten=self.remembered.forgotten(),
        )
        self._stored_at.add(change.fence.next_offset)
        return change, streams

    def not_saved(self, streams: set[str]) -> None:
        """The checkpoint may not have been written: the next one covers `streams` again."""
        self._dirty |= streams

    def saved(self, change: CheckpointChange) -> None:
        """The checkpoint was written. What has changed meanwhile belongs to the next one."""
        self._stored.difference_update(change.gone)
        self._stored_at = {change.fence.next_offset}
        self.remembered.saved(list(change.remembered), list(change.forgotten))
        self._saved_at = (change.fence.next_offset, change.answered, self._sent_then)

    def _freeze(self, stream: str, entry: Entry) -> StoredState:
        frozen = self.lane.freeze(entry, stream)
        if self.lane.hibernates(entry):
            entry.frozen, entry.state = frozen, None
        return StoredState(stream, entry.workspace, entry.version, entry.due, entry.parked, frozen)

    def _take_stored(self, each: StoredState) -> None:
        entry = Entry(each.workspace, version=each.version, due=each.due, parked=each.parked)
        key = self.lane.thaw(entry, each.state, each.stream)
        if key is not None and not each.parked:
            self._busy_keys.add(key)
        self.entries[each.stream] = entry
        self._stored.add(each.stream)
        self._set_alarm(each.stream, entry)
