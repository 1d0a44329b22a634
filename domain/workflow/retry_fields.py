"""Reading `retry` of a node and `retries` of a workflow's settings."""

from typing import Any, cast

from domain.retries import ALL, MAX_ATTEMPTS, MAX_DELAY_SECONDS, RETRIABLE, Backoff, RetryPolicy, is_selector
from domain.workflow.fields import Fields, Problems

MAX_SELECTORS = 50
_BACKOFFS = ("fixed", "exponential")
NO_REPEAT = RetryPolicy(attempts=1, backoff="exponential", on=(ALL,))
"""What holds for whole executions unless `settings.retries` says more."""


def node_retry(fields: Fields, problems: Problems) -> RetryPolicy:
    """A node's `retry`: `attempts` counts all tries."""
    if not fields.given("retry"):
        fields.any("retry")
        return RetryPolicy()
    retry = Fields(fields.object("retry"), fields.at("retry"), problems, fields.owner)
    attempts = retry.integer("attempts", 1, minimum=1, maximum=MAX_ATTEMPTS)
    return _policy(retry, attempts, RetryPolicy())


def execution_retries(settings: Fields, problems: Problems) -> RetryPolicy:
    """`settings.retries`: how often the whole execution is repeated, or an object with `count` and when."""
    value = settings.any("retries")
    if not isinstance(value, dict):
        count = Fields({"retries": value}, "settings", problems).integer("retries", 0, minimum=0, maximum=MAX_ATTEMPTS)
        return NO_REPEAT if not count else RetryPolicy(attempts=count + 1, backoff="exponential", on=(ALL,))
    retries = Fields(value, settings.at("retries"), problems)
    count = retries.integer("count", 0, minimum=0, maximum=MAX_ATTEMPTS)
    return _policy(retries, count + 1, NO_REPEAT)


def _policy(retry: Fields, attempts: int, default: RetryPolicy) -> RetryPolicy:
    policy = RetryPolicy(
        attempts=attempts,
        delay_seconds=retry.number("delay_seconds", default.delay_seconds, minimum=0, maximum=MAX_DELAY_SECONDS) or 0.0,
        backoff=cast(Backoff, retry.choice("backoff", default.backoff, _BACKOFFS)),
        max_delay_seconds=retry.number(
            "max_delay_seconds", default.max_delay_seconds, minimum=0, maximum=MAX_DELAY_SECONDS
        )
        or 0.0,
        jitter=retry.number("jitter", default.jitter, minimum=0, maximum=1) or 0.0,
        on=_selectors(retry, default.on),
    )
    retry.finish()
    return policy


def _selectors(retry: Fields, default: tuple[str, ...]) -> tuple[str, ...]:
    if not retry.given("on"):
        retry.any("on")
        return default
    value: Any = retry.any("on")
    entries = value if isinstance(value, list) else [value]
    if len(entries) > MAX_SELECTORS:
        retry.wrong("on", f"'on' may have at most {MAX_SELECTORS} entries, not {len(entries)}")
        return default
    found = []
    for entry in entries:
        text = str(entry) if type(entry) in {int, str} else ""
        if not is_selector(text):
            retry.wrong(
                "on",
                f"'on': {str(entry)[:100]!r} is none of {RETRIABLE}, {ALL}, an error code such as connection_failed, "
                "a status such as 429, a range such as 500-599",
            )
            return default
        found.append(text)
    return tuple(found) or default
