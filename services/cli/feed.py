"""`linkflow tail`: accepted events, straight from the log, as they come."""

import asyncio
import fnmatch
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
import msgspec
import typer
from rich.text import Text

from infra.log.port import Log, LogUnavailable, Reader, Record, Topic
from infra.postgres.pool import CONNECTION_LOST, open_connection
from infra.settings import Settings
from projections.positions import load_places
from projections.retention import load_cuts
from schemas.envelope import CommitRecord, EventRecord, decode_commit
from schemas.fence import Fence
from services.cli.access import database_settings, opened_log
from services.cli.output import STATUS_STYLES, Json, console, print_line

COMMIT_TOPICS = (Topic.EVENTS, Topic.EXECUTIONS)
_DURATION = re.compile(r"(\d+)(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MAX_SHOWN = 160
_WORKFLOW_FIELD = msgspec.json.Decoder(dict[str, Any])


def register(app: typer.Typer) -> None:
    app.command("tail")(tail)


def tail(
    workspace: Annotated[str | None, typer.Option(help="Only of this workspace (id).")] = None,
    execution: Annotated[str | None, typer.Option(help="Only of this execution (id).")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow (id) and its executions.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only these types, such as execution.*")] = None,
    since: Annotated[str, typer.Option("--from", help="now, start, 10m (s, m, h, d), or an ISO 8601 time.")] = "now",
    follow: Annotated[bool, typer.Option(help="Wait for more at the end.")] = True,
    as_json: Json = False,
) -> None:
    """Follow the accepted events of the log."""
    wanted = Filter(workspace, execution, workflow, event_type, read_moment(since))
    settings = database_settings()

    async def show() -> None:
        async with opened_log(settings) as log:
            async for each in follow_events(settings, log, wanted, endless=follow):
                if as_json:
                    print_line(each.as_json())
                else:
                    console().print(each.as_text())

    asyncio.run(show())


@dataclass(frozen=True, slots=True)
class Shown:
    """One event with what its commit says about it."""

    record: Record
    commit: CommitRecord
    index: int
    event: EventRecord
    workflow: str | None

    @property
    def execution(self) -> str | None:
        return _id_in(self.commit.stream, "execution-")

    def as_json(self) -> dict[str, Any]:
        return {
            "position": {
                "topic": self.record.topic.value,
                "partition": self.record.partition,
                "offset": self.record.offset,
            },
            "stream": self.commit.stream,
            "version": self.commit.version + self.index,
            "type": self.event.type,
            "workspace_id": self.commit.workspace,
            "execution_id": self.execution,
            "workflow_id": self.workflow,
            "at": _iso(self.commit.time),
            "data": msgspec.json.decode(self.event.data),
        }

    def as_text(self) -> Text:
        line = Text(_iso(self.commit.time)[11:23] + "  ", style="dim")
        line.append(f"{self.commit.stream} ", style="cyan")
        line.append(f"{self.commit.version + self.index}  ", style="dim")
        line.append(f"{self.event.type}  ", style=_style(self.event.type))
        data = bytes(self.event.data).decode("utf-8", "replace")
        line.append(data if len(data) <= _MAX_SHOWN else f"{data[:_MAX_SHOWN]}…", style="dim")
        return line


@dataclass(slots=True)
class Filter:
    """What to show. `since`: milliseconds since 1970; 0: from the first record; None: from now on."""

    workspace: str | None = None
    execution: str | None = None
    workflow: str | None = None
    event_type: str | None = None
    since: int | None = None
    _workflow_of: dict[str, str] = field(default_factory=dict)

    def select(self, record: Record) -> Iterator[Shown]:
        """The events of an accepted commit that are wanted."""
        commit = decode_commit(record.value)
        workflow = self._learn_workflow(commit)
        if self.since is not None and commit.time < self.since:
            return
        if self.workspace not in {None, commit.workspace}:
            return
        if self.execution is not None and commit.stream != f"execution-{self.execution}":
            return
        if self.workflow not in {None, workflow}:
            return
        for index, event in enumerate(commit.events):
            if self.event_type is None or fnmatch.fnmatchcase(event.type, self.event_type):
                yield Shown(record, commit, index, event, workflow)

    def _learn_workflow(self, commit: CommitRecord) -> str | None:
        """Only an execution's first event names its workflow: one that began earlier than we read has none."""
        execution = _id_in(commit.stream, "execution-")
        if execution is None:
            return _id_in(commit.stream, "workflow-")
        for event in commit.events:
            if event.type == "execution.queued":
                self._workflow_of[execution] = str(_WORKFLOW_FIELD.decode(event.data).get("workflow_id", ""))
        return self._workflow_of.get(execution)


async def follow_events(settings: Settings, log: Log, wanted: Filter, *, endless: bool) -> AsyncIterator[Shown]:
    """Events that count (fenced) and are wanted, in order per partition; until the present end unless `endless`."""
    keys = [(topic, partition) for topic in COMMIT_TOPICS for partition in range(log.partitions)]
    ends = {key: await log.end_offset(*key) for key in keys}
    fences = await _starting_fences(settings, log, keys, from_start=wanted.since is not None)
    skip_to = ends if wanted.since is None else {}
    reader = await log.reader()
    try:
        for (topic, partition), fence in fences.items():
            reader.seek(topic, partition, fence.next_offset)
        while endless or any(fences[key].next_offset < ends[key] for key in keys):
            for record in await _read(reader, endless):
                key = (record.topic, record.partition)
                if fences[key].accept(record.offset, record.headers) and record.offset >= skip_to.get(key, 0):
                    for each in wanted.select(record):
                        yield each
    finally:
        await reader.close()


async def _read(reader: Reader, endless: bool) -> list[Record]:
    while True:
        try:
            return await reader.read(max_records=1_000, timeout=None if endless else 2.0)
        except LogUnavailable:
            # The place is kept; a restarted log goes on where it was.
            await asyncio.sleep(0.5)


async def _starting_fences(
    settings: Settings, log: Log, keys: list[tuple[Topic, int]], *, from_start: bool
) -> dict[tuple[Topic, int], Fence]:
    """Where to begin so that the epoch is known: where the read models are, else at the first record."""
    places = await (_cuts(settings) if from_start else _places(settings))
    fences = {}
    for topic, partition in keys:
        place = places.get((topic.value, partition))
        if place is not None:
            fences[topic, partition] = Fence(place.next_offset, place.epoch, place.next_n)
        else:
            fences[topic, partition] = Fence(await log.first_offset(topic, partition))
    return fences


async def _cuts(settings: Settings) -> dict[tuple[str, int], Any]:
    """Where the history begins after retention; of partitions that were never cut it begins at their first record."""
    return await _loaded(settings, load_cuts)


async def _places(settings: Settings) -> dict[tuple[str, int], Any]:
    return await _loaded(settings, load_places)


async def _loaded(
    settings: Settings, load: Callable[[Any], Awaitable[dict[tuple[str, int], Any]]]
) -> dict[tuple[str, int], Any]:
    try:
        connection = await open_connection(settings.database_url, application_name="linkflow tail")
    except CONNECTION_LOST:
        return {}
    try:
        return dict(await load(connection))
    except asyncpg.UndefinedTableError:
        return {}
    finally:
        await connection.close()


def read_moment(text: str) -> int | None:
    """`now` (None), `start` (0), `10m` ago, or an ISO 8601 time, as milliseconds since 1970."""
    if text == "now":
        return None
    if text == "start":
        return 0
    if match := _DURATION.fullmatch(text):
        return int((time.time() - int(match[1]) * _UNITS[match[2]]) * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"--from takes now, start, 10m (s, m, h, d) or an ISO 8601 time, not {text!r}"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _id_in(stream: str, prefix: str) -> str | None:
    return stream.removeprefix(prefix) if stream.startswith(prefix) else None


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _style(event_type: str) -> str:
    word = event_type.rpartition(".")[2].removeprefix("node_")
    return STATUS_STYLES.get(word, STATUS_STYLES.get(word.removeprefix("timed_out"), "bold"))
