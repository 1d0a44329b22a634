"""The catalogue of node types: what a workflow can be built of."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Response

from domain.nodes.catalogue import catalogue, describe
from domain.nodes.registry import NODE_TYPES
from services.api.problems import not_found
from services.api.routes.common import Asker, json_answer
from services.api.routes.models import NodeType, NodeTypePage


def make_router() -> APIRouter:
    """The routes under /node-types. The answers never change while the process lives."""
    router = APIRouter(prefix="/node-types", tags=["node types"])
    whole: list[bytes] = []

    @router.get("", response_model=NodeTypePage, summary="All node types: parameters, ports, effects, examples")
    async def list_(_principal: Asker) -> Response:
        if not whole:
            whole.append(msgspec.json.encode({"items": catalogue(), "next_cursor": None}))
        return json_answer(whole[0])

    @router.get("/{type}", response_model=NodeType, summary="One node type")
    async def get(type_: Annotated[str, Path(alias="type", examples=["http"])], _principal: Asker) -> Response:
        node_type = NODE_TYPES.get(type_)
        if node_type is None:
            raise not_found("node type")
        return json_answer(msgspec.json.encode(describe(node_type)))

    return router
