"""Policies for trying again: waits on a virtual clock (R25), chance that is derived, what is covered."""

import pytest

from domain.nodes.retry_after import retry_after_seconds
from domain.retries import (
    DELIVERY_JOB,
    EXECUTION_JOB,
    NOTIFICATION_JOB,
    JobLimits,
    RetryPolicy,
    covers,
    delay_ms,
    is_selector,
)


def waits(policy: RetryPolicy, *seed: object) -> list[float]:
    """All waits of a policy, in seconds."""
    return [delay_ms(policy, retries, *seed) / 1_000 for retries in range(policy.attempts - 1)]


@pytest.mark.parametrize(
    ("job", "seconds", "schedule"),
    [
        (EXECUTION_JOB, 300, [1, 2, 4]),
        (NOTIFICATION_JOB, 30, [1, 2, 4]),
        (DELIVERY_JOB, 30, [1, 2, 4, 8, 16]),
    ],
)
def test_the_schedules_of_the_job_types(job: JobLimits, seconds: float, schedule: list[float]) -> None:
    assert job.timeout_seconds == seconds
    assert waits(job.retry) == schedule


def test_fixed_exponential_and_capped() -> None:
    assert waits(RetryPolicy(4, 3)) == [3, 3, 3]
    assert waits(RetryPolicy(6, 1, "exponential", max_delay_seconds=5)) == [1, 2, 4, 5, 5]
    assert waits(RetryPolicy(100, 80_000, "exponential"))[-1] == 86_400


def test_jitter_shortens_waits_by_a_share_that_only_depends_on_what_is_tried() -> None:
    policy = RetryPolicy(4, 10, jitter=0.5)
    assert waits(policy, "e", "n", 0) == waits(policy, "e", "n", 0)
    spread = {wait for number in range(500) for wait in waits(policy, "e", "n", number)}
    assert len(spread) > 1_000
    assert min(spread) < 5.1 < 9.9 < max(spread) <= 10
    assert min(spread) >= 5


@pytest.mark.parametrize(
    ("on", "code", "retriable", "status", "covered"),
    [
        (("retriable",), "timeout", True, None, True),
        (("retriable",), "http_status", False, 404, False),
        (("all",), "anything", False, None, True),
        (("timeout",), "timeout", False, None, True),
        (("timeout",), "http_status", True, 503, False),
        (("404",), "http_status", False, 404, True),
        (("500-599",), "http_status", True, 429, False),
        (("500-599", "429"), "http_status", True, 429, True),
        (("500-599",), "connection_lost", True, None, False),
    ],
)
def test_what_is_covered(on: tuple[str, ...], code: str, retriable: bool, status: int | None, covered: bool) -> None:
    assert covers(RetryPolicy(on=on), code, retriable=retriable, status=status) is covered


def test_selectors() -> None:
    assert all(map(is_selector, ("all", "retriable", "http_status", "429", "500-599")))
    assert not any(map(is_selector, ("", "Timeout", "42", "600", "599-500", "5xx", "a" * 101)))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "9" * 400}, 86_400),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"Retry-After": "Wednesday, 21-Oct-26 07:29:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 60),
        ({"retry-after": "Wed Oct 21 07:28:05 2026", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:29:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 86_400),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "soon", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": 5}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, object], seconds: float | None) -> None:
    assert retry_after_seconds(headers) == seconds
