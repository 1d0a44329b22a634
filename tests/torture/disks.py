"""A small disk of its own for a server: an ext4 file system in a file, which can be filled and frozen. Needs root."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

TOOLS = ("mkfs.ext4", "mount", "umount", "fsfreeze")
KEPT_BACK = 0
"""Blocks reserved for root: none, everybody meets the end of the disk at once."""


def why_not() -> str:
    """Empty, or why this machine cannot have such a disk."""
    if os.geteuid() != 0:
        return "only root mounts file systems"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=f"{os.environ['PATH']}:/sbin:/usr/sbin") is None]
    if missing:
        return f"{', '.join(missing)} is missing"
    return "" if Path("/dev/loop-control").exists() else "there are no loop devices"


class Disk:
    """Mounted at `path` until the `with` block of `disk` ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"
        self._frozen = False

    def fill(self) -> None:
        """Leave not a block free."""
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\0" * size)
            os.fsync(file.fileno())

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Every write and sync waits until `thaw`."""
        _run("fsfreeze", "--freeze", str(self.path))
        self._frozen = True

    def thaw(self) -> None:
        if self._frozen:
            _run("fsfreeze", "--unfreeze", str(self.path))
            self._frozen = False


@contextlib.contextmanager
def disk(home: Path, megabytes: int) -> Iterator[Disk]:
    image, path = home / "disk.img", home / "disk"
    path.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    _run("mkfs.ext4", "-q", "-F", "-m", str(KEPT_BACK), str(image))
    _run("mount", "-o", "loop", str(image), str(path))
    path.chmod(0o755)
    mounted = Disk(path)
    try:
        yield mounted
    finally:
        mounted.thaw()
        _run("umount", "--lazy", str(path))
        image.unlink()


def _run(*argv: str) -> None:
    path = f"{os.environ['PATH']}:/sbin:/usr/sbin"
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env={**os.environ, "PATH": path})
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
