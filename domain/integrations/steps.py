"""Operations of several requests: what one after the first is, once the answers before it are there."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from domain.effects import HttpRequest, HttpStep
from domain.integrations.answers import at, put_at


class MissingInAnswer(Exception):
    """An answer does not hold what the next request needs; `place`: where it should be."""

    code = "missing_in_answer"

    def __init__(self, place: str) -> None:
        super().__init__(f"the answers do not say {place}")
        self.place = place


def next_request(step: HttpStep, answers: Sequence[Any]) -> HttpRequest:
    """The request of a step. `answers`: the bodies so far. Raises MissingInAnswer."""
    request = step.request
    if step.url_at:
        address = at(list(answers), step.url_at)
        if not isinstance(address, str) or not address:
            raise MissingInAnswer(step.url_at)
        request = replace(request, url=address)
    body = request.body
    for place, source in step.fill.items():
        value = at(list(answers), source)
        if value is None:
            raise MissingInAnswer(source)
        body = put_at(body, place, value)
    return replace(request, body=body) if step.fill else request
