"""The workflows of a run. Every effect names its key, node and item, and carries its workspace's canary."""

from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any

Document = dict[str, Any]

UNSAFE_TIMEOUT = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """`share`: per cent of the starts. `ends`: how it may end without a cancel. `calls`: that it makes."""

    name: str
    share: int
    ends: frozenset[str]
    calls: int


COMPLETED = frozenset({"execution.completed"})
FAILED = frozenset({"execution.failed"})

KINDS = (
    Kind("linear", 22, COMPLETED, 5),
    Kind("fanout", 13, COMPLETED, 10),
    Kind("loop", 8, COMPLETED, 20),
    Kind("flaky", 10, COMPLETED, 3),
    Kind("waits", 11, COMPLETED, 1),
    Kind("fails", 5, FAILED, 2),
    Kind("parent", 8, COMPLETED, 3),
    Kind("hook", 9, COMPLETED, 1),
    Kind("inbox", 4, COMPLETED, 1),
    Kind("unsafe", 10, COMPLETED | FAILED, 1),
)

CALLS_EACH = sum(each.share * each.calls for each in KINDS) / sum(each.share for each in KINDS)
"""Of an average execution."""


HOOKS = frozenset({"hook", "inbox"})
"""Started by webhooks. `inbox` knows what it had before by a key in the body, not by one in a header."""

CHILD = "child"
"""The workflow that `parent` calls. Its executions carry the key `child-<key of the parent>-<item>`."""

CHILDREN = 3

_TRIGGERS: dict[str, Document] = {
    "hook": {"id": "start", "type": "webhook", "parameters": {"method": "POST", "respond": "at_once"}},
    "inbox": {
        "id": "start",
        "type": "webhook",
        "parameters": {"method": "POST", "respond": "at_once", "dedup": {"key": "{{ $json.body.key }}"}},
    },
    CHILD: {"id": "start", "type": "execute_workflow_trigger"},
}


def document(kind: str, sink: str, canary: str, longest_wait: float, child: str = "") -> Document:
    """The document of a kind. Most begin with a manual trigger; items carry `key`. `child`: the workflow that `parent`
    calls."""
    nodes, edges = _MAKERS[kind](sink, canary, longest_wait) if kind != "parent" else _parent(canary, child)
    trigger = _TRIGGERS.get(kind, {"id": "start", "type": "manual"})
    return {
        "name": f"{kind} {canary}",
        "nodes": [trigger, *nodes],
        "connections": edges,
        "settings": {"timeout_seconds": 600},
    }


def with_credential(made: Document, credential: str) -> Document:
    """The document with every HTTP call authenticated by this credential."""
    nodes = [{**node, "credentials": credential} if node["type"] == "http" else node for node in made["nodes"]]
    return {**made, "nodes": nodes}


def secret_of(api_key: str) -> str:
    """What the credential of this key's workspace holds: the checkers look for it, too."""
    return f"tok-{sha256(api_key.encode()).hexdigest()[:40]}"


def shown(authorization: str) -> str:
    """An Authorization header in a form that gives nothing away."""
    return sha256(authorization.encode()).hexdigest()[:16]


def _http(
    node: str, path: str, sink: str, canary: str, *, item: str = "0", method: str = "GET", **more: Any
) -> Document:
    return {
        "id": node,
        "type": "http",
        "parameters": {
            "method": method,
            "url": f"{sink}{path}",
            "query": {
                "key": "{{ $('in').first().json.key }}",
                "node": node,
                "item": item,
                "canary": canary,
            },
        },
        **more,
    }


def _in(source: str = "{{ $json.key }}") -> Document:
    return {"id": "in", "type": "set", "parameters": {"fields": {"key": source}, "keep": False}}


def _chain(*ids: str) -> list[Document]:
    return [{"from": one, "to": other} for one, other in pairwise(ids)]


def _linear(sink: str, canary: str, _: float) -> tuple[list[Document], list[Document]]:
    """Five calls: GET, PUT, GET, PUT, GET. Reads and idempotent ones may be repeated after a crash."""
    steps = [f"h{number}" for number in range(1, 6)]
    nodes = [
        _http(step, "/ok/80", sink, canary, method="PUT" if number % 2 else "GET", retry=_TRIES)
        for number, step in enumerate(steps)
    ]
    return [_in(), *nodes], _chain("start", "in", *steps)


def _fanout(sink: str, canary: str, _: float) -> tuple[list[Document], list[Document]]:
    """Ten branches side by side, one merge."""
    branches = [f"b{number}" for number in range(10)]
    nodes = [_http(each, "/ok/150", sink, canary, retry=_TRIES) for each in branches]
    merge = {"id": "merge", "type": "merge", "parameters": {"mode": "append"}}
    edges = [{"from": "in", "to": each} for each in branches]
    edges += [{"from": each, "to": "merge", "input": f"input{n}"} for n, each in enumerate(branches, start=1)]
    return [_in(), *nodes, merge], [*_chain("start", "in"), *edges]


def _loop(sink: str, canary: str, _: float) -> tuple[list[Document], list[Document]]:
    """Twenty items in batches of five, a call for each item."""
    nodes = [
        _in(),
        {
            "id": "items",
            "type": "set",
            "parameters": {"fields": {"list": "{{ Array.from({length: 20}, (_, i) => ({i})) }}"}},
        },
        {"id": "split", "type": "split_out", "parameters": {"field": "list"}},
        {"id": "batches", "type": "loop", "parameters": {"batch_size": 5}},
        _http("call", "/ok/40", sink, canary, item="{{ $json.i }}", method="PUT", retry=_TRIES),
        {"id": "all", "type": "aggregate", "parameters": {"into": "results"}},
    ]
    edges = _chain("start", "in", "items", "split", "batches")
    edges += [
        {"from": "batches", "output": "loop", "to": "call"},
        {"from": "call", "to": "batches"},
        {"from": "batches", "output": "done", "to": "all"},
    ]
    return nodes, edges


def _flaky(sink: str, canary: str, _: float) -> tuple[list[Document], list[Document]]:
    """Refused twice, then it works."""
    call = _http("call", "/flaky/2", sink, canary, retry={"attempts": 20, "delay_seconds": 1, "backoff": "fixed"})
    return [_in(), call], _chain("start", "in", "call")


def _waits(sink: str, canary: str, longest: float) -> tuple[list[Document], list[Document]]:
    seconds = f"{{{{ 2 + ($json.key.length * 7 + Number($json.key.split('-').at(-1))) % {int(longest) - 2} }}}}"
    nodes = [
        _in(),
        {"id": "wait", "type": "wait", "parameters": {"seconds": seconds}},
        _http("call", "/ok/20", sink, canary, retry=_TRIES),
    ]
    return nodes, _chain("start", "in", "wait", "call")


def _parent(canary: str, child: str) -> tuple[list[Document], list[Document]]:
    """Three executions of another workflow side by side; what their last node puts out comes back."""
    made = "{{ Array.from({length: %d}, (_, i) => ({key: 'child-' + $json.key + '-' + i, canary: '%s'})) }}"
    nodes = [
        _in(),
        {"id": "items", "type": "set", "parameters": {"fields": {"list": made % (CHILDREN, canary)}}},
        {"id": "split", "type": "split_out", "parameters": {"field": "list"}},
        {"id": "below", "type": "execute_workflow", "parameters": {"workflow_id": child, "mode": "each_item"}},
    ]
    return nodes, _chain("start", "in", "items", "split", "below")


def parent_of(key: str) -> str:
    """The key of the parent of a child's key."""
    return key.removeprefix("child-").rpartition("-")[0]


def _child(sink: str, canary: str, _: float) -> tuple[list[Document], list[Document]]:
    call = _http("call", "/ok/60", sink, canary, method="PUT", retry=_TRIES)
    return [_in(), call], _chain("start", "in", "call")


def _fails(sink: str, canary: str, _: float) -> tuple[list[Document], list[Document]]:
    """After Python, which fails unless it got what the trigger got."""
    code = {"id": "code", "type": "code", "parameters": {"language": "python", "source": _PYTHON}}
    retry = {"attempts": 2, "delay_seconds": 1, "backoff": "fixed"}
    call = _http("call", "/fail", sink, canary, item="{{ $json.item }}", retry=retry)
    return [_in(), code, call], _chain("start", "in", "code", "call")


def _hook(sink: str, canary: str, _: float) -> tuple[list[Document], list[Document]]:
    """Users' code in the sandbox and two transforms say what the call is for: only one way to do them finds item 0."""
    nodes = [
        _in("{{ $json.body.key }}"),
        {"id": "code", "type": "code", "parameters": {"source": _CODE}},
        {"id": "sort", "type": "sort", "parameters": {"fields": [{"name": "order"}]}},
        {"id": "first", "type": "limit", "parameters": {"count": 1}},
        _http("call", "/ok/60", sink, canary, item="{{ $json.item }}", method="PUT", retry=_TRIES),
    ]
    return nodes, _chain("start", "in", "code", "sort", "first", "call")


_CODE = """
const { key } = $input.first().json
return [2, 0, 1].map((item) => ({ json: { item: `${item}`, order: item * 10, of: key } }))
"""

_PYTHON = """
keys = [item["json"]["key"] for item in _input.all()]
return [{"item": str(len(keys) - 1), "of": keys[0]}]
"""


def _inbox(sink: str, canary: str, _: float) -> tuple[list[Document], list[Document]]:
    call = _http("call", "/ok/60", sink, canary, method="PUT", retry=_TRIES)
    return [_in("{{ $json.body.key }}"), call], _chain("start", "in", "call")


def _unsafe(sink: str, canary: str, _: float) -> tuple[list[Document], list[Document]]:
    """A POST without a key: never repeated by itself; its outcome may be unknown."""
    call = _http("call", "/ok/400", sink, canary, method="POST", timeout_seconds=UNSAFE_TIMEOUT)
    return [_in(), call], _chain("start", "in", "call")


_TRIES = {"attempts": 20, "delay_seconds": 1, "backoff": "fixed"}
"""A call may be cut, timed out or refused while the storm lasts; that must not decide how the execution ends."""

_MAKERS = {
    "linear": _linear,
    "fanout": _fanout,
    "loop": _loop,
    "flaky": _flaky,
    "waits": _waits,
    CHILD: _child,
    "fails": _fails,
    "hook": _hook,
    "inbox": _inbox,
    "unsafe": _unsafe,
}
