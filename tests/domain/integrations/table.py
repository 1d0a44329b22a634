"""The table node × operation: what each builds, and what it makes of the provider's answer.

A case's request and answer are those of the provider's documentation (the page is the operation's `source`). A case may
leave parameters out; all cases of an operation together use all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from domain.effects import ItemResult
from tests.support.executions import Run, node, workflow

CREDENTIAL = "credential-1"


@dataclass(frozen=True)
class Case:
    """One item through one operation.

    `effect`: the effect as plain values, without its credential and what has its default. `answers`: what comes back,
    one effect after the other (pages); `failure`: the code, and whether it is retriable, or the seconds to wait.
    `files`: of the item.
    """

    operation: str
    parameters: dict[str, Any]
    effect: dict[str, Any]
    answer: Any
    items: Sequence[Any] = ()
    failure: tuple[str, bool | float] | None = None
    item: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)


def http(
    operation: str,
    parameters: dict[str, Any],
    request: str,
    body: Any = None,
    *,
    query: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    form: dict[str, str] | None = None,
    status: int = 200,
    answer: Any = None,
    answer_headers: dict[str, str] | None = None,
    items: Sequence[Any] = (),
    failure: tuple[str, bool | float] | None = None,
    item: dict[str, Any] | None = None,
    then: Sequence[dict[str, Any]] = (),
    missing: str = "",
    files: dict[str, Any] | None = None,
) -> Case:
    """A case over HTTP; `request`: `POST https://…`; `then`: the steps that follow."""
    method, url = request.split(" ")
    effect: dict[str, Any] = {"type": "http_request", "method": method, "url": url}
    if query:
        effect["query"] = query
    if headers:
        effect["headers"] = headers
    if body is not None:
        effect["body"] = body
    if form is not None:
        effect["form"] = form
    if then:
        effect["then"] = list(then)
    came = {"status": status, "headers": answer_headers or {}, "body": answer}
    if missing:
        came["missing"] = missing
    return Case(operation, parameters, effect, came, items, failure, item or {}, files or {})


def selects(operation: str) -> dict[str, str]:
    resource, _, name = operation.rpartition(".")
    return {"resource": resource, "operation": name} if resource else {"operation": name}


def started(
    type_: str, parameters: dict[str, Any], item: dict[str, Any], files: dict[str, Any] | None = None, **fields: Any
) -> Run:
    document = workflow(
        [node("start", "manual"), node("x", type_, parameters, credentials=CREDENTIAL, **fields)], "start -> x"
    )
    return Run(document).start([item], files=files)


def run_case(type_: str, case: Case, **fields: Any) -> Run:
    """The execution up to the attempt; `fields`: of the node."""
    return started(type_, {**selects(case.operation), **case.parameters}, case.item, case.files, **fields)


def effect_of(run: Run) -> dict[str, Any]:
    """The effect that is asked for, as plain values, without its credential (checked), time-out and pages."""
    (effect,) = run.attempt("x").effects
    assert effect.credential is not None
    assert effect.credential.id == CREDENTIAL
    plain = msgspec.to_builtins(effect)
    plain.pop("credential")
    plain.pop("timeout_seconds", None)
    plain.pop("pages", None)
    for step in plain.get("then", ()):
        step["request"].pop("type")
        credential = step["request"].pop("credential", None)
        assert (credential is None) == ("url_at" in step), "only the provider's own addresses get the credential"
    return plain


def conclude(run: Run, answer: Any) -> Run:
    return run.conclude("x", [ItemResult(index=0, value=answer)])
