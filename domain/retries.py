"""How often something that failed is tried again, and when: for nodes, whole executions, and what is built beside them.

Pure: a wait that is spread (`jitter`) is derived from a seed that names what is tried, so that who decides it a second
time, or replays it, comes to the same moment.
"""

import re
from hashlib import blake2b
from typing import Final, Literal

import msgspec

Backoff = Literal["fixed", "exponential"]

RETRIABLE: Final = "retriable"
ALL: Final = "all"

MAX_ATTEMPTS: Final = 100
MAX_DELAY_SECONDS: Final = 86_400.0
"""No wait between two tries is longer, not even one that a server asks for."""

_STATUS = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,99}")


class RetryPolicy(msgspec.Struct, frozen=True):
    """`attempts` counts all tries. The first wait is `delay_seconds`; `exponential` doubles it each time, up to
    `max_delay_seconds`. `jitter` (0 to 1): so much of each wait is left to chance.

    `on`: what is tried again: `retriable` (what may get better by itself), `all`, error codes, HTTP statuses (`429`)
    and ranges of them (`500-599`); one that fits is enough.
    """

    attempts: int = 1
    delay_seconds: float = 1.0
    backoff: Backoff = "fixed"
    max_delay_seconds: float = MAX_DELAY_SECONDS
    jitter: float = 0.0
    on: tuple[str, ...] = (RETRIABLE,)


class JobLimits(msgspec.Struct, frozen=True):
    """What a kind of job is allowed: seconds for one try, and the tries."""

    timeout_seconds: float
    retry: RetryPolicy


EXECUTION_JOB: Final = JobLimits(300.0, RetryPolicy(attempts=4, backoff="exponential"))
"""An execution. Its three retries go on where a failure of the system itself stopped it; they repeat nothing of it."""
NOTIFICATION_JOB: Final = JobLimits(30.0, RetryPolicy(attempts=4, backoff="exponential"))
DELIVERY_JOB: Final = JobLimits(30.0, RetryPolicy(attempts=6, backoff="exponential"))
"""An outgoing webhook."""


def delay_ms(policy: RetryPolicy, retries: int, *seed: object) -> int:
    """Milliseconds to wait after `retries` tries again (0: after the first try). `seed` names what is tried."""
    factor = 2 ** min(retries, 30) if policy.backoff == "exponential" else 1
    longest = min(policy.max_delay_seconds, MAX_DELAY_SECONDS) * 1_000
    wait = min(policy.delay_seconds * 1_000 * factor, longest)
    if policy.jitter:
        wait *= 1 - policy.jitter * _share(*seed, retries)
    return round(wait)


def _share(*seed: object) -> float:
    """A number from 0 to below 1 that only depends on the seed."""
    text = "\0".join(map(str, seed)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=7).digest()) / 2**56


def covers(policy: RetryPolicy, code: str, *, retriable: bool, status: int | None = None) -> bool:
    """Whether a failure is one that `policy.on` names."""
    return any(_fits(entry, code, retriable, status) for entry in policy.on)


def _fits(entry: str, code: str, retriable: bool, status: int | None) -> bool:
    if entry == RETRIABLE:
        return retriable
    if entry in {ALL, code}:
        return True
    span = _STATUS.fullmatch(entry)
    return span is not None and status is not None and int(span[1]) <= status <= int(span[2] or span[1])


def is_selector(entry: str) -> bool:
    """Whether `entry` may stand in `on`: `retriable`, `all`, an error code, a status, a range of statuses."""
    span = _STATUS.fullmatch(entry)
    return int(span[1]) <= int(span[2] or span[1]) if span is not None else _CODE.fullmatch(entry) is not None
