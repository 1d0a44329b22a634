"""The time that retention goes by: no clock alone may take anything away (docs/adr/0023).

Ticks, the database's clock and the number of ticks (one a second, whatever a clock says) must tell of the same time
since they were last believed. If they do not, a clock leapt or the installation was off: nothing is taken until they
agree again, have gone on for PROBATION, or an operator says that they are right.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from domain.schedule.zones import instant_of, moment_of
from infra.log.port import Topic
from infra.postgres.retention_clock import Kind, Reading, RetentionClock
from infra.telemetry import metrics
from services.housekeeping.jobs import Work

MARGIN: Final = timedelta(days=1)
"""So much the witnesses may differ, and so much later everything is taken: what they differ by costs nobody's data."""
PROBATION: Final = timedelta(days=7)
"""After so much time, ticked away without another leap, clocks that leapt are believed. An installation that is off for
some hours each day takes longer to tick it away."""


class ClocksDisagree(Exception):
    """Nothing may be taken away by these clocks; the message says what they tell and what to do."""

    code = "clocks_disagree"


def by_believed_time(run: Callable[[Work], Awaitable[None]]) -> Callable[[Work], Awaitable[None]]:
    """The job `run` by the time that retention goes by. The job fails with ClocksDisagree."""

    async def guarded(work: Work) -> None:
        await run(replace(work, now=await believed_now(work)))

    return guarded


async def believed_now(work: Work) -> int:
    """The earlier of the log's and the database's time, less MARGIN; ms since 1970. Raises ClocksDisagree."""
    clock = RetentionClock(work.pool)
    reading = await clock.read(moment_of(work.now), await work.log.end_offset(Topic.TICKS, 0))
    known = await clock.load()
    before = known.get("believed")
    metrics.CLOCKS_DIFFER.set(difference(before, reading).total_seconds())
    if not believable(known, reading) and await clock.trusted_by() is None:
        for kind, noted in suspicion(known, reading).items():
            await clock.store(kind, noted)
        raise ClocksDisagree(_told(before, reading))
    await clock.store("believed", reading)
    metrics.CLOCKS_DIFFER.set(0)
    return instant_of(min(reading.log_time, reading.database) - MARGIN)


def difference(before: Reading | None, now: Reading) -> timedelta:
    """By how much the witnesses differ about the time since `before`; without one, about what time it is.

    Two schedulers that both believe that they lead write more ticks than seconds pass: too many say nothing.
    """
    if before is None:
        return abs(now.log_time - now.database)
    by_log, by_database, by_ticks = _passed(before, now)
    return max(by_log, by_database) - min(by_log, by_database, by_ticks)


def believable(known: Mapping[Kind, Reading], now: Reading) -> bool:
    """Whether the witnesses agree since they were last believed, or have gone on for long enough since they did not."""
    if difference(known.get("believed"), now) <= MARGIN:
        return True
    suspected = known.get("suspected")
    return suspected is not None and _went_on(known, now) and min(_passed(suspected, now)) >= PROBATION


def suspicion(known: Mapping[Kind, Reading], now: Reading) -> dict[Kind, Reading]:
    """What to note where `now` is not believed."""
    return {"seen": now} if _went_on(known, now) else {"suspected": now, "seen": now}


def _went_on(known: Mapping[Kind, Reading], now: Reading) -> bool:
    """Whether nothing has leapt since suspicion began. Ticks are compared from one run to the next: hours that an
    installation is off each day would add up to a leap. The two clocks go on meanwhile, and must do so together."""
    suspected = known.get("suspected")
    if suspected is None:
        return False
    seen = known.get("seen", suspected)
    by_log, by_database, _ = _passed(suspected, now)
    went_back = min(_passed(seen, now)) < -MARGIN
    return not went_back and difference(seen, now) <= MARGIN and abs(by_log - by_database) <= MARGIN


def _passed(before: Reading, now: Reading) -> tuple[timedelta, timedelta, timedelta]:
    ticked = timedelta(seconds=max(0, now.ticks - before.ticks))
    return now.log_time - before.log_time, now.database - before.database, ticked


def _told(before: Reading | None, now: Reading) -> str:
    if before is None:
        by_log, by_database = (f"{each:%Y-%m-%d %H:%M}" for each in (now.log_time, now.database))
        said = f"it is {by_log} (UTC) as the log says, {by_database} as the database says"
    else:
        log, database, ticks = (f"{each / timedelta(hours=1):.1f} h" for each in _passed(before, now))
        said = (
            f"since {before.database:%Y-%m-%d %H:%M} (UTC) {log} went by as the log says, {database} as the database"
            f" says, and {ticks} as the number of ticks says"
        )
    return (
        f"clocks disagree: {said}. Nothing is taken away. Set right what is wrong; if the clocks are right (the"
        f" installation was off), say so: linkflow admin trust-clocks. Otherwise it goes on after {PROBATION.days} days"
        " of running without another gap"
    )
