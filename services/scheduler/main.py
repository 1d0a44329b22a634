"""The scheduler: of all that run one leads, gives every partition a tick each second, and has the housekeeping done."""

import asyncio
import signal
import time

from infra.log import open_log
from infra.log.port import Log, LogError, LogMismatch
from infra.postgres.heartbeats import PostgresHeartbeats
from infra.postgres.job_runs import JobRuns
from infra.postgres.pool import DATABASE_AWAY, Pool, close_pool, open_pool
from infra.settings import Settings
from infra.telemetry import metrics
from infra.telemetry.logs import configure_logs, get_logger
from services.housekeeping.catalogue import all_jobs
from services.housekeeping.housekeeper import Housekeeper
from services.housekeeping.jobs import Work
from services.scheduler.follower import EventFollower
from services.scheduler.leadership import Leadership
from services.scheduler.ticker import Ticker

TICK_SECONDS = 1.0
_END_SECONDS = 3.0
_CUT_EVERY = 300  # ticks
_RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
_RETRIED: tuple[type[BaseException], ...] = (LogError, *DATABASE_AWAY)

log = get_logger(__name__)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises LogMismatch: the log is not the one of this installation."""
    configure_logs(settings, settings.member or "scheduler")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stop_metrics = metrics.serve_metrics(settings)
    try:
        await serve(settings, stop)
    finally:
        stop_metrics()


_HOUSEKEEPING_SESSION = {
    # Whoever is stopped in the midst of a transaction must not keep its locks.
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """The scheduler inside a process that handles signals and metrics itself; returns soon after `stop` is set."""
    state = _State(settings.name_of("scheduler"))
    pool = await open_pool(
        settings.database_url,
        min_size=0,
        max_size=5,
        application_name="linkflow housekeeping",
        settings=_HOUSEKEEPING_SESSION,
    )
    try:
        async with PostgresHeartbeats(pool).beating(state.member, "scheduler", state.facts):
            await _keep_standing(settings, state, pool, stop)
    finally:
        await close_pool(pool)


class _State:
    """What this scheduler says of itself."""

    def __init__(self, member: str) -> None:
        self.member = member
        self.keeper: Housekeeper | None = None

    def facts(self) -> dict[str, object]:
        return {"leads": self.keeper is not None, "jobs": self.keeper.under_way if self.keeper is not None else []}


async def _keep_standing(settings: Settings, state: _State, pool: Pool, stop: asyncio.Event) -> None:
    attempt = 0
    while not stop.is_set():
        began = time.monotonic()
        try:
            source = await open_log(
                settings.log, database_url=settings.database_url, partitions=settings.partitions,
                prefix=settings.log_prefix,
            )  # fmt: skip
            try:
                await _stand(settings, source, state, pool, stop)
            finally:
                await source.close()
        except LogMismatch:
            raise
        except _RETRIED as error:
            attempt = 0 if time.monotonic() - began > 10 else attempt + 1
            delay = _RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]
            log.warning("trying again", reason=f"{type(error).__name__}: {error}", seconds=delay)
            await _wait(stop, delay)


async def _stand(settings: Settings, source: Log, state: _State, pool: Pool, stop: asyncio.Event) -> None:
    """Wait to become the leader, lead; returns when `stop` is set, raises when the lock or the log is lost."""
    leadership = await Leadership.open(settings.database_url, settings.log_prefix)
    try:
        while not await leadership.try_win():
            await _wait(stop, TICK_SECONDS)
            if stop.is_set():
                return
        state.keeper = _housekeeper(settings, source, state.member, pool)
        await _lead(settings, source, leadership, state.keeper, state.member, stop)
    finally:
        state.keeper = None
        await leadership.close()


def _housekeeper(settings: Settings, source: Log, member: str, pool: Pool) -> Housekeeper:
    def work(now: int) -> Work:
        return Work(
            pool,
            source,
            now,
            log_schema=f"{settings.log_prefix}log" if settings.log == "postgres" else "",
            retention_days=settings.retention_days,
            payload_retention_days=settings.payload_retention_days,
        )

    jobs = all_jobs(settings.housekeeping_at, settings.timezone)
    return Housekeeper(settings.database_url, jobs, JobRuns(pool), work, runner=member)


async def _lead(
    settings: Settings, source: Log, leadership: Leadership, keeper: Housekeeper, leader: str, stop: asyncio.Event
) -> None:
    ticker = await Ticker.open(source, leader, monotonic=_boot_clock, wall=_wall_clock)
    keeping = asyncio.create_task(keeper.run(), name="housekeeping")
    follower = EventFollower(source, settings.database_url, settings.own_url, wall=_wall_clock)
    telling = asyncio.create_task(follower.run(stop))
    log.info("leads", leader=leader)
    last = _boot_clock()
    metrics.LEADER.set(1)
    metrics.TICK_AGE.set_function(lambda: (_boot_clock() - last) / 1000)
    cuts = settings.log == "postgres"  # Kafka cuts by its topic's configuration
    count, due = 0, time.monotonic()
    try:
        while not stop.is_set():
            await leadership.confirm()
            keeper.tell(await ticker.tick())
            if keeping.done():
                keeping.result()
            last = _boot_clock()
            count += 1
            if cuts and count % _CUT_EVERY == 0:
                await ticker.cut()
            due = max(due + TICK_SECONDS, time.monotonic())
            await _wait(stop, due - time.monotonic())
    finally:
        metrics.LEADER.set(0)
        keeping.cancel()
        telling.cancel()
        # The next leader's ticks do not wait for a job nor for a database that does not answer.
        await asyncio.wait({keeping, telling}, timeout=_END_SECONDS)
        await ticker.close()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


def _boot_clock() -> int:
    """Milliseconds of a monotonic clock that goes on while the machine is suspended, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000
