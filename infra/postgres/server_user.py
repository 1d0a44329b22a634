"""Whom the embedded PostgreSQL runs as. It refuses root, so root hands it, with the data directory, to another user.

Where that user cannot enter the data directory (below a closed home such as /root), the server keeps one capability of
Linux, to pass through directories (CAP_DAC_READ_SEARCH, else CAP_DAC_OVERRIDE); nobody's permissions are changed.
"""

import ctypes
import os
import pwd
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.processes import LINUX

_CANDIDATES = ("linkflow", "postgres", "nobody")
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 47, 2
_CAPABILITY_VERSION_3 = 0x20080522


class NoServerUser(Exception):
    """Root has nobody to run PostgreSQL as, or that user cannot reach the data."""

    code = "no_server_user"


@dataclass(frozen=True, slots=True)
class ServerUser:
    """`capability`: kept by the server to reach its data (None: not needed)."""

    name: str
    uid: int
    gid: int
    capability: int | None = None

    def become(self) -> Callable[[], None]:
        """What the child calls before exec: change the user for good."""
        libc = ctypes.CDLL(None, use_errno=True) if self.capability is not None else None
        mask = 0 if self.capability is None else 1 << self.capability
        header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
        # effective, permitted, inheritable; the second half has the capabilities from 32 on
        data = struct.pack("=IIIIII", mask, mask, mask, 0, 0, 0)

        def change() -> None:
            if libc is not None:
                libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)
            if libc is not None and (
                libc.capset(header, data) != 0
                or libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, self.capability, 0, 0) != 0
            ):
                os._exit(126)

        return change


def choose_server_user(data: Path, binaries: Path) -> ServerUser | None:
    """None: the server runs as whoever we are. Root: the owner of the data, else a user of the system.

    Raises NoServerUser with what to do.
    """
    if os.geteuid() != 0:
        return None
    user = _owner(data / "postgres") or _owner(data) or _known_user()
    if _reachable(data, user) and _reachable(binaries, user):
        return user
    capability = _kept_capability()
    if capability is None:
        raise NoServerUser(
            f"PostgreSQL does not run as root, and user {user.name} cannot enter {data}: set LINKFLOW_DATA to a"
            " directory that it can enter (such as /var/lib/linkflow), or start linkflow as an ordinary user"
        )
    return ServerUser(user.name, user.uid, user.gid, capability)


def _owner(path: Path) -> ServerUser | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if status.st_uid == 0:
        return None
    try:
        name = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        name = str(status.st_uid)
    return ServerUser(name, status.st_uid, status.st_gid)


def _known_user() -> ServerUser:
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(name, entry.pw_uid, entry.pw_gid)
    raise NoServerUser(
        "PostgreSQL does not run as root, and this machine has no user "
        f"{', '.join(_CANDIDATES)}: start linkflow as an ordinary user, or make one (useradd --system linkflow)"
    )


def _reachable(path: Path, user: ServerUser) -> bool:
    """Whether the user may enter every directory above `path` (by mode bits; access lists count as closed)."""
    for parent in path.absolute().resolve().parents:
        status = parent.stat()
        bit = 0o100 if status.st_uid == user.uid else 0o010 if status.st_gid == user.gid else 0o001
        if not status.st_mode & bit:
            return False
    return True


def _kept_capability() -> int | None:
    if not LINUX:
        return None
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            permitted = int(line.split()[1], 16)
            for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
                if permitted >> capability & 1:
                    return capability
    return None
