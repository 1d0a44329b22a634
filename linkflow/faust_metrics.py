"""A faust application that counts ended executions per workspace and minute: read-only, beside everything else.

    pip install 'linkflow[faust]'
    LINKFLOW_LOG=kafka://127.0.0.1:9092 python -m linkflow.faust_metrics worker
    curl http://127.0.0.1:6066/ended/

It reads `linkflow.executions` in a consumer group of its own and writes only its table's changelog topic. Counts are
for looking at: docs/adr/0005-named-packages.md says why faust does nothing else here.
"""

from collections.abc import Mapping
from typing import Any

from infra.log.port import Topic
from infra.settings import Settings, SettingsError
from linkflow.terminal_counts import TerminalCounter

try:
    import faust
except ImportError as error:
    raise ImportError("linkflow.faust_metrics needs faust: pip install 'linkflow[faust]'") from error

WINDOW_SECONDS = 60.0
KEPT_SECONDS = 3600.0


def make_app(settings: Settings, *, port: int = 6066) -> Any:
    """The application (a `faust.App`) for the broker in LINKFLOW_LOG. Raises SettingsError if that is no Kafka."""
    brokers = settings.log.removeprefix("kafka://")
    if brokers == settings.log:
        raise SettingsError(f"LINKFLOW_LOG={settings.log!r}: faust reads Kafka only (kafka://host:port,…)")
    app = faust.App(
        f"{settings.log_prefix}linkflow-metrics",
        broker=[f"kafka://{address}" for address in brokers.split(",")],
        store="memory://",
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        web_bind="127.0.0.1",
        web_port=port,
    )
    commits = app.topic(
        f"{settings.log_prefix}{Topic.EXECUTIONS}",
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        internal=False,
        partitions=settings.partitions,
    )
    ended = app.Table("ended", default=int, partitions=settings.partitions).tumbling(
        WINDOW_SECONDS, expires=KEPT_SECONDS, key_index=True
    )
    counter = TerminalCounter()

    async def count(stream: Any) -> None:
        """Count each end in the window of its commit's append."""
        async for event in stream.events():
            message = event.message
            headers = _as_pairs(event.headers)
            for end in counter.ended(message.partition, message.offset, headers, event.value or b""):
                ended[f"{end.workspace}:{end.status}"] += 1

    async def show(web: Any, request: Any) -> Any:
        """Ends per workspace and status in the current window, of the partitions that this process counts."""
        return web.json({key: ended[key].now() for key in ended})

    app.agent(commits)(count)
    app.page("/ended/")(show)
    return app


def _as_pairs(headers: Any) -> tuple[tuple[str, bytes], ...]:
    return tuple(headers.items() if isinstance(headers, Mapping) else headers or ())


if __name__ == "__main__":
    make_app(Settings.from_env()).main()
