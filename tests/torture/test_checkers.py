"""Each checker bites: a small sound history passes all of them, one wrong fact makes the right one red."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.torture.checkers import effects, reading, requests, running, sealed, streams
from tests.torture.evidence import Evidence, Verdict
from tests.torture.facts import understand
from tests.torture.listener import Heard
from tests.torture.marks import BURIED, MARK
from tests.torture.plan import make_plan
from tests.torture.raw_log import RawRecord

RED, BLUE = "canary-red", "canary-blue"
KEY = "unsafe-1-7"
TOKEN = "0123456789abcdef"
TYPES = [f"execution.{each}" for each in ("queued", "started", "node_attempted", "node_completed", "completed")]


def record(topic: str, offset: int, value: dict[str, Any], at: int = 0, **headers: bytes) -> RawRecord:
    return RawRecord(topic, 0, offset, at or 1000 + 10 * offset, headers, json.dumps(value).encode())


def commit(offset: int, n: int, version: int, events: list[Any], **more: Any) -> RawRecord:
    value = {
        "stream": "execution-e1",
        "workspace": "w-red",
        "version": version,
        "epoch": [0, "a"],
        "queued_at": 900,
        "time": 950 if offset == 1 else 1020,
        "events": [{"type": f"execution.{kind}", "data": data} for kind, data in events],
        **more,
    }
    return record("executions", offset, value, k=b"m", e=b"0:a", n=b"%d" % n)


def changed(before: RawRecord, **more: Any) -> RawRecord:
    """The record with other values in its JSON."""
    return replace(before, value=json.dumps(json.loads(before.value) | more).encode())


def log() -> list[RawRecord]:
    """One execution with one unsafe call: started, called, ended."""
    item = {"json": {"key": KEY, "canary": RED}}
    queued = {
        "workflow_id": "wf",
        "workflow_version": 1,
        "trigger_node": "start",
        "trigger_type": "manual",
        "items": [item],
        "queued_at": 900,
        "fingerprint": "f",
    }
    attempt = {
        "node": "call",
        "run": 0,
        "attempt": 1,
        "effect_class": "unsafe",
        "indexes": [0],
        "start_by": 2000,
        "unknown_after": 9000,
    }
    outputs = {"main": [{"json": {"token": TOKEN, "item": "0"}}]}
    return [
        record("execution-commands", 0, {"id": "c1"}, k=b"c"),
        record("executions", 0, {"nonce": "a", "owner": "worker-0"}, k=b"o", o=b"a"),
        commit(
            1,
            0,
            1,
            [("queued", queued), ("started", {"started_at": 950}), ("node_attempted", attempt)],
            answers=["linkflow.execution-commands", 0],
        ),
        commit(
            2,
            1,
            4,
            [
                ("node_completed", {"node": "call", "run": 0, "outputs": outputs, "attempts": 1}),
                ("completed", {"output": outputs["main"], "at": 1020}),
            ],
        ),
    ]


def evidence(records: list[RawRecord] | None = None) -> Evidence:
    facts = {"op": "start", "kind": "unsafe", "canary": RED, "key": KEY, "keyed": True, "twist": False, "api": "api-0"}
    history = [
        {"type": "invoke", "n": 1, "at": 1000.0, **facts},
        {"type": "ok", "n": 1, "at": 1015.0, "status": 202, "code": "", "execution": "e1", **facts},
    ]
    call = {"id": 1, "key": KEY, "node": "call", "item": "0", "canary": RED, "method": "POST", "path": "/ok/1"}
    row = {
        "id": "e1",
        "workspace_id": "w-red",
        "workflow_id": "wf",
        "workflow_version": 1,
        "trigger_type": "manual",
        "fingerprint": "f",
        "status": "completed",
        "input": json.dumps([{"json": {"key": KEY, "canary": RED}}]),
        "output": json.dumps([{"json": {"token": TOKEN, "item": "0"}}]),
        "error": None,
        "queued_at": 900,
        "started_at": 950,
        "completed_at": 1020,
        "stream_version": 5,
    }
    run = {
        "execution_id": "e1",
        "node_id": "call",
        "run": 0,
        "status": "completed",
        "attempts": 1,
        "error": None,
        "output": json.dumps({"main": [{"json": {"token": TOKEN, "item": "0"}}]}),
    }
    sample = {"at": 1030.0, "positions": {"executions/0": 3}, "executions": 1, "versions": 5, "backends": 9}
    poll = {"at": 1040.0, "api": "api-0", "execution": "e1", "foreign": False, "status": 200, "state": "completed"}
    return Evidence(
        make_plan("postgres", 1, "ci"),
        understand(log() if records is None else records),
        history,
        [
            {"what": "in", "at": 1012.0, "token": TOKEN, "idempotency_key": "", **call},
            {"what": "out", "id": 1, "at": 1013.0, "status": 200, "heard": True},
        ],
        [],
        polls=[{**poll, "runs": 1}],
        samples=[sample],
        executions=[row],
        runs=[run],
        heard={RED: Heard(frames={"e1": list(TYPES)}), BLUE: Heard()},
        lists={RED: ["e1"], BLUE: []},
        dumps=[{"executions": "1 x"}, {"executions": "1 x"}, {"executions": "1 x"}],
        keys={RED: "lf_red-secret-key-of-forty-characters", BLUE: "lf_blue-secret-key-of-forty-chars"},
        haystacks={"the log": b"nothing"},
        drained=1.0,
    )


SOUND = (
    requests.acked_is_durable,
    requests.terminal_exactly_once,
    requests.no_phantom,
    requests.idempotency_holds,
    streams.legal_transitions,
    streams.stream_contiguous,
    streams.fenced,
    streams.inputs_balance,
    effects.effect_has_intent,
    effects.effect_bound,
    effects.effect_not_invented,
    reading.read_model_is_fold,
    reading.rebuild_is_live,
    reading.checkpoint_atomic,
    reading.monotonic_reads,
    sealed.tenant_sealed,
    sealed.no_secret_leak,
)


@pytest.mark.parametrize("checker", SOUND, ids=lambda checker: checker.__name__)
def test_a_sound_run_passes(checker: Callable[[Evidence], Verdict]) -> None:
    assert checker(evidence()).violations == []


def _lost(found: Evidence) -> None:
    found.facts = understand(log()[:2])


def _open(found: Evidence) -> None:
    found.facts = understand(log()[:3])


def _ended_twice(found: Evidence) -> None:
    end = [("completed", {"output": [], "at": 1021})]
    found.facts = understand([*log(), commit(3, 2, 6, end)])


def _phantom(found: Evidence) -> None:
    found.history.clear()


def _two_answers(found: Evidence) -> None:
    found.history.append({**found.history[-1], "n": 2, "execution": "e2"})


def _twist_taken(found: Evidence) -> None:
    found.history.append({**found.history[-1], "n": 2, "twist": True})


def _attempt_without_number(found: Evidence) -> None:
    records = log()
    events = json.loads(records[2].value)["events"]
    events[2]["data"]["attempt"] = 3
    found.facts = understand([*records[:2], changed(records[2], events=events), *records[3:]])


def _version_missing(found: Evidence) -> None:
    records = log()
    found.facts = understand([*records[:3], changed(records[3], version=5)])


def _called_before_intent(found: Evidence) -> None:
    found.sink[0]["at"] = 900.0


def _called_twice(found: Evidence) -> None:
    found.sink.append({**found.sink[0], "id": 2, "at": 1014.0})


def _invented(found: Evidence) -> None:
    found.sink[0]["token"] = "another"


def _row_differs(found: Evidence) -> None:
    found.executions[0]["status"] = "running"


def _row_missing(found: Evidence) -> None:
    found.executions.clear()


def _rebuild_differs(found: Evidence) -> None:
    found.dumps[2] = {"executions": "1 y"}


def _called_in_rebuild(found: Evidence) -> None:
    found.sink_during_rebuild = 1


def _offset_ahead(found: Evidence) -> None:
    found.samples[0]["versions"] = 3


def _offset_back(found: Evidence) -> None:
    found.samples.append({**found.samples[0], "positions": {"executions/0": 2}, "versions": 3})


def _end_leaves(found: Evidence) -> None:
    found.polls.append({**found.polls[0], "state": "running"})


def _frame_missing(found: Evidence) -> None:
    del found.heard[RED].frames["e1"][2]


def _frame_twice(found: Evidence) -> None:
    found.heard[RED].frames["e1"].append(TYPES[-1])


def _frame_to_others(found: Evidence) -> None:
    found.heard[BLUE].frames["e1"] = list(TYPES)


def _answered_twice(found: Evidence) -> None:
    found.facts = understand([*log(), commit(3, 2, 6, [], answers=["linkflow.execution-commands", 0])])


def _not_answered(found: Evidence) -> None:
    found.facts = understand([record("execution-commands", 1, {"id": "c2"}, k=b"c"), *log()])
    found.facts.inputs["execution-commands", 0].sort(key=lambda each: each.offset)


def _dead_letter(found: Evidence) -> None:
    found.facts = understand([*log(), record("dead-letters", 0, {})])


def _buried(found: Evidence) -> None:
    """A start whose items were not there, its letter, and what was started when it was sent again: as it must be."""
    command = {"id": f"{MARK}1", "stream": "execution-b0"}
    letter = {"topic": "linkflow.execution-commands", "partition": 0, "offset": 1}
    recorded = {**letter, "command": "execution.start", "stream": "execution-b0"}
    queued = {"items": [{"json": {"key": f"{BURIED}-1-1", "canary": RED}}], "retry_of": "b0"}
    found.facts = understand(
        [
            *log(),
            record("execution-commands", 1, command, k=b"c"),
            commit(3, 2, 0, [], stream="execution-b0", answers=["linkflow.execution-commands", 1]),
            commit(4, 3, 1, [("queued", queued)], stream="execution-b1"),
            record("dead-letters", 0, letter),
            record("events", 0, {"nonce": "a", "owner": "worker-0"}, k=b"o", o=b"a"),
            _of_letter(1, ("recorded", recorded), ("redriven", {"stream": "execution-b1", "number": 1})),
        ]
    )
    found.letters = [
        {"op": "put", "type": "invoke", "execution": "b0", "key": f"{BURIED}-1-1", "canary": RED},
        {"op": "redrive", "type": "invoke", "execution": "b0", "status": 0},
        {"op": "redrive", "type": "ok", "execution": "b0", "status": 202},
    ]


def _of_letter(offset: int, *events: tuple[str, Any]) -> RawRecord:
    """A commit of the stream of a letter."""
    made = commit(offset, offset - 1, 1, [], stream="letter-l1")
    value = [{"type": f"dead_letter.{kind}", "data": data} for kind, data in events]
    return replace(changed(made, events=value), topic="events")


def test_a_buried_start_that_was_sent_again_is_sound() -> None:
    found = evidence()
    _buried(found)
    assert streams.inputs_balance(found).violations == []


def _without_letter(found: Evidence) -> None:
    _buried(found)
    found.facts.dead_letters.clear()


def _not_recorded(found: Evidence) -> None:
    _buried(found)
    del found.facts.streams["letter-l1"]


def _left_open(found: Evidence) -> None:
    _buried(found)
    found.facts.streams["letter-l1"].pop()


def _never_started(found: Evidence) -> None:
    _buried(found)
    del found.facts.streams["execution-b1"]


def _sent_twice(found: Evidence) -> None:
    _buried(found)
    found.facts.streams["letter-l1"].append(found.facts.streams["letter-l1"][-1])
    found.facts.streams["letter-l1"][-1] = replace(
        found.facts.streams["letter-l1"][-1], data={"stream": "execution-b2"}
    )


def _rose_by_itself(found: Evidence) -> None:
    _buried(found)
    found.facts.streams["execution-b2"] = found.facts.streams["execution-b1"]


def _run_again(found: Evidence) -> None:
    """Somebody asked for it, once."""
    again = [("queued", {"items": [{"json": {"key": KEY, "canary": RED}}], "retry_of": "e1"})]
    found.facts = understand([*log(), commit(3, 2, 1, again, stream="execution-e2")])
    retry = {"op": "retry", "of": "e1", "key": KEY, "canary": RED, "n": 2, "at": 1050.0}
    found.history.append({"type": "invoke", **retry})
    found.history.append({"type": "ok", "execution": "e2", **retry})


def test_an_execution_that_was_asked_for_again_is_sound() -> None:
    found = evidence()
    _run_again(found)
    for checker in (requests.acked_is_durable, requests.no_phantom, requests.idempotency_holds):
        assert checker(found).violations == []


def _again_unasked(found: Evidence) -> None:
    _run_again(found)
    del found.history[-2:]


def _again_twice(found: Evidence) -> None:
    _run_again(found)
    found.facts.streams["execution-e3"] = found.facts.streams["execution-e2"]


def _again_under_two_ids(found: Evidence) -> None:
    _run_again(found)
    found.history.append({**found.history[-1], "execution": "e3"})


def _epoch_in_record_differs(found: Evidence) -> None:
    records = log()
    found.facts = understand([*records[:3], changed(records[3], epoch=[7, "b"])])


def _foreign_canary(found: Evidence) -> None:
    found.sink[0]["canary"] = BLUE


def _shown_to_others(found: Evidence) -> None:
    found.polls.append({**found.polls[0], "foreign": True})


def _listed_by_others(found: Evidence) -> None:
    found.lists = {RED: [], BLUE: ["e1"]}


def _key_in_log(found: Evidence) -> None:
    found.haystacks["the log"] = b"GET / Authorization: Bearer " + found.keys[BLUE].encode()


BITES: list[tuple[Callable[[Evidence], Verdict], Callable[[Evidence], None]]] = [
    (requests.acked_is_durable, _lost),
    (requests.terminal_exactly_once, _open),
    (requests.terminal_exactly_once, _ended_twice),
    (requests.no_phantom, _phantom),
    (requests.idempotency_holds, _two_answers),
    (requests.idempotency_holds, _twist_taken),
    (streams.legal_transitions, _attempt_without_number),
    (streams.legal_transitions, _ended_twice),
    (streams.stream_contiguous, _version_missing),
    (streams.fenced, _epoch_in_record_differs),
    (streams.inputs_balance, _answered_twice),
    (streams.inputs_balance, _not_answered),
    (streams.inputs_balance, _dead_letter),
    (streams.inputs_balance, _without_letter),
    (streams.inputs_balance, _not_recorded),
    (streams.inputs_balance, _left_open),
    (streams.inputs_balance, _never_started),
    (streams.inputs_balance, _sent_twice),
    (streams.inputs_balance, _rose_by_itself),
    (requests.no_phantom, _again_unasked),
    (requests.no_phantom, _again_twice),
    (requests.idempotency_holds, _again_under_two_ids),
    (effects.effect_has_intent, _called_before_intent),
    (effects.effect_has_intent, _called_twice),
    (effects.effect_bound, _called_twice),
    (effects.effect_not_invented, _invented),
    (reading.read_model_is_fold, _row_differs),
    (reading.read_model_is_fold, _row_missing),
    (reading.rebuild_is_live, _rebuild_differs),
    (reading.rebuild_is_live, _called_in_rebuild),
    (reading.checkpoint_atomic, _offset_ahead),
    (reading.checkpoint_atomic, _offset_back),
    (reading.monotonic_reads, _end_leaves),
    (reading.monotonic_reads, _frame_missing),
    (reading.monotonic_reads, _frame_twice),
    (reading.monotonic_reads, _frame_to_others),
    (sealed.tenant_sealed, _foreign_canary),
    (sealed.tenant_sealed, _shown_to_others),
    (sealed.tenant_sealed, _listed_by_others),
    (sealed.no_secret_leak, _key_in_log),
]


@pytest.mark.parametrize(("checker", "wrong"), BITES, ids=[f"{c.__name__}:{w.__name__}" for c, w in BITES])
def test_one_wrong_fact_is_found(checker: Callable[[Evidence], Verdict], wrong: Callable[[Evidence], None]) -> None:
    found = copy.deepcopy(evidence())
    wrong(found)
    assert not checker(found).passed


def test_recovery_does_not_count_the_time_without_servers() -> None:
    found = evidence()
    found.faults = [
        {"what": "over", "kind": "kill", "target": "api-0", "began": 1000.0, "at": 1200.0},
        {"what": "over", "kind": "stall", "target": "database", "began": 500.0, "at": 4000.0},
        {"what": "over", "kind": "database", "target": "database", "began": 3500.0, "at": 5000.0},
    ]
    found.history[-1]["at"] = 7000.0
    assert running.recovery_times(found) == {running.ALONE: [2.0], "database": [3.0, 2.0]}


def test_an_api_that_was_killed_while_the_other_was_paused_is_judged_as_a_start() -> None:
    found = evidence()
    found.history.append({**found.history[0], "n": 2, "api": "api-1"})
    found.history[1]["at"] = 4000.0
    kill = {"what": "over", "kind": "kill", "target": "api-0", "began": 1000.0, "at": 1200.0}
    found.faults = [kill]
    assert running.recovery_times(found) == {"api": [3.0]}
    found.faults = [kill, {"what": "over", "kind": "pause", "target": "api-1", "began": 500.0, "at": 3900.0}]
    assert running.recovery_times(found) == {running.ALONE: [3.0]}


def test_a_calm_day_is_no_storm() -> None:
    assert not running.run_is_valid(evidence()).passed


def test_records_of_another_epoch_are_void() -> None:
    records = log()
    zombie = RawRecord("executions", 0, 3, 0, {"k": b"m", "e": b"9:z", "n": b"2"}, records[3].value)
    doubled = RawRecord("executions", 0, 4, 0, records[3].headers, records[3].value)
    facts = understand([*records, zombie, doubled])
    assert len(facts.void) == 2
    assert len(facts.streams["execution-e1"]) == 5
