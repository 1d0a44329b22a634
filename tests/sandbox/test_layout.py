"""What cannot be set up here is told apart from what only fails at the moment: the system tries that again."""

import errno
import subprocess
from typing import Any

import pytest

from infra.sandbox import layout, pool
from infra.sandbox.layout import SandboxBroken, SandboxUnavailable
from tests.sandbox.conftest import Ask


def test_what_is_missing_is_unavailable() -> None:
    with pytest.raises(SandboxUnavailable, match="install bubblewrap"):
        layout._run(["/nowhere/bwrap"])


def test_what_is_killed_is_broken() -> None:
    with pytest.raises(SandboxBroken, match="signal 9"):
        layout._run(["/bin/sh", "-c", "kill -9 $$"])


def test_what_takes_too_long_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "PROBE_SECONDS", 0.05)
    with pytest.raises(SandboxBroken, match="signal 9"):
        layout._run(["/bin/sleep", "60"])


def test_no_room_for_a_process_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", full)
    with pytest.raises(SandboxBroken, match="just now"):
        layout._run(["/bin/true"])


async def test_a_broken_start_is_a_failure_of_the_system(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise SandboxBroken("no room")

    with monkeypatch.context() as patched:
        patched.setattr(pool, "find_sandbox", broken)
        assert await ask("return []") == {"error": {"code": "sandbox_failed", "message": "no room"}}
    assert (await ask("return {n: 1}"))["items"][0]["json"] == {"n": 1}
