"""The status page, its files, and the link that lets its reader in."""

from importlib.resources import files

from fastapi import APIRouter, Response

from services.api.parts import Parts
from services.api.principal import unauthorised
from services.api.sessions import COOKIE, SESSION_SECONDS

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer", "cache-control": "no-cache"}
_KINDS = {"index.html": "text/html", "page.js": "text/javascript", "page.css": "text/css"}


def make_router(parts: Parts) -> APIRouter:
    """`/`, its files and `/login`. The page holds no data: it asks the API, with the session's cookie."""
    router = APIRouter(include_in_schema=False)
    contents = {name: files("services.api.page").joinpath(name).read_bytes() for name in _KINDS}

    def file(name: str) -> Response:
        return Response(contents[name], headers={**_HEADERS, "content-type": f"{_KINDS[name]}; charset=utf-8"})

    @router.get("/")
    async def index() -> Response:
        return file("index.html")

    @router.get("/page.js")
    async def script() -> Response:
        return file("page.js")

    @router.get("/page.css")
    async def style() -> Response:
        return file("page.css")

    @router.get("/favicon.ico")
    async def icon() -> Response:
        return Response(status_code=204)

    @router.get("/login")
    async def login(token: str = "") -> Response:
        session = parts.sessions.redeem(token)
        if session is None:
            raise unauthorised("This link was used or is over 10 minutes old. `linkflow up` prints a new one.")
        answer = Response(status_code=303, headers={"location": "/", "cache-control": "no-store"})
        secure = parts.own_url.startswith("https:")
        answer.set_cookie(
            COOKIE, session, max_age=SESSION_SECONDS, httponly=True, samesite="lax", secure=secure, path="/"
        )
        return answer

    return router
