"""When a server wants to be asked again: `Retry-After` in seconds or as a date (RFC 9110, 10.2.3)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

MOST_SECONDS = 86_400.0


def retry_after_seconds(headers: Mapping[str, Any]) -> float | None:
    """Seconds from the answer on, at most a day; None if the server did not say (or not so that it can be read).

    A date is read against the answer's own `Date`: the two come from one clock, whatever ours shows.
    """
    given = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    wanted = given.get("retry-after", "").strip()
    if wanted.isascii() and wanted.isdigit():
        return min(float(wanted), MOST_SECONDS)
    until, now = _moment(wanted), _moment(given.get("date", ""))
    if until is None or now is None:
        return None
    return min(max(0.0, (until - now).total_seconds()), MOST_SECONDS)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
