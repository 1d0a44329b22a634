"""What is tried again and again, whatever happens, without hiding what will never pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from structlog.typing import FilteringBoundLogger

from infra.postgres.pool import DATABASE_AWAY


@dataclass(slots=True)
class Attempt:
    failed: bool = False


@contextmanager
def waited_out(log: FilteringBoundLogger, what: str, *, quiet: bool = False, **labels: Any) -> Iterator[Attempt]:
    """An attempt that its caller repeats soon where it `failed`. A database that is away is told as a warning (`quiet`:
    for who debugs); what PostgreSQL refuses otherwise will not pass by itself and is told as an error each time."""
    attempt = Attempt()
    try:
        yield attempt
    except DATABASE_AWAY as error:
        attempt.failed = True
        said = log.debug if quiet else log.warning
        said(what, **labels, reason=f"{type(error).__name__}: {error}")
    except asyncpg.PostgresError as error:
        attempt.failed = True
        log.exception(what, **labels, reason=f"{type(error).__name__}: {error}")
