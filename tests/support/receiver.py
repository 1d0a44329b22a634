"""Whoever webhooks are sent to: keeps all of it, answers as the test says, and checks signatures by itself."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def signed_by(self, secret: str) -> bool:
        """The recipe of docs/notifications.md."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body])
        wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return any(hmac.compare_digest(wanted, each) for each in self.headers["webhook-signature"].split(" "))


class Receiver:
    """`async with Receiver() as receiver:` serves on `receiver.url`. `answer(received)`: the status it answers."""

    def __init__(self, answer: Callable[[Received], int] = lambda received: 200) -> None:
        self.answer = answer
        self.calls: list[Received] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    def to(self, path: str) -> list[Received]:
        return [each for each in self.calls if each.path == path]

    async def __aenter__(self) -> "Receiver":
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.path, headers, await request.read())
        self.calls.append(received)
        status = self.answer(received)
        extra = {"Location": f"{self.url}/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, text="ok" if status < 300 else "not now", headers=extra)
