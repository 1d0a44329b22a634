"""Workflows of the system tests."""

from typing import Any

Document = dict[str, Any]


def http_step(url: str, method: str = "GET", *, timeout_seconds: float = 30) -> Document:
    """webhook → HTTP → set; the call's query names the start, so that the stub knows whose call it was."""
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
            {"id": "after", "type": "set", "parameters": {"fields": {"key": "{{ $json.query.key }}"}, "keep": False}},
        ],
        "connections": [{"from": "hook", "to": "call"}, {"from": "call", "to": "after"}],
    }


def echo() -> Document:
    """webhook → set: the smallest workflow with a result."""
    return {
        "name": "Echo",
        "nodes": [
            {"id": "hook", "type": "webhook", "parameters": {"method": "POST", "respond": "at_once"}},
            {"id": "out", "type": "set", "parameters": {"fields": {"key": "{{ $json.body.key }}"}, "keep": False}},
        ],
        "connections": [{"from": "hook", "to": "out"}],
    }


def order_intake(check_url: str) -> Document:
    """The contract's example: webhook → set → if → HTTP → respond."""
    return {
        "name": "Order intake",
        "nodes": [
            {"id": "order", "type": "webhook", "parameters": {"method": "POST", "respond": "with_node"}},
            {
                "id": "total",
                "type": "set",
                "parameters": {"fields": {"total": "{{ $json.body.price * $json.body.amount }}"}},
            },
            {"id": "large", "type": "if", "parameters": {"condition": "{{ $json.total > 100 }}"}},
            {
                "id": "check",
                "type": "http",
                "parameters": {"method": "POST", "url": check_url, "body": "{{ {total: $json.total} }}"},
                "retry": {"attempts": 3, "delay_seconds": 1, "backoff": "exponential"},
                "on_error": "fail",
            },
            {
                "id": "answer",
                "type": "respond",
                "parameters": {"status": 200, "body": "{{ {ok: true, total: $('total').first().json.total} }}"},
            },
        ],
        "connections": [
            {"from": "order", "to": "total"},
            {"from": "total", "to": "large"},
            {"from": "large", "output": "true", "to": "check"},
            {"from": "large", "output": "false", "to": "answer"},
            {"from": "check", "to": "answer"},
        ],
        "settings": {"timezone": "Europe/Berlin", "timeout_seconds": 300, "priority": "normal"},
    }
