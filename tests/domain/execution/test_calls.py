"""Waits that a call or a person's word ends: the link is known before, works once, and for one run only."""

from typing import Any

import pytest

from domain.errors import InvalidDocument
from domain.execution.calls import LINK_MS
from domain.execution.commands import CancelExecution, ResumeWait
from domain.execution.events import CallAwaited, NodeWaiting
from domain.execution.links import MAX_TOKEN, Links, ResumePlace, read_resume_token, resume_token
from tests.support.executions import EXECUTION, NOW, Run, compiled, items, node, workflow

SECRET = b"s" * 32
LINKS = Links("https://flows.example", SECRET, "workspace-1")
LATER = NOW + LINK_MS


def hook(**parameters: Any) -> dict[str, Any]:
    return node("hook", "wait", {"webhook": True, **parameters})


def waits(*nodes: dict[str, Any], then: str = "") -> Run:
    """start → send (which knows the link) → the first of `nodes` → what hangs behind its ports."""
    send = node(
        "send", "set", {"fields": {"url": "{{ $execution.resume_url }}", "urls": "{{ $execution.resume_urls }}"}}
    )
    first = nodes[0]
    ports = compiled(workflow([node("start", "manual"), first])).by_id[first["id"]].outputs
    ends = [node(port, "noop") for port in ports]
    links = ["start -> send", f"send -> {first['id']}", *(f"{first['id']}.{port} -> {port}" for port in ports)]
    run = Run(workflow([node("start", "manual"), send, *nodes, *ends], *links, *([then] if then else [])))
    run.links = LINKS
    return run


def place_of(url: str) -> ResumePlace:
    base, _, token = url.rpartition("/")
    assert base == "https://flows.example/resume"
    place = read_resume_token(token, SECRET)
    assert place is not None
    return place


def call(node_id: str = "hook", run: int = 0, **fields: Any) -> ResumeWait:
    known = {"kind": "webhook", "method": "POST", "items": items({"body": {"ok": 1}}), "expires": LATER}
    return ResumeWait(node=node_id, run=run, **{**known, **fields})


def word(approved: bool = True, node_id: str = "ask", **fields: Any) -> ResumeWait:
    return ResumeWait(node=node_id, run=0, kind="approval", approved=approved, expires=LATER, **fields)


def refusal(run: Run, command: ResumeWait) -> str:
    events = len(run.events)
    run.do(command)
    assert run.last is not None
    assert len(run.events) == events
    return run.last.outcome.code


def test_the_link_is_known_before_the_wait_and_names_its_run() -> None:
    run = waits(hook()).start([{"n": 1}])
    sent = run.nodes["send"][0]["main"][0]["json"]
    assert sent["urls"] == {"hook": sent["url"]}
    place = place_of(sent["url"])
    assert (place.workspace, place.execution_id, place.node, place.run) == ("workspace-1", EXECUTION, "hook", 0)
    assert place.kind == "webhook"
    assert run.status == "waiting"


def test_what_was_called_with_is_the_item() -> None:
    run = waits(hook()).start([{"n": 1}, {"n": 2}]).do(call())
    assert run.output == items({"body": {"ok": 1}})


def test_a_second_call_finds_nothing_that_waits() -> None:
    run = waits(hook(), node("more", "wait", {"seconds": 100}), then="main -> more").start().do(call())
    assert run.status == "waiting"
    assert refusal(run, call()) == "resume_used"
    run.pass_time(100_000)
    assert refusal(run, call()) == "resume_closed"


def test_calls_that_are_not_for_this_wait() -> None:
    run = waits(hook(method="PUT")).start()
    assert refusal(run, call()) == "resume_wrong_method"
    assert refusal(run, call("nobody")) == "resume_unknown"
    assert refusal(run, call("start")) == "resume_unknown"
    assert refusal(run, call(run=1, method="PUT")) == "resume_too_early"
    assert refusal(run, call(expires=NOW)) == "resume_expired"
    assert refusal(run, word(node_id="hook")) == "resume_wrong_kind"
    run.do(CancelExecution())
    assert refusal(run, call(method="PUT")) == "resume_closed"


@pytest.mark.parametrize(("bound", "method"), [("ANY", "DELETE"), ("GET", "GET")])
def test_methods(bound: str, method: str) -> None:
    assert waits(hook(method=bound)).start().do(call(method=method)).status == "completed"


def test_too_early_is_said_so() -> None:
    document = workflow(
        [node("start", "manual"), node("first", "wait", {"seconds": 60}), hook()], "start -> first", "first -> hook"
    )
    run = Run(document).start()
    assert refusal(run, call()) == "resume_too_early"
    run.pass_time(60_000).do(call())
    assert run.status == "completed"


@pytest.mark.parametrize(("on_timeout", "port"), [("continue", "main"), ("timeout", "timeout")])
def test_nobody_calls(on_timeout: str, port: str) -> None:
    run = waits(hook(limit_seconds=60, on_timeout=on_timeout)).start([{"n": 1}])
    run.pass_time(60_000)
    assert run.status == "completed"
    assert run.nodes[port][0]["main"][0]["json"]["n"] == 1
    assert refusal(run, call()) == "resume_closed"


def test_time_in_the_wait_does_not_count() -> None:
    run = waits(hook()).start()
    run.pass_time(1_000_000)
    assert run.status == "waiting"
    assert run.do(call()).status == "completed"


@pytest.mark.parametrize("approved", [True, False])
def test_a_person_decides(approved: bool) -> None:
    run = waits(node("ask", "approval", {"title": "Ship {{ $json.n }}?", "message": "m"})).start([{"n": 1}, {"n": 2}])
    (waiting,) = run.of(NodeWaiting)
    assert waiting.call == CallAwaited(kind="approval", title="Ship 1?", message="m")
    assert refusal(run, call("ask")) == "resume_wrong_kind"
    run.do(word(approved, comment="go"))
    port = "approved" if approved else "rejected"
    found = [item["json"] for item in run.nodes[port][0]["main"]]
    assert [each["n"] for each in found] == [1, 2]
    decided = {"approved": approved, "comment": "go", "decided_at": "1970-01-01T00:16:40.000Z"}
    assert found[0]["approval"] == decided
    assert refusal(run, word()) == "resume_closed"


def test_nobody_decides() -> None:
    run = waits(node("ask", "approval", {"limit_seconds": 5})).start([{"n": 1}]).pass_time(5_000)
    assert run.nodes["rejected"][0]["main"][0]["json"]["approval"]["timed_out"] is True
    run = waits(node("ask", "approval", {"limit_seconds": 5, "on_timeout": "timeout"})).start().pass_time(5_000)
    assert set(run.nodes) == {"start", "send", "ask", "timeout"}


def test_in_a_loop_each_run_has_its_own_link() -> None:
    document = workflow(
        [
            node("start", "manual"),
            node("each", "loop", {"batch_size": 1}),
            node("send", "set", {"fields": {"url": "{{ $execution.resume_url }}"}}),
            hook(),
        ],
        "start -> each",
        "each.loop -> send",
        "send -> hook",
        "hook -> each",
    )
    run = Run(document)
    run.links = LINKS
    run.start([{"n": 1}, {"n": 2}])
    run.do(call(run=0))
    assert refusal(run, call(run=0)) == "resume_used"
    urls = [out["main"][0]["json"]["url"] for out in run.nodes["send"]]
    assert [place_of(url).run for url in urls] == [0, 1]
    run.do(call(run=1))
    assert run.status == "completed"


def test_without_a_secret_there_is_no_link() -> None:
    run = waits(hook())
    run.links = Links()
    run.start()
    assert run.nodes["send"][0]["main"][0]["json"] == {}


def test_a_new_owner_waits_on() -> None:
    run = waits(hook()).start().restart()
    assert run.do(call()).status == "completed"


@pytest.mark.parametrize("parameters", [{}, {"webhook": True, "seconds": 1}, {"seconds": 1, "until": 5}])
def test_one_kind_of_wait(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidDocument, match="give one of seconds, until and webhook"):
        compiled(workflow([node("start", "manual"), node("w", "wait", parameters)], "start -> w"))


def test_s08_no_other_spelling_of_a_token_is_one() -> None:
    place = ResumePlace("w", EXECUTION, "hook", 0, LATER, "webhook")
    token = resume_token(place, SECRET)
    assert read_resume_token(token, SECRET) == place
    last = token[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings = [token[:-1] + other for other in alphabet if other != last]
    spellings += [token + "=", token + "==", token + "A", token + "\n", " " + token, token.upper(), token.lower()]
    spellings += [token[:20] + "." + token[20:], token.replace("-", "+").replace("_", "/") + " ", token + "%3D", ""]
    spellings += ["é" * 10, "A" * (MAX_TOKEN + 1), token[:-4], token[4:]]
    assert [spelling for spelling in spellings if read_resume_token(spelling, SECRET) is not None] == []
    assert read_resume_token(token, b"t" * 32) is None


def test_s08_each_part_of_the_place_is_bound() -> None:
    places = [
        ResumePlace("w", "e", "n", 0, 1, "webhook"),
        ResumePlace("v", "e", "n", 0, 1, "webhook"),
        ResumePlace("w", "f", "n", 0, 1, "webhook"),
        ResumePlace("w", "e", "m", 0, 1, "webhook"),
        ResumePlace("w", "e", "n", 1, 1, "webhook"),
        ResumePlace("w", "e", "n", 0, 2, "webhook"),
        ResumePlace("w", "e", "n", 0, 1, "approval"),
    ]
    tokens = [resume_token(place, SECRET) for place in places]
    assert len({token[:43] for token in tokens}) == len(places)
    for place, token in zip(places, tokens, strict=True):
        mixed = [other[:43] + token[43:] for other in tokens if other != token]
        assert [spelling for spelling in mixed if read_resume_token(spelling, SECRET) is not None] == []
        assert read_resume_token(token, SECRET) == place
