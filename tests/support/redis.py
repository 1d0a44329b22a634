"""A real Redis for a test session: Debian's redis-server on a port of its own, nothing on disk but its folder."""

import os
import shutil
import socket
import subprocess
import tempfile
import time

from tests.support.postgres import free_port

PASSWORD = "canary-of-the-redis-server"


class RedisMissing(Exception):
    """There is no redis-server here."""


def redis_required() -> bool:
    return os.environ.get("LINKFLOW_TEST_REQUIRE_REDIS") == "1"


class RedisServer:
    """One server with a password. Raises RedisMissing, RuntimeError."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RedisMissing("redis-server is not installed (Debian: redis-server)")
        self._folder = tempfile.mkdtemp(prefix="linkflow-redis-")
        self.port = free_port()
        self._process = subprocess.Popen(
            [
                program,
                "--port", str(self.port),
                "--bind", "127.0.0.1",
                "--requirepass", PASSWORD,
                "--save", "",
                "--appendonly", "no",
                "--dir", self._folder,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.remove()
                raise RuntimeError("redis-server does not start")
            time.sleep(0.02)

    def remove(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
