"""S02: what hostile code tries, in both languages: all of it is denied, the neighbours notice nothing."""

# ruff: noqa: E501 - programs in one line each

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.sandbox import Limits, Sandbox
from tests.sandbox.conftest import Ask

SECRET = "canary-b7c1f0"


def values(answer: dict[str, Any]) -> str:
    """All that came out."""
    return str(answer)


PYTHON = {
    "read /etc/passwd": "return {'got': open('/etc/passwd').read()}",
    "read /proc/1/environ": "return {'got': open('/proc/1/environ', 'rb').read().decode()}",
    "read /proc/self/environ": "return {'got': open('/proc/self/environ').read()}",
    "read the worker's memory": "return {'got': open('/proc/%d/mem' % __import__('os').getppid(), 'rb').read(10).hex()}",
    "write a file": "open('/tmp/x', 'w').write('x')\nreturn {'got': 1}",
    "write anywhere": "import os\ndone = []\nfor place in ('/', '/tmp', '/sandbox', '/engines', '/usr', '/dev/shm', '/var/tmp'):\n"
    "    try:\n        open(place + '/x', 'w')\n        done.append(place)\n    except OSError:\n        pass\n"
    "if done: return {'got': done}\nraise OSError('nowhere')",
    "a unix socket": "import socket\nsocket.socket(socket.AF_UNIX).connect('/run/x')\nreturn {'got': 1}",
    "127.0.0.1": "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)\nreturn {'got': 1}",
    "169.254.169.254": "import urllib.request\nreturn {'got': urllib.request.urlopen('http://169.254.169.254/', timeout=1).read().decode()}",
    "a raw socket by number": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.socket(2, 1, 0) >= 0: return {'got': 1}\nraise OSError(ctypes.get_errno(), 'socket')",
    "io_uring": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.syscall(425, 8, 0) >= 0: return {'got': 1}\nraise OSError(ctypes.get_errno(), 'io_uring')",
    "a program": "import subprocess\nreturn {'got': subprocess.run(['/bin/sh', '-c', 'id'], capture_output=True).stdout.decode()}",
    "exec": "import os\nos.execv('/bin/sh', ['sh'])\nreturn {'got': 1}",
    "fork": "import os\nos.fork()\nreturn {'got': 1}",
    "a fork bomb": "import os, threading\nwhile True: os.fork()",
    "kill the parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nreturn {'got': 1}",
    "kill everything": "import os, signal\nos.kill(-1, signal.SIGKILL)\nreturn {'got': 1}",
    "kill by fcntl": "import fcntl, os\nfor fd in range(64):\n    try:\n        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getppid())\n        return {'got': fd}\n    except OSError as e:\n        last = e\nraise last",
    "starve the parent": "import resource, os\nresource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (0, 0))\nreturn {'got': 1}",
    "raise the limits": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nreturn {'got': 1}",
    "trace the parent": "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.ptrace(16, os.getppid(), 0, 0) == 0: return {'got': 1}\nraise OSError(ctypes.get_errno(), 'ptrace')",
    "mount": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.mount(b'none', b'/', b'tmpfs', 0, None) == 0: return {'got': 1}\nraise OSError(ctypes.get_errno(), 'mount')",
    "new namespaces": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.unshare(0x10000000) == 0: return {'got': 1}\nraise OSError(ctypes.get_errno(), 'unshare')",
}  # fmt: skip
"""What must fail with an error of the kernel, or an error at all."""

JAVASCRIPT = {
    "require": "return {got: require('fs').readFileSync('/etc/passwd')}",
    "process": "return {got: process.env}",
    "import": "const fs = await import('fs'); return {got: fs}",
    "import a path": "const fs = await import('/etc/passwd'); return {got: fs}",
    "fetch": "return {got: await fetch('http://127.0.0.1/')}",
    "XMLHttpRequest": "return {got: new XMLHttpRequest()}",
    "std": "return {got: std.loadFile('/etc/passwd')}",
    "os": "return {got: os.exec(['id'])}",
    "Deno": "return {got: Deno.env}",
    "WebAssembly": "return {got: new WebAssembly.Memory({initial: 1})}",
    "the function constructor": "return {got: (() => 1).constructor('return process')()}",
    "the global object": "return {got: (function () { return this.process.env })()}",
    "load": "return {got: load('/etc/passwd')}",
    "read": "return {got: read('/etc/passwd')}",
}

BOTH = [("python", name, code) for name, code in PYTHON.items()] + [
    ("javascript", name, code) for name, code in JAVASCRIPT.items()
]


@pytest.fixture
def port() -> Any:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


async def test_nothing_can_be_reached(ask: Ask, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sandbox for all of them: it and its neighbours live on through every attempt."""
    monkeypatch.setenv("LINKFLOW_CANARY", SECRET)
    (tmp_path / "canary").write_text(SECRET)
    for language, name, code in BOTH:
        answer = await ask(code.replace("PORT", str(port)), language, tenant="hostile")
        assert answer.get("error"), f"{language}, {name}: {answer}"
        assert "got" not in str(answer.get("items", ""))
        assert SECRET not in values(answer)
        assert "root:" not in values(answer)
        neighbour = await ask(
            "return {n: $json.n + 1}" if language == "javascript" else "return {'n': _json.n + 1}", language
        )
        assert neighbour["items"][0]["json"] == {"n": 2}, f"after {name}: {neighbour}"


async def test_what_python_sees(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKFLOW_CANARY", SECRET)
    code = """
import os, sys
seen = {'environment': dict(os.environ), 'root': sorted(os.listdir('/')), 'user': os.getuid(), 'host': os.uname().nodename,
        'arguments': sys.argv, 'files': []}
for fd in range(256):
    try:
        os.fstat(fd)
        seen['files'].append(fd)
    except OSError:
        pass
return seen
"""
    (seen,) = (item["json"] for item in (await ask(code, "python"))["items"])
    assert set(seen["environment"]) <= {"LD_LIBRARY_PATH", "LANG", "TZ", "PWD"}
    assert not {"etc", "proc", "sys", "dev", "home", "var", "tmp", "run", "work", "mnt", "opt", "srv"} & set(
        seen["root"]
    )
    assert seen["user"] == 65534
    assert seen["host"] == "sandbox"
    assert len(seen["files"]) <= 4, seen["files"]


@pytest.mark.parametrize(
    ("language", "code"),
    [("python", "while True: pass"), ("javascript", "while (true);"), ("javascript", "for (;;) await 1"),
     ("javascript", "/^(a+)+$/.test('a'.repeat(40) + 'b'); return []"), ("python", "import re\nre.match('^(a+)+$', 'a' * 60 + 'b')")],
)  # fmt: skip
async def test_what_does_not_end_is_stopped(ask: Ask, language: str, code: str) -> None:
    started = asyncio.get_running_loop().time()
    answer = await ask(code, language, limits=Limits(seconds=0.5))
    assert answer["error"]["code"] == "timeout", answer
    assert asyncio.get_running_loop().time() - started < 20
    assert (await ask("return []"))["items"] == []


@pytest.mark.parametrize(
    ("language", "code"),
    [("python", "return {'n': len(bytearray(2 * 10**9))}"), ("python", "x = []\nwhile True: x.append('x' * 10**6)"),
     ("javascript", "const x = []; while (true) x.push(new Array(1e5).fill(1));"),
     ("javascript", "const x = []; while (true) x.push('x'.repeat(1e6) + x.length);"),
     ("javascript", "const x = new ArrayBuffer(2e9); new Uint8Array(x).fill(1); return []")],
)  # fmt: skip
async def test_what_needs_too_much_memory_is_stopped(ask: Ask, language: str, code: str) -> None:
    answer = await ask(code, language, limits=Limits(seconds=10, memory=64 << 20))
    assert answer["error"]["code"] in {"out_of_memory", "code_failed", "timeout"}, (
        answer
    )  # on a busy machine time is up first
    assert (await ask("return []"))["items"] == []


@pytest.mark.parametrize(
    ("language", "code", "code_of_error"),
    [("python", "import os\nwhile True: os.write(3, b'x' * 10**6)", None), ("python", "while True: print('x' * 10**5)", "timeout"),
     ("python", "return {'x': 'x' * (3 * 10**6)}", "output_too_large"), ("javascript", "return {x: 'x'.repeat(3e6)}", "output_too_large"),
     ("javascript", "while (true) console.log('x'.repeat(1e5))", "timeout"), ("python", "import sys\nwhile True: sys.__stdout__.write('x' * 10**6)", None)],
)  # fmt: skip
async def test_output_is_bounded(ask: Ask, language: str, code: str, code_of_error: str | None) -> None:
    answer = await ask(code, language, limits=Limits(seconds=1, output=1 << 20))
    assert answer.get("error"), answer
    assert code_of_error in {None, answer["error"]["code"]}
    assert len(str(answer)) < 200_000


async def test_logs_are_bounded(ask: Ask) -> None:
    for language, code in (
        ("javascript", "for (let i = 0; i < 1e4; i++) console.log('x'.repeat(5000)); return []"),
        ("python", "for i in range(10**4): print('x' * 5000)\nreturn []"),
    ):
        logs = (await ask(code, language))["logs"]
        assert len(logs) <= 201
        assert sum(len(line["text"]) for line in logs) < 40_000
        assert "dropped" in logs[-1]["text"]


async def test_a_forged_answer_is_only_an_answer(ask: Ask, sandbox: Sandbox) -> None:
    """Python can write to its own socket: what it says is judged like any output, and its process ends with it."""
    forged = "import os, struct\nbody = b'not json'\nfor fd in range(3, 64):\n    try:\n        os.write(fd, struct.pack('>I', len(body)) + body)\n    except OSError:\n        pass\nwhile True: pass"
    with pytest.raises(ValueError, match="Expecting value"):
        await ask(forged, "python")
    assert (await ask("return {'fine': True}", "python"))["items"][0]["json"] == {"fine": True}


async def test_the_worker_has_no_more_processes_than_before(ask: Ask) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    await ask(
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
        "python",
        limits=Limits(seconds=0.5),
    )
    made = [child for child in psutil.Process(os.getpid()).children(recursive=True) if child.pid not in before]
    assert len(made) <= 4, made  # bubblewrap, its inner half, the first process, one that ends
