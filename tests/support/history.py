"""What stands on the log, as every reader must see it: the accepted commits, and what they say about executions.

Read straight from the log of a running or ended cluster, independent of API and read models.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from domain.decision import Outcome
from infra.log import open_log
from infra.log.port import Log, Record, Topic
from schemas.envelope import CommitRecord, decode_commit
from schemas.fence import Fence

TERMINAL = frozenset({"execution.completed", "execution.failed", "execution.cancelled", "execution.timed_out"})
PREFIX = "execution-"


@dataclass(slots=True)
class History:
    """Accepted commits in order per partition; `void` counts the commits that readers drop.

    `answers`: (input topic, partition, offset) → outcomes; more than one would be an input that was decided twice.
    """

    commits: list[CommitRecord] = field(default_factory=list)
    void: int = 0
    takeovers: int = 0
    _by_stream: dict[str, list[tuple[str, dict[str, Any]]]] = field(default_factory=lambda: defaultdict(list))
    _versions: dict[str, int] = field(default_factory=dict)
    answers: dict[tuple[str, int, int], list[Outcome]] = field(default_factory=lambda: defaultdict(list))

    def add(self, partition: int, commit: CommitRecord) -> None:
        self.commits.append(commit)
        if commit.answers is not None:
            self.answers[commit.answers.topic, partition, commit.answers.offset].append(commit.outcome)
        if not commit.events:
            return
        expected = self._versions.get(commit.stream, 0) + 1
        assert commit.version == expected, f"{commit.stream}: version {commit.version} follows {expected - 1}"
        self._versions[commit.stream] = commit.version + len(commit.events) - 1
        for event in commit.events:
            self._by_stream[commit.stream].append((event.type, json.loads(bytes(event.data))))

    def events(self, execution_id: str) -> list[tuple[str, dict[str, Any]]]:
        return self._by_stream.get(PREFIX + execution_id, [])

    def executions(self) -> list[str]:
        return [stream.removeprefix(PREFIX) for stream in self._by_stream if stream.startswith(PREFIX)]

    def ends(self, execution_id: str) -> list[str]:
        return [kind for kind, _ in self.events(execution_id) if kind in TERMINAL]

    def attempts(self, execution_id: str) -> int:
        """How many attempts the log has: one an item and attempt."""
        events = self.events(execution_id)
        return sum(len(data["indexes"]) for kind, data in events if kind == "execution.node_attempted")

    def check(self, accepted: Iterable[str]) -> None:
        """Every accepted execution is there and ended exactly once; no input was answered twice."""
        ids = list(accepted)
        missing = [each for each in ids if not self.events(each)]
        assert not missing, f"{len(missing)} of {len(ids)} accepted executions are not in the log: {missing[:3]}"
        odd = {each: self.ends(each) for each in ids if len(self.ends(each)) != 1}
        assert not odd, f"{len(odd)} of {len(ids)} executions did not end exactly once: {dict(list(odd.items())[:3])}"
        twice = [place for place, outcomes in self.answers.items() if len(outcomes) > 1]
        assert not twice, f"{len(twice)} inputs were answered twice: {twice[:3]}"

    def check_calls(self, calls: Iterable[dict[str, Any]], execution_of: dict[str, str], *, once: bool = False) -> None:
        """No call without an attempt in the log; `once`: no call was repeated. `execution_of`: key → execution id."""
        seen = Counter(execution_of.get(call["query"].get("key", ""), "?") for call in calls)
        assert "?" not in seen, f"{seen['?']} calls are of no execution that was accepted"
        over = {each: (count, self.attempts(each)) for each, count in seen.items() if count > self.attempts(each)}
        assert not over, f"more calls than attempts in the log, (calls, attempts): {dict(list(over.items())[:3])}"
        repeated = {each: count for each, count in seen.items() if count > 1}
        assert not (once and repeated), (
            f"{len(repeated)} unsafe calls were repeated: {dict(list(repeated.items())[:3])}"
        )


async def read_log(log: Log, topic: Topic) -> list[Record]:
    """All records of a topic up to its present end, partition by partition."""
    ends = {p: await log.end_offset(topic, p) for p in range(log.partitions)}
    reader = await log.reader()
    records: list[Record] = []
    try:
        for partition, end in ends.items():
            position = await log.first_offset(topic, partition)
            if position < end:
                reader.seek(topic, partition, position)
            while position < end:
                for record in await reader.read(max_records=2000, timeout=10):
                    if record.offset < end:
                        records.append(record)
                    position = record.offset + 1
            reader.forget(topic, partition)
    finally:
        await reader.close()
    return records


async def read_history(url: str, *, database_url: str, prefix: str = "") -> History:
    """The accepted commits of both lanes."""
    log = await open_log(url, database_url=database_url, prefix=prefix)
    try:
        history = History()
        for topic in (Topic.EVENTS, Topic.EXECUTIONS):
            fences: dict[int, Fence] = {}
            for record in await read_log(log, topic):
                fence = fences.setdefault(record.partition, Fence(next_offset=record.offset))
                kind = dict(record.headers).get("k")
                if fence.accept(record.offset, record.headers):
                    history.add(record.partition, decode_commit(record.value))
                elif kind == b"m":
                    history.void += 1
                elif kind == b"o":
                    history.takeovers += 1
        return history
    finally:
        await log.close()
