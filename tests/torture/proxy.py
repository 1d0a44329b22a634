"""A TCP proxy for one hop: passes bytes on, and cuts, resets, delays or throttles them when the nemesis says so."""

import asyncio
import contextlib
import socket
import struct

CHUNK = 65_536


class Proxy:
    """Listens on `port` of 127.0.0.1 and leads to `target` (a port). One proxy a (client process, server).

    `delay`: seconds before each chunk; `bandwidth`: bytes a second of each direction of a connection, 0: any.
    """

    def __init__(self, name: str, target: int) -> None:
        self.name = name
        self.target = target
        self.port = 0
        self.delay = 0.0
        self.bandwidth = 0.0
        self.connections = 0
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, backlog=256)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._open.set()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what the nemesis does --------------------------------------------------------------------------------------

    def cut(self) -> None:
        """From now on nothing passes and nobody is told: a half-open link."""
        self._open.clear()

    def heal(self) -> None:
        self._open.set()
        self.delay = self.bandwidth = 0.0

    def reset(self) -> None:
        """Every connection ends by a RST."""
        for writer in list(self._writers):
            raw = writer.get_extra_info("socket")
            if raw is not None:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    # --- passing on -------------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._open.wait()
            try:
                there = await asyncio.open_connection("127.0.0.1", self.target)
            except OSError:
                writer.transport.abort()
                return
            self._writers |= {writer, there[1]}
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass_on(reader, there[1]))
                    group.create_task(self._pass_on(there[0], writer))
            except* (ConnectionError, OSError):
                pass
            finally:
                for end in (writer, there[1]):
                    self._writers.discard(end)
                    end.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._open.wait()
            await self._write(writer, data)
        if writer.can_write_eof():
            writer.write_eof()

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """All at once, or in small parts as fast as `bandwidth` lets them."""
        sent = 0
        while sent < len(data):
            part = data[sent : sent + (max(512, int(self.bandwidth * 0.05)) if self.bandwidth else CHUNK)]
            writer.write(part)
            await writer.drain()
            sent += len(part)
            if self.bandwidth:
                await asyncio.sleep(len(part) / self.bandwidth)
