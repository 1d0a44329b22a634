"""Things to be done to the world on behalf of a node: described here, performed by the worker.

Effect classes (design.md 5) fix what happens after a crash with unknown outcome:
pure (run again, no attempt recorded), read (run again, new attempt), idempotent (run again with the same key),
unsafe (not run again by itself: `outcome_unknown`).
"""

from typing import Any, Literal

import msgspec

EffectClass = Literal["pure", "read", "idempotent", "unsafe"]


class CredentialRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """A credential of the execution's workspace by its id; `accepts`: the types of credentials that the effect can use.

    The interpreter opens it; a decider never sees more than this.
    """

    id: str
    accepts: list[str] = []


class HttpRequest(msgspec.Struct, frozen=True, tag="http_request", omit_defaults=True):
    """One HTTP request. `body` is JSON unless it is text (`body_text`); time-out in seconds for the whole call.

    `credential`: authenticates it, when it is sent.
    """

    method: str
    url: str
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    body: Any = None
    body_text: str | None = None
    timeout_seconds: float = 30.0
    follow_redirects: bool = True
    max_redirects: int = 10
    max_response_bytes: int = 5_000_000
    credential: CredentialRef | None = None


Effect = HttpRequest
"""The union of all effects; it grows with the integrations."""


class HttpResponse(msgspec.Struct, frozen=True, tag="http_response", omit_defaults=True):
    """What came back. `body` is decoded JSON where the content type says so, else text."""

    status: int
    headers: dict[str, str] = {}
    body: Any = None


class EffectError(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why there is no result. `unknown`: the effect may have happened (sent, no answer)."""

    code: str
    message: str
    retriable: bool = True
    unknown: bool = False
    retry_after_seconds: float | None = None


class ItemResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item's result: `value` is what the effect returned (an HttpResponse as a plain dict), or `error`."""

    index: int
    value: Any = None
    error: EffectError | None = None


class PerformAttempt(msgspec.Struct, frozen=True, tag="perform_attempt"):
    """Perform one attempt of a node run: one effect an item, side by side, results back as ConcludeAttempt.

    Starts only after the commit that holds its NodeAttempted event is accepted and not after `start_by` (owner's time,
    ms); then it is given back as AttemptNotStarted. `keys[i]` is the idempotency key of `effects[i]`.
    """

    execution_id: str
    node: str
    run: int
    attempt: int
    effect_class: EffectClass
    indexes: list[int]
    effects: list[Effect]
    keys: list[str]
    start_by: int
    timeout_seconds: float


class Compute(msgspec.Struct, frozen=True, tag="compute"):
    """A pure run too heavy for the owner: done by `compute_run` in the compute pool, back as ConcludeCompute."""

    execution_id: str
    node: str
    run: int


class WakeAt(msgspec.Struct, frozen=True, tag="wake_at"):
    """A short wait: the owner passes time at `due` (owner's time, ms) by its own timer, not by a tick."""

    execution_id: str
    due: int


EffectRequest = PerformAttempt | Compute | WakeAt
