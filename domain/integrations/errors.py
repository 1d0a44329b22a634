"""How providers say that something is wrong, and what it means to a workflow.

A failure has one of few codes, whoever the provider is, so that a workflow can decide by it; what the provider said
itself, its own code included, stands in the message.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from domain.integrations.answers import at
from domain.nodes.failures import NodeFailure

REJECTED: Final = "rejected"
UNAUTHORIZED: Final = "unauthorized"
FORBIDDEN: Final = "forbidden"
NOT_FOUND: Final = "not_found"
CONFLICT: Final = "conflict"
RATE_LIMITED: Final = "rate_limited"
UNAVAILABLE: Final = "unavailable"
UNEXPECTED: Final = "unexpected_answer"

CODES: Final[Mapping[str, str]] = {
    REJECTED: "the provider understood the request and refuses it: another value may work",
    UNAUTHORIZED: "the credential is wrong or expired",
    FORBIDDEN: "the credential may not do that",
    NOT_FOUND: "what was asked for does not exist, or the credential may not see it",
    CONFLICT: "it contradicts what is there, such as a name that is taken",
    RATE_LIMITED: "too many requests; retried after the time that the provider names",
    UNAVAILABLE: "the provider has a problem of its own; retried",
    UNEXPECTED: "the answer is not what the provider documents",
}
"""Every code of a failure that a provider tells, and its meaning."""

_OF_STATUS: Final[Mapping[int, str]] = {
    401: UNAUTHORIZED,
    402: FORBIDDEN,
    403: FORBIDDEN,
    404: NOT_FOUND,
    405: REJECTED,
    408: UNAVAILABLE,
    409: CONFLICT,
    410: NOT_FOUND,
    412: CONFLICT,
    425: UNAVAILABLE,
    429: RATE_LIMITED,
}
_RETRIABLE: Final = frozenset({RATE_LIMITED, UNAVAILABLE})
_EXCERPT: Final = 300
_LONGEST_WAIT: Final = 86_400.0
_DURATION: Final = re.compile(
    r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)


@dataclass(frozen=True, slots=True)
class Errors:
    """How a provider tells failures.

    `ok`: the place in the answer that is false for a failure whatever the status is. `code` and `message`: places in
    the answer, the first that holds something counts. `codes`: the provider's own codes that mean one of ours.
    `remaining`: a header that is 0 where a refusal (403) means too many requests. `limited`: words in the message of
    such a refusal. `reset`: headers that say when to come again: seconds, a date, a duration such as `6m0s`, or
    seconds since 1970; `reset_in`: the place in the answer that says it in seconds.
    """

    ok: str = ""
    code: tuple[str, ...] = ("code", "error.code", "error")
    message: tuple[str, ...] = ("message", "error.message", "error_description", "error", "errors.0.message", "detail")
    codes: Mapping[str, str] = field(default_factory=dict)
    remaining: str = ""
    limited: str = ""
    reset: tuple[str, ...] = ("retry-after",)
    reset_in: str = ""


def failure_in(errors: Errors, provider: str, status: int, headers: Mapping[str, str], body: Any) -> NodeFailure | None:
    """What the answer says is wrong, None if nothing is. `headers`: by lower-case names."""
    well = errors.ok and isinstance(body, dict) and at(body, errors.ok)
    if status < 400 and (well or not errors.ok):
        return None
    said = provider_code(errors, body)
    code = _code(errors, status, headers, body, said)
    return NodeFailure(
        code,
        _message(errors, provider, status, body, said),
        retriable=code in _RETRIABLE,
        retry_after_seconds=_wait(errors, headers, body) if code in _RETRIABLE else None,
    )


def provider_code(errors: Errors, body: Any) -> str:
    """The provider's own code in an answer, empty if there is none."""
    return _first_text(body, errors.code)


def _code(errors: Errors, status: int, headers: Mapping[str, str], body: Any, said: str) -> str:
    if said in errors.codes:
        return errors.codes[said]
    if status == 403 and _is_limit(errors, headers, body):
        return RATE_LIMITED
    if status >= 500:
        return UNAVAILABLE
    if status < 400 and not isinstance(body, dict):
        return UNEXPECTED
    return _OF_STATUS.get(status, REJECTED)


def _is_limit(errors: Errors, headers: Mapping[str, str], body: Any) -> bool:
    if errors.remaining and headers.get(errors.remaining) == "0":
        return True
    if not errors.limited:
        return False
    return "retry-after" in headers or errors.limited in _first_text(body, errors.message).lower()


def _message(errors: Errors, provider: str, status: int, body: Any, said: str) -> str:
    told = _first_text(body, errors.message)
    if not told and isinstance(body, str):
        told = body
    where = f"{provider} answered {status}" if status >= 400 else f"{provider} refused"
    parts = dict.fromkeys(part for part in (said, " ".join(told.split())) if part)
    text = f"{where}: {' – '.join(parts)}" if parts else where
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"


def _first_text(body: Any, places: Sequence[str]) -> str:
    """The first text (or number) at one of these places."""
    for place in places:
        found = at(body, place) if isinstance(body, dict | list) else None
        if isinstance(found, str) and found:
            return found
        if type(found) is int:
            return str(found)
    return ""


def _wait(errors: Errors, headers: Mapping[str, str], body: Any) -> float | None:
    """Seconds until the provider wants to be asked again: as its answer says, else the first of its headers."""
    told = at(body, errors.reset_in) if errors.reset_in else None
    if isinstance(told, int | float):
        return min(max(float(told), 0.0), _LONGEST_WAIT)
    for name in errors.reset:
        text = headers.get(name, "").strip()
        seconds = _seconds(text, headers.get("date", "")) if text else None
        if seconds is not None:
            return min(max(seconds, 0.0), _LONGEST_WAIT)
    return None


def _seconds(text: str, date: str) -> float | None:
    """Moments count from the answer's own date: this place has no clock."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        number = float(text)
        if number < 1_000_000_000:
            return number
        now = _moment(date)
        return None if now is None else number - now.timestamp()
    duration = _DURATION.fullmatch(text)
    if duration is not None and any(duration.groups()):
        hours, minutes, seconds, milliseconds = (float(part or 0) for part in duration.groups())
        return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000
    then, now = _moment(text), _moment(date)
    return None if then is None or now is None else (then - now).total_seconds()


def _moment(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
