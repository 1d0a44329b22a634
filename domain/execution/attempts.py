"""Runs with effects: attempts, results, retries, and outcomes that nobody knows (log protocol, rules 9 and 10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid5

import msgspec

from domain.effects import Effect, EffectError, ItemResult, PerformAttempt
from domain.execution.events import (
    AttemptConcluded,
    ErrorInfo,
    Items,
    NodeAttempted,
    NodeCompleted,
    NodeOutcomeUnknown,
    RetryScheduled,
)
from domain.execution.evolution import OUTCOME_UNKNOWN
from domain.execution.retrying import node_delay, node_tries_again, recover, system_tries_again
from domain.execution.runs import conclude as conclude_run
from domain.execution.state import Delivery, EffectRun, Ready
from domain.expressions import ExpressionError
from domain.nodes.failures import NodeFailure
from domain.nodes.node_type import MAIN, Effects, Failure, Output
from domain.nodes.origins import ORIGIN, inherit
from domain.workflow.graph import Node

if TYPE_CHECKING:
    from domain.execution.course import Course

START_WITHIN_MS = 5_000
GRACE_MS = 5_000
ATTEMPT_ITEMS = 200
"""Items of one attempt. Their effects go side by side; the next attempt has the next ones, so a crash in the middle of
10,000 items repeats or doubts few of them."""
UNKNOWN_TRIES = 10
"""Tries of an unsafe effect with `on_unknown_outcome: retry`, unless `retry` allows more."""


def failure(index: int, error: ExpressionError | NodeFailure, place: int = 0) -> Failure:
    return Failure(index, error.code, error.message, place)


def start(course: Course, ready: Ready, node: Node) -> None:
    """The first attempt of a queued run. Items whose effect cannot even be described fail without one."""
    delivery = ready.deliveries[0]
    described, broken = _describe(course, node, delivery, ready.run, range(len(delivery.items)))
    if not described or (broken and node.on_error == "fail"):
        _finish(course, node, ready.run, delivery, {result.index: result for result in broken}, attempts=0)
        return
    _attempt(course, node, ready.run, 1, delivery, described)
    if broken:
        course.emit(AttemptConcluded(node=node.id, run=ready.run, attempt=1, results=broken))


def again(course: Course, run: EffectRun, indexes: Sequence[int]) -> None:
    """A new attempt for the first of `indexes`; the others stay as they are."""
    node = course.graph.nodes[run.node]
    described, broken = _describe(course, node, run.delivery, run.run, indexes)
    if described and not (broken and node.on_error == "fail"):
        _attempt(course, node, run.run, run.attempt + 1, run.delivery, described)
        if broken:
            course.emit(AttemptConcluded(node=node.id, run=run.run, attempt=run.attempt, results=broken))
    else:
        settle(course, run, broken)


def _describe(
    course: Course, node: Node, delivery: Delivery, run: int, indexes: Iterable[int]
) -> tuple[dict[int, Effect], list[ItemResult]]:
    """The effects by item, as many as an attempt takes, and results for those on the way that cannot be described."""
    operation = node.operation
    assert isinstance(operation, Effects)
    scope = course.scope_for(node, delivery, run)
    timeout = node.timeout_seconds
    described: dict[int, Effect] = {}
    broken: list[ItemResult] = []
    for index in indexes:
        if len(described) == ATTEMPT_ITEMS:
            break
        scope.json = delivery.items[index]["json"]
        scope.item_index = index
        try:
            effect = operation.request(scope)
        except (ExpressionError, NodeFailure) as error:
            wrong = EffectError(code=error.code, message=error.message, retriable=False)
            broken.append(ItemResult(index=index, error=wrong))
        else:
            if effect.timeout_seconds != timeout:
                effect = msgspec.structs.replace(effect, timeout_seconds=timeout)
            described[index] = effect
    return described, broken


def _attempt(
    course: Course, node: Node, run: int, attempt: int, delivery: Delivery, effects: dict[int, Effect]
) -> None:
    assert isinstance(node.operation, Effects)
    execution = course.state.id
    indexes = list(effects)
    start_by = course.now + START_WITHIN_MS
    course.emit(
        NodeAttempted(
            node=node.id,
            run=run,
            attempt=attempt,
            effect_class=node.operation.effect_class,
            indexes=indexes,
            start_by=start_by,
            unknown_after=start_by + round(node.timeout_seconds * 1000) + GRACE_MS,
            sources=[delivery.source],
        )
    )
    namespace = UUID(execution)
    course.effects.append(
        PerformAttempt(
            execution_id=execution,
            node=node.id,
            run=run,
            attempt=attempt,
            effect_class=node.operation.effect_class,
            indexes=indexes,
            effects=list(effects.values()),
            keys=[str(uuid5(namespace, f"{node.id}:{run}:{index}")) for index in indexes],
            start_by=start_by,
            timeout_seconds=node.timeout_seconds,
        )
    )


def conclude(course: Course, run: EffectRun, results: list[ItemResult]) -> None:
    """The results of the attempt that is under way. An item without one counts as unknown."""
    given = {result.index: result for result in results}
    missing = "the attempt ended without it"
    settle(course, run, [given.get(index) or _no_result(index, missing) for index in run.in_flight])


def expire(course: Course, run: EffectRun) -> None:
    """Nobody can be performing the attempt any more and no result came."""
    settle(course, run, [_no_result(index, "no result came in time") for index in run.in_flight])


def _no_result(index: int, why: str) -> ItemResult:
    error = EffectError(code="timeout", message=f"there is no result: {why}", retriable=True, unknown=True)
    return ItemResult(index=index, error=error)


class _Round(NamedTuple):
    """Items that are tried again, the wait (ms) that they ask for, and the code of a failure of the system, if any;
    `own`: the node's policy tries some of them."""

    indexes: list[int]
    wait_ms: int = 0
    system: str = ""
    own: bool = False


def settle(course: Course, run: EffectRun, results: list[ItemResult]) -> None:
    """Take results in: what stands, what nobody knows; then the next items, another round of tries, or the end."""
    node = course.graph.nodes[run.node]
    stand, unknown, fatal = _sort_out(course, node, run, results)
    asked = bool(unknown) and node.document.on_unknown_outcome == "ask" and not fatal
    if unknown:
        waiting_for = sorted({*run.asked, *unknown}) if asked else []
        course.emit(
            NodeOutcomeUnknown(
                node=node.id, run=run.run, attempt=run.attempt, indexes=unknown, asked=asked, waiting_for=waiting_for
            )
        )
    done = {result.index for result in results if not (asked and result.index in unknown)}
    standing = {**run.settled, **{result.index: result for result in stand}}
    more = max((*standing, *run.in_flight, *run.retry, *run.asked), default=-1) + 1
    under_way = any(index not in done for index in run.in_flight)
    waiting = any(index not in done for index in run.retry)
    round_over = not under_way and not waiting and more >= len(run.delivery.items)
    next_round = _next_round(course, node, run, standing) if round_over else _Round([])
    if fatal or not (next_round.indexes or not round_over or any(index not in done for index in run.asked)):
        _finish(course, node, run.run, run.delivery, standing, attempts=run.attempt)
        return
    if stand:
        course.emit(AttemptConcluded(node=node.id, run=run.run, attempt=run.attempt, results=stand))
    if next_round.indexes:
        _schedule(course, node, run, next_round)
    elif under_way:
        return
    elif more < len(run.delivery.items):
        again(course, run, range(more, len(run.delivery.items)))
    elif run.retry and run.retry_due <= course.now:
        again(course, run, run.retry)


def _schedule(course: Course, node: Node, run: EffectRun, round_: _Round) -> None:
    """The next round of tries comes after the longest of the waits that are asked for."""
    wait = round_.wait_ms
    if round_.own:
        wait = max(wait, node_delay(course, node, run))
    if round_.system:
        wait = max(wait, recover(course, round_.system))
    retry_later(course, run, round_.indexes, wait, system=not round_.own)


def _sort_out(
    course: Course, node: Node, run: EffectRun, results: list[ItemResult]
) -> tuple[list[ItemResult], list[int], bool]:
    """Results that stand (for now), items of which nobody knows, and whether one of them ends the execution."""
    stand: list[ItemResult] = []
    unknown: list[int] = []
    fatal = False
    for result in results:
        failed = _judge(node, run, result)
        if failed is not None and result.error is not None and result.error.unknown and run.effect_class == "unsafe":
            unknown.append(result.index)
            hopeless = node.document.on_unknown_outcome != "ask" and not _may_repeat_unknown(node, run)
        else:
            stand.append(result)
            hopeless = failed is not None and not (
                node_tries_again(node, run.retries, failed) or system_tries_again(course, failed.code)
            )
        fatal = fatal or (hopeless and node.on_error == "fail")
    return stand, unknown, fatal


def _next_round(course: Course, node: Node, run: EffectRun, standing: dict[int, ItemResult]) -> _Round:
    """All items have had their try: those that failed and are tried again."""
    repeats = _may_repeat_unknown(node, run)
    retry: list[int] = []
    wait_ms, system, own = 0, "", False
    for index, result in standing.items():
        failed = _judge(node, run, result)
        if failed is None:
            continue
        if repeats if failed.code == OUTCOME_UNKNOWN.code else node_tries_again(node, run.retries, failed):
            own = True
        elif system_tries_again(course, failed.code):
            system = failed.code
        else:
            continue
        retry.append(index)
        wait_ms = max(wait_ms, round((failed.retry_after_seconds or 0) * 1000))
    return _Round(sorted(retry), wait_ms, system, own)


def _may_repeat_unknown(node: Node, run: EffectRun) -> bool:
    policy = node.document.on_unknown_outcome
    return policy == "retry" and run.retries + 1 < max(node.document.retry.attempts, UNKNOWN_TRIES)


def _judge(node: Node, run: EffectRun, result: ItemResult) -> NodeFailure | None:
    """Why an item failed, None if it did not."""
    operation = node.operation
    assert isinstance(operation, Effects)
    error = result.error
    if error is not None:
        return NodeFailure(
            error.code, error.message, retriable=error.retriable, retry_after_seconds=error.retry_after_seconds
        )
    try:
        operation.conclude(run.delivery.items[result.index], result.value)
    except NodeFailure as failed:
        if failed.status is None and isinstance(result.value, dict):
            failed.status = result.value.get("status")
        return failed
    return None


def retry_later(course: Course, run: EffectRun, indexes: list[int], delay_ms: int, *, system: bool = False) -> None:
    due = course.now + delay_ms
    if run.retry:
        due = max(due, run.retry_due)
    course.emit(RetryScheduled(node=run.node_id, run=run.run, due=due, indexes=indexes, system=system))
    course.wake_at(due)


def verdict_failed(index: int) -> ItemResult:
    return ItemResult(index=index, error=OUTCOME_UNKNOWN)


def _finish(
    course: Course, node: Node, run: int, delivery: Delivery, settled: dict[int, ItemResult], *, attempts: int
) -> None:
    """Everything is known: the run completes, or fails."""
    operation = node.operation
    assert isinstance(operation, Effects)
    made: Items = []
    failures: list[Failure] = []
    for index in sorted(settled):
        result = settled[index]
        if result.error is not None:
            failures.append(Failure(index, result.error.code, result.error.message, len(made)))
            continue
        try:
            item = delivery.items[index]
            found = operation.conclude(item, result.value)
            produced = found if isinstance(found, list) else [found]
            made.extend([inherit(one, item) for one in produced] if ORIGIN in item else produced)
        except NodeFailure as error:
            failures.append(failure(index, error, len(made)))
    concluded = conclude_run(node, delivery.items, Output({MAIN: made}, failures))
    sources = [delivery.source]
    if isinstance(concluded, ErrorInfo):
        course.fail_run(node, run, concluded, sources, attempts)
    else:
        course.emit(NodeCompleted(node=node.id, run=run, outputs=concluded, sources=sources, attempts=attempts))
