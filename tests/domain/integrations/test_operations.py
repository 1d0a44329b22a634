"""Every operation of every integration: the documented request, the documented answer, the documented items."""

from typing import Any

import pytest

from domain.effects import HttpRequest
from domain.execution.events import RetryScheduled
from domain.integrations.registry import INTEGRATIONS
from domain.integrations.shape import Integration, Operation
from domain.nodes.http_pages import next_page
from tests.domain.integrations import (
    cases_chat,
    cases_email,
    cases_forms,
    cases_github,
    cases_gitlab,
    cases_openai,
    cases_postgres,
    cases_redis,
    cases_slack,
    cases_tables,
)
from tests.domain.integrations.table import Case, conclude, effect_of, run_case
from tests.support.executions import NOW

CASES: dict[str, tuple[Case, ...]] = {
    "slack": cases_slack.CASES,
    "github": cases_github.CASES,
    "openai": cases_openai.CASES,
    "postgres": cases_postgres.CASES,
    "redis": cases_redis.CASES,
    "email": cases_email.CASES,
    "discord": cases_chat.DISCORD,
    "telegram": cases_chat.TELEGRAM,
    "gitlab": cases_gitlab.CASES,
    "notion": cases_tables.NOTION,
    "airtable": cases_tables.AIRTABLE,
    "hubspot": cases_tables.HUBSPOT,
    "stripe": cases_forms.STRIPE,
    "twilio": cases_forms.TWILIO,
}
TABLE = [
    pytest.param(type_, case, id=f"{type_}-{case.operation}-{number}")
    for type_, cases in CASES.items()
    for number, case in enumerate(cases)
]
OPERATIONS = [
    pytest.param(integration, operation, id=f"{integration.type}-{operation.key}")
    for integration in INTEGRATIONS
    for operation in integration.operations
]


def _operation(type_: str, case: Case) -> Operation:
    (integration,) = (each for each in INTEGRATIONS if each.type == type_)
    return next(each for each in integration.operations if each.key == case.operation)


@pytest.mark.parametrize(("type_", "case"), TABLE)
def test_case(type_: str, case: Case) -> None:
    run = run_case(type_, case)
    assert effect_of(run) == case.effect
    conclude(run, case.answer)
    if case.failure is None:
        assert run.status == "completed", run.error
        assert [item["json"] for item in run.output] == list(case.items)
    else:
        code, again = case.failure
        assert run.status == "failed"
        assert run.error.code == code
        assert retried_after(type_, case) == {True: 0.0, False: None}.get(again, again)


def retried_after(type_: str, case: Case) -> float | None:
    """Seconds until the case is tried again by a node that may, None if it is not."""
    run = conclude(run_case(type_, case, retry={"attempts": 2, "delay_seconds": 0}), case.answer)
    scheduled = run.of(RetryScheduled)
    return (scheduled[0].due - NOW) / 1000 if scheduled else None


@pytest.mark.parametrize(("integration", "operation"), OPERATIONS)
def test_every_operation_has_a_case(integration: Integration, operation: Operation) -> None:
    cases = [case for case in CASES[integration.type] if case.operation == operation.key]
    assert any(case.failure is None for case in cases), "no case of success"
    used = {name for case in cases for name in case.parameters}
    names = {field.parameter.name for field in operation.fields} - {"more"}
    assert names <= used, f"no case uses {sorted(names - used)}"


@pytest.mark.parametrize("integration", [pytest.param(each, id=each.type) for each in INTEGRATIONS if each.base_url])
def test_every_integration_has_a_case_of_failure(integration: Integration) -> None:
    assert any(case.failure for case in CASES[integration.type])


@pytest.mark.parametrize(("integration", "operation"), OPERATIONS)
def test_every_operation_is_documented(integration: Integration, operation: Operation) -> None:
    assert operation.docs.endswith(".")
    assert operation.title
    assert operation.source.startswith("https://")
    assert all(field.parameter.docs.endswith(".") for field in operation.fields)


@pytest.mark.parametrize(
    ("type_", "case"),
    [each for each in TABLE if _operation(*each.values).pages is not None],  # type: ignore[arg-type]
)
def test_pages_go_on_until_there_are_enough(type_: str, case: Case) -> None:
    operation = _operation(type_, case)
    (effect,) = run_case(type_, case).attempt("x").effects
    assert operation.pages is not None
    assert isinstance(effect, HttpRequest)
    assert effect.pages is not None
    assert effect.pages.most_items == case.parameters.get("limit", 100)
    assert f"{effect.pages.items_at}[]".removeprefix(".") == operation.items
    if case.failure is None and operation.pages.way in {"cursor", "link"}:
        goes_on = {"link": '<https://x.example/2>; rel="next"'} if operation.pages.way == "link" else {}
        body = _with_cursor(operation.pages.next, case.answer["body"])
        following = next_page(effect, goes_on, body)
        assert following is not None
        if operation.pages.way == "link":
            assert following.url == "https://x.example/2"
        else:
            assert (following.body if operation.pages.in_body else following.query)[operation.pages.parameter] == "more"


def _with_cursor(place: str, body: Any) -> Any:
    if not place:
        return body
    name, _, rest = place.partition(".")
    return {**body, name: _with_cursor(rest, body.get(name) or {}) if rest else "more"}
