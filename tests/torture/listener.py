"""A client of the live feed: it comes back by its cursor, to any api, when its connection breaks, and often unasked."""

import asyncio
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import websockets

LEFT = 1000
EXPIRED = 4410
QUIET_SECONDS = 3.0
STAYS = (5.0, 40.0)
"""Seconds that it keeps a connection."""


@dataclass(slots=True)
class Heard:
    """`frames`: execution id → types of its events in the order in which they came. `ends`: close codes → how often.

    `workspaces`: those that the frames name.
    """

    frames: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    workspaces: set[str] = field(default_factory=set)
    ends: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    """Why it could not connect."""
    last_at: float = 0.0

    @property
    def count(self) -> int:
        return sum(map(len, self.frames.values()))


class Listener:
    """Everything of one workspace. `run` until cancelled; `ready` is set when it stands in the feed."""

    def __init__(self, apis: Mapping[str, str], key: str, seed: str) -> None:
        self.heard = Heard()
        self.ready = asyncio.Event()
        self._apis = [url.replace("http:", "ws:") for url in apis.values()]
        self._headers = {"Authorization": f"Bearer {key}"}
        self._random = random.Random(f"listener {seed}")
        self._cursor = ""

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, EOFError, websockets.WebSocketException) as error:
                self.heard.failures[type(error).__name__] += 1
            await asyncio.sleep(0.2)

    async def _listen(self) -> None:
        url = f"{self._random.choice(self._apis)}/ws" + (f"?cursor={self._cursor}" if self._cursor else "")
        async with websockets.connect(
            url, additional_headers=self._headers, open_timeout=5, ping_interval=3, ping_timeout=5, max_queue=1024
        ) as connection:
            assert connection.response is not None
            self._cursor = self._cursor or connection.response.headers["X-LinkFlow-Cursor"]
            self.ready.set()
            try:
                async with asyncio.timeout(self._random.uniform(*STAYS)):
                    while True:
                        self._take(await connection.recv())
            except TimeoutError:
                self.heard.ends[LEFT] += 1
            except websockets.ConnectionClosed as closed:
                self.heard.ends[closed.rcvd.code if closed.rcvd is not None else 0] += 1

    def _take(self, text: str | bytes) -> None:
        frame = json.loads(text)
        self._cursor = frame["cursor"]
        self.heard.last_at = asyncio.get_running_loop().time()
        self.heard.workspaces.add(frame["workspace_id"])
        if frame["execution_id"]:
            self.heard.frames[frame["execution_id"]].append(sys.intern(frame["type"]))

    async def quiet(self, within: float = 30.0) -> None:
        """Wait until nothing more comes; gives up after `within` seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while loop.time() < min(end, self.heard.last_at + QUIET_SECONDS):
            await asyncio.sleep(0.2)
