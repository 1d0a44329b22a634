"""One sandbox a test, with short limits."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from infra.sandbox import Limits, Sandbox, SandboxFailed, ScriptRequest

Ask = Callable[..., Coroutine[Any, Any, dict[str, Any]]]

LIMITS = Limits(seconds=2.0, memory=64 << 20, output=1 << 20)


def job(source: str | list[str], mode: str = "all_items", items: list[Any] | None = None, **more: Any) -> bytes:
    """A job as domain/execution/scripts.py makes it."""
    return json.dumps(
        {
            "mode": mode,
            "sources": [source] if isinstance(source, str) else source,
            "items": [{"json": {"n": 1}}] if items is None else items,
            "nodes": {},
            "runs": [],
            "now": 1_763_923_560_000,
            "offset": 60,
            "today": 1_763_852_400_000,
            "today_offset": 60,
            "zone": "Europe/Berlin",
            "run": 0,
            "workflow": {"id": "w"},
            "execution": {"id": "e"},
            "vars": {},
        }
        | more
    ).encode()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox()
    yield made
    await made.close()


@pytest.fixture
def ask(sandbox: Sandbox) -> Ask:
    """Run code for a tenant: its answer, or `{"error": {"code", "message"}}`."""

    async def run(
        source: str | list[str],
        language: str = "javascript",
        mode: str = "all_items",
        *,
        tenant: str = "t",
        items: list[Any] | None = None,
        limits: Limits = LIMITS,
        **more: Any,
    ) -> dict[str, Any]:
        request = ScriptRequest(language, mode, str(source), job(source, mode, items, **more), limits)  # type: ignore[arg-type]
        try:
            answer: dict[str, Any] = json.loads(await sandbox.run(tenant, request))
        except SandboxFailed as error:
            return {"error": {"code": error.code, "message": str(error)}}
        return answer

    return run
