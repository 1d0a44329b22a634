"""What the routes share: who asks, answers as JSON text, waiting for a position."""

from datetime import UTC, datetime
from typing import Annotated, overload

from fastapi import Depends, Query, Request, Response

from services.api.edge import PRINCIPAL
from services.api.parts import Parts
from services.api.positions import parse_position
from services.api.principal import Principal, unauthorised


def asker(request: Request) -> Principal:
    """The principal that the edge found. A route that takes none must be in `PUBLIC_PATHS`."""
    principal = request.scope.get(PRINCIPAL)
    if not isinstance(principal, Principal):
        raise unauthorised("Send an API key as `Authorization: Bearer …` or `X-API-Key`.")
    return principal


Asker = Annotated[Principal, Depends(asker)]
MinPosition = Annotated[
    str | None,
    Query(
        description='Wait (at most 5 s) until the read side has reached the "position" of an earlier answer: '
        "its JSON, or topic:partition:offset."
    ),
]


@overload
def as_utc(moment: datetime) -> datetime: ...
@overload
def as_utc(moment: datetime | None) -> datetime | None: ...
def as_utc(moment: datetime | None) -> datetime | None:
    """A time without a zone is UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


async def reach(parts: Parts, min_position: str | None) -> None:
    """Wait for `?min_position=`; Problem 503 if it is not reached in time."""
    if min_position is not None:
        await parts.positions.require(parse_position(min_position, parts.log.partitions))


def json_answer(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")
