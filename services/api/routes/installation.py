"""Health, metrics and the OpenAPI document: addresses of the installation, without a principal."""

from typing import Any

import msgspec
from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.api.parts import Parts
from services.api.routes.common import json_answer
from services.api.routes.models import Health


def make_router(parts: Parts, app: FastAPI) -> APIRouter:
    """The routes of the installation; `app` is what /openapi.json describes."""
    router = APIRouter(tags=["installation"])
    document: list[bytes] = []

    async def report() -> tuple[bool, dict[str, Any]]:
        components = await parts.health.components()
        ok = all(component["ok"] for component in components.values())
        return ok, {"status": "ok" if ok else "failing", "components": components}

    @router.get("/health", response_model=Health, summary="How the installation is; always 200")
    async def health() -> Response:
        return json_answer(msgspec.json.encode((await report())[1]))

    @router.get("/health/live", summary="This process answers")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @router.get(
        "/health/ready",
        response_model=Health,
        responses={503: {"model": Health, "description": "Something is not ready."}},
        summary="Whether work is accepted and done: 200, else 503",
    )
    async def ready() -> Response:
        ok, body = await report()
        return json_answer(msgspec.json.encode(body), 200 if ok else 503)

    @router.get("/metrics", summary="Prometheus metrics of this process", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        if not document:
            document.append(msgspec.json.encode(app.openapi()))
        return json_answer(document[0])

    return router
