"""`/resume/{token}`: wakes a wait. Plain ASGI and public like webhooks: the signed address is all its holder needs.

A webhook's call becomes the item. An approval's address shows a page (or JSON) and decides only by POST, so that a
program that looks at links in messages decides nothing.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from domain.execution.commands import ResumeWait
from domain.execution.endings import EXECUTION_STREAM
from domain.execution.links import RESUME_PREFIX, ResumePlace, read_resume_token
from infra.log.port import Topic
from projections.node_executions.queries import NodeExecutionRow
from services.api.asgi import Header, Receive, Scope, Send, header_of, respond
from services.api.bodies import parse_form, parse_object, read_body
from services.api.configuration import decide
from services.api.executions_view import awaited_call
from services.api.page.approval import CONTENT_TYPE, HEADERS, approval_page
from services.api.parts import Parts
from services.api.principal import Principal
from services.api.problems import Problem, method_not_allowed
from services.api.webhooks import METHODS, items_of_request

VISIBLE_SECONDS = 1.0
MAX_DECISION_BYTES = 64_000
MAX_COMMENT = 10_000
_GONE = frozenset(
    ("resume_used", "resume_closed", "resume_expired", "execution_closed", "unknown_execution", "already_ended")
)
_UNKNOWN = frozenset(("resume_unknown", "resume_wrong_kind", "not_found"))


class ResumeRoute:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        """Answer one request. Raises Problem."""
        place = read_resume_token(scope["path"][len(RESUME_PREFIX) :], self._parts.links.secret)
        if place is None:
            raise _unknown()
        if place.kind == "webhook":
            await self._called(place, scope, receive, send, request_id)
            return
        html = _wants_html(scope["headers"])
        try:
            await self._asked(place, scope, receive, send, request_id, html=html)
        except Problem as problem:
            if not html or problem.status in {405, 500}:
                raise
            page = approval_page(_SAYINGS.get(problem.status, "This did not work."), problem.detail)
            await _send_page(send, problem.status, page, request_id, problem.headers)

    async def _called(self, place: ResumePlace, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        method: str = scope["method"]
        if method not in METHODS or method == "HEAD":
            raise method_not_allowed(", ".join(name for name in METHODS if name != "HEAD"))
        body = await read_body(receive, scope["headers"])
        items = items_of_request(method, scope["query_string"], scope["headers"], body)
        await self._resume(place, _command(place, method=method, items=items))
        await respond(send, 200, msgspec.json.encode({"execution_id": place.execution_id, "resumed": True}), request_id)

    async def _asked(
        self, place: ResumePlace, scope: Scope, receive: Receive, send: Send, request_id: str, *, html: bool
    ) -> None:
        method: str = scope["method"]
        if method in {"GET", "HEAD"}:
            await self._show(place, send, request_id, html=html, head=method == "HEAD")
        elif method == "POST":
            body = await read_body(receive, scope["headers"], MAX_DECISION_BYTES)
            approved, comment = _decision(scope["headers"], body)
            await self._resume(place, _command(place, method=method, approved=approved, comment=comment))
            if html:
                said = "approved" if approved else "rejected"
                await _send_page(
                    send, 200, approval_page(f"Thank you: {said}.", "You can close this page."), request_id
                )
            else:
                answer = {"execution_id": place.execution_id, "approved": approved}
                await respond(send, 200, msgspec.json.encode(answer), request_id)
        else:
            raise method_not_allowed("GET, POST")

    async def _show(self, place: ResumePlace, send: Send, request_id: str, *, html: bool, head: bool) -> None:
        call = awaited_call(await self._waiting(place))
        if call is None:
            raise _gone("This was decided already, or nobody decided in time.")
        if html:
            page = approval_page(call["title"], call["message"], form=True)
            await _send_page(send, 200, page, request_id, head=head)
        else:
            await respond(send, 200, msgspec.json.encode(call), request_id, headers=_PRIVATE, head=head)

    async def _waiting(self, place: ResumePlace) -> NodeExecutionRow:
        """The run that the link is for, as the read model shows it. Raises Problem 409 if it is not there yet."""
        row = await self._parts.results.row_when(place.workspace, place.execution_id, VISIBLE_SECONDS)
        runs = [] if row is None else await self._parts.reads.node_runs(place.workspace, row)
        found = next((run for run in runs if (run.node_id, run.run) == (place.node, place.run)), None)
        if found is None:
            if row is not None and row.completed_at is not None:
                raise _gone("The execution has ended.")
            raise _too_early()
        return found

    async def _resume(self, place: ResumePlace, command: ResumeWait) -> None:
        """Send the call and wait for the decision."""
        principal = Principal(place.workspace, f"resume:{place.node}")
        stream = EXECUTION_STREAM + place.execution_id
        try:
            await decide(self._parts, principal, Topic.EXECUTION_COMMANDS, stream, command)
        except Problem as problem:
            raise _as_seen_outside(problem) from None


def _command(place: ResumePlace, **fields: Any) -> ResumeWait:
    return ResumeWait(node=place.node, run=place.run, kind=place.kind, expires=place.expires, **fields)


def _as_seen_outside(problem: Problem) -> Problem:
    if problem.code in _GONE:
        return _gone(f"{problem.detail[:1].upper()}{problem.detail[1:]}.")
    if problem.code in _UNKNOWN:
        return _unknown()
    if problem.code == "resume_wrong_method":
        return method_not_allowed(problem.detail)
    if problem.code == "resume_too_early":
        return _too_early()
    return problem


def _unknown() -> Problem:
    return Problem(404, "unknown_resume_link", "Nothing waits at this address.")


def _gone(detail: str) -> Problem:
    return Problem(410, "resume_link_used", detail)


def _too_early() -> Problem:
    return Problem(
        409,
        "resume_too_early",
        "The execution does not wait here yet. Try again in a moment.",
        headers=((b"retry-after", b"1"),),
    )


def _decision(headers: Sequence[Header], body: bytes) -> tuple[bool, str]:
    """What a person decided: `{"approved": bool, "comment"?: text}`, or a form with `decision` and `comment`."""
    kind = (header_of(headers, b"content-type") or b"").partition(b";")[0].strip().lower()
    given = _of_form(parse_form(body)) if kind == b"application/x-www-form-urlencoded" else parse_object(body)
    approved, comment = given.get("approved"), given.get("comment", "")
    problems = []
    if not isinstance(approved, bool):
        problems.append(("approved", "must be true or false"))
    if not isinstance(comment, str) or len(comment) > MAX_COMMENT:
        problems.append(("comment", f"must be text of at most {MAX_COMMENT} characters"))
    problems += [(name, "unknown field") for name in given if name not in {"approved", "comment"}]
    if problems:
        raise Problem(422, "invalid_decision", "; ".join(f"{path} {why}" for path, why in problems), problems)
    assert isinstance(approved, bool)
    return approved, str(comment)


def _of_form(form: dict[str, Any]) -> dict[str, Any]:
    decision = form.pop("decision", None)
    return {**form, "approved": {"approved": True, "rejected": False}.get(str(decision))}


def _wants_html(headers: Sequence[Header]) -> bool:
    """Browsers name HTML first; programs that say nothing get JSON."""
    accept = (header_of(headers, b"accept") or b"").lower()
    html, json = accept.find(b"text/html"), accept.find(b"application/json")
    return html >= 0 and (json < 0 or html < json)


_SAYINGS = {404: "Nothing to decide here", 409: "Not yet", 410: "Already decided", 422: "Please decide"}
_PRIVATE: tuple[Header, ...] = ((b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer"))


async def _send_page(
    send: Send, status: int, page: str, request_id: str, more: Sequence[Header] = (), *, head: bool = False
) -> None:
    headers = (*HEADERS, *_PRIVATE, *more)
    await respond(send, status, page.encode(), request_id, content_type=CONTENT_TYPE, headers=headers, head=head)
