"""The real sandbox for tests that have no event loop of their own."""

import asyncio
import threading
from functools import cache

from domain.execution.scripts import failed_answer
from domain.scripts import ScriptCall
from infra.sandbox import Limits, Sandbox, SandboxFailed, ScriptRequest


class SandboxThread:
    """A sandbox in a thread of its own; it ends with the test process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="sandbox of the tests").start()
        self.sandbox = Sandbox()

    def run(self, call: ScriptCall, tenant: str = "test") -> bytes:
        """The answer to a script of the domain, as the worker would hand it over."""
        request = ScriptRequest(call.language, call.mode, call.key, call.job, Limits(seconds=call.seconds))
        try:
            return self.ask(request, tenant)
        except SandboxFailed as error:
            return failed_answer(error.code, str(error))

    def ask(self, request: ScriptRequest, tenant: str = "test") -> bytes:
        return asyncio.run_coroutine_threadsafe(self.sandbox.run(tenant, request), self._loop).result(120)


@cache
def sandbox_of_tests() -> SandboxThread:
    return SandboxThread()
