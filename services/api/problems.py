"""Errors as clients see them: RFC 9457 problem documents, one shape for the whole API."""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from domain.decision import Outcome
from services.api.asgi import Header, Send, respond
from services.api.reads import READS_AWAY

PROBLEM_JSON = b"application/problem+json"

_STATUS_OF_CODE = {
    "idempotency_mismatch": 422,
    "invalid_workflow": 422,
    "invalid_command": 422,
    "invalid_credential": 422,
    "unknown_credential_type": 422,
    "test_not_possible": 422,
    "not_oauth2": 422,
    "invalid_schedule": 422,
    "invalid_variable": 422,
    "invalid_backfill": 422,
    "invalid_subscription": 422,
    "version_conflict": 409,
    "stale_command": 503,
    "throttled": 429,
    "inbox_full": 429,
    "too_many_duplicates": 429,
    "subscription_busy": 429,
}
_NOT_FOUND = frozenset(
    (
        "workflow_not_found",
        "credential_not_found",
        "version_not_found",
        "execution_not_found",
        "schedule_not_found",
        "variable_not_found",
        "backfill_not_found",
        "letter_not_found",
        "subscription_not_found",
        "subscription_deleted",
        "not_found",
    )
)


class Problem(Exception):
    """Ends a request with a problem document. `code` is stable; `errors` are (path, message) pairs. `retry_after`: in
    seconds, where a command's outcome says so."""

    retry_after = 0.0

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        *,
        headers: Sequence[Header] = (),
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.extra = extra or {}

    def document(self, request_id: str) -> dict[str, Any]:
        return {
            "type": f"urn:linkflow:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "errors": [{"path": path, "message": message} for path, message in self.errors],
            "request_id": request_id,
            **self.extra,
        }

    async def send(self, send: Send, request_id: str, *, head: bool = False) -> None:
        body = msgspec.json.encode(self.document(request_id))
        await respond(
            send, self.status, body, request_id, content_type=PROBLEM_JSON, headers=tuple(self.headers), head=head
        )


def not_found(what: str) -> Problem:
    return Problem(404, "not_found", f"There is no such {what} in this workspace.")


def method_not_allowed(allowed: str) -> Problem:
    return Problem(
        405, "method_not_allowed", f"This address answers {allowed}.", headers=((b"allow", allowed.encode()),)
    )


def busy(reason: str, *, retry_after: int = 1) -> Problem:
    """503: the caller may try again; its Idempotency-Key makes that safe."""
    return Problem(503, "unavailable", reason, headers=((b"retry-after", b"%d" % retry_after),))


def of_outcome(outcome: Outcome) -> Problem:
    """The problem that a refused or failed command is."""
    code = outcome.code or outcome.kind
    status = _STATUS_OF_CODE.get(code)
    if status is None:
        status = 404 if code in _NOT_FOUND else 409 if outcome.kind == "rejected" else 500
    seconds = outcome.retry_after / 1_000 or (1.0 if status in (429, 503) else 0.0)
    headers = ((b"retry-after", b"%d" % max(1, math.ceil(seconds))),) if seconds else ()
    problem = Problem(status, code, outcome.message or code, outcome.problems, headers=headers)
    problem.retry_after = seconds
    return problem


def reads_away() -> Problem:
    return busy("The read side does not answer. Try again in a second.")


def of_failure(error: Exception) -> Problem:
    """What a client is told of a failure in here: nothing of the inside."""
    if isinstance(error, READS_AWAY):
        return reads_away()
    return Problem(500, "internal_error", "Something went wrong here. The request id names it in the logs.")
