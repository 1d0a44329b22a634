"""The workflows of the benchmarks, their inputs, and what must come out: results are checked, not only counted."""

import json
from typing import Any

Document = dict[str, Any]
VARIANTS = 100
"""Different inputs of W1 and W2; half of them take the other branch of the `if`."""


def five_steps(respond: str = "at_once") -> Document:
    """W1 and W2: webhook → set → if → set → set → set, five steps behind the trigger on either way."""
    return {
        "name": f"W1 {respond}",
        "nodes": [
            {"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": respond}},
            _set("who", {"double": "{{ $json.body.n * 2 }}", "who": "{{ $json.body.name }}"}, keep=False),
            {"id": "large", "type": "if", "parameters": {"condition": "{{ $json.double > 100 }}"}},
            _set("big", {"size": "big"}),
            _set("small", {"size": "small"}),
            _set("text", {"text": "Hello {{ $json.who }}, {{ $json.size }}"}),
            _set("total", {"total": "{{ $json.double + 1 }}", "done": True}),
        ],
        "connections": [
            {"from": "hook", "to": "who"},
            {"from": "who", "to": "large"},
            {"from": "large", "output": "true", "to": "big"},
            {"from": "large", "output": "false", "to": "small"},
            {"from": "big", "to": "text"},
            {"from": "small", "to": "text"},
            {"from": "text", "to": "total"},
        ],
    }


def five_steps_input(which: int) -> bytes:
    n = which % VARIANTS
    return json.dumps({"n": n, "name": f"user{n}"}).encode()


def five_steps_output(which: int) -> list[dict[str, Any]]:
    n = which % VARIANTS
    size = "big" if n * 2 > 100 else "small"
    text = f"Hello user{n}, {size}"
    return [{"double": n * 2, "who": f"user{n}", "size": size, "text": text, "total": n * 2 + 1, "done": True}]


def http_step(url: str, method: str = "GET", *, timeout_seconds: float = 120) -> Document:
    """W3 and W6: webhook → HTTP → set. The request names its start, so that the stub knows whose call it was."""
    return {
        "name": f"HTTP {method}",
        "nodes": [
            {"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": "at_once"}},
            {
                "id": "call",
                "type": "http",
                "parameters": {"method": method, "url": url, "query": {"key": "{{ $json.body.key }}"}},
                "timeout_seconds": timeout_seconds,
            },
            _set("after", {"after": "{{ $json.query.key }}"}, keep=False),
        ],
        "connections": [{"from": "hook", "to": "call"}, {"from": "call", "to": "after"}],
        "settings": {"timeout_seconds": 600},
    }


def http_step_input(which: int) -> bytes:
    return json.dumps({"key": f"k{which}"}).encode()


def http_step_output(which: int) -> list[dict[str, Any]]:
    return [{"after": f"k{which}"}]


def parked(seconds: float) -> Document:
    """W5: webhook → wait → set."""
    return {
        "name": "W5",
        "nodes": [
            {"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": "at_once"}},
            {"id": "sleep", "type": "wait", "parameters": {"seconds": seconds}},
            _set("after", {"n": "{{ $json.body.n }}"}, keep=False),
        ],
        "connections": [{"from": "hook", "to": "sleep"}, {"from": "sleep", "to": "after"}],
    }


def parked_output(which: int) -> list[dict[str, Any]]:
    return [{"n": which % VARIANTS}]


def _set(node: str, fields: dict[str, Any], *, keep: bool = True) -> dict[str, Any]:
    return {"id": node, "type": "set", "parameters": {"fields": fields, **({} if keep else {"keep": False})}}
