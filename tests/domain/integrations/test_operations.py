"""Every operation of every integration: the documented request, the documented answer, the documented items."""

import pytest

from domain.execution.events import RetryScheduled
from domain.integrations.registry import INTEGRATIONS
from domain.integrations.shape import Integration, Operation
from tests.domain.integrations import cases_email, cases_github, cases_openai, cases_postgres, cases_redis, cases_slack
from tests.domain.integrations.table import Case, conclude, effect_of, run_case
from tests.support.executions import NOW

CASES: dict[str, tuple[Case, ...]] = {
    "slack": cases_slack.CASES,
    "github": cases_github.CASES,
    "openai": cases_openai.CASES,
    "postgres": cases_postgres.CASES,
    "redis": cases_redis.CASES,
    "email": cases_email.CASES,
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
