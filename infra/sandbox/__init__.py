"""The sandbox: users' code in processes that reach nothing.

    sandbox = Sandbox()
    answer = await sandbox.run("workspace", ScriptRequest("javascript", "all_items", source_key, job))

Where no sandbox is possible `run` raises SandboxUnavailable, which says how to enable it: no code runs without one.
"""

from infra.sandbox.layout import SandboxUnavailable, find_sandbox
from infra.sandbox.pool import Limits, Sandbox, SandboxFailed, ScriptRequest

__all__ = ["Limits", "Sandbox", "SandboxFailed", "SandboxUnavailable", "ScriptRequest", "find_sandbox"]
