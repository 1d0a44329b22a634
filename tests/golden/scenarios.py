"""Executions whose whole histories are kept: what `tests.golden.add` records where no recording is there yet.

A history is the commit that created the workflow, then the commits of one execution. The engine may learn to decide
otherwise; what it decided once must fold into the same state for ever.
"""

from collections.abc import Callable, Iterator
from typing import Any

from domain.execution.commands import AttemptNotStarted, CancelExecution, ConcludeChild, GiveVerdict, GrantSlot
from domain.execution.endings import derived
from domain.execution.events import ErrorInfo
from domain.workflow.events import WorkflowCreated
from schemas.envelope import CommitRecord, Epoch
from schemas.registry import encode_event
from tests.golden.samples import AT, WORKFLOW, WORKSPACE
from tests.support.executions import EXECUTION, Run, failed, items, link, node, ok

HTTP = {"method": "POST", "url": "https://example.com/check", "body": "{{ $json }}"}
GET = {"url": "https://example.com/{{ $json.n }}"}


def document(name: str, nodes: list[dict[str, Any]], links: list[str], **settings: Any) -> dict[str, Any]:
    return {"name": name, "nodes": nodes, "connections": [link(each) for each in links], "settings": settings}


ORDER = document(
    "order",
    [
        node("start", "webhook", {"method": "POST", "respond": "with_node"}),
        node("total", "set", {"fields": {"total": "{{ $json.price * $json.amount }}"}}),
        node("large", "if", {"condition": "{{ $json.total > 100 }}"}),
        node("check", "http", HTTP, retry={"attempts": 3, "delay_seconds": 1, "backoff": "exponential"}),
        node("answer", "respond", {"status": 200, "body": "{{ {ok: true, total: $('total').first().json.total} }}"}),
    ],
    ["start -> total", "total -> large", "large.true -> check", "large.false -> answer", "check -> answer"],
)
FETCH = document("fetch", [node("start", "manual"), node("get", "http", GET)], ["start -> get"], timeout_seconds=60)
LOOP = document(
    "loop",
    [
        node("start", "manual"),
        node("each", "loop", {"batch_size": 2}),
        node("even", "if", {"condition": "{{ $json.n % 2 === 0 }}"}),
        node("pause", "wait", {"seconds": 60}),
        node("both", "merge", {"mode": "append"}),
        node("all", "aggregate", {"field": "n"}),
    ],
    [
        "start -> each", "each.loop -> even", "even.true -> pause", "pause -> both.input1", "even.false -> both.input2",
        "both -> each", "each.done -> all",
    ],
)  # fmt: skip
ASKING = document(
    "asking", [node("start", "manual"), node("post", "http", HTTP, on_unknown_outcome="ask")], ["start -> post"]
)
READING_THEN_ASKING = document(
    "reading, then asking",
    [
        node("start", "manual"),
        node("get", "http", GET),
        node("post", "http", HTTP, on_unknown_outcome="ask"),
    ],
    ["start -> get", "get -> post"],
)
CATCHING = document(
    "catching",
    [
        node("start", "manual"),
        node("post", "http", HTTP, on_error="error_output"),
        node("bad", "noop"),
        node("stop", "stop_and_error", {"message": "{{ $json.error.code }}"}),
    ],
    ["start -> post", "post.error -> bad", "bad -> stop"],
)
SANDBOXED = document(
    "sandboxed",
    [
        node("start", "manual"),
        node("code", "code", {"source": "console.log('seen', items.length); return items"}),
        node("old", "code", {"language": "python", "mode": "each_item", "source": "print(_json.n)\nreturn _json"}),
        node("get", "http", {"url": "https://example.com/{{ new Map([[1, 'one'], [2, 'two']]).get($json.n) }}"}),
    ],
    ["start -> code", "code -> old", "old -> get"],
)
CALLING = document(
    "calling",
    [
        node("start", "manual"),
        node("call", "execute_workflow", {"workflow_id": WORKFLOW, "mode": "each_item"}, on_error="continue"),
        node("tell", "execute_workflow", {"workflow_id": WORKFLOW, "wait": False}),
    ],
    ["start -> call", "call -> tell"],
)
LIMITED = document(
    "limited",
    [node("start", "manual"), node("end", "noop")],
    ["start -> end"],
    concurrency={"limit": 2, "key": "{{ $json.n }}"},
)
NUMBERS = [{"n": number} for number in range(5)]


def _order_small(run: Run) -> None:
    run.start([{"price": 2.5, "amount": 3}], reply="with_node", fingerprint="f1").settle()


def _order_retried(run: Run) -> None:
    run.start([{"price": 60, "amount": 2}, {"price": 70, "amount": 2}], reply="with_node", priority="high")
    run.now += 40
    run.conclude("check", [ok(0, {"ok": True}), failed(1)])
    run.settle()
    run.conclude("check", [ok(1, {"ok": "späť"})])
    run.settle()


def _fetch_resumed(run: Run) -> None:
    run.start([{"n": 1}])
    run.restart()
    run.do(AttemptNotStarted(node="get", run=0, attempt=2))
    run.conclude("get", [ok(0, "text")])


def _fetch_under_way(run: Run) -> None:
    run.start([{"n": 1}, {"n": 2}])


def _fetch_queued(run: Run) -> None:
    run.start([{"n": 1}], begin=False)


def _fetch_cancelled_and_late(run: Run) -> None:
    run.start([{"n": 1}])
    run.do(CancelExecution(reason="not needed"))
    run.conclude("get", [ok(0, {})])


def _fetch_timed_out(run: Run) -> None:
    run.start([{"n": 1}])
    run.pass_time(60_000)


def _loop(run: Run) -> None:
    run.start(NUMBERS).settle()


def _loop_parked(run: Run) -> None:
    run.start(NUMBERS)


def _asked(run: Run) -> None:
    run.start([{"n": 1}, {"n": 2}])
    run.pass_time(200_000)


def _asked_and_told(run: Run) -> None:
    _asked(run)
    run.do(GiveVerdict(node="post", run=0, verdict="happened", result={"status": 200, "body": {"id": 7}}))


def _recovered_and_told(run: Run) -> None:
    """Interrupted, then told item by item."""
    run.start([{"n": 1}, {"n": 2}]).restart()
    run.conclude("get", [ok(0, {"id": 1}), ok(1, {"id": 2})])
    run.conclude("post", [failed(0, unknown=True), failed(1, unknown=True)])
    run.do(GiveVerdict(node="post", run=0, verdict="run_again", items=[1]))
    run.do(GiveVerdict(node="post", run=0, verdict="happened", result={"id": 7}, items=[0]))


def _caught(run: Run) -> None:
    run.start([{"n": 1}, {"n": 2}])
    run.conclude("post", [ok(0, {}), failed(1, "http_status", retriable=False)])


def _sandboxed(run: Run) -> None:
    run.start([{"n": 1}, {"n": 2}]).settle()
    run.conclude("get", [failed(0), ok(1, {"two": 2})])


def _called(run: Run) -> None:
    run.start([{"n": 1}, {"n": 2}], priority="high")
    error = ErrorInfo(code="stop_and_error", message="no", node_id="x")
    for item, (status, ended) in enumerate([("completed", None), ("failed", error)]):
        child = derived(EXECUTION, f"child:call:0:{item}")
        run.do(
            ConcludeChild(
                node="call", run=0, item=item, child=child, status=status, output=items({"m": item}), error=ended
            )  # type: ignore[arg-type]
        )


def _calls(run: Run) -> None:
    run.start([{"n": 1}, {"n": 2}])


def _limited(run: Run) -> None:
    run.start([{"n": 1}], workflow_id=WORKFLOW, begin_at=run.now + 1_000)
    run.pass_time(1_000)
    assert run.state is not None
    (slot,) = run.state.told.slots
    run.do(GrantSlot(stream=slot.stream, key=slot.key)).settle()


SCENARIOS: dict[str, tuple[dict[str, Any], Callable[[Run], None]]] = {
    "recovered-and-told": (READING_THEN_ASKING, _recovered_and_told),
    "order-small": (ORDER, _order_small),
    "order-retried": (ORDER, _order_retried),
    "fetch-resumed": (FETCH, _fetch_resumed),
    "fetch-under-way": (FETCH, _fetch_under_way),
    "fetch-queued": (FETCH, _fetch_queued),
    "fetch-cancelled-and-late": (FETCH, _fetch_cancelled_and_late),
    "fetch-timed-out": (FETCH, _fetch_timed_out),
    "loop": (LOOP, _loop),
    "loop-parked": (LOOP, _loop_parked),
    "asked": (ASKING, _asked),
    "asked-and-told": (ASKING, _asked_and_told),
    "caught": (CATCHING, _caught),
    "calls": (CALLING, _calls),
    "called": (CALLING, _called),
    "sandboxed": (SANDBOXED, _sandboxed),
    "limited": (LIMITED, _limited),
}


def recorded(name: str) -> Iterator[CommitRecord]:
    """The commits of a scenario."""
    body, play = SCENARIOS[name]
    decided: list[list[Any]] = [[WorkflowCreated(body["name"], body, AT)]]
    seen = 0

    def note(run: Run) -> None:
        nonlocal seen
        if len(run.events) > seen:
            decided.append(run.events[seen:])
            seen = len(run.events)

    run = Run(body)
    run.after_decision = note
    play(run)
    version = 1
    for n, events in enumerate(decided):
        workflow = n == 0
        yield CommitRecord(
            id=f"0-1-{n}",
            stream=f"workflow-{WORKFLOW}" if workflow else f"execution-{EXECUTION}",
            version=1 if workflow else version,
            epoch=Epoch(1, "n0nce"),
            n=n,
            workspace=WORKSPACE,
            time=AT + n,
            events=[encode_event(event) for event in events],
            queued_at=None if workflow else AT,
        )
        version += 0 if workflow else len(events)
