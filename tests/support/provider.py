"""A service on loopback with its OAuth 2 provider: says what it was sent, and keeps to the rules of both RFCs."""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote_plus

from aiohttp import web

CLIENT, CLIENT_SECRET = "client 1", "canary-client-secret"


class Provider:
    """`url`: where it is. `/me` takes a current access token and repeats its Authorization header; `/echo/{status}`
    repeats everything that it was sent; `/token` gives tokens, a refresh token works once."""

    def __init__(self) -> None:
        self.url = ""
        self.granted: list[str] = []
        self.codes: dict[str, str] = {}
        """Code → PKCE challenge."""
        self.access: set[str] = set()
        self.refresh: set[str] = set()
        self.given = 0
        self.lives = 3_600
        self.seen: list[web.Request] = []

    def allow(self, code: str, challenge: str) -> None:
        """A person allowed it in the browser."""
        self.codes[code] = challenge

    async def me(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        given = request.headers.get("Authorization", "")
        if given.removeprefix("Bearer ") not in self.access:
            return web.json_response({"error": "invalid_token", "you_sent": given}, status=401)
        return web.json_response({"name": "Ada", "you_sent": given})

    async def echo(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        said = {"headers": dict(request.headers), "query": request.query_string, "body": await request.text()}
        return web.json_response(said, status=int(request.match_info["status"]))

    async def large(self, request: web.Request) -> web.Response:
        """A megabyte that holds what was sent again and again, wherever an answer is cut."""
        said = str(dict(request.headers)) + request.query_string
        return web.Response(text=(said * (1_000_000 // len(said) + 1))[:1_000_000], status=400)

    async def elsewhere(self, request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"location": request.query["to"]})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        kind, encoded = (request.headers.get("Authorization", "") + " ").split(" ")[:2]
        user, _, word = base64.b64decode(encoded).decode().partition(":")
        if (kind, unquote_plus(user), unquote_plus(word)) != ("Basic", CLIENT, CLIENT_SECRET):
            return web.json_response({"error": "invalid_client"}, status=401)
        self.granted.append(str(form["grant_type"]))
        if not self._granted({name: str(value) for name, value in form.items()}):
            return web.json_response({"error": "invalid_grant", "error_description": str(form)}, status=400)
        self.given += 1
        access, refresh = f"canary-access-{self.given}", f"canary-refresh-{self.given}"
        self.access, self.refresh = {access}, {refresh}
        body = {"access_token": access, "token_type": "Bearer", "expires_in": self.lives, "scope": "read"}
        return web.json_response(
            body if form["grant_type"] == "client_credentials" else {**body, "refresh_token": refresh}
        )

    def _granted(self, form: dict[str, str]) -> bool:
        match form["grant_type"]:
            case "authorization_code":
                challenge = self.codes.pop(form["code"], None)
                digest = hashlib.sha256(form["code_verifier"].encode()).digest()
                return challenge == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            case "refresh_token":
                return form["refresh_token"] in self.refresh
            case _:
                return True


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """A running one, on a port of the system's choice."""
    it = Provider()
    app = web.Application()
    app.add_routes(
        [
            web.get("/me", it.me),
            web.post("/token", it.token),
            web.route("*", "/echo/{status}", it.echo),
            web.route("*", "/large", it.large),
            web.route("*", "/elsewhere", it.elsewhere),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield it
    finally:
        await runner.cleanup()
