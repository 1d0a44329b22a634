"""The worker's end of a sandbox: its first process, which forks others, and the processes that run code."""

import asyncio
import json
import socket
from itertools import count
from typing import Any, Literal

from infra.sandbox.layout import Layout, SandboxBroken

Kind = Literal["javascript", "v8", "python"]

START_SECONDS = 20.0
ENDING_SECONDS = 0.2
ENDING_LOOKS = 20


class SandboxEnded(SandboxBroken):
    """A process, or all of them, was gone, for a reason that need not be that of the run that noticed."""


class Process:
    """A process that runs code, of one tenant for as long as it lives."""

    def __init__(
        self,
        number: int,
        kind: Kind,
        tenant: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.number = number
        self.kind = kind
        self.tenant = tenant
        self.runs = 0
        self._reader = reader
        self._writer = writer

    async def ask(self, header: bytes, job: bytes, most: int) -> bytes:
        """The answer to a request. Raises EOFError if the process ends first, ValueError if it says more than `most`
        bytes (what it is then is not to be trusted: end it)."""
        self.runs += 1
        self._writer.write(b"".join(((len(header) + 1 + len(job)).to_bytes(4, "big"), header, b"\n", job)))
        try:
            await self._writer.drain()
            length = int.from_bytes(await self._reader.readexactly(4), "big")
            if length > most:
                raise ValueError(length)
            return await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise EOFError from None

    @property
    def ended(self) -> bool:
        return self._reader.at_eof()

    def close(self) -> None:
        self._writer.transport.abort()


class Zygote:
    """One sandbox: bubblewrap around the process of `inside/zygote.py`."""

    def __init__(self, program: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._program = program
        self._control = control
        self._numbers = count(1)

    @classmethod
    async def start(cls, layout: Layout) -> "Zygote":
        """Raises SandboxBroken."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            program = await asyncio.create_subprocess_exec(
                *layout.command,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={},
            )
        zygote = cls(program, ours)
        try:
            async with asyncio.timeout(START_SECONDS):
                ready = await asyncio.get_running_loop().sock_recv(ours, 16)
        except TimeoutError:
            ready = b""
        if ready != b"ready":
            await zygote.close()
            raise SandboxBroken("the sandbox did not start")
        return zygote

    @property
    def pid(self) -> int:
        """Of bubblewrap, in the worker's view."""
        return self._program.pid

    @property
    def alive(self) -> bool:
        """Its first process holds the other end of the control socket; that bubblewrap has ended is heard later."""
        try:
            return bool(self._control.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def ends(self) -> bool:
        """Whether it has ended, or is about to: its processes do not end all at once."""
        for _ in range(ENDING_LOOKS):
            if not self.alive:
                return True
            await asyncio.sleep(ENDING_SECONDS / ENDING_LOOKS)
        return False

    async def fork(self, kind: Kind, tenant: str, *, memory: int, cpu_seconds: int) -> Process:
        """A new process for a tenant. Raises SandboxEnded."""
        number = next(self._numbers)
        ours, theirs = socket.socketpair()
        with theirs:
            order = {"do": "start", "id": number, "kind": kind, "memory": memory, "cpu_seconds": cpu_seconds}
            try:
                self._send(order, [theirs.fileno()])
            except SandboxEnded:
                ours.close()
                raise
        reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
        return Process(number, kind, tenant, reader, writer)

    def kill(self, process: Process) -> None:
        """End a process whatever it does."""
        process.close()
        if self.alive:
            self._send({"do": "kill", "id": process.number}, [])

    async def close(self) -> None:
        """End the sandbox with all that is in it."""
        self._control.close()
        if self._program.returncode is None:
            self._program.kill()  # its process namespace ends with it
        await self._program.wait()

    def _send(self, order: dict[str, Any], files: list[int]) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(order).encode()], files)
        except OSError as error:
            raise SandboxEnded(f"the sandbox does not listen: {error}") from None
